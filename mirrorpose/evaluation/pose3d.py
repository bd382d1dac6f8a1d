"""Errors of 3D poses: MPJPE, N-MPJPE, P-MPJPE, 3D PCK and its area.

All are of root-relative poses in mm. An MPJPE means nothing without the frame
that it is measured in, so every result's name says it: ``camera_frame/MPJPE``
or ``canonical_frame/MPJPE`` (the person turned to face a fixed way).
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpose.registry import METRICS

from mirrorpose.structures.alignment import aligned_distances
from mirrorpose.structures.skeleton import Skeleton

from .pck import format_table, write_json
from .root_relative import Root, as_array, prepare, root_of

#: Frames that a pose may be in.
FRAMES = ('camera', 'canonical')
#: MPI-INF-3DHP's thresholds of the area, mm.
AREA = tuple(range(0, 151, 5))


class _Pose3DMetric(BaseMetric):
    """What the metrics of 3D poses share: samples, rows, JSON."""

    def __init__(self, frame: str = 'camera', by: str | None = None,
                 joints: Sequence[str] | None = None,
                 pred_key: str | None = None, gt_key: str | None = None,
                 out_file: str | None = None, collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        if frame not in FRAMES:
            raise ValueError(f'frame must be one of {list(FRAMES)}, got '
                             f'{frame!r}')
        super().__init__(collect_device=collect_device,
                         prefix=prefix or f'{frame}_frame')
        self.frame = frame
        self.by = by
        self.joints = joints
        self.pred_key = pred_key or f'keypoints_3d_{frame}'
        self.gt_key = gt_key or f'keypoints_3d_{frame}'
        self.out_file = out_file

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keeps one result a sample.

        Args:
            data_batch (Any): Unused.
            data_samples (Sequence[dict]): With predictions (1, K, 3) in
                ``pred_instances`` and truth (1, K, 3) in
                ``gt_instance_labels`` or ``gt_instances``, mm, under
                ``keypoints_3d_camera`` or ``keypoints_3d_canonical``;
                optionally ``keypoints_3d_visible`` (1, K) with the truth.

        Raises:
            ValueError: A sample lacks one of them.
        """
        for sample in data_samples:
            pred = _entry(sample, ('pred_instances', ), self.pred_key)
            truth = ('gt_instance_labels', 'gt_instances')
            gt = _entry(sample, truth, self.gt_key).reshape(-1, 3)
            seen = np.isfinite(gt).all(-1)
            held = _entry(sample, truth, 'keypoints_3d_visible', False)
            if held is not None:
                seen &= held.reshape(-1) > 0
            if self.by is not None and self.by not in sample:
                raise ValueError(f'samples have no {self.by!r} to make rows '
                                 f'by, only {sorted(map(str, sample))}')
            self.results.append(dict(
                pred=pred.reshape(-1, 3), gt=gt, mask=seen,
                row=str(sample[self.by]) if self.by else ''))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Calculates, prints and writes the table."""
        counts = {r['gt'].shape[0] for r in results} | {
            r['pred'].shape[0] for r in results}
        if len(counts) > 1:
            raise ValueError(
                f'poses have {sorted(counts)} joints: one metric measures '
                'one joint set; convert the others with Skeleton.convert')
        skeleton = self._skeleton()
        if len(skeleton) not in counts:
            raise ValueError(f'poses have {counts.pop()} joints, the data '
                             f'set\'s {skeleton.name!r} has {len(skeleton)}')
        pred, gt, mask = (np.stack([r[k] for r in results])
                          for k in ('pred', 'gt', 'mask'))
        counted = np.zeros(len(skeleton), bool)
        counted[skeleton.index(*(self.joints or skeleton.joints))] = True
        root = root_of(skeleton)
        pred, gt, mask = prepare(pred, gt, mask, root)
        mask &= counted
        table = {'all': self._row(pred, gt, mask)}
        names = np.array([r['row'] for r in results])
        if self.by:
            for name in sorted(set(names)):
                rows = names == name
                if mask[rows].any():
                    table[name] = self._row(pred[rows], gt[rows], mask[rows])
            groups = list(table.values())[1:]
            table[f'mean by {self.by}'] = {
                k: float(np.mean([g[k] for g in groups])) for k in groups[0]}
        annotated = int(mask.any(1).sum())
        title = (f'3D poses in the {self.frame} frame, {annotated} of '
                 f'{len(results)} annotated')
        print_log(f'\n{title}\n' + format_table(list(table.items())),
                  logger='current')
        if self.out_file:
            write_json(self.out_file, dict(
                metric=title, frame=self.frame, joints=skeleton.name,
                poses=annotated, results=table))
        out = dict(table['all'])
        if self.by:
            out |= {f'{k}_by_{self.by}': v
                    for k, v in table[f'mean by {self.by}'].items()}
        return out

    def _skeleton(self) -> Skeleton:
        meta = self.dataset_meta or {}
        if 'keypoint_id2name' in meta or 'keypoint_info' in meta:
            return Skeleton.from_metainfo(meta)
        return Skeleton.from_name('h36m_17')

    def _row(self, pred: np.ndarray, gt: np.ndarray,
             mask: np.ndarray) -> dict[str, float]:
        raise NotImplementedError


def _entry(sample: Mapping, groups: Sequence[str], key: str,
           needed: bool = True) -> Any:
    for group in groups:
        if key in (sample.get(group) or ()):
            return as_array(sample[group][key])
    if not needed:
        return None
    raise ValueError(
        f'a sample has no {key!r} in {" or ".join(groups)}, only '
        f'{[sorted(map(str, sample.get(g) or ())) for g in groups]}')


@METRICS.register_module()
class PoseErrors3D(_Pose3DMetric):
    """MPJPE, N-MPJPE and P-MPJPE in mm, in a named frame.

    - ``MPJPE``: mean distance of a joint, both poses root-relative.
    - ``N-MPJPE``: after the best scale of the prediction (Rhodin et al.,
      2018), one number a pose.
    - ``P-MPJPE``: after the best similarity (Umeyama, 1991; no reflection),
      the same in every frame. It is the least-squares alignment, not the
      one that would make the mean distance least.

    The mean is over all annotated joints together.

    Args:
        frame (str): ``'camera'`` or ``'canonical'``: which poses are read,
            and the prefix of the results. Defaults to ``'camera'``.
        by (str, optional): Also a row for each value of this entry of the
            metainfo, and the mean of the rows, such as ``'action'``
            (Human3.6M's convention). Defaults to None.
        joints (Sequence[str], optional): Joints that count. Defaults to all.
        pred_key (str, optional): Defaults to ``keypoints_3d_`` and the
            frame.
        gt_key (str, optional): As ``pred_key``.
        out_file (str, optional): JSON file for the table.
        collect_device (str): Defaults to ``'cpu'``.
        prefix (str, optional): Defaults to the frame and ``_frame``.

    Raises:
        ValueError: An unknown frame.
    """

    @staticmethod
    def calculate(pred: Any, gt: Any, mask: Any = None, root: Root = None
                  ) -> dict[str, float]:
        """Calculates the three errors.

        Args:
            pred (np.ndarray | Tensor): (N, K, 3).
            gt (np.ndarray | Tensor): (N, K, 3), NaN where not annotated.
            mask (np.ndarray | Tensor, optional): (N, K).
            root (int | Sequence[int], optional): See :func:`prepare`.

        Returns:
            dict[str, float]: ``MPJPE``, ``N-MPJPE``, ``P-MPJPE`` in the unit
            of the poses.

        Raises:
            ValueError: See :func:`prepare`.
        """
        return PoseErrors3D._errors(*prepare(pred, gt, mask, root))

    @staticmethod
    def _errors(pred: np.ndarray, gt: np.ndarray,
                mask: np.ndarray) -> dict[str, float]:
        weight = mask / mask.sum()
        pred, gt = (p * mask[..., None] for p in (pred, gt))
        size = np.einsum('nkd,nkd->n', pred, pred)
        dot = np.einsum('nkd,nkd->n', pred, gt)
        scale = np.divide(dot, size, out=np.zeros_like(dot), where=size > 0)
        off = aligned_distances(
            torch.from_numpy(pred), torch.from_numpy(gt),
            None if mask.all() else torch.from_numpy(mask)).numpy()
        return {
            'MPJPE': float((_norm(pred - gt) * weight).sum()),
            'N-MPJPE': float((_norm(scale[:, None, None] * pred - gt)
                              * weight).sum()),
            'P-MPJPE': float((off * weight).sum())}

    def _row(self, pred: np.ndarray, gt: np.ndarray,
             mask: np.ndarray) -> dict[str, float]:
        return self._errors(pred, gt, mask)


@METRICS.register_module()
class PosePCK3D(_Pose3DMetric):
    """3D PCK at 150 mm and its area (MPI-INF-3DHP), in percent.

    A joint is right within the threshold, the threshold included. The area
    is the mean over the thresholds 0, 5, ..., 150 mm.

    Args:
        threshold (float): In mm. Defaults to 150.
        frame, by, joints, pred_key, gt_key, out_file, collect_device,
            prefix: As :class:`PoseErrors3D`.

    Raises:
        ValueError: An unknown frame, or a threshold that is not positive.
    """

    def __init__(self, threshold: float = 150., frame: str = 'camera',
                 by: str | None = None, joints: Sequence[str] | None = None,
                 pred_key: str | None = None, gt_key: str | None = None,
                 out_file: str | None = None, collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(frame, by, joints, pred_key, gt_key, out_file,
                         collect_device, prefix)
        if threshold <= 0:
            raise ValueError(f'threshold must be positive, got {threshold}')
        self.threshold = threshold

    @staticmethod
    def calculate(pred: Any, gt: Any, mask: Any = None, root: Root = None,
                  threshold: float = 150.) -> dict[str, float]:
        """Calculates both.

        Args:
            pred (np.ndarray | Tensor): (N, K, 3) in mm.
            gt (np.ndarray | Tensor): (N, K, 3), NaN where not annotated.
            mask (np.ndarray | Tensor, optional): (N, K).
            root (int | Sequence[int], optional): See :func:`prepare`.
            threshold (float): Defaults to 150.

        Returns:
            dict[str, float]: ``PCK@150`` (or the threshold given) and
            ``AUC``, in [0, 100].

        Raises:
            ValueError: See :func:`prepare`.
        """
        return PosePCK3D._shares(*prepare(pred, gt, mask, root), threshold)

    @staticmethod
    def _shares(pred: np.ndarray, gt: np.ndarray, mask: np.ndarray,
                threshold: float) -> dict[str, float]:
        off = np.sort(_norm(pred - gt)[mask])

        def share(limits: Any) -> np.ndarray:
            return np.searchsorted(off, limits, side='right') / off.size

        return {f'PCK@{threshold:g}': 100 * float(share(threshold)),
                'AUC': 100 * float(share(AREA).mean())}

    def _row(self, pred: np.ndarray, gt: np.ndarray,
             mask: np.ndarray) -> dict[str, float]:
        return self._shares(pred, gt, mask, self.threshold)


def _norm(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum('...d,...d->...', vectors, vectors))
