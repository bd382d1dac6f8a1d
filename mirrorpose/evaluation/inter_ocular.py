"""Errors of faces' landmarks over the distance of the eyes (300-W)."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmpose.evaluation.metrics import NME
from mmpose.registry import METRICS

from mirrorpose.structures.skeleton import Skeleton

from .keypoint_results import read_sample, read_tables, rows_of
from .keypoint_sides import keypoint_errors
from .pck import format_table, write_json

#: Outer corners of the eyes.
EYES = {'ibug_68': (36, 45)}


@METRICS.register_module()
class InterOcularNME(NME):
    """Mean error over the distance of the outer eye corners, in percent.

    mmpose's :class:`NME`, whose figure this is as predicted, with the other
    labellings and the linear map.

    Args:
        keypoint_indices (Sequence[int], optional): The two eye corners.
            Defaults to those of the joint set, 36 and 45 for 68 points.
        out_file (str, optional): JSON file for the results.
        collect_device (str): ``'cpu'`` or ``'gpu'``. Defaults to ``'cpu'``.
        prefix (str, optional): Defaults to ``'nme'``.

    Results: ``NME``, ``NME_corrected``, ``NME_oracle``, each with ``_post``,
    and ``right_side*``, as of :class:`.keypoints.MeanKeypointError`.
    """

    default_prefix = 'nme'

    def __init__(self, keypoint_indices: Sequence[int] | None = None,
                 out_file: str | None = None, collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__('keypoint_distance',
                         keypoint_indices=keypoint_indices,
                         collect_device=collect_device, prefix=prefix)
        self.out_file = out_file

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keeps one result a sample; see ``MeanKeypointError``."""
        self.results += [read_sample(sample) for sample in data_samples]

    @staticmethod
    def calculate(pred: np.ndarray, gt: np.ndarray, visible: np.ndarray,
                  eyes: Sequence[int] = EYES['ibug_68']) -> float:
        """Mean over joints and images of distance over eye distance.

        Args:
            pred (np.ndarray): (N, K, 2) predictions.
            gt (np.ndarray): (N, K, 2) annotations.
            visible (np.ndarray): (N, K), positive where annotated. Images
                without both eyes, or with eyes in one place, do not count.
            eyes (Sequence[int]): The two corners. Defaults to (36, 45).

        Returns:
            float: Percent; NaN where nothing counts.

        Raises:
            ValueError: Shapes do not fit.
        """
        errors = keypoint_errors(pred, gt, visible)
        a, b = eyes
        there = (np.asarray(visible)[:, [a, b]] > 0).all(1)
        gt = np.asarray(gt, float)
        size = np.linalg.norm(gt[:, a] - gt[:, b], axis=-1)
        keep = there & (size > 0)
        errors = errors[keep] / size[keep, None]
        counted = np.isfinite(errors)
        return 100. * float(errors[counted].mean()) if counted.any() else (
            float('nan'))

    def _eyes(self, skeleton: Skeleton) -> Sequence[int]:
        """Indices of the eye corners.

        Raises:
            ValueError: The joint set has none that are known.
        """
        if self.keypoint_indices is not None:
            return self.keypoint_indices
        name = self.dataset_meta.get('dataset_name', '')
        found = EYES.get(skeleton.name,
                         self.DEFAULT_KEYPOINT_INDICES.get(name))
        if found is None:
            raise ValueError(f'{skeleton.name!r} has no known eye corners; '
                             'pass keypoint_indices=(right, left)')
        return found

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Calculates, prints and writes the figures."""
        skeleton = Skeleton.from_metainfo(self.dataset_meta)
        eyes = self._eyes(skeleton)
        test, gt, visible, table, metrics = read_tables(results, skeleton)
        metrics |= {f'NME{k}': self.calculate(v, gt, visible, eyes)
                    for k, v in table.items()}
        print_log(
            f'inter-ocular error of {len(test)} images, percent:\n'
            + format_table(rows_of(metrics, 'NME')), logger='current')
        if self.out_file:
            write_json(self.out_file, dict(
                metric='inter-ocular NME', images=len(test),
                fitted=len(results) - len(test), results=metrics))
        return metrics
