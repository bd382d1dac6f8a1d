"""PCK tables with the columns of MirrorNet's Tables 2 to 9.

Both metrics print one table, Head to Ankle and Total, and write JSON.
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpose.evaluation.metrics import MpiiPCKAccuracy
from mmpose.registry import METRICS

from mirrorpose.structures.skeleton import Skeleton
from mirrorpose.utils.files import write_text

#: Column to the anatomical landmarks that it is the mean of.
PARTS: dict[str, tuple[str, ...]] = {
    'Head': ('head_top', 'neck'),
    'Shoulder': ('left_shoulder', 'right_shoulder'),
    'Elbow': ('left_elbow', 'right_elbow'),
    'Wrist': ('left_wrist', 'right_wrist'),
    'Hip': ('left_hip', 'right_hip'),
    'Knee': ('left_knee', 'right_knee'),
    'Ankle': ('left_ankle', 'right_ankle'),
}

#: The diagonal of the torso. LSP's leaderboards write it as the distance of
#: the joints 10 and 3, counted from one: left shoulder and right hip.
TORSO = ('left_shoulder', 'right_hip')

#: A joint set, its name, or joint names in order.
Joints = Sequence[str] | str | Skeleton

#: Normaliser to what it is called in a table.
NORMS = {'bbox': 'tight box', 'torso': 'torso diagonal'}


def format_table(rows: Sequence[tuple[str, dict[str, float]]]) -> str:
    """Formats results as a plain text table.

    Args:
        rows (Sequence[tuple[str, dict]]): Title and values of each row; the
            columns are those of the first row. A value that is missing or
            not a number is shown as ``-``.

    Returns:
        str: The table, one line a row, values with two decimals.
    """
    columns = list(rows[0][1])
    width = max(len(title) for title, _ in rows)
    lines = [' ' * width + ' | ' + ' '.join(f'{c:>8}' for c in columns)]
    lines.append('-' * width + '-+-' + '-' * (9 * len(columns) - 1))
    for title, values in rows:
        cells = [values.get(c, float('nan')) for c in columns]
        lines.append(f'{title:<{width}} | ' + ' '.join(
            f'{v:8.2f}' if np.isfinite(v) else f'{"-":>8}' for v in cells))
    return '\n'.join(lines)


def write_json(path: str | Path, content: dict) -> None:
    """Writes JSON in one piece; a value that is not a number becomes null."""
    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: clean(v) for k, v in value.items()}
        if isinstance(value, (float, np.floating)):
            return float(value) if np.isfinite(value) else None
        return value.item() if isinstance(value, np.generic) else value

    write_text(Path(path), json.dumps(clean(content), indent=2) + '\n')


@METRICS.register_module()
class LspPCK(BaseMetric):
    """PCK by joint name: correct is a distance of at most thr * normaliser.

    Columns are the means of their joints' scores (each the share of the
    people in whom the joint is annotated), ``Head`` of head top and neck as
    in the evaluation of LSP. ``Total`` is the unweighted mean over all
    joints of the data set, which is how the paper's column comes about
    (with LSP's 16: 14 annotated joints, pelvis and thorax); ``Total14``
    leaves out the joints that were derived.

    Joints that are not annotated never count. The box is the tight box of
    the annotated joints, whatever box the data set or a detector gives. A
    person without annotated torso joints (or without extent) is left out of
    that normaliser only, and the log says how many were.

    Args:
        norm (str | Sequence[str]): ``'bbox'`` (max of width and height of
            the tight box; MirrorNet), ``'torso'`` (left shoulder to right
            hip; LSP's leaderboards), or both. The first one's results have
            the plain names, a second one's end in ``_bbox`` or ``_torso``.
            Defaults to ``'bbox'``.
        thr (float): Defaults to 0.2.
        out_file (str, optional): JSON file for the results. Defaults to
            None.
        collect_device (str): ``'cpu'`` or ``'gpu'``. Defaults to ``'cpu'``.
        prefix (str, optional): Defaults to ``'pck'``.

    Results: ``Head`` ... ``Ankle``, ``Total``, ``Total14`` in percent; not
    a number where no person has the joint.

    Raises:
        ValueError: An unknown normaliser, or a threshold that is not
            positive.
    """

    default_prefix = 'pck'

    def __init__(self,
                 norm: str | Sequence[str] = 'bbox',
                 thr: float = 0.2,
                 out_file: str | None = None,
                 collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.norms = (norm, ) if isinstance(norm, str) else tuple(norm)
        unknown = [n for n in self.norms if n not in NORMS]
        if unknown or not self.norms or len(set(self.norms)) < len(
                self.norms):
            raise ValueError(f'norm must be of {list(NORMS)}, each once, got '
                             f'{norm!r}')
        if thr <= 0:
            raise ValueError(f'thr must be positive, got {thr}')
        self.thr = thr
        self.out_file = out_file

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keeps one result a sample.

        Args:
            data_batch (Any): Unused.
            data_samples (Sequence[dict]): With ``pred_instances.keypoints``
                (1, K, 2), ``gt_instances.keypoints`` (1, K, 2) and
                ``.keypoints_visible`` (1, K), in the same pixel frame.

        Raises:
            ValueError: Prediction and truth have different joint counts.
        """
        for sample in data_samples:
            truth = sample['gt_instances']
            pred = np.asarray(sample['pred_instances']['keypoints'])[:1]
            gt = np.asarray(truth['keypoints'])
            if pred.shape != gt.shape:
                raise ValueError(
                    f'sample {sample.get("id")!r}: predicted keypoints have '
                    f'the shape {pred.shape}, annotated ones {gt.shape}')
            visible = np.asarray(truth['keypoints_visible'])
            if visible.ndim == 3:
                visible = visible[..., 0]
            self.results.append(
                dict(pred=pred[0], gt=gt[0], visible=visible[0] > 0))

    @staticmethod
    def normalisers(gt: np.ndarray,
                    visible: np.ndarray,
                    norm: str,
                    joints: Joints = 'mpii_16') -> np.ndarray:
        """Returns each person's size.

        Args:
            gt (np.ndarray): (N, K, 2) annotated keypoints.
            visible (np.ndarray): (N, K), positive where annotated.
            norm (str): ``'bbox'`` or ``'torso'``.
            joints: As in :meth:`calculate`.

        Returns:
            np.ndarray: (N,) float64, NaN for people who have no such size.
        """
        present = np.asarray(visible) > 0
        points = np.where(present[..., None], gt, np.nan).astype(np.float64)
        if norm == 'torso':
            names = _landmarks(joints)
            a, b = (names.index(j) for j in TORSO)
            size = np.linalg.norm(points[:, a] - points[:, b], axis=-1)
        elif norm == 'bbox':
            high = np.where(present[..., None], gt, -np.inf).max(axis=1)
            low = np.where(present[..., None], gt, np.inf).min(axis=1)
            size = (high.astype(np.float64) - low).max(axis=-1)
        else:
            raise ValueError(f'norm must be of {list(NORMS)}, got {norm!r}')
        return np.where(np.isfinite(size) & (size > 0), size, np.nan)

    @staticmethod
    def calculate(pred: np.ndarray,
                  gt: np.ndarray,
                  visible: np.ndarray,
                  norm: str = 'bbox',
                  thr: float = 0.2,
                  joints: Joints = 'mpii_16') -> dict[str, float]:
        """Calculates one row of the table.

        Args:
            pred (np.ndarray): (N, K, 2) predictions.
            gt (np.ndarray): (N, K, 2) annotations, in the same frame.
            visible (np.ndarray): (N, K), positive where annotated.
            norm (str): ``'bbox'`` or ``'torso'``. Defaults to ``'bbox'``.
            thr (float): Defaults to 0.2.
            joints (Sequence[str] | str | Skeleton): The K joint names, or a
                joint set or its name. Defaults to ``'mpii_16'``.

        Returns:
            dict[str, float]: ``Head`` ... ``Ankle``, ``Total``, ``Total14``
            in percent, NaN where there is nothing to count. A prediction
            that is not finite is wrong.

        Raises:
            ValueError: Shapes or joint count do not fit.
        """
        names = _landmarks(joints)
        pred, gt = np.asarray(pred), np.asarray(gt)
        present = np.asarray(visible) > 0
        if pred.shape != gt.shape or gt.shape != present.shape + (2, ) or (
                gt.shape[1] != len(names)):
            raise ValueError(
                f'expected (N, {len(names)}, 2), (N, {len(names)}, 2) and '
                f'(N, {len(names)}), got {pred.shape}, {gt.shape} and '
                f'{present.shape}')
        size = LspPCK.normalisers(gt, present, norm, joints)
        counted = present & np.isfinite(size)[:, None]
        keep = counted[..., None]
        error = np.linalg.norm(
            np.where(keep, pred, 0).astype(np.float64) -
            np.where(keep, gt, 0).astype(np.float64), axis=-1)
        limit = np.where(np.isfinite(size), thr * size, 0)[:, None]
        correct = counted & (error <= limit)
        count = counted.sum(axis=0)
        score = np.full(len(names), np.nan)
        np.divide(100. * correct.sum(axis=0), count, out=score,
                  where=count > 0)
        derived = [names.index(j) for j in ('pelvis', 'thorax')
                   if j in names]
        table = {column: _mean([score[names.index(j)] for j in parts
                                if j in names])
                 for column, parts in PARTS.items()}
        table['Total'] = _mean(score)
        table['Total14'] = _mean(np.delete(score, derived))
        return table

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Calculates, prints and writes the table."""
        pred, gt, visible = (np.stack([r[k] for r in results])
                             for k in ('pred', 'gt', 'visible'))
        joints: Joints = 'mpii_16'
        if self.dataset_meta:
            joints = Skeleton.from_metainfo(self.dataset_meta)
        rows, metrics, lost = [], {}, {}
        for norm in self.norms:
            values = self.calculate(pred, gt, visible, norm, self.thr, joints)
            rows.append((f'PCK@{self.thr:g} ({NORMS[norm]})', values))
            suffix = '' if norm == self.norms[0] else f'_{norm}'
            metrics.update({k + suffix: v for k, v in values.items()})
            size = self.normalisers(gt, visible, norm, joints)
            lost[norm] = int(np.isnan(size).sum())
            if lost[norm]:
                print_log(
                    f'{lost[norm]} of {len(gt)} people have no '
                    f'{NORMS[norm]} (joints not annotated) and are left out '
                    'of that row', logger='current')
        print_log('\n' + format_table(rows), logger='current')
        if self.out_file:
            write_json(self.out_file, dict(
                metric='PCK', thr=self.thr, people=len(gt),
                results={n: row for n, (_, row) in zip(self.norms, rows)},
                left_out=lost))
        return metrics


@METRICS.register_module()
class MpiiPCKTable(MpiiPCKAccuracy):
    """PCKh by mmpose's :class:`MpiiPCKAccuracy`, in the same table layout.

    The values are mmpose's, untouched: ``Head`` is head top alone,
    ``Total`` weighs each joint by its annotations and leaves out pelvis and
    thorax. The ground truth must hold ``head_size`` (``MpiiDataset`` with
    ``headbox_file``).

    Args:
        thr (float): Defaults to 0.5.
        out_file (str, optional): JSON file for the results. Defaults to
            None.
        collect_device (str): ``'cpu'`` or ``'gpu'``. Defaults to ``'cpu'``.
        prefix (str, optional): Defaults to ``'pckh'``.
    """

    default_prefix = 'pckh'

    def __init__(self,
                 thr: float = 0.5,
                 out_file: str | None = None,
                 collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(thr=thr, norm_item='head',
                         collect_device=collect_device, prefix=prefix)
        self.out_file = out_file

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Renames, prints and writes mmpose's results."""
        values = super().compute_metrics(results)
        table = {c: float(values[f'{c} PCK']) for c in PARTS}
        table['Total'] = float(values['PCK'])
        metrics = dict(table, **{'Total@0.1': float(values['PCK@0.1'])})
        print_log('\n' + format_table([(f'PCKh@{self.thr:g}', table)]),
                  logger='current')
        if self.out_file:
            write_json(self.out_file, dict(
                metric='PCKh', thr=self.thr, people=len(results),
                results=dict(head=metrics)))
        return metrics


def _mean(scores: Sequence[float] | np.ndarray) -> float:
    """The mean over the joints that somebody has; NaN for none."""
    values = np.asarray(scores, dtype=np.float64)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float('nan')


def _landmarks(joints: Joints) -> list[str]:
    """Anatomical names of the joints of a set, in order.

    Raises:
        ValueError: The set lacks joints that the table or the torso needs.
    """
    if isinstance(joints, str):
        joints = Skeleton.from_name(joints)
    if isinstance(joints, Skeleton):
        names = [joints.landmark(j) for j in joints.joints]
    else:
        names = ['neck' if j == 'upper_neck' else str(j) for j in joints]
    lost = [j for part, parts in PARTS.items() if part != 'Head'
            for j in parts if j not in names]
    if lost:
        raise ValueError(f'LspPCK needs the joints {lost}; this set has '
                         f'{names}')
    return names
