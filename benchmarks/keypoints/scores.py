"""Test scores of trained rows, and of the mean pose."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS, METRICS

from mirrorpose.engine.runner import PoseRunner

from .runs import base, checkpoint, settings

#: As predicted, corrected, oracle; and after the supervised linear map.
FIGURES = ('error', 'error_corrected', 'error_oracle', 'error_post',
           'error_corrected_post', 'error_oracle_post')


def figures(found: Mapping[str, float]) -> dict[str, float]:
    """A metric's results without its prefix; NMEs are errors, too."""
    return {k.rpartition('/')[2].replace('NME', 'error'): round(float(v), 4)
            for k, v in found.items()}


def scores(name: str) -> dict[str, float]:
    """Figures of the metric on the test frames.

    Raises:
        FileNotFoundError: The run is not trained to its end.
    """
    cfg = settings(name)
    cfg.load_from, cfg.resume = str(checkpoint(name)), False
    # Tests log beside the training, not in its folder.
    cfg.work_dir = str(checkpoint(name).parent / 'test')
    cfg.log_level = 'ERROR'
    found = PoseRunner.from_cfg(cfg).test()
    MMLogger.get_instance('mmengine').setLevel('ERROR')
    return figures(found)


def mean_pose(poses: str) -> dict[str, float]:
    """The average unpaired pose, predicted for every test image.

    By the metric of the rows. After the linear map it is the average pose of
    the labelled training frames.
    """
    init_default_scope('mmpose')
    cfg = base(poses)
    prior: Any = DATASETS.build(cfg.train_dataloader.dataset.poses)
    keys = np.arange(len(prior), dtype=np.uint64)
    batch = prior.get_batch(np.arange(len(prior)), keys)
    points = np.asarray(batch['poses'])
    there = np.asarray(batch['pose_present'])[..., None]
    mean = (points * there).sum(0) / there.sum(0)
    data: Any = DATASETS.build(cfg.test_dataloader.dataset)
    metric: Any = METRICS.build(cfg.test_evaluator)
    metric.dataset_meta = data.metainfo
    samples = []
    for part in data.datasets:
        place = (mean + 1) / 2 * (part.size - 1)
        for row in part.rows:
            sample = part.store.sample(row, part.role)
            sample.pred_instances = InstanceData(keypoints=place[None])
            samples.append(sample.to_dict())
    metric.process({}, samples)
    return figures(metric.compute_metrics(metric.results))
