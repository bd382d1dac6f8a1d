"""Diagonal Gaussians against torch.distributions."""
from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from mirrorpose.models.pose import probability
from mirrorpose.models.pose.probability import SampleNoise

SHAPE = (3, 4, 5, 6)


@pytest.fixture
def x():
    torch.manual_seed(0)
    return {k: torch.randn(SHAPE, dtype=torch.float64)
            for k in ('x', 'mean', 'log_variance')}


def normal(mean, log_variance):
    if not isinstance(log_variance, torch.Tensor):
        log_variance = torch.tensor(log_variance, dtype=mean.dtype)
    scale = (0.5 * log_variance).exp().expand_as(mean)
    return Independent(Normal(mean, scale), 3)


@pytest.mark.parametrize('variance', [0.01, 1., 2.5])
class TestFixedVariance:

    def test_log_likelihood(self, x, variance):
        want = normal(x['mean'], math.log(variance)).log_prob(x['x'])
        got = probability.log_likelihood(x['x'], x['mean'],
                                         math.log(variance))
        torch.testing.assert_close(got, want)

    def test_entropy(self, x, variance):
        want = normal(x['mean'], math.log(variance)).entropy()
        torch.testing.assert_close(
            probability.entropy(math.log(variance), x['mean']), want)

    def test_sample(self, x, variance):
        noise = torch.randn_like(x['mean'])
        got = probability.sample(x['mean'], math.log(variance), noise)
        torch.testing.assert_close(got, x['mean'] + variance**.5 * noise)


class TestLearnedVariance:

    def test_log_likelihood(self, x):
        want = normal(x['mean'], x['log_variance']).log_prob(x['x'])
        got = probability.log_likelihood(x['x'], x['mean'],
                                         x['log_variance'])
        torch.testing.assert_close(got, want)

    def test_entropy(self, x):
        want = normal(x['mean'], x['log_variance']).entropy()
        torch.testing.assert_close(
            probability.entropy(x['log_variance'], x['mean']), want)

    def test_kl(self, x):
        one = normal(x['mean'], x['log_variance'])
        two = normal(torch.zeros_like(x['mean']), 0.)
        got = probability.kl_standard_normal(x['mean'], x['log_variance'])
        torch.testing.assert_close(got, kl_divergence(one, two))
        assert (got > 0).all()

    def test_kl_is_zero_at_the_prior(self):
        zero = torch.zeros(SHAPE)
        assert (probability.kl_standard_normal(zero, zero) == 0).all()

    def test_sample_has_mean_and_spread(self, x):
        torch.manual_seed(1)
        mean = x['mean'][:1].expand(20000, *SHAPE[1:])
        draws = probability.sample(
            mean, x['log_variance'][:1].expand_as(mean))
        torch.testing.assert_close(draws.mean(0), x['mean'][0], rtol=0,
                                   atol=.15)
        torch.testing.assert_close(draws.var(0).log(),
                                   x['log_variance'][0], rtol=0, atol=.1)

    def test_gradients(self, x):
        inputs = tuple(v[:1, :1, :2, :2].clone().requires_grad_()
                       for v in x.values())
        assert torch.autograd.gradcheck(probability.log_likelihood, inputs)
        assert torch.autograd.gradcheck(probability.kl_standard_normal,
                                        inputs[1:])

    def test_clamp(self):
        raw = torch.tensor([-1e6, -10., 0., 3., 10., 1e6])
        assert probability.clamp_log_variance(raw).tolist() == \
            [-10, -10, 0, 3, 10, 10]


@pytest.mark.parametrize('fixed', [True, False])
class TestExpectation:

    def test_against_monte_carlo(self, x, fixed):
        torch.manual_seed(2)
        log_variance = math.log(.3) if fixed else x['log_variance']
        p = normal(x['mean'], log_variance)
        q = Normal(x['x'], torch.tensor(.2**.5, dtype=torch.float64))
        values = torch.stack([p.log_prob(q.sample()) for _ in range(4000)])
        got = probability.expected_log_likelihood(x['x'], .2, x['mean'],
                                                  log_variance)
        error = values.std(0) / len(values)**.5
        assert ((values.mean(0) - got).abs() < 4 * error).all()
        # ... and the noise really matters at this size of error.
        plain = probability.log_likelihood(x['x'], x['mean'], log_variance)
        assert ((plain - got) > 10 * error).all()

    def test_masked_is_that_of_the_part(self, x, fixed):
        log_variance = math.log(.3) if fixed else x['log_variance']
        mask = torch.tensor([[1, 0, 1, 1], [1, 1, 1, 1], [0, 0, 0, 1.]])
        got = probability.expected_log_likelihood(
            x['x'], .2, x['mean'], log_variance, mask[..., None, None])
        for n in range(3):
            rows = [k for k in range(4) if mask[n, k]]
            part = log_variance if fixed else log_variance[n:n + 1, rows]
            want = probability.expected_log_likelihood(
                x['x'][n:n + 1, rows], .2, x['mean'][n:n + 1, rows], part)
            torch.testing.assert_close(got[n:n + 1], want)


