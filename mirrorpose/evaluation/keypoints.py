"""Mean keypoint errors, as learnt keypoints are compared.

KeypointGAN's tables (spec 2.4): the mean error over all joints in percent of
the image's side (Simplified Human3.6M) or in pixels of the original image
(Human3.6M), and the error over the distance of the eyes' outer corners
(300-W). Each comes

- as predicted;
- corrected: by ``pred_instances.keypoints_corrected``, where a model has
  chosen between the two mirror labellings (a skeleton of one channel cannot
  tell left from right; the paper's primary figure);
- oracle: each image by the better of its two mirror labellings;
- and all three after a supervised linear map that is fitted to the
  training set, which methods without names for their keypoints need.

The fit needs predictions of training frames: samples whose metainfo has
``role='fit'`` are for it alone, and no figure counts them.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpose.registry import METRICS

from mirrorpose.structures.skeleton import Skeleton

from .inter_ocular import InterOcularNME
from .keypoint_results import converted, read_sample, read_tables, rows_of
from .keypoint_sides import keypoint_errors, labellings, oracle_swaps
from .linear_map import LinearMap
from .pck import format_table, write_json

__all__ = ['InterOcularNME', 'LinearMap', 'MeanKeypointError',
           'keypoint_errors', 'labellings', 'oracle_swaps']

UNITS = ('percent', 'pixel')


@METRICS.register_module()
class MeanKeypointError(BaseMetric):
    """Mean distance over all joints and images.

    Each annotated joint of each image counts alike, joints without a limb
    too (trap T2.7).

    Args:
        unit (str): ``'percent'`` of the image's side (Simplified
            Human3.6M), or ``'pixel'`` of the original image, by the
            samples' ``pixel_scale``. Defaults to ``'percent'``.
        joints (Sequence[str], optional): Only these (the paper evaluates 17
            of Human3.6M's 32). Defaults to all.
        by_action (bool): Also give ``error/ACTION`` for each ``action`` of
            the samples, and ``error_by_action``, their mean (the paper's
            figure for Simplified Human3.6M). Defaults to False.
        evaluate_in (str, optional): A joint set, e.g. ``'h36m_17'``, that
            predictions and annotations are converted to before; ``joints``
            are of it. By default the model's own.
        out_file (str, optional): JSON file for the results.
        collect_device (str): ``'cpu'`` or ``'gpu'``. Defaults to ``'cpu'``.
        prefix (str, optional): Defaults to ``'keypoints'``.

    Results: ``error``, ``error_corrected`` (where the model corrects),
    ``error_oracle``; each with ``_post`` where there are samples to fit; and
    ``right_side``, ``right_side_corrected``, the percentage of images whose
    labelling is the oracle's.

    Raises:
        ValueError: An unknown unit.
    """

    default_prefix = 'keypoints'

    def __init__(self, unit: str = 'percent',
                 joints: Sequence[str] | None = None,
                 by_action: bool = False,
                 evaluate_in: str | None = None,
                 out_file: str | None = None,
                 collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if unit not in UNITS:
            raise ValueError(f'unit must be one of {UNITS}, got {unit!r}')
        self.unit, self.joints = unit, joints
        self.by_action, self.out_file = by_action, out_file
        self.skeleton = Skeleton.from_name(evaluate_in) \
            if evaluate_in else None

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keeps one result a sample.

        Args:
            data_batch (Any): Unused.
            data_samples (Sequence[dict]): With ``pred_instances.keypoints``
                (1, K, 2), optionally ``keypoints_corrected``,
                ``gt_instances.keypoints`` and ``keypoints_visible``, and the
                metainfo ``input_size`` (percent) or ``pixel_scale`` (pixel);
                ``role`` and ``action`` where there are such.

        Raises:
            ValueError: Joint counts differ, or the scale is not known.
        """
        for sample in data_samples:
            key = 'img_shape' if self.unit == 'percent' else 'pixel_scale'
            if key not in sample:
                raise ValueError(
                    f'sample {sample.get("id")!r} has no {key}, so nobody '
                    f'knows its error in {self.unit}; evaluate a frame data '
                    'set, or add it to the metainfo')
            factor = (100. / max(sample['img_shape'][:2])
                      if self.unit == 'percent' else
                      float(sample['pixel_scale']))
            self.results.append(dict(read_sample(sample), factor=factor))

    @staticmethod
    def calculate(pred: np.ndarray, gt: np.ndarray, visible: np.ndarray,
                  factor: float | np.ndarray = 1.) -> float:
        """Mean distance over annotated joints.

        Args:
            pred (np.ndarray): (N, K, 2) predictions.
            gt (np.ndarray): (N, K, 2) annotations.
            visible (np.ndarray): (N, K), positive where annotated.
            factor (float | np.ndarray): What a distance of 1 is, for all or
                (N,); ``100 / side`` gives percent. Defaults to 1.

        Returns:
            float: NaN where nothing is annotated.

        Raises:
            ValueError: Shapes do not fit.
        """
        errors = keypoint_errors(pred, gt, visible)
        errors = errors * np.broadcast_to(factor, len(errors))[:, None]
        there = np.isfinite(errors)
        return float(errors[there].mean()) if there.any() else float('nan')

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Calculates, prints and writes the figures."""
        skeleton = Skeleton.from_metainfo(self.dataset_meta)
        if self.skeleton is not None:
            results = converted(results, skeleton, self.skeleton)
            skeleton = self.skeleton
        test, gt, visible, table, metrics = read_tables(results, skeleton,
                                                        self.joints)
        factor = np.array([r['factor'] for r in test])

        def error(pred: np.ndarray, rows: Any = slice(None)) -> float:
            return self.calculate(pred[rows], gt[rows], visible[rows],
                                  factor[rows])

        metrics |= {f'error{k}': error(v) for k, v in table.items()}
        actions = np.array([r['action'] for r in test])
        if self.by_action:
            names = sorted(set(actions.tolist()) - {''})
            metrics |= {f'error{k}/{a}': error(v, actions == a)
                        for a in names for k, v in table.items()}
            # The paper's "all" (spec 0.4): activities count alike.
            metrics |= {f'error{k}_by_action': float(np.mean(
                [metrics[f'error{k}/{a}'] for a in names]))
                for k in table if names}
        print_log(
            f'mean error of {len(test)} images, {self.unit}:\n'
            + format_table(rows_of(metrics, 'error')), logger='current')
        if self.out_file:
            write_json(self.out_file, dict(
                metric='mean keypoint error', unit=self.unit,
                images=len(test), fitted=len(results) - len(test),
                results=metrics))
        return metrics
