"""Adversarial losses against closed forms and finite differences."""
from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mmpose.registry import MODELS
from scipy import stats
from torch import nn

from mirrorpose.models.losses import LeastSquaresGANLoss, WGANGPLoss
from mirrorpose.models.losses.adversarial import (
    gradient_norms,
    interpolate,
    sample_means,
    uniform_from_normal,
)
from mirrorpose.models.pose.probability import SampleNoise


class Linear(nn.Module):
    """D(x) = <w, x> + b: its gradient is w everywhere."""

    def __init__(self, *shape):
        super().__init__()
        self.w = nn.Parameter(torch.randn(shape, dtype=torch.float64))
        self.b = nn.Parameter(torch.randn((), dtype=torch.float64))

    def forward(self, x):
        return (x * self.w).flatten(1).sum(1) + self.b


class Quadratic(nn.Module):
    """D(x) = a |x|^2 / 2: its gradient is a x."""

    def __init__(self, a):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a, dtype=torch.float64))

    def forward(self, x):
        return self.a / 2 * x.flatten(1).square().sum(1)


class Smooth(nn.Module):
    """A critic with curvature, for finite differences."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 5).double()
        self.outer = nn.Linear(5, 1).double()

    def forward(self, x):
        return self.outer(torch.tanh(self.inner(x.flatten(1))))


def pair(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return (torch.randn(shape, generator=g, dtype=torch.float64),
            torch.randn(shape, generator=g, dtype=torch.float64) + 1)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


class TestWGANGP:

    def test_linear_critic(self):
        """The gap is <w, mean difference>, the penalty (|w| - 1)^2."""
        real, fake = pair(5, 4, 3)
        critic = Linear(4, 3)
        got = WGANGPLoss(penalty_weight=7.).critic_losses(critic, real, fake)
        gap = float(((real.mean(0) - fake.mean(0)) * critic.w).sum().detach())
        slope = float(critic.w.detach().norm())
        assert float(got['loss_wasserstein']) == pytest.approx(-gap)
        assert float(got['mon_gap']) == pytest.approx(gap)
        assert float(got['loss_penalty']) == pytest.approx(
            7 * (slope - 1)**2)
        assert float(got['mon_slope']) == pytest.approx(slope)
        made = WGANGPLoss(loss_weight=.5).generator_losses(critic, fake)
        assert float(made['loss_adversarial']) == pytest.approx(
            -.5 * float(critic(fake).mean()))

    def test_quadratic_critic(self):
        """|grad D| = a |x| at the interpolated points, one share each."""
        real, fake = pair(6, 2)
        mix = torch.linspace(0, 1, 6)
        got = WGANGPLoss(10.).critic_losses(Quadratic(.7), real, fake, mix)
        u = np.linspace(0, 1, 6, dtype=np.float32)[:, None]
        points = u * real.numpy() + (1 - u) * fake.numpy()
        norms = .7 * np.linalg.norm(points, axis=1)
        assert float(got['loss_penalty']) == pytest.approx(
            10 * np.mean((norms - 1)**2))

    def test_penalty_by_finite_differences(self):
        """gradcheck of the penalty itself: it is differentiated twice."""
        critic = Smooth()
        x, _ = pair(3, 3, 2)
        names = [n for n, _ in critic.named_parameters()]

        def penalty(*values):
            def judge(points):
                return torch.func.functional_call(
                    critic, dict(zip(names, values)), points)
            return (gradient_norms(judge, x) - 1).square().mean()

        values = [p.detach().clone().requires_grad_()
                  for p in critic.parameters()]
        # The last bias moves every score alike.
        assert torch.autograd.gradcheck(
            lambda *v: penalty(*v, values[-1].detach()), values[:-1])

    def test_norm_by_finite_differences(self):
        critic = Smooth()
        x, _ = pair(2, 3, 2)
        step, slope = 1e-6, np.zeros((2, 6))
        with torch.no_grad():
            for k in range(6):
                moved = torch.zeros(6, dtype=torch.float64)
                moved[k] = step
                moved = moved.view(1, 3, 2)
                slope[:, k] = ((critic(x + moved) - critic(x - moved))
                               / (2 * step))[:, 0].numpy()
        np.testing.assert_allclose(
            gradient_norms(critic, x).detach().numpy(),
            np.linalg.norm(slope, axis=1), rtol=1e-7)

    def test_whose_gradients(self):
        """The critic's step leaves the generator alone, but not vice versa."""
        real, fake = pair(4, 6)
        fake.requires_grad_()
        critic = Smooth()
        sum(v for k, v in WGANGPLoss().critic_losses(
            critic, real, fake).items() if 'loss' in k).backward()
        assert fake.grad is None
        assert all(p.grad is not None for p in critic.parameters())
        WGANGPLoss().generator_losses(critic, fake)[
            'loss_adversarial'].backward()
        assert fake.grad.abs().min() > 0

    def test_parts_of_a_batch_average_to_the_whole(self):
        real, fake = pair(8, 6)
        mix = torch.rand(8)
        critic = Smooth()

        def gradient(rows):
            losses = WGANGPLoss().critic_losses(critic, real[rows],
                                                fake[rows], mix[rows])
            return torch.autograd.grad(
                losses['loss_wasserstein'] + losses['loss_penalty'],
                list(critic.parameters())[:-1])

        for a, b, whole in zip(gradient(slice(0, 4)), gradient(slice(4, 8)),
                               gradient(slice(0, 8))):
            torch.testing.assert_close((a + b) / 2, whole)

    def test_dead_critic(self):
        """No gradient at all: the penalty is lambda, and nothing is NaN."""
        real, fake = pair(4, 6)
        critic = Smooth()
        for p in critic.parameters():
            nn.init.zeros_(p)
        got = WGANGPLoss(10.).critic_losses(critic, real, fake)
        (got['loss_penalty'] + got['loss_wasserstein']).backward()
        assert float(got['loss_penalty']) == pytest.approx(10.)
        assert all(p.grad.isfinite().all() for p in critic.parameters())

    def test_under_no_grad(self):
        """A monitor may ask for norms inside no_grad."""
        x, _ = pair(3, 6)
        with torch.no_grad():
            norms = gradient_norms(Smooth(), x, create_graph=False)
        assert not norms.requires_grad and (norms > 0).all()

    def test_penalty_stays_out_of_autocast(self):
        critic = nn.Linear(6, 1)
        x = torch.randn(3, 6)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            assert critic(x).dtype == torch.bfloat16  # what it would be
            inside = gradient_norms(critic, x)
        assert inside.dtype == torch.float32
        assert torch.equal(inside, gradient_norms(critic, x))

    def test_half_precision_samples(self):
        real, fake = (v.bfloat16() for v in pair(4, 6))
        critic = nn.Linear(6, 1)
        norms = gradient_norms(critic, interpolate(real, fake, None))
        torch.testing.assert_close(norms, critic.weight.norm().expand(4))

    @pytest.mark.parametrize('wrong', [
        dict(penalty_weight=-1.), dict(loss_weight=-.1)])
    def test_negative_weight(self, wrong):
        with pytest.raises(ValueError, match=f'{next(iter(wrong))} must not'):
            WGANGPLoss(**wrong)