class TestMask:
    MASK = torch.tensor([[1, 0, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]])

    @pytest.mark.parametrize('kind', [bool, float])
    def test_log_likelihood_is_that_of_the_part(self, x, kind):
        mask = self.MASK.to(torch.bool if kind is bool else torch.float64)
        got = probability.log_likelihood(
            x['x'], x['mean'], x['log_variance'], mask[..., None, None])
        per_joint = Normal(x['mean'], (x['log_variance'] / 2).exp()).log_prob(
            x['x']).sum((2, 3))
        for n in range(3):
            want = sum(per_joint[n, k] for k in range(4) if mask[n, k])
            torch.testing.assert_close(got[n], torch.as_tensor(
                want, dtype=torch.float64))

    def test_entropy_is_that_of_the_part(self, x):
        got = probability.entropy(x['log_variance'], x['mean'],
                                  self.MASK[..., None, None])
        per = Normal(x['mean'], (x['log_variance'] / 2).exp()).entropy()
        torch.testing.assert_close(
            got, (per.sum((2, 3)) * self.MASK).sum(1))

    @pytest.mark.parametrize('bad', [math.nan, math.inf, 1e200])
    def test_nothing_under_the_mask_matters(self, x, bad):
        keep = self.MASK.bool()[..., None, None]
        results = []
        for fill in (0., bad):
            pose = torch.where(keep, x['x'], torch.tensor(
                fill, dtype=torch.float64)).requires_grad_()
            mean = x['mean'].clone().requires_grad_()
            value = probability.log_likelihood(pose, mean, -1., keep)
            value.sum().backward()
            results.append((value.detach(), mean.grad, pose.grad))
        for a, b in zip(*results):
            assert b.isfinite().all()
            assert torch.equal(a, b)
        value, mean_grad, pose_grad = results[1]
        absent = ~keep.expand(SHAPE)
        assert (mean_grad[absent] == 0).all()
        assert (pose_grad[absent] == 0).all()
        assert (mean_grad[~absent] != 0).all()
        assert value[2] == 0


class TestSampleNoise:

    def test_belongs_to_the_sample(self):
        like = torch.zeros(4, 2, 3, 3)
        full = SampleNoise([7, 11, 13, 17], step=5)(like)
        back = SampleNoise([17, 13, 11, 7], step=5)(like)
        assert torch.equal(full, back.flip(0))
        alone = SampleNoise([13], step=5)(like[:1])
        assert torch.equal(full[2:3], alone)

    def test_reproducible_draw_by_draw(self):
        one, two = (SampleNoise([3, 4], 9, seed=2) for _ in range(2))
        for size in ((2, 5), (2, 3, 4), (2, 5)):
            assert torch.equal(one(torch.zeros(size)),
                               two(torch.zeros(size)))

    def test_everything_changes_it(self):
        like = torch.zeros(1, 64)
        noise = SampleNoise([1], 0, 0)
        draws = [noise(like), noise(like)]
        for key, step, seed in ((2, 0, 0), (1, 1, 0), (1, 0, 1), (0, 0, 0)):
            draws.append(SampleNoise([key], step, seed)(like))
        for i, a in enumerate(draws):
            for b in draws[:i]:
                assert (a != b).all()

    def test_steps_and_neighbours_are_unrelated(self):
        like = torch.zeros(64, 512)
        rows = torch.cat([SampleNoise(list(range(64)), step)(like)
                          for step in range(4)])
        correlation = torch.corrcoef(rows)
        correlation.fill_diagonal_(0)
        # 256 rows of 512 numbers: 5 standard errors are 0.22.
        assert correlation.abs().max() < .25

    def test_is_standard_normal(self):
        noise = SampleNoise(list(range(200)), step=3)(torch.zeros(200, 1000))
        assert abs(float(noise.mean())) < .01
        assert abs(float(noise.std()) - 1) < .01
        assert abs(float((noise**4).mean()) - 3) < .1
        # Across samples too: one element of each is as random as a row.
        assert float((noise.std(0) - 1).abs().mean()) < .06

    def test_does_not_touch_torchs_generator(self):
        torch.manual_seed(0)
        state = torch.get_rng_state()
        SampleNoise([1, 2], 0)(torch.zeros(2, 3))
        assert torch.equal(state, torch.get_rng_state())

    def test_follows_type(self):
        like = torch.zeros(1, 3, dtype=torch.float64)
        assert SampleNoise([1], 0)(like).dtype == torch.float64

    def test_wrong_count(self):
        with pytest.raises(ValueError, match='2 samples was asked for 3'):
            SampleNoise([1, 2], 0)(torch.zeros(3, 1))
