"""A batch of views in mmpose's terms."""
from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from torch import Tensor


def normalised_keypoints(points: np.ndarray, visible: np.ndarray
                         ) -> np.ndarray:
    """2D joints as a network's input.

    Args:
        points (np.ndarray): (N, K, 2) pixels.
        visible (np.ndarray): (N, K) bool.

    Returns:
        np.ndarray: (N, K, 3) float32: x, y in [-1, 1] in the square around
        the visible joints, and 1; zeros where a joint is not visible.
    """
    there = visible[..., None] & np.isfinite(points)
    low = np.where(there, points, np.inf).min(1)
    high = np.where(there, points, -np.inf).max(1)
    some = visible.any(1)
    low[~some] = high[~some] = 0
    half = np.maximum((high - low).max(1) / 2, 1e-6)
    flat = (points - ((low + high) / 2)[:, None]) / half[:, None, None]
    out = np.concatenate([flat, np.ones_like(flat[..., :1])], -1)
    return np.where(there[..., :1], out, 0).astype(np.float32)


def pack(images: np.ndarray | None, points: np.ndarray, visible: np.ndarray,
         labels: dict[str, Tensor], flip: np.ndarray,
         metas: list[dict[str, Any]], size: int, flip_indices: list[int]
         ) -> dict[str, Any]:
    """Inputs and data samples of N views.

    Args:
        images (np.ndarray | None): (N, S, S, 3) uint8 BGR; without, the
            inputs are 2D joints.
        points (np.ndarray): (N, 17, 2) pixels.
        visible (np.ndarray): (N, 17) bool.
        labels (dict[str, Tensor]): N rows each.
        flip (np.ndarray): (N,) bool.
        metas (list[dict]): N.
        size (int): S.
        flip_indices (list[int]): Of the joint set.

    Returns:
        dict: ``inputs`` and ``data_samples``.
    """
    if images is None:
        inputs = torch.from_numpy(normalised_keypoints(points, visible))
    else:
        inputs = torch.from_numpy(np.ascontiguousarray(
            images.transpose(0, 3, 1, 2)))
    shown = np.where(visible[..., None], points, 0).astype(np.float32)
    weights = visible.astype(np.float32)
    samples = []
    for i, meta in enumerate(metas):
        sample = PoseDataSample(metainfo=dict(
            meta, input_size=(size, size), img_shape=(size, size),
            ori_shape=(size, size),
            input_center=np.full(2, (size - 1) / 2, np.float32),
            input_scale=np.full(2, size, np.float32), flip=bool(flip[i]),
            flip_indices=flip_indices))
        truth = InstanceData()
        truth.keypoints = shown[i:i + 1]
        truth.keypoints_visible = weights[i:i + 1]
        truth.bboxes = np.array([[0, 0, size - 1, size - 1]], np.float32)
        truth.bbox_scores = np.ones(1, np.float32)
        sample.gt_instances = truth
        own = InstanceData()
        for key, value in labels.items():
            own.set_field(value[i:i + 1], key)
        sample.gt_instance_labels = own
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)
