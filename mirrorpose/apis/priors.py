"""Plausibility of poses."""
from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ..models.pose import PosePrior
from ..structures import Skeleton


def find_prior(model: nn.Module) -> PosePrior:
    """The pose prior that a model is or holds.

    Raises:
        TypeError: There is none.
    """
    for module in (model, *model.children()):
        if isinstance(module, PosePrior):
            return module
    raise TypeError(f'{type(model).__name__} neither is nor holds a pose '
                    'prior; a PoseVAE is one')


def score_poses(model: nn.Module,
                keypoints: np.ndarray,
                visible: np.ndarray | None = None,
                joints: str | Skeleton | None = None,
                boxes: np.ndarray | None = None,
                batch_size: int = 1024) -> np.ndarray:
    """How plausible poses are to a prior, higher is better.

    Args:
        model (nn.Module): A pose prior, or a model that holds one, for
            example ``load_model(config, checkpoint, stage='pose_vae')``.
        keypoints (np.ndarray): (N, K, 2) pixels.
        visible (np.ndarray, optional): (N, K), positive where present.
            Defaults to all; coordinates of absent joints do not matter.
        joints (str | Skeleton, optional): What the K joints are, such as
            ``'lsp_14'``. Defaults to the prior's own.
        boxes (np.ndarray, optional): (N, 4) boxes x1, y1, x2, y2 that the
            poses are normalised by; the longer side, 1.25 times widened,
            becomes [-1, 1]. Defaults to the box of the present joints.
        batch_size (int): Defaults to 1024.

    Returns:
        np.ndarray: (N,) float64. Compare poses with equally many joints.

    Raises:
        TypeError: The model holds no prior, or one of sequences.
        ValueError: Shapes or joints do not fit, a present joint is not
            finite, or a pose has fewer than two joints and no box.
    """
    prior = find_prior(model)
    if prior.reads_sequence:
        raise TypeError(f'{type(prior).__name__} scores sequences, not '
                        'single poses')
    points = np.asarray(keypoints, np.float32)
    if points.ndim != 3 or points.shape[2] != 2:
        raise ValueError(f'keypoints must be (N, K, 2), got {points.shape}')
    present = np.ones(points.shape[:2], np.float32) if visible is None \
        else (np.asarray(visible) > 0).astype(np.float32)
    if present.shape != points.shape[:2]:
        raise ValueError(f'visible is {present.shape}, keypoints are '
                         f'{points.shape}')
    if joints is not None:
        source = Skeleton.from_name(joints) if isinstance(joints, str) \
            else joints
        points, present = source.convert(points, present, prior.skeleton,
                                         allow_missing=True)
    points = _normalised(points, present > 0, boxes)
    device = next(iter(model.parameters())).device
    out = []
    with torch.no_grad():
        for start in range(0, len(points), batch_size):
            rows = slice(start, start + batch_size)
            out.append(prior.score(
                torch.as_tensor(points[rows], device=device),
                torch.as_tensor(present[rows], device=device)).double())
    return torch.cat(out).cpu().numpy() if out else np.zeros(0)


def _normalised(points: np.ndarray, present: np.ndarray,
                boxes: np.ndarray | None) -> np.ndarray:
    """To [-1, 1] over a square crop, as the pipelines of the configs do."""
    if boxes is None:
        few = np.nonzero(present.sum(1) < 2)[0]
        if len(few):
            raise ValueError(f'poses {few[:5].tolist()} have fewer than two '
                             'joints: give their boxes')
        kept = np.where(present[..., None], points, np.nan)
        low, high = np.nanmin(kept, 1), np.nanmax(kept, 1)
    else:
        boxes = np.asarray(boxes, np.float32)
        if boxes.shape != (len(points), 4):
            raise ValueError(f'boxes must be ({len(points)}, 4), got '
                             f'{boxes.shape}')
        low, high = boxes[:, :2], boxes[:, 2:]
    half = 1.25 * (high - low).max(1).clip(1e-6) / 2
    out = (points - ((low + high) / 2)[:, None]) / half[:, None, None]
    return np.where(present[..., None], out, 0).astype(np.float32)
