"""Who of the two answers for which joint."""
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
