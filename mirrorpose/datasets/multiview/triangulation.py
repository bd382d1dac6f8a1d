"""3D joints from the 2D joints of calibrated cameras."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mirrorpose.structures.canonical import canonical_pose

from .views import ROOT

#: Longest step of a joint in one iteration, mm.
_STRIDE = 200.


def triangulate(points: np.ndarray, found: np.ndarray, group: np.ndarray,
                K: np.ndarray, R: np.ndarray, t: np.ndarray,
                scale: float = 3., steps: int = 10) -> np.ndarray:
    """The points that the views of a group see, robust to wrong ones.

    Minimises ``sum_v log(1 + (r_v / scale)^2)``, r the distance of a view's
    joint from the projection, by reweighted Gauss-Newton steps that begin at
    the linear solution (Hartley and Zisserman, 2004, chapter 12). All joints
    of all groups at once.

    Args:
        points (np.ndarray): (N, J, 2) pixels, of N views.
        found (np.ndarray): (N, J) bool, which of them count.
        group (np.ndarray): (N,) int, 0 to G - 1.
        K (np.ndarray): (N, 3, 3). Lens distortion is no part of it, and is
            not undone.
        R (np.ndarray): (N, 3, 3), world to camera.
        t (np.ndarray): (N, 3) mm. Views with NaN in their calibration do
            not count.
        scale (float): Pixels from which on a view loses weight. Defaults
            to 3.
        steps (int): Defaults to 10.

    Returns:
        np.ndarray: (G, J, 3) float64 mm in the world frame; NaN where fewer
        than two views count, where all look along one line, or where the
        point is behind a camera that counts.

    Raises:
        ValueError: Shapes do not fit, or ``scale`` is not positive.
    """
    number, joints = np.shape(found)
    if points.shape != (number, joints, 2) or len(group) != number or \
            not K.shape == R.shape == (number, 3, 3) or t.shape != (number,
                                                                    3):
        raise ValueError(
            f'{number} views of {joints} joints, but points {points.shape}, '
            f'group {np.shape(group)}, K {K.shape}, R {R.shape}, t {t.shape}')
    if not scale > 0:
        raise ValueError(f'scale must be positive, got {scale}')
    camera = K @ np.concatenate([R, t[..., None]], 2)
    known = np.isfinite(camera).all((1, 2))
    camera = np.where(known[:, None, None], camera, 0.)
    points = np.asarray(points, float)
    counts = found & known[:, None] & np.isfinite(points).all(-1)
    points = np.where(counts[..., None], points, 0.)
    groups = int(np.max(group, initial=-1)) + 1

    def of_groups(values: np.ndarray) -> np.ndarray:
        out = np.zeros((groups, *values.shape[1:]))
        np.add.at(out, group, values)
        return out

    # (x p3 - p1) X = 0 and (y p3 - p2) X = 0, each view's row of unit size.
    rows = points[..., None] * camera[:, None, 2:] - camera[:, None, :2]
    size = np.linalg.norm(rows[..., :3], axis=-1, keepdims=True)
    rows = rows / np.maximum(size, 1e-12) * counts[..., None, None]
    normal = of_groups(np.swapaxes(rows, 2, 3) @ rows)
    place, good = _solve(normal[..., :3, :3], -normal[..., :3, 3])
    good &= of_groups(counts) >= 2
    place[~good] = 0.
    for _ in range(steps):
        seen = np.einsum('nij,nkj->nki', camera[:, :, :3], place[group]) \
            + camera[:, None, :, 3]
        depth = np.where(seen[..., 2:] > 1, seen[..., 2:], 1.)
        flat = seen[..., :2] / depth
        off = points - flat
        slope = (camera[:, None, :2, :3]
                 - flat[..., None] * camera[:, None, 2:, :3]) / depth[
                     ..., None]
        weight = counts / (1 + np.square(off).sum(-1) / scale**2)
        weighted = np.swapaxes(slope, 2, 3) * weight[..., None, None]
        step, _ = _solve(of_groups(weighted @ slope),
                         of_groups((weighted @ off[..., None])[..., 0]))
        length = np.linalg.norm(step, axis=-1, keepdims=True)
        place += step * np.minimum(1, _STRIDE / np.maximum(length, 1e-12))
    depth = np.einsum('nj,nkj->nk', camera[:, 2, :3], place[group]) \
        + camera[:, None, 2, 3]
    good &= of_groups(counts & (depth <= 1)) == 0
    place[~good] = np.nan
    return place


def _solve(normal: np.ndarray, right: np.ndarray
           ) -> tuple[np.ndarray, np.ndarray]:
    """Solutions (..., 3), and where there is one: (...,) bool."""
    values = np.linalg.eigvalsh(normal)
    good = values[..., 0] > 1e-6 * np.maximum(values[..., 2], 1e-300)
    safe = np.where(good[..., None, None], normal, np.eye(3))
    found = np.linalg.solve(safe, right[..., None])[..., 0]
    return np.where(good[..., None], found, 0.), good


def corrected(implied: np.ndarray, known: np.ndarray,
              strengths: Sequence[float] = (1e5, 1e6, 1e7, 1e8, 1e9, 1e12)
              ) -> np.ndarray:
    """Poses without the systematic error that known ones show.

    A recognizer that learnt from other bodies finds joints beside their
    place, in all views alike. Ridge regression of the difference on the pose,
    the constant part included, its strength chosen by leaving out one pose
    after the other; the greatest changes next to nothing. Two or three known
    poses can do harm.

    Args:
        implied (np.ndarray): (G, J, 3) mm, in a frame of the body's own.
        known (np.ndarray): (G, J, 3) true ones, NaN where not known. Only
            poses known and implied in all joints are learnt from.
        strengths (Sequence[float]): Of the ridge, in square mm.

    Returns:
        np.ndarray: (G, J, 3); poses that lack a joint are as they were.
    """
    size = int(np.prod(implied.shape[1:]))
    flat, truth = (np.reshape(p, (len(p), size)) for p in (implied, known))
    whole = np.isfinite(flat).all(1)
    rows = whole & np.isfinite(truth).all(1)
    if rows.sum() < 2:
        return implied
    middle = flat[rows].mean(0)

    def design(poses: np.ndarray) -> np.ndarray:
        """With a constant as large as poses are, so that it comes first."""
        return np.concatenate([poses - middle, np.full(
            (len(poses), 1), np.linalg.norm(middle))], 1)

    a, rest = design(flat[rows]), truth[rows] - flat[rows]
    left, scale, right = np.linalg.svd(a, full_matrices=False)
    best, weights = np.inf, np.zeros((a.shape[1], rest.shape[1]))
    for strength in strengths:
        kept = scale**2 / (scale**2 + strength)
        share = np.square(left) @ kept  # of a pose in its own estimate
        missed = (rest - (left * kept) @ (left.T @ rest)) / np.maximum(
            1 - share, 1e-9)[:, None]
        error = np.linalg.norm(missed.reshape(len(missed), -1, 3),
                               axis=2).mean()
        if error < best:
            best = error
            weights = right.T @ ((scale / (scale**2 + strength))[:, None]
                                 * (left.T @ rest))
    out = flat.copy()
    out[whole] += design(flat[whole]) @ weights
    return out.reshape(implied.shape)


def triangulated_poses(points: np.ndarray, found: np.ndarray,
                       group: np.ndarray, K: np.ndarray, R: np.ndarray,
                       t: np.ndarray, up: np.ndarray, known: np.ndarray,
                       scale: float = 3.) -> np.ndarray:
    """World poses of instants, from views and a few known poses.

    :func:`triangulate`, then :func:`corrected` in the canonical frame.

    Args:
        points (np.ndarray): (N, 17, 2) pixels.
        found (np.ndarray): (N, 17) bool.
        group (np.ndarray): (N,) int, 0 to G - 1.
        K (np.ndarray): (N, 3, 3).
        R (np.ndarray): (N, 3, 3).
        t (np.ndarray): (N, 3) mm.
        up (np.ndarray): (G, 3) the world's up; poses where it is not known
            stay as they were triangulated.
        known (np.ndarray): (G, 17, 3) mm, NaN where not annotated.
        scale (float): Pixels, see :func:`triangulate`. Defaults to 3.

    Returns:
        np.ndarray: (G, 17, 3) mm.
    """
    poses = triangulate(points, found, group, K, R, t, scale)
    usable = np.isfinite(poses).all((1, 2)) & np.isfinite(up).all(1)
    down = torch.from_numpy(-up[usable].astype(float))
    own, turn = canonical_pose(torch.from_numpy(poses[usable]), down)
    truth = np.asarray(known, float)[usable]
    whole = np.isfinite(truth).all((1, 2))
    truth[~whole] = 0.
    true = canonical_pose(torch.from_numpy(truth), down)[0].numpy()
    true[~whole] = np.nan
    mended = torch.from_numpy(corrected(own.numpy(), true))
    poses[usable] = (mended @ turn.transpose(1, 2)).numpy() \
        + poses[usable][:, ROOT, None]
    return poses
