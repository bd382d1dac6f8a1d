"""3D labels of views: in the camera's frame, canonical, mirrored."""
from __future__ import annotations

import numpy as np
import torch

from mirrorpose.structures.canonical import canonical_pose

from .views import ROOT, SKELETON


def view_labels(poses: np.ndarray, up: np.ndarray, known: np.ndarray,
                K: np.ndarray, R: np.ndarray, t: np.ndarray, size: int,
                flip: np.ndarray | None = None) -> dict[str, torch.Tensor]:
    """What is learnt from N views.

    Args:
        poses (np.ndarray): (N, 17, 3) mm, world frame.
        up (np.ndarray): (N, 3) the world's up.
        known (np.ndarray): (N,) bool; all others are NaN.
        K (np.ndarray): (N, 3, 3) pixels of the crop.
        R (np.ndarray): (N, 3, 3) world to camera.
        t (np.ndarray): (N, 3) mm.
        size (int): Side of the crops in pixels.
        flip (np.ndarray, optional): (N,) bool, views whose image is
            mirrored.

    Returns:
        dict: ``keypoints_3d_canonical`` and ``keypoints_3d_camera``
        (N, 17, 3) root-relative mm, ``camera_rotation`` (N, 3, 3),
        ``pose_annotated`` (N,), ``intrinsics`` (N, 3, 3) and ``extrinsics``
        (N, 3, 4), float32. Mirrored views are those of a mirrored world.
    """
    K, R, t = K.copy(), np.asarray(R), np.asarray(t)
    down = -np.einsum('nij,nj->ni', R, up)
    down[~known] = (0, 1, 0)
    points = poses.astype(np.float64)
    points = np.einsum('nij,nkj->nki', R, points - points[:, ROOT, None])
    points[~known] = np.nan
    side = np.array([1., 1., 1.])
    extrinsics = np.concatenate([R, t[..., None]], 2)
    if flip is not None and flip.any():
        # The mirrored image of a mirrored world; its up stays up, as
        # the axis that is mirrored is horizontal.
        side[0] = -1
        points[flip] = points[flip][:, SKELETON.flip_indices] * side
        down[flip] *= side
        extrinsics[flip] = _mirror(extrinsics[flip], up[flip])
        K[flip, 0, 2] = size - 1 - K[flip, 0, 2]
    camera = torch.from_numpy(points.astype(np.float32))
    canonical, rotation = canonical_pose(
        camera, torch.from_numpy(down.astype(np.float32)))
    rotation[~torch.from_numpy(known)] = torch.nan
    return dict(
        keypoints_3d_canonical=canonical, keypoints_3d_camera=camera,
        camera_rotation=rotation,
        pose_annotated=torch.from_numpy(known.astype(np.float32)),
        intrinsics=torch.from_numpy(K.astype(np.float32)),
        extrinsics=torch.from_numpy(extrinsics.astype(np.float32)))


def _mirror(extrinsics: np.ndarray, up: np.ndarray) -> np.ndarray:
    """(N, 3, 4) cameras of the mirrored world that see mirrored images.

    The world is mirrored across a vertical plane through its origin, across
    the horizontal axis of least index.
    """
    world = np.tile(np.eye(3), (len(up), 1, 1))
    axis = np.where(np.abs(up[:, 0]) < .5, 0, 1)
    normal = np.eye(3)[axis]
    normal = normal - (normal * up).sum(1, keepdims=True) * up
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    world = world - 2 * normal[:, :, None] * normal[:, None, :]
    out = extrinsics.copy()
    out[:, :, :3] = out[:, :, :3] @ world
    out[:, 0] *= -1
    return out
