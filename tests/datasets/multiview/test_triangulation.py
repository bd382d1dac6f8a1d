"""3D joints of calibrated views, against scipy; labels without annotation."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import DATA_SAMPLERS
from scipy.optimize import least_squares

from mirrorpose.datasets.multiview.detections import (
    Detections,
    write_detections,
)
from mirrorpose.datasets.multiview.triangulation import (
    corrected,
    triangulate,
)

VIEWS = 4


def looking(center):
    """World to camera, towards the origin, z up."""
    z = -center / np.linalg.norm(center)
    x = np.cross(z, [0., 0, 1])
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])


@pytest.fixture
def scene():
    """Three groups of four cameras, and the points that they see."""
    rng = np.random.default_rng(0)
    centers = np.array([(4000 * np.cos(a), 4000 * np.sin(a), 1500 + 200 * i)
                        for i, a in enumerate((.2, 1.6, 3.3, 4.5))])
    R = np.stack([looking(c) for c in centers])
    t = -np.einsum('nij,nj->ni', R, centers)
    K = np.tile(np.array([[150., 0, 48], [0, 150, 48], [0, 0, 1]]),
                (VIEWS, 1, 1))
    points = rng.normal(0, 400, (3, 5, 3))
    group = np.repeat(np.arange(3), VIEWS)
    K, R, t = (np.concatenate([v] * 3) for v in (K, R, t))
    return points, group, K, R, t


def project(points, K, R, t):
    seen = np.einsum('nij,nkj->nki', K @ R, points) \
        + np.einsum('nij,nj->ni', K, t)[:, None]
    return seen[..., :2] / seen[..., 2:]


def test_exact_joints_give_exact_points(scene):
    points, group, *cameras = scene
    seen = project(points[group], *cameras)
    order = np.random.default_rng(1).permutation(len(group))
    made = triangulate(seen[order], np.ones(seen.shape[:2], bool)[order],
                       group[order], *(c[order] for c in cameras))
    np.testing.assert_allclose(made, points, atol=1e-4)


def test_the_minimum_is_scipys(scene):
    """Cauchy's loss of the distances, with noise and one wrong view."""
    points, group, *cameras = scene
    rng = np.random.default_rng(2)
    seen = project(points[group], *cameras)
    seen += rng.normal(0, 1, seen.shape)
    seen[2, 1] += 25
    found = rng.random(seen.shape[:2]) < .9
    scale = 2.
    made = triangulate(seen, found, group, *cameras, scale=scale, steps=60)
    for g in range(3):
        rows = np.flatnonzero(group == g)
        for j in range(points.shape[1]):
            own = rows[found[rows, j]]
            if len(own) < 2:
                assert np.isnan(made[g, j]).all()
                continue

            def off(x, own=own, j=j):
                flat = project(np.tile(x, (len(own), 1, 1)),
                               *(c[own] for c in cameras))
                return np.linalg.norm(flat[:, 0] - seen[own, j], axis=1)

            best = least_squares(off, points[g, j], loss='cauchy',
                                 f_scale=scale, xtol=1e-12, ftol=1e-12)
            np.testing.assert_allclose(made[g, j], best.x, atol=.5)
    # The wrong view hardly counts; plain least squares follow it.
    plain = triangulate(seen, found, group, *cameras, scale=1e6)
    assert 2 * np.linalg.norm(made[0, 1] - points[0, 1]) < \
        np.linalg.norm(plain[0, 1] - points[0, 1])


def test_what_cannot_be_told_is_nan(scene):
    points, group, K, R, t = scene
    seen = project(points[group], K, R, t)
    found = np.ones(seen.shape[:2], bool)
    found[1:VIEWS, 0] = False  # a single view of group 0's first joint
    K = K.copy()
    K[VIEWS:2 * VIEWS - 1] = np.nan  # a single calibrated view of group 1
    R, t = R.copy(), t.copy()
    R[2 * VIEWS:], t[2 * VIEWS:] = R[0], t[0]  # four times the same camera
    seen[0, 1] = np.nan
    made = triangulate(seen, found, group, K, R, t)
    assert np.isnan(made[0, 0]).all() and np.isnan(made[1:]).all()
    np.testing.assert_allclose(made[0, 1:], points[0, 1:], atol=1e-4)