class TestInterpolation:

    def test_ends(self):
        real, fake = pair(2, 3, 4)
        got = interpolate(real, fake, torch.tensor([1., 0.]))
        assert torch.equal(got[0], real[0]) and torch.equal(got[1], fake[1])

    def test_drawn_shares_are_between(self):
        got = interpolate(torch.ones(500, 1), torch.zeros(500, 1), None)
        assert stats.kstest(got[:, 0].numpy(), 'uniform').pvalue > .01

    def test_shape(self):
        with pytest.raises(ValueError, match=r'\(2, 3\).*\(4, 3\).*as many'):
            interpolate(torch.zeros(2, 3), torch.zeros(4, 3), None)
        with pytest.raises(ValueError, match=r'\(3,\) shares.*2 samples'):
            interpolate(torch.zeros(2, 3), torch.zeros(2, 3), torch.ones(3))

    def test_shares_of_samples(self):
        """A function of the sample's id, uniform over samples."""
        keys = list(range(400))
        like = torch.zeros(400)
        whole = uniform_from_normal(SampleNoise(keys, 3)(like))
        part = uniform_from_normal(SampleNoise(keys[7:9], 3)(like[:2]))
        assert torch.equal(part, whole[7:9])
        assert stats.kstest(whole.numpy(), 'uniform').pvalue > .01
        assert whole.min() > 0 and whole.max() < 1


