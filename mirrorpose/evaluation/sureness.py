"""Does a model know which of its poses are wrong?"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpose.registry import METRICS
from scipy.stats import rankdata

from .pck import format_table
from .root_relative import as_array


@METRICS.register_module()
class PoseSureness(BaseMetric):
    """Errors of the poses that a model is most sure of.

    - ``MPJPE@S``: of the S per cent of samples with the least uncertainty,
      in mm. Where uncertainty says nothing, all are alike.
    - ``best@S``: of those with the least errors, the floor.
    - ``rank_correlation``: Spearman's, of uncertainty and error.

    Args:
        key (str): Uncertainty in ``pred_instances``, one number a sample.
            Defaults to ``'embedding_variance'``.
        frame (str): ``'canonical'`` or ``'camera'``, of the poses. Defaults
            to ``'canonical'``.
        shares (Sequence[float]): S, per cent. Defaults to (25, 50, 100).
        collect_device (str): Defaults to ``'cpu'``.
        prefix (str, optional): Defaults to ``'canonical_sureness'`` or
            ``'camera_sureness'``, by the frame.

    Raises:
        ValueError: A share is not in (0, 100].
    """

    def __init__(self, key: str = 'embedding_variance',
                 frame: str = 'canonical',
                 shares: Sequence[float] = (25, 50, 100),
                 collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device, prefix or f'{frame}_sureness')
        if not shares or not all(0 < s <= 100 for s in shares):
            raise ValueError(f'shares lie in (0, 100], got {tuple(shares)}')
        self.key, self.shares = key, tuple(shares)
        self.pose_key = f'keypoints_3d_{frame}'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keeps an uncertainty and an error a sample.

        Args:
            data_batch (Any): Unused.
            data_samples (Sequence[dict]): With root-relative poses (1, K, 3)
                in mm in ``pred_instances`` and ``gt_instance_labels``, NaN
                where not annotated.

        Raises:
            ValueError: A sample has no uncertainty or no pose.
        """
        for sample in data_samples:
            pred = sample.get('pred_instances') or {}
            truth = sample.get('gt_instance_labels') or {}
            lost = [k for k in (self.key, self.pose_key) if k not in pred]
            lost += [k for k in (self.pose_key, ) if k not in truth]
            if lost:
                raise ValueError(
                    f'sample {sample.get("id")!r} has no {lost}: is '
                    "uncertainty=dict() missing in the model's head?")
            gap = np.linalg.norm(as_array(pred[self.pose_key])
                                 - as_array(truth[self.pose_key]), axis=-1)
            known = gap[np.isfinite(gap)]
            self.results.append((
                float(as_array(pred[self.key]).reshape(-1)[0]),
                float(known.mean()) if len(known) else np.nan))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Calculates and prints."""
        variance, error = np.array(results).T
        known = np.isfinite(error)
        out = self.calculate(variance[known], error[known], self.shares)
        print_log('\n' + format_table([(f'{int(known.sum())} poses', out)]),
                  logger='current')
        return out

    @staticmethod
    def calculate(uncertainty: Any, error: Any,
                  shares: Sequence[float] = (25, 50, 100)
                  ) -> dict[str, float]:
        """Errors by uncertainty.

        Args:
            uncertainty (np.ndarray): (N,).
            error (np.ndarray): (N,) mm.
            shares (Sequence[float]): Per cent; at least one sample each.

        Raises:
            ValueError: Shapes differ, or there is nothing.
        """
        doubt, error = (np.asarray(v, float) for v in (uncertainty, error))
        if doubt.shape != error.shape or doubt.ndim != 1 or not len(doubt):
            raise ValueError('uncertainty and error are (N,), N at least 1, '
                             f'got {doubt.shape} and {error.shape}')
        out = {}
        by_doubt = error[np.argsort(doubt, kind='stable')]
        by_error = np.sort(error)
        for share in shares:
            count = max(round(share / 100 * len(error)), 1)
            out[f'MPJPE@{share:g}'] = float(by_doubt[:count].mean())
            out[f'best@{share:g}'] = float(by_error[:count].mean())
        a, b = (rankdata(v) - (len(v) + 1) / 2 for v in (doubt, error))
        scale = np.sqrt((a @ a) * (b @ b))
        out['rank_correlation'] = float(a @ b / scale) if scale else 0.
        return out