def test_points_behind_a_camera_are_nan(scene):
    points, group, K, R, t = scene
    behind = points[group].copy()
    behind[:, 0] = np.array([9000., 2000, 0])  # behind the first camera
    seen = project(behind, K, R, t)
    made = triangulate(seen, np.ones(seen.shape[:2], bool), group, K, R, t)
    assert np.isnan(made[:, 0]).all() and np.isfinite(made[:, 1:]).all()


def test_no_view_at_all():
    none = triangulate(np.zeros((0, 5, 2)), np.zeros((0, 5), bool),
                       np.zeros(0, int), np.zeros((0, 3, 3)),
                       np.zeros((0, 3, 3)), np.zeros((0, 3)))
    assert none.shape == (0, 5, 3)


@pytest.mark.parametrize(('change', 'told'), [
    (dict(scale=0.), 'scale'), (dict(K=np.zeros((2, 3, 3))), '12 views')])
def test_bad_arguments(scene, change, told):
    points, group, K, R, t = scene
    given = dict(points=project(points[group], K, R, t),
                 found=np.ones((12, 5), bool), group=group, K=K, R=R, t=t)
    with pytest.raises(ValueError, match=told):
        triangulate(**{**given, **change})


# -- known poses tell what is systematic -------------------------------------
def biased(number, noise, seed=0):
    """Poses, and what is found of them: moved, shrunk, and noisy."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 1, (number, 4, 3)) @ np.diag([90., 200, 60]) \
        + rng.normal(0, 300, (1, 4, 3))
    found = .9 * truth + [0., 30, 0] + rng.normal(0, noise, truth.shape)
    return truth, found


def off(a, b):
    return np.linalg.norm(a - b, axis=-1).mean()


def test_systematic_errors_are_taken_out():
    truth, found = biased(400, 10.)
    known = np.where(np.arange(400)[:, None, None] < 150, truth, np.nan)
    made = corrected(found, known)
    # What noise leaves of a linear map that is known is 10 / .9 a coordinate.
    floor = off(truth, truth + np.random.default_rng(1).normal(
        0, 10 / .9, truth.shape))
    assert off(made[150:], truth[150:]) < 1.15 * floor < \
        .7 * off(found[150:], truth[150:])


def test_it_is_ridge_regression():
    """The chosen strength is that which leaves the least out of sample."""
    truth, found = biased(60, 40.)
    known = np.where(np.arange(60)[:, None, None] < 20, truth, np.nan)
    strengths = (1e3, 1e5, 1e7)
    x, y = found[:20].reshape(20, -1), truth[:20].reshape(20, -1)

    def fit(rows, strength):
        """By the normal equations."""
        middle = x.mean(0)
        a = np.c_[x - middle, np.full(20, np.linalg.norm(middle))]
        w = np.linalg.solve(a[rows].T @ a[rows] + strength * np.eye(
            a.shape[1]), a[rows].T @ (y - x)[rows])
        return lambda poses: poses + np.c_[poses - middle, np.full(
            len(poses), np.linalg.norm(middle))] @ w

    def left_out(strength):
        return np.mean([off(fit(np.arange(20) != i, strength)(x[i:i + 1])
                            .reshape(-1, 3), y[i].reshape(-1, 3))
                        for i in range(20)])
    best = min(strengths, key=left_out)
    want = fit(np.arange(20) >= 0, best)(found.reshape(60, -1))
    np.testing.assert_allclose(corrected(found, known, strengths),
                               want.reshape(found.shape), rtol=1e-7)


def test_little_is_known():
    truth, found = biased(10, 10.)
    for number in (0, 1):
        known = np.where(np.arange(10)[:, None, None] < number, truth,
                         np.nan)
        np.testing.assert_array_equal(corrected(found, known), found)
    found[9, 2] = np.nan
    known = np.where(np.arange(10)[:, None, None] < 5, truth, np.nan)
    made = corrected(found, known)
    np.testing.assert_array_equal(made[9], found[9])
    assert np.isfinite(made[:9]).all() and not np.array_equal(
        made[:9], found[:9])


# -- as labels ---------------------------------------------------------------
@pytest.fixture
def few(make_views, tmp_path):
    """A quarter is annotated; a recognizer that finds the true joints."""
    data = make_views()
    write_detections(tmp_path / 'found.npz', Detections(
        data.ids, data.keypoints, np.ones(data.visible.shape, np.float32),
        data.size))
    return dict(inputs='keypoints', annotated=dict(fraction=.25, seed=0),
                detections=str(tmp_path / 'found.npz'))


def test_labels_of_instants_without_annotation(make_views, few):
    """From true 2D joints: nearly the truth, and annotated ones as before."""
    truth = make_views(inputs='keypoints')
    plain, made = make_views(**few), make_views(triangulated=True, **few)
    rows = np.arange(len(made))
    want, without, have = (d.labels(rows) for d in (truth, plain, made))
    annotated = plain.view_groups()['annotated']
    assert 0 < annotated.sum() < len(made)
    np.testing.assert_array_equal(made.view_groups()['annotated'], annotated)
    np.testing.assert_array_equal(without['pose_annotated'], annotated)
    for key, label in have.items():
        np.testing.assert_array_equal(label[annotated],
                                      without[key][annotated])
    told = have['pose_annotated'].numpy() > 0
    assert told.mean() > .9
    off = (have['keypoints_3d_canonical'] - want['keypoints_3d_canonical'])[
        torch.from_numpy(told & ~annotated)].norm(dim=-1)
    assert off.nanquantile(.9) < 40  # mm; a pixel of 32 is 70
    for a, b in zip(made.pose_statistics(), plain.pose_statistics()):
        np.testing.assert_array_equal(a, b)


def test_the_truth_is_not_looked_at(make_views, few):
    """What un-annotated instants get is of their 2D joints alone."""
    made = make_views(triangulated=True, **few)
    wrong = make_views(**few)
    wrong.poses = np.where(wrong.annotated[:, None, None], wrong.poses,
                           1e6).astype(np.float32)
    wrong._triangulate('')
    np.testing.assert_array_equal(made.poses, wrong.poses)


def test_tests_keep_their_labels(make_views, few):
    a, b = (make_views(test_mode=True, triangulated=t, **few)
            for t in (False, True))
    np.testing.assert_array_equal(a.poses, b.poses)


def test_batches_of_the_sampler_stay(make_views, few):
    """Triangulated or not, the same views come in the same order."""
    init_default_scope('mmpose')
    orders = []
    for triangulated in (False, True):
        data = make_views(triangulated=triangulated, **few)
        sampler = DATA_SAMPLERS.build(
            dict(type='ViewGroupSampler', views_per_group=2,
                 groups_per_batch=4, annotated_groups=1,
                 subjects_per_batch=2, seed=0),
            default_args=dict(dataset=data))
        orders.append(list(sampler))
    assert orders[0] == orders[1]


def test_true_joints_are_no_detections(make_views):
    with pytest.raises(ValueError, match='detect_views.py'):
        make_views(inputs='keypoints', triangulated=True)


def test_no_camera_has_found_anything(make_views, few, tmp_path):
    data = make_views()
    write_detections(tmp_path / 'none.npz', Detections(
        data.ids, np.full_like(data.keypoints, np.nan),
        np.ones(data.visible.shape, np.float32), data.size))
    with pytest.raises(ValueError, match='two calibrated cameras'):
        make_views(triangulated=True, **dict(
            few, detections=str(tmp_path / 'none.npz')))
