"""The latent search: a known optimum, torch's Adam, and independence."""
from __future__ import annotations

import pytest
import torch
from torch import nn

from mirrorpose.models.jumps.inpainting import (
    SearchSettings,
    contextual,
    prior_starts,
    search_latent,
)
from mirrorpose.models.jumps.procrustes import align

F, K, Z = 6, 5, 4


class Linear:
    """Windows that are linear in the latent."""

    def __init__(self, seed=0, dtype=torch.float64):
        source = torch.Generator().manual_seed(seed)
        self.matrix = torch.randn(Z, F * K * 2, generator=source, dtype=dtype)
        self.rows = []

    def __call__(self, z):
        self.rows.append(len(z))
        return (z @ self.matrix).view(-1, F, K, 2)


def draw(n, s=1, seed=1):
    source = torch.Generator().manual_seed(seed)
    return (torch.randn(n, Z, generator=source, dtype=torch.float64),
            torch.randn(n, s, Z, generator=source, dtype=torch.float64),
            torch.rand(n, F, K, generator=source) < .6)


LONG = dict(steps=600, rate=.05, velocity_weight=0.)


def test_known_optimum_without_alignment():
    """Full column rank: the only window that fits is the true latent's."""
    generator, (truth, start, observed) = Linear(), draw(5)
    target = generator(truth).where(observed[..., None], torch.nan)
    found = search_latent(generator, None, start, target, observed,
                          SearchSettings(alignment='none', **LONG))
    assert torch.allclose(found.latents, truth, atol=5e-3)
    assert torch.allclose(found.keypoints, generator(truth), atol=3e-2)


def test_known_optimum_up_to_a_similarity():
    generator, (truth, start, observed) = Linear(), draw(5, 6)
    turn = torch.tensor([[.8, -.6], [.6, .8]], dtype=torch.float64)
    target = .3 * generator(truth) @ turn.T + 4
    found = search_latent(generator, None, start, target, observed,
                          SearchSettings(**LONG))
    assert (found.keypoints - target).norm(dim=-1).max() < .03
    # One direction is the truth; its length is free (trap T3.6).
    assert (torch.cosine_similarity(found.latents, truth).abs() > .999).all()
    assert torch.allclose(
        found.keypoints, align(generator(found.latents), target, observed))


def test_adam_is_that_of_torch():
    """Every row, by torch.optim.Adam alone; the best of its path."""
    generator, (truth, start, observed) = Linear(), draw(3, 2)
    target = generator(truth)
    settings = SearchSettings(steps=12, rate=.2, critic_weight=.5)
    centre = torch.randn(F, K, 2, dtype=torch.float64)

    def critic(x):
        return -(x - centre).square().mean((1, 2, 3))

    found = search_latent(generator, critic, start, target, observed,
                          settings)
    for n in range(3):
        for s in range(2):
            z = start[n, s][None].clone().requires_grad_()
            adam = torch.optim.Adam([z], .2, (.8, .999))
            values = []
            for _ in range(13):
                made = generator(z)
                value = contextual(made, target[n][None],
                                   observed[n][None].double(), settings)[0]
                value = (value - .5 * critic(made)).sum()
                values.append(value.item())
                adam.zero_grad()
                value.backward()
                adam.step()
            assert found.objective[n, s].item() == pytest.approx(min(values))
    assert torch.equal(found.best, found.objective.argmin(1))
    assert (found.steps == 12).all()


@pytest.mark.parametrize('patience', [None, 4])
def test_batch_composition_does_not_matter(patience):
    """Alone, in any order and chunk, with other neighbours."""
    generator, (truth, start, observed) = Linear(), draw(6, 3)
    target = generator(truth) + .1
    settings = dict(steps=60, rate=.1, patience=patience, tolerance=.02)
    whole = search_latent(generator, None, start, target, observed,
                          SearchSettings(**settings))
    order = torch.tensor([4, 0, 3, 5, 2, 1])
    mixed = search_latent(generator, None, start[order], target[order],
                          observed[order], SearchSettings(
                              chunk=4, **settings))
    assert torch.equal(mixed.steps, whole.steps[order])
    assert torch.allclose(mixed.latents, whole.latents[order], atol=1e-9)
    for n in range(6):
        own = search_latent(generator, None, start[n:n + 1],
                            target[n:n + 1], observed[n:n + 1],
                            SearchSettings(**settings))
        assert torch.equal(own.steps[0], whole.steps[n])
        assert torch.allclose(own.candidate_latents[0],
                              whole.candidate_latents[n], atol=1e-9)


def test_rows_stop_by_themselves_and_save_work():
    generator, (truth, start, observed) = Linear(), draw(4, 2)
    target = generator(truth)
    start[0] = truth[0]  # at the optimum already
    generator.rows.clear()
    found = search_latent(generator, None, start, target, observed,
                          SearchSettings(steps=100, patience=5))
    assert (found.steps[0] < 10).all()
    assert found.steps[1:].max() > found.steps[0].max()
    assert min(generator.rows) < 8
    assert sum(generator.rows) < 101 * 8


def test_no_steps_give_the_start():
    generator, (truth, start, observed) = Linear(), draw(3)
    found = search_latent(generator, None, start, generator(truth), observed,
                          SearchSettings(steps=0))
    assert torch.equal(found.latents, start[:, 0])


