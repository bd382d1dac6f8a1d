"""Interpolation against numpy, and the mean pose against a walk."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mirrorpose.models.completion.completer import SKELETON, Completer
from mirrorpose.models.completion.interpolation import (
    InterpolationCompleter,
    tree_distances,
)

K = len(SKELETON)


def _window(seed=0, n=2, share=.6):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 24, K, 2, generator=g)
    return x, torch.rand(n, 24, K, generator=g) < share


def _path_length(a, b):
    """Breadth first over the limbs."""
    reached, steps = {a}, 0
    while b not in reached:
        reached |= {end for limb in SKELETON.limb_indices for end in limb
                    if reached & set(limb)}
        steps += 1
    return steps


def test_tree_distances():
    distance = tree_distances()
    for a, b in np.random.default_rng(0).integers(0, K, (40, 2)):
        assert distance[a, b] == _path_length(a, b)


class TestComplete:

    def test_is_a_completer(self):
        assert isinstance(InterpolationCompleter(), Completer)

    def test_time_against_numpy(self):
        x, observed = _window()
        out = InterpolationCompleter().complete(
            torch.where(observed[..., None], x, torch.nan), observed)
        for n in range(2):
            for k in range(K):
                t = observed[n, :, k].nonzero().flatten().numpy()
                for c in range(2):
                    want = np.interp(np.arange(24), t, x[n, t, k, c].numpy())
                    np.testing.assert_allclose(out.keypoints[n, :, k, c],
                                               want, atol=1e-5)
        assert out.spread is None

    def test_never_seen_joints_stand_beside_the_nearest(self):
        x, observed = _window(1, share=1.)
        names = ['left_wrist', 'left_hand', 'pelvis', 'spine', 'neck']
        lost = SKELETON.index(*names)
        observed[:, :, lost] = False
        completer = InterpolationCompleter()
        out = completer.complete(x, observed).keypoints
        mean = completer.mean_pose
        for name, i in zip(names, lost):
            paths = {j: _path_length(i, j) for j in range(K)
                     if j not in lost}
            near = [j for j, d in paths.items() if d == min(paths.values())]
            want = sum(x[:, :, j] - mean[j] for j in near) / len(near)
            torch.testing.assert_close(out[:, :, i], want + mean[i],
                                       msg=lambda m, n=name: f'{n}: {m}')
        elbow = SKELETON.index('left_elbow')[0]
        wrist = SKELETON.index('left_wrist')[0]  # the parent alone is near
        torch.testing.assert_close(out[:, :, wrist] - out[:, :, elbow],
                                   (mean[wrist] - mean[elbow]).expand(
                                       2, 24, 2))

    def test_nothing_observed_is_the_mean_pose(self):
        completer = InterpolationCompleter()
        out = completer.complete(torch.full((1, 24, K, 2), torch.nan),
                                 torch.zeros(1, 24, K, dtype=torch.bool))
        torch.testing.assert_close(
            out.keypoints, completer.mean_pose.expand(1, 24, K, 2))
        assert out.error.isinf().all()

    def test_a_window_does_not_know_the_others(self):
        x, observed = _window(2, 5, .2)
        completer = InterpolationCompleter()
        whole = completer.complete(x, observed).keypoints
        for n in range(5):
            torch.testing.assert_close(
                completer.complete(x[n:n + 1], observed[n:n + 1]).keypoints,
                whole[n:n + 1])

    @pytest.mark.parametrize('change,message', [
        (dict(keypoints=torch.zeros(1, 24, 17, 2)), 'mpi_inf_3dhp_28'),
        (dict(observed=torch.ones(1, 23, K)), 'observed is'),
        (dict(keypoints=torch.full((1, 24, K, 2), torch.inf)), 'infinite'),
        (dict(confidence=torch.full((1, 24, K), 1.5)), r'\[0, 1\]'),
        (dict(keypoints=torch.zeros(1, 0, K, 2),
              observed=torch.zeros(1, 0, K)), 'at least one frame')])
    def test_refuses(self, change, message):
        given = dict(keypoints=torch.zeros(1, 24, K, 2),
                     observed=torch.ones(1, 24, K)) | change
        with pytest.raises(ValueError, match=message):
            InterpolationCompleter().complete(**given)


def test_the_mean_pose_stands():
    pose = dict(zip(SKELETON.joints,
                    InterpolationCompleter().mean_pose[:, 1].tolist()))
    order = ['head_top', 'head', 'neck', 'left_shoulder', 'spine3', 'pelvis',
             'left_hip', 'right_knee', 'left_ankle', 'right_toe']
    heights = [pose[j] for j in order]
    assert heights == sorted(heights)
    with pytest.raises(ValueError, match='mean_pose'):
        InterpolationCompleter([[0., 1.]])
