"""Poses of people in images."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.structures import PoseDataSample
from torch import nn

from ..datasets.reading import read_image


def recognize(model: nn.Module,
              images: Sequence[str | Path | np.ndarray],
              boxes: Sequence[np.ndarray] | None = None,
              batch_size: int = 32,
              scores: bool = False) -> list[list[PoseDataSample]]:
    """Recognizes the people of many images, in whole batches.

    mmpose's ``inference_topdown`` takes one image at a time.

    Args:
        model (nn.Module): A top-down estimator with ``cfg``, for example
            from :func:`load_model` or mmpose's ``init_model``.
        images (Sequence): N paths (a ``zip://`` path too), or (H, W, 3)
            uint8 arrays in BGR.
        boxes (Sequence[np.ndarray], optional): For each image (P, 4) boxes
            of its people, x1, y1, x2, y2 in pixels. Defaults to the whole
            image, one person.
        batch_size (int): People a batch. Defaults to 32.
        scores (bool): Also say how plausible each pose is, and how well it
            explains the image (a MirrorNet only; higher is better):
            ``pred_instances.plausibility``, ``.fidelity`` (1,),
            ``.keypoint_plausibility``, ``.keypoint_fidelity`` (1, K).
            Defaults to False.

    Returns:
        list[list[PoseDataSample]]: For each image one sample a person;
        ``pred_instances.keypoints`` (1, K, 2) in pixels of the image,
        ``pred_instances.keypoint_scores`` (1, K).

    Raises:
        TypeError: ``scores`` of a model that has none.
        ValueError: Boxes do not fit the images, or an image is damaged (the
            message names it).
    """
    if not scores:
        return _recognize(model, images, boxes, batch_size)
    if not hasattr(model, 'pose_vae') or not hasattr(model, 'image_vae'):
        raise TypeError(f'a {type(model).__name__} has no scores: load the '
                        'whole MirrorNet (a joint stage and its checkpoint)')
    held: Any = model
    before = held.test_cfg
    held.test_cfg = dict(before, scores=True)
    try:
        return _recognize(model, images, boxes, batch_size)
    finally:
        held.test_cfg = before


def _recognize(model: nn.Module, images: Sequence[str | Path | np.ndarray],
               boxes: Sequence[np.ndarray] | None,
               batch_size: int) -> list[list[PoseDataSample]]:
    if boxes is not None and len(boxes) != len(images):
        raise ValueError(f'{len(images)} images, but boxes for {len(boxes)}')
    cfg: Any = model.cfg
    meta: Any = model.dataset_meta
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    steps = [t for t in cfg.test_dataloader.dataset.pipeline
             if not str(t['type']).startswith('Load')]
    pipeline = Compose(steps)
    out: list[list[PoseDataSample]] = [[] for _ in images]
    waiting: list[tuple[int, dict]] = []
    for number, image in enumerate(images):
        pixels = image if isinstance(image, np.ndarray) else read_image(
            str(image))
        if pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(f'image {number} has shape {pixels.shape}; '
                             '(H, W, 3) in BGR is wanted')
        h, w = pixels.shape[:2]
        mine = np.array([[0, 0, w, h]]) if boxes is None else np.asarray(
            boxes[number])
        mine = mine.reshape(-1, 4).astype(np.float32)
        if not np.isfinite(mine).all() or (mine[:, 2:] <= mine[:, :2]).any():
            raise ValueError(f'image {number}: boxes must be x1 < x2, '
                             f'y1 < y2 in pixels, got {mine.tolist()}')
        for box in mine:
            waiting.append((number, pipeline(dict(
                meta, img=pixels, img_path=str(number),
                id=len(waiting), img_id=number, ori_shape=(h, w),
                img_shape=(h, w), bbox=box[None],
                bbox_score=np.ones(1, np.float32)))))
            if len(waiting) == batch_size:
                _flush(model, waiting, out)
    _flush(model, waiting, out)
    return out


def _flush(model: Any, waiting: list[tuple[int, dict]],
           out: list[list[PoseDataSample]]) -> None:
    if not waiting:
        return
    with torch.no_grad():
        samples = model.test_step(pseudo_collate([w for _, w in waiting]))
    for (number, _), sample in zip(waiting, samples):
        out[number].append(sample)
    waiting.clear()
