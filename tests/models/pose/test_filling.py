"""Filled holes against loops, numpy and the closed form of a Gaussian."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mirrorpose.models.pose.canonical_frame import SKELETON
from mirrorpose.models.pose.filling import (
    PoseStatistics,
    interpolate_in_time,
)


def test_interpolation_is_numpy_s():
    x = torch.randn(4, 24, 5, 2, dtype=torch.float64)
    observed = torch.rand(4, 24, 5) < .4
    observed[:, :, 0] = True
    observed[1, :, 2] = False
    observed[2, :, 3] = False
    observed[2, 7, 3] = True
    out = interpolate_in_time(torch.where(
        observed[..., None], x, torch.nan), observed)
    assert torch.equal(out[observed], x[observed])
    for n in range(4):
        for k in range(5):
            at = np.nonzero(observed[n, :, k].numpy())[0]
            for axis in range(2):
                expected = np.interp(np.arange(24), at,
                                     x[n, at, k, axis].numpy()) if len(
                    at) else np.zeros(24)
                assert np.allclose(out[n, :, k, axis].numpy(), expected)


def test_interpolation_has_a_gradient():
    x = torch.randn(1, 6, 2, 2, dtype=torch.float64, requires_grad=True)
    observed = torch.tensor([1, 0, 0, 1, 0, 1]).bool()[None, :, None].expand(
        1, 6, 2)
    assert torch.autograd.gradcheck(
        lambda v: interpolate_in_time(v, observed), x)


def linear_poses(n=600, seed=0):
    """Canonical windows whose joints are linear in 6 hidden numbers."""
    source = torch.Generator().manual_seed(seed)
    base = torch.randn(6, 56, generator=source)
    hidden = torch.randn(n, 24, 6, generator=source)
    return .1 * (hidden @ base + 2).view(n, 24, 28, 2)


def test_statistics_are_those_of_the_poses():
    statistics = PoseStatistics()
    batches = linear_poses().split(150)
    for batch in batches:
        statistics.update(batch)
    poses = torch.cat(batches).flatten(0, 1).flatten(1)
    assert torch.allclose(statistics.mean, poses.mean(0), atol=1e-5)
    assert torch.allclose(statistics.second, poses.T @ poses / len(poses),
                          atol=1e-4)


def test_incomplete_poses_do_not_count():
    statistics, other = PoseStatistics(), PoseStatistics()
    windows = linear_poses(8)
    present = torch.ones(8, 24, 28, dtype=torch.bool)
    present[0, :, 3] = False
    windows[0, :, 3] = torch.nan
    statistics.update(windows, present)
    other.update(windows[1:])
    assert torch.allclose(statistics.second, other.second, atol=1e-6)
    statistics.update(windows[:1], present[:1])
    assert statistics.batches == 1 and statistics.mean.isfinite().all()


def test_never_seen_joints_follow_the_others():
    """The conditional mean, and so the truth where poses are linear."""
    statistics = PoseStatistics(noise=1e-4)
    statistics.update(linear_poses())
    windows = linear_poses(12, seed=0)
    observed = torch.ones(12, 24, 28, dtype=torch.bool)
    observed[:6, :, 12:] = False
    observed[6:, :, :3] = False
    observed[3:5, 4:9] = False  # whole frames: in time
    spoilt = windows.masked_fill(~observed[..., None], torch.nan)
    out = statistics.fill(spoilt, observed)
    assert torch.equal(out[observed], windows[observed])
    whole = observed.any(2)
    assert (out - windows)[whole].abs().max() < 2e-3
    mean, second = statistics.mean.double(), statistics.second.double()
    covariance = second - torch.outer(mean, mean)
    known = torch.zeros(56, dtype=torch.bool)
    known[:24] = True
    pose = windows[0, 0].flatten().double()
    gain = covariance[~known][:, known] @ torch.linalg.inv(
        covariance[known][:, known] + 1e-8 * torch.eye(24).double())
    expected = mean[~known] + gain @ (pose - mean)[known]
    assert torch.allclose(out[0, 0].flatten()[~known].double(), expected,
                          atol=1e-4)


def test_result_does_not_depend_on_the_batch():
    statistics = PoseStatistics()
    statistics.update(linear_poses())
    windows = linear_poses(6, 3)
    observed = torch.rand(6, 24, 28) < .05
    whole = statistics.fill(windows, observed)
    for n in range(6):
        assert torch.allclose(
            statistics.fill(windows[n:n + 1], observed[n:n + 1])[0],
            whole[n], atol=1e-6)


def test_nothing_observed_gives_the_mean_pose():
    statistics = PoseStatistics()
    statistics.update(linear_poses())
    out = statistics.fill(torch.full((1, 24, 28, 2), torch.nan),
                          torch.zeros(1, 24, 28, dtype=torch.bool))
    assert torch.allclose(out[0, 5].flatten(), statistics.mean, atol=1e-6)
    assert len(SKELETON) == 28


def test_errors():
    with pytest.raises(ValueError, match='momentum'):
        PoseStatistics(momentum=0.)
