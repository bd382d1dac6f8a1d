"""Metrics of pose sequences, apart for joints that were seen and not.

JUMPS, Section IV: PCKh at 0.1, 0.5 and 1.0 and the area under its curve from
0 to 1, over all joints. Twelve of those 28 are inputs, so the figure that
counts is that of the unseen ones.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpose.registry import METRICS

from mirrorpose.structures.skeleton import Skeleton

from .pck import format_table, write_json

#: Thresholds of the paper's Table I.
THRESHOLDS = (.1, .5, 1.)
#: Sets of joints, in the order of a table.
SETS = ('unseen', 'observed', 'all')


def joint_sets(present: np.ndarray, observed: np.ndarray
               ) -> dict[str, np.ndarray]:
    """Which joints each row of a table counts.

    Args:
        present (np.ndarray): (N, F, K), positive where the truth is known.
        observed (np.ndarray): (N, F, K), positive where a completer looked.

    Returns:
        dict[str, np.ndarray]: (N, F, K) bool by the names of ``SETS``.
    """
    known, seen = np.asarray(present) > 0, np.asarray(observed) > 0
    return dict(unseen=known & ~seen, observed=known & seen, all=known)


def check_shapes(pred: np.ndarray, gt: np.ndarray,
                 mask: np.ndarray) -> None:
    """Refuses sequences that do not fit each other.

    Raises:
        ValueError: They are not (N, F, K, D), alike, with (N, F, K).
    """
    if pred.shape != gt.shape or gt.ndim != 4 or mask.shape != gt.shape[:-1]:
        raise ValueError(
            'expected predictions and truth (N, F, K, D) and masks '
            f'(N, F, K), got {pred.shape}, {gt.shape} and {mask.shape}')


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float('nan')


class _SequenceMetric(BaseMetric):
    """What the metrics of sequences share: samples, tables, JSON."""

    title = ''

    def __init__(self, out_file: str | None = None,
                 collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.out_file = out_file

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keeps one result a window.

        Args:
            data_batch (Any): Unused.
            data_samples (Sequence[dict]): With ``pred_sequence`` and
                ``gt_sequence`` (F, K, 2) in one frame, ``present`` and
                ``observed`` (F, K).

        Raises:
            ValueError: A model that gives no sequences, or shapes that do
                not fit.
        """
        for sample in data_samples:
            if 'pred_sequence' not in sample:
                raise ValueError(
                    f'{type(self).__name__} reads "pred_sequence" of each '
                    f'sample, this model gives {sorted(sample)}')
            result = {key: np.asarray(sample[key]) for key in (
                'pred_sequence', 'gt_sequence', 'present', 'observed')}
            check_shapes(result['pred_sequence'][None],
                         result['gt_sequence'][None],
                         result['present'][None])
            self.results.append(result)

    def _skeleton(self) -> Skeleton:
        if self.dataset_meta and ('keypoint_id2name' in self.dataset_meta
                                  or 'keypoint_info' in self.dataset_meta):
            return Skeleton.from_metainfo(self.dataset_meta)
        return Skeleton.from_name('mpi_inf_3dhp_28')

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Calculates, prints and writes the table."""
        pred, gt, present, observed = (
            np.stack([r[k] for r in results]) for k in (
                'pred_sequence', 'gt_sequence', 'present', 'observed'))
        table = self._table(pred, gt, present, observed)
        print_log(f'\n{self.title}, {len(results)} windows\n' + format_table(
            [(name, {k: self.shown_times * v for k, v in row.items()})
             for name, row in table.items()]), logger='current')
        if self.out_file:
            write_json(self.out_file, dict(
                metric=self.title, windows=len(results), results=table))
        return {f'{name}/{key}': value for name, row in table.items()
                for key, value in row.items()}

    shown_times = 1

    def _table(self, pred: np.ndarray, gt: np.ndarray, present: np.ndarray,
               observed: np.ndarray) -> dict[str, dict[str, float]]:
        raise NotImplementedError


@METRICS.register_module()
class SequencePCKh(_SequenceMetric):
    """PCKh and its area, for unseen, observed and all joints.

    A joint is right within threshold times the distance from neck to head
    top of its frame, in the image (spec 3.4, [DERIVED]); frames without that
    distance are left out. The area is the integral over thresholds from 0 to
    1, exactly. Fractions, not percent, as in the paper.

    Args:
        thresholds (Sequence[float]): Defaults to (0.1, 0.5, 1.0).
        out_file (str, optional): JSON file for the table.
        collect_device (str): Defaults to ``'cpu'``.
        prefix (str, optional): Defaults to ``'pckh'``.
    """

    default_prefix = 'pckh'
    title = 'PCKh, %'
    shown_times = 100

    def __init__(self, thresholds: Sequence[float] = THRESHOLDS,
                 out_file: str | None = None, collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(out_file, collect_device, prefix)
        if not thresholds or min(thresholds) <= 0:
            raise ValueError('thresholds must be positive, got '
                             f'{list(thresholds)}')
        self.thresholds = tuple(thresholds)

    @staticmethod
    def heads(gt: np.ndarray, present: np.ndarray,
              joints: Skeleton | str = 'mpi_inf_3dhp_28') -> np.ndarray:
        """Distance from neck to head top of every frame.

        Returns:
            np.ndarray: (N, F) float64, NaN where an end is not present or
            both are in one place.

        Raises:
            ValueError: The joint set has no neck or head top.
        """
        skeleton = Skeleton.from_name(joints) if isinstance(joints, str) \
            else joints
        names = [skeleton.landmark(j) for j in skeleton.joints]
        lost = [j for j in ('neck', 'head_top') if j not in names]
        if lost:
            raise ValueError(f'PCKh measures by the head, and '
                             f'{skeleton.name!r} has no {lost}')
        neck, top = names.index('neck'), names.index('head_top')
        both = (present[..., neck] > 0) & (present[..., top] > 0)
        size = np.linalg.norm(np.where(
            both[..., None], gt[..., neck, :].astype(np.float64) -
            gt[..., top, :], 0), axis=-1)
        return np.where(both & (size > 0), size, np.nan)

    @staticmethod
    def calculate(pred: np.ndarray, gt: np.ndarray, mask: np.ndarray,
                  heads: np.ndarray,
                  thresholds: Sequence[float] = THRESHOLDS
                  ) -> dict[str, float]:
        """Calculates one row.

        Args:
            pred (np.ndarray): (N, F, K, 2).
            gt (np.ndarray): (N, F, K, 2), in the same frame.
            mask (np.ndarray): (N, F, K), positive where to count.
            heads (np.ndarray): (N, F) sizes; frames with NaN do not count.
            thresholds (Sequence[float]): Of heads.

        Returns:
            dict[str, float]: ``PCKh@0.1`` and so on, and ``AUC``, all in
            [0, 1] over all counted joints together; NaN where there is
            none. A prediction that is not finite is wrong.

        Raises:
            ValueError: Shapes do not fit.
        """
        pred, gt, mask = np.asarray(pred), np.asarray(gt), np.asarray(mask)
        check_shapes(pred, gt, mask)
        heads = np.asarray(heads, np.float64)
        if heads.shape != gt.shape[:2]:
            raise ValueError(f'heads must be {gt.shape[:2]}, got '
                             f'{heads.shape}')
        usable = np.isfinite(heads) & (heads > 0)
        counted = (mask > 0) & usable[..., None]
        size = np.broadcast_to(heads[..., None], counted.shape)[counted]
        error = np.linalg.norm(pred[counted].astype(np.float64) -
                               gt[counted], axis=-1) / size
        error = np.where(np.isfinite(error), error, np.inf)
        row = {f'PCKh@{t:.1f}' if t == round(t, 1) else f'PCKh@{t:g}':
               _mean(error <= t) for t in thresholds}
        # 1[e <= t] integrated over t in [0, 1] is what is left above e.
        row['AUC'] = _mean(np.clip(1 - error, 0, None))
        return row

    def _table(self, pred: np.ndarray, gt: np.ndarray, present: np.ndarray,
               observed: np.ndarray) -> dict[str, dict[str, float]]:
        heads = self.heads(gt, present, self._skeleton())
        return {name: self.calculate(pred, gt, mask, heads, self.thresholds)
                for name, mask in joint_sets(present, observed).items()}


@METRICS.register_module()
class SequenceErrors(_SequenceMetric):
    """Mean errors of positions and velocities, and jitter.

    In the unit of the keypoints, for unseen, observed and all joints.

    Args:
        out_file (str, optional): JSON file for the table.
        collect_device (str): Defaults to ``'cpu'``.
        prefix (str, optional): Defaults to ``'sequence'``.
    """

    default_prefix = 'sequence'
    title = 'Errors of sequences, thousandths'
    shown_times = 1000

    @staticmethod
    def calculate(pred: np.ndarray, gt: np.ndarray,
                  mask: np.ndarray) -> dict[str, float]:
        """Calculates one row.

        Args:
            pred (np.ndarray): (N, F, K, D).
            gt (np.ndarray): (N, F, K, D), in the same frame.
            mask (np.ndarray): (N, F, K), positive where to count.

        Returns:
            dict[str, float]: ``MPJPE``, mean distance (Eq. 4); ``MPJVE``,
            that of the differences of neighbouring frames (Eq. 5, over the
            F - 1 there are); ``Jitter`` and ``Jitter_gt``, mean lengths of
            the second differences of prediction and truth. Differences
            count where all of their frames do; NaN where none does, or where
            a prediction is not finite.

        Raises:
            ValueError: Shapes do not fit.
        """
        pred, gt = (np.asarray(a, np.float64) for a in (pred, gt))
        counted = np.asarray(mask) > 0
        check_shapes(pred, gt, counted)
        keep = counted[..., None]
        pred, gt = np.where(keep, pred, 0), np.where(keep, gt, 0)
        two = counted[:, 1:] & counted[:, :-1]
        three = two[:, 1:] & two[:, :-1]

        def jitter(x: np.ndarray) -> float:
            return _mean(np.linalg.norm(np.diff(x, 2, 1)[three], axis=-1))

        error = pred - gt
        return dict(
            MPJPE=_mean(np.linalg.norm(error[counted], axis=-1)),
            MPJVE=_mean(np.linalg.norm(np.diff(error, 1, 1)[two], axis=-1)),
            Jitter=jitter(pred), Jitter_gt=jitter(gt))

    def _table(self, pred: np.ndarray, gt: np.ndarray, present: np.ndarray,
               observed: np.ndarray) -> dict[str, dict[str, float]]:
        return {name: self.calculate(pred, gt, mask)
                for name, mask in joint_sets(present, observed).items()}
