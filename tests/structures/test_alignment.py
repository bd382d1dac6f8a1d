"""Alignment against Procrustes by scipy, mmpose and Pr-VIPE's test vectors."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from mmpose.evaluation.functional.mesh_eval import (
    compute_similarity_transform,
)
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import minimize
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from mirrorpose.structures import alignment
from mirrorpose.structures.alignment import (
    align,
    aligned_distances,
    best_rotation,
)


def randn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64,
                       generator=torch.Generator().manual_seed(seed))


def svd_rotation(h):
    """Umeyama, Eq. 40 to 43, one matrix."""
    u, _, vt = np.linalg.svd(np.asarray(h))
    fix = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    return (u @ fix @ vt).T


class TestBestRotation:

    def test_against_svd(self):
        h = randn(500, 3, 3)
        rotation, best = best_rotation(h)
        for r, b, one in zip(rotation, best, h):
            expected = svd_rotation(one)
            np.testing.assert_allclose(r, expected, atol=1e-7)
            assert b == pytest.approx(np.trace(expected @ one.numpy()),
                                      rel=1e-9)

    def test_no_reflection(self):
        rotation, _ = best_rotation(randn(500, 3, 3, seed=1))
        np.testing.assert_allclose(torch.linalg.det(rotation), 1, rtol=1e-12)

    def test_mirrored_is_not_turned_back(self):
        points = randn(1, 17, 3)
        mirrored = points * torch.tensor([-1., 1, 1])
        found = align(mirrored, points, scale=False)
        assert torch.linalg.det(found.rotation)[0] == pytest.approx(1)
        assert aligned_distances(mirrored, points, scale=False).mean() > .1
        # scipy's orthogonal_procrustes may reflect, and does
        turn, _ = orthogonal_procrustes(mirrored[0], points[0])
        assert np.linalg.det(turn) == pytest.approx(-1)

    @pytest.mark.parametrize('unit', [1e-12, 1., 1e9])
    def test_half_turns_and_small_turns(self, unit):
        """A quaternion's first number is 0 for half turns."""
        points = randn(17, 3)
        for axis in (*np.eye(3), [1, 1, 0], [.6, -.3, .7]):
            for angle in (np.pi, -np.pi, 1e-9, 0, np.pi - 1e-9, np.pi / 2):
                axis = np.asarray(axis) / np.linalg.norm(axis)
                true = Rotation.from_rotvec(axis * angle).as_matrix()
                turned = points @ torch.from_numpy(true).T
                rotation, _ = best_rotation(unit * points.T @ turned)
                np.testing.assert_allclose(rotation, true, atol=1e-7)

    def test_flat_line_and_point(self):
        flat = randn(8, 17, 3)
        flat[..., 2] = 0
        line = flat.clone()
        line[..., 1] = 0
        true = torch.from_numpy(
            Rotation.random(8, random_state=0).as_matrix())
        for points in (flat, line, torch.zeros(8, 17, 3).double()):
            turned = points @ true.mT
            rotation, _ = best_rotation(points.mT @ turned)
            np.testing.assert_allclose(torch.linalg.det(rotation), 1)
            np.testing.assert_allclose(points @ rotation.mT, turned,
                                       atol=1e-8)

    def test_double_eigenvalue_takes_the_svd(self, monkeypatch):
        """A mirrored cube has no best rotation: any of many is right."""
        called = []
        svd = alignment._svd_rotation
        monkeypatch.setattr(alignment, '_svd_rotation', lambda h: (
            called.append(len(h)), svd(h))[1])
        h = torch.stack([-torch.eye(3), torch.diag(torch.tensor(
            [1., 1, -1])), torch.eye(3)]).double()
        rotation, best = best_rotation(h)
        assert called == [2]
        np.testing.assert_allclose(torch.linalg.det(rotation), 1)
        np.testing.assert_allclose(best, [1, 1, 3])
        np.testing.assert_allclose((rotation.mT * h).sum((1, 2)), best)

    def test_nan_stays_where_it_is(self):
        h = randn(4, 3, 3)
        h[1, 0, 2] = float('nan')
        h[2, 0, 2] = float('inf')
        rotation, best = best_rotation(h)
        assert rotation.isnan().all(-1).all(-1).tolist() == [
            False, True, True, False]
        assert best.isnan().tolist() == [False, True, True, False]

    def test_shapes(self):
        rotation, best = best_rotation(randn(2, 5, 3, 3))
        assert rotation.shape == (2, 5, 3, 3) and best.shape == (2, 5)
        assert best_rotation(randn(3, 3))[0].shape == (3, 3)
        assert best_rotation(randn(0, 3, 3))[0].shape == (0, 3, 3)
        with pytest.raises(ValueError, match=r'\(2, 3\)'):
            best_rotation(randn(2, 3))


