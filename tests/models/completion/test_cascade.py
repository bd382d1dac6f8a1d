"""Who of the parts answers for which joint."""
from __future__ import annotations

import pytest
import torch

from mirrorpose.models.completion import (
    CascadeCompleter,
    InterpolationCompleter,
    RidgeCompleter,
)
from mirrorpose.models.completion.completer import (
    SKELETON,
    Completer,
    Completion,
)


class Constant(torch.nn.Module):
    """Fills with a value, and remembers what it was shown."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def complete(self, keypoints, observed, confidence=None):
        self.shown = keypoints, observed, confidence
        out = torch.where(observed[..., None], keypoints, self.value)
        return Completion(out, torch.full(observed.shape, self.value))


class Silent(Constant):
    """Says nothing of its spread."""

    def complete(self, keypoints, observed, confidence=None):
        return super().complete(keypoints, observed)._replace(spread=None)


class Doubting(Constant):
    """Keeps what was seen, and believes something else."""

    def complete(self, keypoints, observed, confidence=None):
        done = super().complete(keypoints, observed)
        return done._replace(believed=done.keypoints + 1)


def test_the_second_reads_what_the_first_believes(make_windows, twelve):
    x, seen = make_windows(2, 0), twelve(2)
    cascade = CascadeCompleter(Doubting(7.), Constant(9.))
    done = cascade.complete(x, seen)
    torch.testing.assert_close(done.keypoints[seen], x[seen])
    points, known, _ = cascade.second.shown
    assert torch.equal(known, seen)
    torch.testing.assert_close(points[seen], x[seen] + 1)


def test_each_fills_its_joints(make_windows, twelve):
    x, seen = make_windows(3, 0), twelve(3)
    wrist, hand = SKELETON.index('left_wrist', 'left_hand')
    seen[0, 5:9, wrist] = False
    seen[1, :, wrist] = False
    seen[2] = False
    cascade = CascadeCompleter(Constant(7.), Constant(9.))
    assert isinstance(cascade, Completer)
    done = cascade.complete(x, seen, seen * .5)
    torch.testing.assert_close(done.keypoints[:2][seen[:2]], x[:2][seen[:2]])
    assert (done.keypoints[0, 5:9, wrist] == 7).all()
    assert (done.keypoints[1, :, wrist] == 7).all()
    assert (done.spread[1, :, wrist] == 7).all()
    assert (done.keypoints[:2, :, hand] == 9).all()
    # nothing observed: the second alone
    assert (done.keypoints[2] == 9).all()
    points, known, trust = cascade.second.shown
    assert known[:2].sum() == twelve(2).sum() and not known[2].any()
    assert (points[1, :, wrist] == 7).all() and trust[1, 0, wrist] == 1
    # The first weighs what was seen by its confidence, not the second.
    assert (trust[0][seen[0]] == 1).all()


def test_from_configs_and_checkpoints(make_windows, twelve, tmp_path):
    x, seen = make_windows(40, 1), twelve(40)
    ridge = RidgeCompleter(rank=8).fit([dict(inputs=x, observed=seen)])
    torch.save(dict(state_dict=ridge.state_dict(), meta={}),
               tmp_path / 'r.pth')
    cascade = CascadeCompleter(
        dict(type='RidgeCompleter', rank=8),
        dict(type='InterpolationCompleter'),
        first_checkpoint=str(tmp_path / 'r.pth'))
    seen[:, 4:12, SKELETON.index('left_knee')[0]] = False
    done = cascade.complete(x, seen)
    limbs = seen | twelve(40)
    torch.testing.assert_close(done.keypoints[limbs],
                               ridge.complete(x, seen).keypoints[limbs])
    assert done.spread is None  # interpolation knows none
    filled = torch.where(twelve(40)[..., None], done.keypoints, 0)
    torch.testing.assert_close(
        done.keypoints, InterpolationCompleter().complete(
            filled, twelve(40)).keypoints)


def test_refuses_unknown_joints():
    with pytest.raises(ValueError, match='tail'):
        CascadeCompleter(Constant(0.), Constant(0.), joints=['tail'])


class TestNever:
    """The part for joints that no frame of a window shows."""

    wrist, hand, knee = SKELETON.index('left_wrist', 'left_hand',
                                       'right_knee')

    def windows(self, make_windows, twelve):
        """0: a wrist is gone; 1: for some frames; 2: nothing; 3: empty."""
        x, seen = make_windows(4, 0), twelve(4)
        seen[0, :, self.wrist] = False
        seen[0, 2:5, self.knee] = False
        seen[1, 3:20, self.wrist] = False
        seen[3] = False
        return x, seen

    def test_fills_what_no_frame_shows(self, make_windows, twelve):
        x, seen = self.windows(make_windows, twelve)
        cascade = CascadeCompleter(Constant(7.), Constant(9.),
                                   never=Constant(5.))
        done = cascade.complete(x, seen, seen * .5)
        assert (done.keypoints[0, :, self.wrist] == 5).all()
        assert (done.keypoints[0, 2:5, self.knee] == 7).all()
        assert (done.keypoints[1, 3:20, self.wrist] == 7).all()
        # Not its business: a joint that no detector gives, an empty window.
        assert (done.keypoints[:3, :, self.hand] == 9).all()
        assert (done.keypoints[3] == 9).all()
        assert (done.spread[0, :, self.wrist] == 5).all()
        assert (done.spread[0, 2:5, self.knee] == 7).all()
        torch.testing.assert_close(done.keypoints[seen], x[seen])
        # The second reads that answer as observed.
        points, known, trust = cascade.second.shown
        assert (points[0, :, self.wrist] == 5).all()
        assert known[0, :, self.wrist].all() and (trust[0][known[0]] == 1
                                                  ).all()

    def test_only_windows_with_such_joints_pay(self, make_windows, twelve):
        x, seen = self.windows(make_windows, twelve)
        cascade = CascadeCompleter(Constant(7.), Constant(9.),
                                   never=Constant(5.))
        cascade.complete(x, seen, seen * .5)
        points, known, trust = cascade.never.shown
        assert torch.equal(known, seen[:1])
        assert torch.equal(points[known], x[:1][known])
        assert (trust[known] == .5).all()
        del cascade.never.shown
        cascade.complete(x[1:], seen[1:])
        assert not hasattr(cascade.never, 'shown')

    def test_batches_do_not_matter(self, make_windows, twelve):
        x, seen = self.windows(make_windows, twelve)
        ridge = RidgeCompleter(rank=8).fit([dict(
            inputs=make_windows(40, 1), observed=twelve(40))])
        cascade = CascadeCompleter(ridge, Constant(9.), never=Silent(5.))
        whole = cascade.complete(x, seen)
        for n in range(4):
            one = cascade.complete(x[n:n + 1], seen[n:n + 1])
            for a, b in zip(one[:3], whole[:3]):
                torch.testing.assert_close(a[0], b[n])

    def test_spread_of_an_answer_without_one(self, make_windows, twelve):
        """As by samples of the first's Gaussian about the answer."""
        x, seen = self.windows(make_windows, twelve)
        cascade = CascadeCompleter(Constant(.5), Constant(9.),
                                   never=Silent(.2))
        done = cascade.complete(x[:1], seen[:1])
        normal = torch.randn(200_000, 2, generator=torch.Generator(
            ).manual_seed(0)) * .5 / 2**.5 + .5
        want = (normal - .2).square().sum(1).mean().sqrt()
        assert abs(done.spread[0, 4, self.wrist] - want) < .01
        assert (done.spread[0, 2:5, self.knee] == .5).all()

    def test_weights_by_file_and_by_folder(self, make_windows, twelve,
                                           tmp_path):
        ridges = [RidgeCompleter(rank=8).fit([dict(
            inputs=make_windows(40, s), observed=twelve(40))])
            for s in (1, 2)]
        for epoch, ridge in enumerate(ridges, 1):
            torch.save(dict(state_dict=ridge.state_dict(), meta={}),
                       tmp_path / f'epoch_{epoch}.pth')
        small = dict(type='RidgeCompleter', rank=8)
        cascade = CascadeCompleter(
            small, dict(type='InterpolationCompleter'), never=small,
            first_checkpoint=str(tmp_path / 'epoch_1.pth'),
            never_checkpoint=str(tmp_path))
        x, seen = self.windows(make_windows, twelve)
        done = cascade.complete(x, seen).keypoints
        for ridge, place in zip(ridges, ((1, self.wrist), (0, self.wrist))):
            want = ridge.complete(x, seen).keypoints
            torch.testing.assert_close(done[place[0], :, place[1]],
                                       want[place[0], :, place[1]])

    def test_absent_weights(self, tmp_path):
        given = dict(first=Constant(7.), second=Constant(9.),
                     never=dict(type='RidgeCompleter', rank=8),
                     never_checkpoint=str(tmp_path / 'jumps_mocap'))
        with pytest.raises(FileNotFoundError,
                           match='configs/jumps_mocap.py'):
            CascadeCompleter(**given)
        assert CascadeCompleter(**given, never_optional=True).never is None