def test_never_worse_than_the_start():
    """Rate 1 leaves good places; what it found on the way counts."""
    generator, (truth, _, observed) = Linear(), draw(3)
    start = truth + .01
    settings = SearchSettings(steps=30, rate=3.)
    found = search_latent(generator, None, start, generator(truth), observed,
                          settings)
    first = contextual(generator(start), generator(truth), observed.double(),
                       settings)[0]
    assert (found.objective[:, 0] <= first).all()


def test_length_of_latents_is_limited():
    """Trap T3.7."""
    generator, (truth, start, observed) = Linear(), draw(4)
    free = search_latent(generator, None, start, generator(5 * truth),
                         observed, SearchSettings(alignment='none', **LONG))
    held = search_latent(generator, None, start, generator(5 * truth),
                         observed, SearchSettings(
                             alignment='none', longest=1., **LONG))
    assert (free.latents.norm(dim=1) > 2.5).any()
    assert (held.latents.norm(dim=1) <= 2 + 1e-9).all()


def test_critic_sees_windows_before_alignment():
    """Trap T3.6."""
    generator, (truth, start, observed) = Linear(), draw(2)
    seen = []

    def critic(x):
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    search_latent(generator, critic, start, generator(truth) + 50, observed,
                  SearchSettings(steps=0, critic_weight=1.))
    assert torch.equal(seen[0], generator(start[:, 0]))


def test_confidence_decides_between_observations():
    """Two frames contradict each other; the trusted one is followed."""
    def generator(z):
        return z[:, None, None, :2].expand(-1, F, K, 2)

    target = torch.zeros(1, F, K, 2)
    target[:, 0] = 1.
    weights = torch.full((1, F, K), .01)
    weights[:, 0] = 1.
    found = search_latent(generator, None, torch.full((1, 2), .4), target,
                          weights, SearchSettings(
                              alignment='none', velocity_weight=0.,
                              steps=200, rate=.05))
    assert torch.allclose(found.latents, torch.ones(1, 2), atol=.05)


@pytest.mark.parametrize('outside', [torch.no_grad, torch.inference_mode])
def test_callers_without_gradients(outside):
    net = nn.Sequential(nn.Linear(Z, 16), nn.Tanh(), nn.Linear(
        16, F * K * 2), nn.Unflatten(1, (F, K, 2))).eval()
    start, observed = torch.randn(2, 3, Z), torch.ones(2, F, K)
    target = torch.randn(2, F, K, 2)
    settings = SearchSettings(steps=5)
    inside = search_latent(net, None, start, target, observed, settings)
    with outside():
        found = search_latent(net, None, start + 0, target + 0, observed + 0,
                              settings)
    assert torch.equal(found.keypoints, inside.keypoints)
    assert not found.keypoints.requires_grad
    assert found.steps.min() == 5
    assert all(p.grad is None for p in net.parameters())


def test_nothing_observed_and_no_window():
    generator, (truth, start, observed) = Linear(), draw(2)
    found = search_latent(generator, None, start,
                          torch.full((2, F, K, 2), torch.nan).double(),
                          torch.zeros(2, F, K), SearchSettings(steps=3))
    assert torch.equal(found.latents, start[:, 0])
    assert found.keypoints.isfinite().all()
    none = search_latent(generator, None, start[:0], generator(truth)[:0],
                         observed[:0])
    assert none.keypoints.shape == (0, F, K, 2)


def test_starts_of_the_prior_are_seeded():
    assert torch.equal(prior_starts(3, 8, 5), prior_starts(3, 8, 5))
    assert torch.equal(prior_starts(5, 8, 5)[:3], prior_starts(3, 8, 5))
    assert not torch.equal(prior_starts(3, 8, 5), prior_starts(3, 8, 6))


def test_the_paper_s_settings():
    paper = SearchSettings.paper()
    assert (paper.rate, paper.steps, paper.critic_weight) == (1., 200, 15.)
    assert (paper.position_weight, paper.velocity_weight) == (10., 5.)
    assert paper.betas == (.8, .999)


@pytest.mark.parametrize('change, message', [
    (dict(steps=-1), 'steps'), (dict(rate=0.), 'rate'),
    (dict(betas=(.9, 1.)), 'betas'), (dict(alignment='affine'), 'rigid'),
    (dict(patience=0), 'patience'), (dict(longest=0.), 'longest')])
def test_wrong_settings(change, message):
    with pytest.raises(ValueError, match=message):
        SearchSettings(**change)


def test_wrong_input():
    generator, (truth, start, observed) = Linear(), draw(2)
    target = generator(truth)
    with pytest.raises(ValueError, match='no critic'):
        search_latent(generator, None, start, target, observed,
                      SearchSettings(critic_weight=1.))
    with pytest.raises(ValueError, match='observed'):
        search_latent(generator, None, start, target, observed[:, :2])
    with pytest.raises(ValueError, match='not be negative'):
        search_latent(generator, None, start, target, -observed.float())
    with pytest.raises(ValueError, match='NaN'):
        search_latent(generator, None, start,
                      target.masked_fill(target > 0, torch.nan), observed)
    training = nn.Sequential(nn.BatchNorm1d(Z))
    with pytest.raises(ValueError, match='eval'):
        search_latent(training, None, start, target, observed)