class TestLeastSquares:

    def test_closed_form(self):
        """Scores 3 on real and 2 on fake: (4 + 4) / 2, and 1 to move."""
        class Fixed(nn.Module):
            def forward(self, x):
                return x.mean(1)

        real, fake = torch.full((5, 2), 3.), torch.full((4, 2), 2.)
        loss = LeastSquaresGANLoss(loss_weight=10.)
        got = loss.critic_losses(Fixed(), real, fake)
        assert {k: float(v) for k, v in got.items()} == dict(
            loss_real=2., loss_fake=2., mon_real=3., mon_fake=2.)
        assert float(loss.generator_losses(Fixed(), fake)[
            'loss_adversarial']) == 10.

    def test_scales_weigh_alike(self):
        """Whatever their size, as three PatchGANs (spec 2.2)."""
        big, small = torch.full((2, 1, 8, 8), 3.), torch.zeros(2, 1, 2, 2)
        assert sample_means([big, small]).tolist() == [1.5, 1.5]
        assert LeastSquaresGANLoss.distance([big, small], 1.).tolist() == [
            (4 + 1) / 2] * 2

    def test_gradient(self):
        real, fake = pair(3, 6)
        critic = Smooth()

        def total(x):
            return LeastSquaresGANLoss(2.).generator_losses(
                critic, x)['loss_adversarial']

        assert torch.autograd.gradcheck(total, fake.requires_grad_())
        got = LeastSquaresGANLoss().critic_losses(critic, real, fake)
        (got['loss_real'] + got['loss_fake']).backward()
        assert fake.grad is None

    def test_best_critic(self):
        """p / (p + q) is where the critic's loss is least."""
        on_real, on_fake = np.array([.5, .3, .2]), np.array([.1, .3, .6])
        scores = torch.zeros(3, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([scores], max_iter=50)

        def closure():
            optimizer.zero_grad()
            loss = .5 * (torch.tensor(on_real) * (scores - 1)**2).sum() \
                + .5 * (torch.tensor(on_fake) * scores**2).sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        # The same weights through the class, one sample a mass of .1.
        real = torch.repeat_interleave(torch.eye(3, dtype=torch.float64),
                                       torch.tensor([5, 3, 2]), 0)
        fake = torch.repeat_interleave(torch.eye(3, dtype=torch.float64),
                                       torch.tensor([1, 3, 6]), 0)
        got = LeastSquaresGANLoss().critic_losses(
            lambda x: x @ scores, real, fake)
        slope, = torch.autograd.grad(got['loss_real'] + got['loss_fake'],
                                     scores)
        np.testing.assert_allclose(slope.numpy(), 0, atol=1e-6)
        np.testing.assert_allclose(scores.detach().numpy(),
                                   on_real / (on_real + on_fake), atol=1e-6)

    def test_negative_weight(self):
        with pytest.raises(ValueError, match='must not be negative, got -1'):
            LeastSquaresGANLoss(-1.)


@pytest.mark.parametrize('kind', ['WGANGPLoss', 'LeastSquaresGANLoss'])
def test_registered(kind):
    loss = MODELS.build(dict(type=kind, loss_weight=2.))
    assert loss.loss_weight == 2. and not list(loss.parameters())
    critic = nn.Linear(2, 1)
    got = loss.critic_losses(critic, torch.zeros(3, 2), torch.ones(3, 2))
    assert all(v.ndim == 0 and math.isfinite(v) for v in got.values())
    assert all(k.startswith(('loss_', 'mon_')) for k in got)
    with pytest.raises(TypeError, match='lambda_gp'):
        MODELS.build(dict(type=kind, lambda_gp=1.))
