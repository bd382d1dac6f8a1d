"""Root-relative 3D poses: centring, what counts, and the torso's length."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mirrorpose.structures.skeleton import Skeleton

#: A joint, joints whose mean is meant, or None.
Root = int | Sequence[int] | None


def as_array(values: Any) -> np.ndarray:
    """A tensor (of any device) or array as a numpy array."""
    return values.detach().cpu().numpy() if isinstance(
        values, torch.Tensor) else np.asarray(values)


def root_of(skeleton: Skeleton) -> list[int]:
    """Indices of the joints whose mean is the pelvis.

    Raises:
        ValueError: The joint set has neither pelvis nor hips.
    """
    marks = [skeleton.landmark(j) for j in skeleton.joints]
    if 'pelvis' in marks:
        return [marks.index('pelvis')]
    if 'left_hip' in marks and 'right_hip' in marks:
        return [marks.index('left_hip'), marks.index('right_hip')]
    raise ValueError(f'{skeleton.name!r} has neither pelvis nor hips to '
                     'centre a pose at')


def prepare(pred: Any, gt: Any, mask: Any = None, root: Root = None
            ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Checks poses, centres them and says which joints count.

    Args:
        pred (np.ndarray | Tensor): (N, K, 3).
        gt (np.ndarray | Tensor): (N, K, 3); a joint with NaN is one that is
            not annotated.
        mask (np.ndarray | Tensor, optional): (N, K), positive where a joint
            counts.
        root (int | Sequence[int], optional): Subtract this joint, or the
            mean of these, from both; poses whose own is not annotated do
            not count. Defaults to None: poses are root-relative already.

    Returns:
        tuple: (N, K, 3), (N, K, 3) and (N, K) bool, where False all
        coordinates are 0.

    Raises:
        ValueError: Shapes do not fit, nothing counts, or a prediction that
            counts is not finite.
    """
    pred, gt = (as_array(p).astype(np.float64) for p in (pred, gt))
    if pred.shape != gt.shape or gt.ndim != 3 or gt.shape[-1] != 3:
        raise ValueError('expected predictions and truth (N, K, 3) of one '
                         f'joint set, got {pred.shape} and {gt.shape}')
    seen = np.isfinite(gt).all(-1)
    if mask is not None:
        mask = as_array(mask)
        if mask.shape != seen.shape:
            raise ValueError(f'mask must be {seen.shape}, got {mask.shape}')
        seen &= mask > 0
    if root is not None:
        roots = [root] if isinstance(root, (int, np.integer)) else list(root)
        seen &= seen[:, roots].all(1, keepdims=True)
    if not seen.any():
        raise ValueError(f'none of {seen.size} joints is annotated: there is '
                         'nothing to measure')
    wild = seen & ~np.isfinite(pred).all(-1)
    if wild.any():
        raise ValueError(
            f'predictions of {int(wild.any(1).sum())} of {len(seen)} poses '
            f'are not finite, the first is number {wild.any(1).argmax()}')
    pred, gt = (np.where(seen[..., None], p, 0.) for p in (pred, gt))
    if root is not None:
        pred, gt = ((p - p[:, roots].mean(1, keepdims=True))
                    * seen[..., None] for p in (pred, gt))
    return pred, gt, seen


def torso_size(poses: np.ndarray, joints: Skeleton) -> np.ndarray:
    """Length of the torso, by which NP-MPJPE is normalised.

    As Pr-VIPE's keypoint profiles: pelvis to spine to thorax (Human3.6M) or
    neck (MPI-INF-3DHP); without these joints from the middle of the hips to
    that of the shoulders.

    Args:
        poses (np.ndarray): (N, K, 3), NaN where absent.
        joints (Skeleton): The K joints.

    Returns:
        np.ndarray: (N,), NaN where a joint is absent.

    Raises:
        ValueError: The joint set has no torso.
    """
    marks = [joints.landmark(j) for j in joints.joints]

    def at(*names: str) -> np.ndarray:
        return np.mean([poses[:, marks.index(n)] for n in names], 0)

    top = 'thorax' if 'thorax' in marks else 'neck'
    ends = ('left_hip', 'right_hip', 'left_shoulder', 'right_shoulder')
    if {'pelvis', 'spine', top} <= set(marks):
        line = [at('pelvis'), at('spine'), at(top)]
    elif set(ends) <= set(marks):
        line = [at(*ends[:2]), at(*ends[2:])]
    else:
        raise ValueError(f'{joints.name!r} has no torso: hips and shoulders '
                         'are needed')
    size = sum(np.linalg.norm(b - a, axis=-1)
               for a, b in zip(line, line[1:]))
    return np.where(size > 0, size, np.nan)
