"""Test scores of trained rows, and of the mean pose."""
from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

from mirrorpose.engine.runner import PoseRunner
from mirrorpose.evaluation.keypoints import MeanKeypointError

from .training import base, checkpoint, settings

#: As predicted, corrected, oracle; and after the supervised linear map.
FIGURES = ('error', 'error_corrected', 'error_oracle', 'error_post',
           'error_corrected_post', 'error_oracle_post')


def scores(name: str) -> dict[str, float]:
    """Figures of the metric on the test frames, without their prefix."""
    cfg = settings(name)
    cfg.load_from, cfg.resume = str(checkpoint(name)), False
    cfg.log_level = 'ERROR'
    found = PoseRunner.from_cfg(cfg).test()
    MMLogger.get_instance('mmengine').setLevel('ERROR')
    return {k.rpartition('/')[2]: round(float(v), 4)
            for k, v in found.items()}


def mean_pose(poses: str) -> dict[str, float]:
    """The average unpaired pose, predicted for every test image.

    ``error_oracle`` is of the better of it and its mirror labelling.
    """
    init_default_scope('mmpose')
    cfg = base(poses)
    prior = DATASETS.build(cfg.train_dataloader.dataset.poses)
    keys = np.arange(len(prior), dtype=np.uint64)
    batch: Any = prior.get_batch(np.arange(len(prior)), keys)
    points, there = np.asarray(batch['poses']), np.asarray(
        batch['pose_present'])[..., None]
    mean = (points * there).sum(0) / there.sum(0)
    test = DATASETS.build(cfg.test_dataloader.dataset.datasets[-1])
    samples = [test[i]['data_samples'] for i in range(len(test))]
    gt = np.concatenate([s.gt_instances.keypoints for s in samples])
    seen = np.concatenate([s.gt_instances.keypoints_visible
                           for s in samples])
    side = cfg.image_size if 'image_size' in cfg else 64
    pred = np.repeat(((mean + 1) / 2 * (side - 1))[None], len(gt), 0)
    flip = test.skeleton.flip_indices
    both = np.stack([np.linalg.norm(p - gt, axis=-1) for p in (
        pred, pred[:, flip])])
    seen = seen > 0
    chosen = np.nanmean(np.where(seen, both, np.nan), -1).argmin(0)
    oracle = both[chosen, np.arange(len(gt))]
    return dict(
        error=MeanKeypointError.calculate(pred, gt, seen, 100 / side),
        error_oracle=float(oracle[seen].mean() * 100 / side))
