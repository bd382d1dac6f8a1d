"""What the runs recognize on held-out people."""
from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS

from mirrorpose.engine import checkpoint as checkpoints
from mirrorpose.evaluation import LspPCK

from .data import DATA, held_out
from .ledger import Table
from .runs import Name, settings

NORMS = ('bbox', 'torso')
_BATCH = 100


@lru_cache(maxsize=len(DATA) * 2)
def samples(data: str, side: str) -> list[dict]:
    """All people of a side, through the pipeline."""
    init_default_scope('mmpose')
    dataset = DATASETS.build(held_out(data, side))
    return [dataset[i] for i in range(len(dataset))]


def load(name: Name) -> Any:
    """The trained model of a run, in eval mode.

    Raises:
        FileNotFoundError: It is not done.
    """
    init_default_scope('mmpose')
    path = name.checkpoint()
    if path is None:
        raise FileNotFoundError(
            f'{name} is not done; python -m benchmarks.labels.training '
            f'{name}')
    model = MODELS.build(settings(name, started=False).model)
    model.load_state_dict(checkpoints.load(path)['state_dict'], strict=True)
    return model.to(get_device()).eval()


def recognize(name: Name, side: str) -> dict[str, np.ndarray]:
    """Recognizes the people of a side.

    Returns:
        dict: ``pred`` and ``truth`` (N, K, 2) image pixels, ``present``
        (N, K).
    """
    model, everyone = load(name), samples(name.data, side)
    found: dict[str, list] = dict(pred=[], truth=[], present=[])
    for start in range(0, len(everyone), _BATCH):
        part = everyone[start:start + _BATCH]
        with torch.no_grad():
            out = model.val_step(pseudo_collate(
                [dict(s, data_samples=s['data_samples'].clone())
                 for s in part]))
        for sample in out:
            truth = sample.gt_instances
            found['pred'].append(sample.pred_instances.keypoints[0])
            found['truth'].append(truth.keypoints[0])
            found['present'].append(
                np.asarray(truth.keypoints_visible).reshape(-1) > 0)
    return {k: np.stack(v) for k, v in found.items()}


def hits(pred: np.ndarray, truth: np.ndarray, present: np.ndarray,
         norm: str = 'bbox', thr: float = .2
         ) -> tuple[np.ndarray, np.ndarray]:
    """Which joints are right, and which count, as ``LspPCK`` has it.

    Args:
        pred (np.ndarray): (N, K, 2).
        truth (np.ndarray): (N, K, 2).
        present (np.ndarray): (N, K) bool.
        norm (str): ``'bbox'`` or ``'torso'``.
        thr (float): Defaults to 0.2.

    Returns:
        tuple[np.ndarray, np.ndarray]: (N, K) bool each; who counts does not
        depend on the prediction.
    """
    size = LspPCK.normalisers(truth, present, norm)
    counted = present & np.isfinite(size)[:, None]
    error = np.linalg.norm(pred.astype(np.float64) - truth, axis=-1)
    right = counted & (error <= thr * np.nan_to_num(size)[:, None])
    return right, counted


def mean_pose(data: str, side: str) -> Table:
    """Right joints if everybody stood in the crop as they do on average.

    The floor of what learns without pairs: no image is looked at. The mean is
    that of the measured people themselves, so a floor cannot be higher.
    """
    people = samples(data, side)
    truth = np.stack([s['data_samples'].gt_instances.keypoints[0]
                      for s in people])
    present = np.stack([np.asarray(
        s['data_samples'].gt_instances.keypoints_visible).reshape(-1) > 0
        for s in people])
    center, scale = (np.stack([np.asarray(s['data_samples'].metainfo[k])
                               for s in people])[:, None]
                     for k in ('input_center', 'input_scale'))
    there = present[..., None]
    mean = np.where(there, (truth - center) / scale, 0.).sum(0) / \
        np.maximum(there.sum(0), 1)
    return {norm: hits(mean * scale + center, truth, present, norm)
            for norm in NORMS}


def measured(name: Name, side: str) -> Table:
    """Right and counted joints of a trained run, by normaliser."""
    found = recognize(name, side)
    return {norm: hits(**found, norm=norm) for norm in NORMS}
