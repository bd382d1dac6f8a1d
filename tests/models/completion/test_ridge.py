"""The Gaussian of windows against plain ridge regression."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mirrorpose.models.completion import InterpolationCompleter, RidgeCompleter
from mirrorpose.models.completion.completer import SKELETON, Completer
from mirrorpose.models.pose import PosePrior
from mirrorpose.models.pose.canonical_frame import canonical_frame

FRAMES = 6


@pytest.fixture(scope='module')
def fitted(make_windows, twelve):
    x = make_windows(300, 1, FRAMES)
    ridge = RidgeCompleter(rank=10**6, noise=.01, frames=FRAMES, flip=False)
    return ridge.fit([
        dict(inputs=part, observed=twelve(len(part), FRAMES))
        for part in x.split(70)]), x


def _plain_ridge(x, y, observed, penalty):
    """Normal equations, for one pattern (F, 28) of all windows."""
    seen = observed.numpy().repeat(2)
    a = x.flatten(1).double().numpy()
    b = y.flatten(1).double().numpy()
    mean = a.mean(0)
    a, b = a - mean, b - mean
    weights = np.linalg.solve(
        a[:, seen].T @ a[:, seen] + penalty * np.eye(seen.sum()),
        a[:, seen].T @ a)
    return (b[:, seen] @ weights + mean).reshape(y.shape)


@pytest.mark.parametrize('holes', ['twelve', 'hidden limb', 'lost frames'])
def test_equals_plain_ridge(fitted, make_windows, twelve, holes):
    ridge, x = fitted
    train = canonical_frame(x, twelve(len(x), FRAMES)).apply(x)
    new = make_windows(5, 2, FRAMES)
    new = canonical_frame(new, twelve(5, FRAMES)).apply(new)
    observed = twelve(5, FRAMES)
    if holes == 'hidden limb':
        observed[:, :, SKELETON.index('left_elbow', 'left_wrist')] = False
    elif holes == 'lost frames':
        observed[:, 2:4] = False
    got = ridge.complete(new, observed)
    want = _plain_ridge(train, new, observed[0].flatten(),
                        ridge.noise**2 * len(x))
    lost = ~observed
    np.testing.assert_allclose(got.keypoints[lost], want[lost.numpy()],
                               atol=2e-5)
    torch.testing.assert_close(got.keypoints[observed], new[observed])
    assert (got.spread[observed] == 0).all()
    assert (got.spread[lost] > 0).all()


def test_patterns_in_one_batch_are_apart(fitted, make_windows, twelve):
    ridge, _ = fitted
    x = make_windows(6, 3, FRAMES)
    observed = twelve(6, FRAMES)
    observed[1, 2:4] = False
    observed[2] = True
    observed[3] = False
    observed[4] &= torch.rand(FRAMES, 28) < .7
    whole = ridge.complete(x, observed)
    for n in range(6):
        one = ridge.complete(x[n:n + 1], observed[n:n + 1])
        for a, b in zip(one[:3], whole[:3]):
            torch.testing.assert_close(a, b[n:n + 1])
    # nothing observed: the mean window
    torch.testing.assert_close(
        whole.keypoints[3].flatten().double(), ridge.mean.data, atol=1e-6,
        rtol=0)


def test_low_rank_is_near_and_beats_interpolation(make_windows, twelve):
    x = make_windows(400, 4, FRAMES)
    ridge = RidgeCompleter(rank=24, frames=FRAMES)
    assert isinstance(ridge, Completer)
    ridge.fit([dict(inputs=x, observed=twelve(400, FRAMES))])
    new, seen = make_windows(100, 5, FRAMES), twelve(100, FRAMES)
    new = canonical_frame(new, seen).apply(new)
    error = {}
    for completer in (ridge, InterpolationCompleter()):
        miss = (completer.complete(new, seen).keypoints - new).norm(dim=-1)
        error[type(completer).__name__] = float(miss[~seen].mean())
    assert error['RidgeCompleter'] < .2 * error['InterpolationCompleter']


def test_spread_is_the_error_to_expect(make_windows, twelve):
    x = make_windows(3000, 6, FRAMES)
    ridge = RidgeCompleter(rank=40, frames=FRAMES, flip=False)
    ridge.fit([dict(inputs=x, observed=twelve(3000, FRAMES))])
    new, seen = make_windows(1000, 7, FRAMES), twelve(1000, FRAMES)
    seen[:, :, SKELETON.index('left_wrist', 'left_elbow')] = False
    frame = canonical_frame(new, twelve(1000, FRAMES))
    new = frame.apply(new)
    noise = torch.randn(new.shape, generator=torch.Generator().manual_seed(0))
    done = ridge.complete(new + ridge.noise * noise, seen)
    miss = (done.keypoints - new).norm(dim=-1)[~seen]
    ratio = miss.square().mean().sqrt() / done.spread[
        ~seen].square().mean().sqrt()
    assert .7 < float(ratio) < 1.4


def test_hypotheses_spread_as_ridge_says(fitted, make_windows, twelve):
    ridge, _ = fitted
    x, seen = make_windows(3, 8, FRAMES), twelve(3, FRAMES)
    several = ridge.hypotheses(x, seen, number=4000)
    assert several.shape == (3, 4000, FRAMES, 28, 2)
    done = ridge.complete(x, seen)
    torch.testing.assert_close(several[0, 7][seen[0]], x[0][seen[0]])
    torch.testing.assert_close(several.mean(1), done.keypoints, atol=3e-3,
                               rtol=0)
    spread = several.var(1).sum(-1).sqrt()
    torch.testing.assert_close(spread[~seen], done.spread[~seen], rtol=.08,
                               atol=1e-4)
    again = ridge.hypotheses(x[1:2], seen[1:2], number=2)
    torch.testing.assert_close(again, several[1:2, :2])


def test_moments_do_not_depend_on_the_batches(make_windows, twelve):
    x, seen = make_windows(90, 8, FRAMES), twelve(90, FRAMES)
    a, b = (RidgeCompleter(rank=5, frames=FRAMES) for _ in 'ab')
    a.fit([dict(inputs=x, observed=seen)])
    b.fit([dict(inputs=p, observed=s) for p, s in zip(x.split(20),
                                                      seen.split(20))])
    torch.testing.assert_close(a.second, b.second)
    torch.testing.assert_close(a.mean.data, b.mean.data)
    # numpy's covariance of windows and their mirror images
    y = canonical_frame(x, seen).apply(x)
    flipped = y[:, :, SKELETON.flip_indices] * torch.tensor([-1., 1.])
    rows = torch.cat([y, flipped]).flatten(1).double().numpy()
    np.testing.assert_allclose(a.second / a.count,
                               np.cov(rows.T, bias=True), atol=1e-9)


def test_confidence_decides_how_much_is_kept(fitted, make_windows, twelve):
    ridge, _ = fitted
    x, seen = make_windows(3, 9, FRAMES), twelve(3, FRAMES)
    noisy = x.clone()
    wrist = SKELETON.index('left_wrist')[0]
    noisy[:, :, wrist] += .5
    sure = seen.float()
    doubted = sure.clone()
    doubted[:, :, wrist] = .001

    def miss(confidence):
        done = ridge.complete(noisy, seen, confidence).keypoints
        return float((done - x)[:, :, wrist].norm(dim=-1).mean())

    assert miss(doubted) < .3 * miss(sure)


@pytest.mark.parametrize('present', [None, 'some'])
def test_incomplete_truth_is_left_out(make_windows, twelve, present):
    x, seen = make_windows(10, 10, FRAMES), twelve(10, FRAMES)
    mask = torch.ones(10, FRAMES, 28, dtype=torch.bool)
    if present:
        mask[3, 2, 7] = False
    ridge = RidgeCompleter(rank=3, frames=FRAMES, flip=False)
    assert ridge.add(x, seen, mask) == (9 if present else 10)


@pytest.mark.parametrize('bad', [dict(rank=0), dict(noise=0.),
                                 dict(frames=0)])
def test_refuses(bad):
    with pytest.raises(ValueError, match='positive'):
        RidgeCompleter(**bad)


def test_refuses_to_complete_unfitted(make_windows, twelve):
    ridge = RidgeCompleter(rank=3, frames=FRAMES)
    with pytest.raises(ValueError, match='fit'):
        ridge.complete(make_windows(1, 0, FRAMES), twelve(1, FRAMES))
    with pytest.raises(ValueError, match='24 frames'):
        ridge.add(make_windows(1, 0), twelve(1))


def test_state_goes_on_elsewhere(fitted, make_windows, twelve):
    ridge, _ = fitted
    other = RidgeCompleter(rank=ridge.rank, noise=ridge.noise, frames=FRAMES)
    other.load_state_dict(ridge.state_dict())
    x, seen = make_windows(2, 11, FRAMES), twelve(2, FRAMES)
    torch.testing.assert_close(other.complete(x, seen).keypoints,
                               ridge.complete(x, seen).keypoints)


@pytest.fixture
def windows(make_windows, twelve):
    x = make_windows(5, 7, FRAMES)
    return canonical_frame(x, twelve(5, FRAMES)).apply(x)


@pytest.fixture
def ridge(make_windows, twelve):
    return RidgeCompleter(rank=20, noise=.01, frames=FRAMES).fit([dict(
        inputs=make_windows(300, 1, FRAMES), observed=twelve(300, FRAMES))])


def conditional(ridge, points, trust):
    """Mean and variance given noisy observations, by the dense covariance."""
    gaussian = ridge.gaussian()
    covariance = gaussian.components @ gaussian.components.T + \
        gaussian.residual.diag()
    means, variances = [], []
    for x, c in zip(points.flatten(1).double(), trust.double()):
        noise = ridge.noise**2 / c[..., None].expand(*c.shape, 2).flatten()
        gain = covariance @ torch.linalg.inv(covariance + noise.diag())
        means.append(gaussian.mean + gain @ (x - gaussian.mean))
        variances.append((covariance - gain @ covariance).diagonal())
    return (torch.stack(means).view(points.shape).float(),
            torch.stack(variances).view(points.shape).float())


class TestRobust:

    def test_an_outlier_loses_its_weight(self, ridge, windows):
        """One joint far off: its place and the others' hardly move."""
        points = windows.clone()
        at = SKELETON.index('left_wrist')
        points[:, 2:4, at] += .4
        seen = torch.ones(points.shape[:-1], dtype=torch.bool)
        errors = []
        for rounds in (0, 4):
            ridge.noise, ridge.keep, ridge.robust = .02, False, rounds
            done = ridge.complete(points, seen).keypoints
            errors.append((done - windows)[:, 2:4, at].norm(dim=-1).mean())
        assert errors[1] < .25 * errors[0]

    def test_clean_windows_stay(self, ridge, windows):
        seen = torch.ones(windows.shape[:-1], dtype=torch.bool)
        ridge.noise, ridge.keep, ridge.robust = .02, False, 4
        done = ridge.complete(windows, seen).keypoints
        assert (done - windows).norm(dim=-1).mean() < .02


    @pytest.mark.parametrize('times', [3., 10.])
    def test_kept_unless_contradicted(self, ridge, windows, times):
        """What the others confirm stays; what they contradict is moved."""
        points, at = windows.clone(), SKELETON.index('left_wrist')[0]
        points[:, 2:4, at] += .4
        seen = torch.ones(points.shape[:-1], dtype=torch.bool)
        ridge.noise, ridge.robust = .02, 4
        done = {}
        for keep in (False, True, times):
            ridge.keep = keep
            done[keep] = ridge.complete(points, seen)
        # Student's weight of the residuals about the last mean, in a loop.
        trust = torch.ones(points.shape[:-1])
        for _ in range(4):
            mean, _ = conditional(ridge, points, trust)
            far = (points - mean).square().sum(-1) / ridge.noise**2
            trust = 6 / (4 + far)
        mean, variance = conditional(ridge, points, trust)
        off = (points - mean).square().sum(-1) / (
            ridge.noise**2 + variance.mean(-1))
        scale = (off.flatten(1).quantile(.5, dim=1) / np.log(2)).clamp(
            min=1)[:, None, None]
        share = 1 / (1 + torch.exp(2 * scale * (
            off / (times**2 * scale**3) - 1)))[..., None]
        torch.testing.assert_close(
            done[times].keypoints,
            share * points + (1 - share) * done[False].keypoints,
            rtol=1e-3, atol=1e-4)
        clean = torch.ones_like(seen)
        clean[:, 2:4, at] = False
        error = {k: (d.keypoints - windows).norm(dim=-1)
                 for k, d in done.items()}
        assert error[times][clean].mean() < .5 * error[False][clean].mean()
        assert error[times][~clean].mean() < .25 * error[True][
            ~clean].mean()
        spread = done[times].spread
        assert spread[clean].mean() < spread[~clean].mean()

    def test_doubts_do_not_leave_the_window(self, ridge, windows):
        points = windows + .05 * torch.randn(
            windows.shape, generator=torch.Generator().manual_seed(0))
        seen = torch.ones(points.shape[:-1], dtype=torch.bool)
        seen[0, 3:] = seen[1] = False
        ridge.noise, ridge.robust, ridge.keep = .02, 4, 5.
        whole = ridge.complete(points, seen)
        assert whole.keypoints.isfinite().all()
        for n in range(len(points)):
            one = ridge.complete(points[n:n + 1], seen[n:n + 1])
            for a, b in zip(one, whole):
                torch.testing.assert_close(a, b[n:n + 1])

    def test_where_most_are_wrong_what_was_seen_stays(self, ridge, windows):
        """The others are no witnesses then: the limit widens by itself."""
        ridge.noise, ridge.robust, ridge.keep = .02, 4, 5.
        few, most = windows.clone(), windows.clone()
        at = SKELETON.index('left_wrist')
        few[:, :, at] += .3
        moved = torch.randn(windows.shape, generator=torch.Generator()
                            .manual_seed(0))
        most += .3 * moved
        most[:, :, at] = few[:, :, at]
        seen = torch.ones(windows.shape[:-1], dtype=torch.bool)
        left = [(ridge.complete(p, seen).keypoints - p)[:, :, at].norm(
            dim=-1).mean() for p in (few, most)]
        assert left[1] < .5 * left[0]

    def test_a_number_to_keep_needs_doubts(self):
        for keep, robust in ((10., 0), (-1., 3), ('trusted', 3)):
            with pytest.raises(ValueError, match='a positive number'):
                RidgeCompleter(rank=4, keep=keep, robust=robust)
        assert RidgeCompleter(rank=4, keep=10, robust=3).keep == 10


