"""What every prior refuses."""
from __future__ import annotations

import math

import pytest
import torch

from mirrorpose.models.pose import PosePrior
from mirrorpose.models.pose.prior import check_keypoints
from mirrorpose.structures import Skeleton

MPII = Skeleton.from_name('mpii_16')


def test_absent_joints_become_zero_and_pass_no_gradient():
    x = torch.full((2, 16, 2), math.nan)
    mask = torch.zeros(2, 16)
    mask[:, 3] = 1
    x[:, 3] = .5
    x.requires_grad_()
    got = check_keypoints(x, mask, MPII, False)
    assert (got[:, 3] == .5).all()
    assert (got[:, :3] == 0).all() and (got[:, 4:] == 0).all()
    got.sum().backward()
    assert x.grad.isfinite().all()
    assert (x.grad[:, 3] == 1).all()
    assert x.grad.sum() == 4


@pytest.mark.parametrize('bad', [math.nan, math.inf])
def test_present_joint_that_is_not_finite(bad):
    x = torch.zeros(1, 16, 2)
    x[0, 7, 1] = bad
    for mask in (None, torch.ones(1, 16)):
        with pytest.raises(ValueError, match='NaN or infinite'):
            check_keypoints(x, mask, MPII, False)


@pytest.mark.parametrize('shape', [(16, 2), (1, 16, 3), (1, 4, 16, 2)])
def test_wrong_rank(shape):
    with pytest.raises(ValueError, match=r'\(N, K, 2\) keypoints, got'):
        check_keypoints(torch.zeros(shape), None, MPII, False)


def test_sequence_rank():
    x = torch.zeros(1, 4, 16, 2)
    assert check_keypoints(x, None, MPII, True).shape == x.shape
    with pytest.raises(ValueError, match=r'\(N, F, K, 2\)'):
        check_keypoints(x[0], None, MPII, True)


def test_wrong_joint_count():
    with pytest.raises(ValueError, match='14 joints.*Skeleton.convert'):
        check_keypoints(torch.zeros(1, 14, 2), None, MPII, False)


def test_wrong_mask():
    with pytest.raises(ValueError, match=r'mask has shape \(1, 15\)'):
        check_keypoints(torch.zeros(1, 16, 2), torch.ones(1, 15), MPII,
                        False)


def test_the_protocol_asks_for_all_three():
    class Scores:
        def score(self, keypoints, mask=None):
            return keypoints

    assert not isinstance(Scores(), PosePrior)
    Scores.skeleton, Scores.reads_sequence = MPII, False
    assert isinstance(Scores(), PosePrior)
