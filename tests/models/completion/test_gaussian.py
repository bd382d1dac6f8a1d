"""Conditioning against the closed form, for every pattern by itself."""
from __future__ import annotations

import pytest
import torch

from mirrorpose.models.completion import gaussian
from mirrorpose.models.completion.gaussian import (
    condition,
    draw,
    fit_gaussian,
    log_density,
)

D = 9


@pytest.fixture
def problem():
    g = torch.Generator().manual_seed(1)
    root = torch.randn(D, D, generator=g, dtype=torch.float64)
    mean = torch.randn(D, generator=g, dtype=torch.float64)
    x = torch.randn(12, D, generator=g, dtype=torch.float64)
    trust = (torch.rand(12, D, generator=g) < .6).double()
    trust[0], trust[1] = 0, 1
    trust[3] = trust[2]  # a pattern that two samples share
    return mean, root @ root.T / D, x, trust


def _exact(mean, covariance, x, trust, noise):
    """Textbook formulas, a sample at a time."""
    means, variances = [], []
    for row, weight in zip(x, trust):
        o = weight > 0
        own = covariance[o][:, o] + torch.diag(noise**2 / weight[o])
        gain = covariance[:, o] @ torch.linalg.inv(own)
        means.append(mean + gain @ (row[o] - mean[o]))
        variances.append((covariance - gain @ covariance[o]).diagonal())
    return torch.stack(means), torch.stack(variances)


@pytest.mark.parametrize('rank', [D, 50, 4])
@pytest.mark.parametrize('chunk', [2**24, 1])
def test_equals_the_closed_form(problem, rank, chunk, monkeypatch):
    monkeypatch.setattr(gaussian, 'CHUNK', chunk)
    mean, covariance, x, trust = problem
    fitted = fit_gaussian(mean, covariance, rank)
    # of a lower rank, the Gaussian is another one: compare with its own
    own = fitted.components @ fitted.components.T + torch.diag(
        fitted.residual)
    torch.testing.assert_close(own.diagonal(), covariance.diagonal())
    if rank >= D:
        torch.testing.assert_close(own, covariance)
    got = condition(fitted, x, trust, .3)
    want = _exact(mean, own, x, trust, .3)
    torch.testing.assert_close(got[0], want[0])
    torch.testing.assert_close(got[1], want[1])


def test_confidence_is_a_share_of_precision(problem):
    mean, covariance, x, trust = problem
    trust = trust * torch.rand(trust.shape, dtype=torch.float64)
    got = condition(fit_gaussian(mean, covariance, D), x, trust, .2)
    want = _exact(mean, covariance, x, trust, .2)
    torch.testing.assert_close(got[0], want[0])
    torch.testing.assert_close(got[1], want[1])


@pytest.mark.parametrize('rank', [D, 4])
def test_samples_have_the_conditional_moments(problem, rank):
    """Those of the part that the components hold, by textbook formulas."""
    mean, covariance, x, trust = problem
    fitted = fit_gaussian(mean, covariance, rank)
    w, noise = fitted.components, .3
    normals = torch.randn(200_000, rank, dtype=torch.float64,
                          generator=torch.Generator().manual_seed(0))
    drawn = draw(fitted, x, trust, noise, normals)
    assert drawn.shape == (12, 200_000, D)
    torch.testing.assert_close(
        drawn.mean(1), condition(fitted, x, trust, noise)[0], atol=.01,
        rtol=0)
    # z given the observations, its error carried on to the values
    for weight, samples in zip(trust, drawn):
        o = weight > 0
        own = w[o] @ w[o].T + torch.diag(
            fitted.residual[o] + noise**2 / weight[o])
        latent = torch.eye(rank, dtype=torch.float64) - w[o].T @ (
            torch.linalg.inv(own) @ w[o])
        gain = torch.zeros(D, dtype=torch.float64)
        gain[o] = fitted.residual[o] / (
            fitted.residual[o] + noise**2 / weight[o])
        left = (1 - gain)[:, None] * w
        torch.testing.assert_close(torch.cov(samples.T),
                                   left @ latent @ left.T, atol=.02, rtol=0)
    # alone as in the batch
    torch.testing.assert_close(
        draw(fitted, x[3:4], trust[3:4], noise, normals[:5]), drawn[3:4, :5])


def test_what_is_not_observed_does_not_matter(problem):
    mean, covariance, x, trust = problem
    fitted = fit_gaussian(mean, covariance, 5)
    other = torch.where(trust > 0, x, 1e6)
    torch.testing.assert_close(condition(fitted, x, trust, .1)[0],
                               condition(fitted, other, trust, .1)[0])


@pytest.mark.parametrize('rank', [3, 6])
def test_log_density_is_that_of_the_marginal(rank):
    source = torch.Generator().manual_seed(3)
    root = torch.randn(6, 6, generator=source, dtype=torch.float64)
    mean = torch.randn(6, generator=source, dtype=torch.float64)
    made = fit_gaussian(mean, root @ root.T, rank)
    values = torch.randn(5, 6, generator=source, dtype=torch.float64)
    trust = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 0, .5, 0, 1, 1],
                          [0, 0, 0, 1, 0, 0], [1, 0, .5, 0, 1, 1],
                          [0, 0, 0, 0, 0, 0]], dtype=torch.float64)
    values.requires_grad_()
    found = log_density(made, values, trust, .1)
    covariance = made.components @ made.components.T + made.residual.diag()
    for row in range(4):
        at = trust[row] > 0
        there = torch.distributions.MultivariateNormal(
            mean[at], covariance[at][:, at]
            + (.01 / trust[row][at]).diag())
        torch.testing.assert_close(found[row], there.log_prob(
            values[row][at]))
    assert found[4] == 0
    slope, = torch.autograd.grad(found.sum(), values)
    assert bool((slope[trust == 0] == 0).all()) and slope.isfinite().all()