class TestPrior:

    def test_is_a_pose_prior_of_the_density(self, ridge, windows):
        assert isinstance(ridge, PosePrior) and ridge.reads_sequence
        limbs = ridge.limbs.expand(windows.shape[:-1])
        local = canonical_frame(windows, limbs).apply(windows)
        gaussian = ridge.gaussian()
        covariance = gaussian.components @ gaussian.components.T + \
            gaussian.residual.diag() + ridge.noise**2 * torch.eye(
                len(gaussian.mean), dtype=torch.float64)
        there = torch.distributions.MultivariateNormal(
            gaussian.mean, covariance).log_prob(local.flatten(1).double())
        torch.testing.assert_close(
            ridge.score(windows).double(), there / len(gaussian.mean),
            rtol=1e-4, atol=1e-4)

    def test_damage_scores_lower_and_place_does_not_matter(self, ridge,
                                                           windows):
        true = ridge.score(windows)
        torch.testing.assert_close(ridge.score(40 * windows + 300), true,
                                   rtol=1e-3, atol=1e-3)
        wrong = windows.clone()
        wrong[:, :, SKELETON.index('left_toe')] += .2
        assert (ridge.score(wrong) < true).all()

    def test_absent_joints_do_not_matter(self, ridge, windows):
        mask = torch.ones(windows.shape[:-1])
        mask[:, :, 3] = 0
        wild = windows.clone()
        wild[:, :, 3] = torch.nan
        assert torch.equal(ridge.score(wild, mask),
                           ridge.score(windows, mask))