class TestAlign:
    # poem/core/keypoint_utils_test.py of google-research (Apache-2.0)
    TARGET = torch.tensor([[1., 1, 0], [5, 2, 2], [4, 0, 0], [-1, -2, 3]])
    SOURCE = torch.tensor([[3., 1, 5], [-2, 3, 0], [1, -1, 1], [8, 3, -2]])

    def test_published_parameters(self):
        found = align(self.SOURCE, self.TARGET)
        np.testing.assert_allclose(found.rotation.T, [
            [-0.87982, -0.47514731, 0.01232074],
            [-0.31623112, 0.60451691, 0.73113418],
            [-0.35484453, 0.63937027, -0.68212243]], atol=1e-5)
        assert float(found.scale) == pytest.approx(0.63716284347)
        np.testing.assert_allclose(
            found.translation, [4.17980137, 0.02171898, 0.96621997],
            rtol=1e-6)

    def test_published_parameters_with_missing_joints(self):
        hidden = torch.full((2, 3), float('nan'))
        order = [0, 4, 1, 2, 5, 3]
        target = torch.cat([self.TARGET, hidden])[order]
        source = torch.cat([self.SOURCE, hidden])[order]
        mask = torch.tensor([1., 0, 1, 1, 0, 1])
        found = align(source, target, mask)
        assert float(found.scale) == pytest.approx(0.63716284347)
        np.testing.assert_allclose(
            found.translation, [4.17980137, 0.02171898, 0.96621997],
            rtol=1e-6)
        off = aligned_distances(source, target, mask)
        np.testing.assert_allclose(
            off[mask > 0], aligned_distances(self.SOURCE, self.TARGET),
            rtol=1e-9)
        assert (off[mask == 0] == 0).all()

    @pytest.mark.parametrize('target, source, error', [
        ([[1, 1, 1], [0, 0, 0], [1, 1, 1]],
         [[2, 2, 2], [-1.5, -1, 0], [2.5, 1.3, 1.4]], .133016),
        ([[2, 2, 2], [-1.5, -1, 0], [2.5, 1.3, 1.4]],
         [[1, 1, 1], [0, 0, 0], [1, 1, 1]], .3496029),
        ([[1, 1, 0], [5, 2, 2], [4, 0, 0], [-1, -2, 3]],
         [[1.5, .5, 0], [5, 2, 2.2], [4.1, 0, -1], [-1, -2.5, -2]], 1.00227),
        ([[1, 1, 0], [5, 2, 2], [4, 0, 0], [-1, -2, 3]],
         [[-10, -24.5, -49.5], [-9, -22.5, -49], [-10, -23, -50],
          [-8.5, -25.5, -51]], 0)])
    def test_published_errors(self, target, source, error):
        target, source = (torch.tensor(p).double() for p in (target, source))
        assert float(aligned_distances(source, target).mean()
                     ) == pytest.approx(error, abs=1e-5)

    def test_against_mmpose(self):
        source, target = 300 * randn(50, 17, 3), 300 * randn(50, 17, 3,
                                                             seed=1)
        moved = align(source, target).apply(source)
        for a, b, c in zip(source.numpy(), target.numpy(), moved.numpy()):
            np.testing.assert_allclose(
                c, compute_similarity_transform(a, b), atol=1e-5)

    def test_against_scipy(self):
        """scipy's disparity allows reflections: these need none."""
        target = randn(20, 17, 3)
        source = target + .1 * randn(20, 17, 3, seed=1)
        source = source @ torch.from_numpy(
            Rotation.random(20, random_state=3).as_matrix()) * 4 + 3
        off = aligned_distances(source, target)
        for a, b, d in zip(source.numpy(), target.numpy(), off):
            _, _, disparity = procrustes(b, a)
            spread = np.square(b - b.mean(0)).sum()
            assert float(d.square().sum()) == pytest.approx(
                disparity * spread, rel=1e-6)

    @pytest.mark.parametrize('scale', [True, False])
    @pytest.mark.parametrize('translate', [True, False])
    def test_nothing_nearby_is_better(self, scale, translate):
        source, target = randn(17, 3), randn(17, 3, seed=1)

        def loss(x):
            turn = Rotation.from_rotvec(x[:3]).as_matrix()
            made = source.numpy() @ turn.T
            made = made * (np.exp(x[3]) if scale else 1)
            made = made + (x[4:] if translate else 0)
            return np.square(made - target.numpy()).sum()

        best = min(minimize(loss, np.r_[start, np.zeros(4)]).fun
                   for start in np.vstack([np.zeros(3), 2 * np.eye(3),
                                           -2 * np.eye(3)]))
        off = aligned_distances(source, target, scale=scale,
                                translate=translate)
        assert float(off.square().sum()) == pytest.approx(best, rel=1e-6)
        made = align(source, target, scale=scale, translate=translate)
        np.testing.assert_allclose(
            (made.apply(source) - target).norm(dim=1), off, rtol=1e-6)
        assert scale or made.scale == 1
        assert translate or (made.translation == 0).all()

    def test_degenerate_poses(self):
        point, pose = torch.ones(17, 3), randn(17, 3)
        assert aligned_distances(pose, point).abs().max() < 1e-9
        np.testing.assert_allclose(
            aligned_distances(point, pose), (pose - pose.mean(0)).norm(dim=1))
        assert aligned_distances(point, point).abs().max() < 1e-9
        nobody = torch.zeros(17)
        assert (aligned_distances(point, pose, nobody) == 0).all()
        found = align(point, pose, nobody)
        np.testing.assert_allclose(found.rotation, np.eye(3))

    def test_nan_marks_its_pose_alone(self):
        source, target = randn(3, 17, 3), randn(3, 17, 3, seed=1)
        source[1, 4, 0] = float('nan')
        off = aligned_distances(source, target)
        assert off.isnan().any(1).tolist() == [False, True, False]

    def test_chunks_and_broadcasting(self, monkeypatch):
        source, target = randn(7, 1, 17, 3), randn(5, 17, 3, seed=1)
        mask = randn(7, 5, 17, seed=2) > -1
        whole = aligned_distances(source, target, mask)
        monkeypatch.setattr(alignment, '_CHUNK', 4)
        np.testing.assert_allclose(
            aligned_distances(source, target, mask), whole)
        assert whole.shape == (7, 5, 17)
        for i in range(7):
            for j in range(5):
                np.testing.assert_allclose(whole[i, j], aligned_distances(
                    source[i, 0], target[j], mask[i, j]), atol=1e-9)

    def test_joint_sets_that_differ(self):
        with pytest.raises(ValueError, match='joint sets'):
            align(randn(4, 17, 3), randn(4, 16, 3))
        with pytest.raises(ValueError, match='mask'):
            align(randn(4, 17, 3), randn(4, 17, 3), torch.ones(4, 16))
