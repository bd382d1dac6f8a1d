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
from typing import Any, NamedTuple

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpose.evaluation.metrics import NME
from mmpose.registry import METRICS

from mirrorpose.structures.skeleton import Skeleton

from .pck import format_table, write_json

UNITS = ('percent', 'pixel')
#: Outer corners of the eyes.
EYES = {'ibug_68': (36, 45)}


class LinearMap(NamedTuple):
    """Keypoints as linear functions of all predicted coordinates.

    Attributes:
        weight (np.ndarray): (2 K_in + 1, 2 K_out) float64; the last row is
            the constant.
    """

    weight: np.ndarray

    @classmethod
    def fit(cls, pred: np.ndarray, gt: np.ndarray,
            visible: np.ndarray) -> LinearMap:
        """Least squares, each joint over the people in whom it is annotated.

        Args:
            pred (np.ndarray): (N, K_in, 2) predictions.
            gt (np.ndarray): (N, K_out, 2) annotations.
            visible (np.ndarray): (N, K_out), positive where annotated.

        Raises:
            ValueError: Fewer samples than unknowns: any prediction would
                fit.
        """
        pred, gt = np.asarray(pred, float), np.asarray(gt, float)
        there = np.asarray(visible) > 0
        if not len(pred) == len(gt) == len(there) or (
                gt.shape[:2] != there.shape):
            raise ValueError(f'pred {pred.shape}, gt {gt.shape} and visible '
                             f'{there.shape} do not fit')
        design = cls._design(pred)
        count, unknowns = design.shape
        weight = np.zeros((unknowns, gt.shape[1], 2))
        # Joints that are annotated in the same people share a solution.
        patterns, which = np.unique(there, axis=1, return_inverse=True)
        for number, used in enumerate(patterns.T):
            joints = np.nonzero(which.ravel() == number)[0]
            if not used.any():  # nowhere annotated: they stay at 0
                continue
            if used.sum() < unknowns:
                raise ValueError(
                    f'the linear map has {unknowns} unknowns a coordinate, '
                    f'but joints {joints.tolist()} are annotated in only '
                    f'{int(used.sum())} of {count} samples to fit; give more '
                    "frames of the training set role='fit'")
            solution = np.linalg.lstsq(
                design[used], gt[used][:, joints].reshape(used.sum(), -1),
                rcond=None)[0]
            weight[:, joints] = solution.reshape(unknowns, -1, 2)
        return cls(weight.reshape(unknowns, -1))

    def __call__(self, pred: np.ndarray) -> np.ndarray:
        """(N, K_in, 2) predictions to (N, K_out, 2) float64."""
        out = self._design(np.asarray(pred, float)) @ self.weight
        return out.reshape(len(out), -1, 2)

    @staticmethod
    def _design(pred: np.ndarray) -> np.ndarray:
        flat = pred.reshape(len(pred), -1)
        return np.concatenate([flat, np.ones((len(flat), 1))], 1)


def keypoint_errors(pred: np.ndarray, gt: np.ndarray,
                    visible: np.ndarray) -> np.ndarray:
    """Distances (N, K) float64; NaN where a joint is not annotated.

    Raises:
        ValueError: Shapes do not fit, or a counted prediction is not finite.
    """
    pred, gt = np.asarray(pred, float), np.asarray(gt, float)
    there = np.asarray(visible) > 0
    if pred.shape != gt.shape or gt.shape != there.shape + (2, ):
        raise ValueError(
            f'expected (N, K, 2), (N, K, 2) and (N, K), got {pred.shape}, '
            f'{gt.shape} and {there.shape}')
    bad = np.nonzero((~np.isfinite(pred).all(-1) & there).any(1))[0]
    if len(bad):
        raise ValueError(f'{len(bad)} samples have predictions that are not '
                         f'finite, the first is number {bad[0]}')
    gap = np.where(there[..., None], pred - np.where(
        there[..., None], gt, 0), 0)
    return np.where(there, np.linalg.norm(gap, axis=-1), np.nan)


def oracle_swaps(pred: np.ndarray, gt: np.ndarray, visible: np.ndarray,
                 flip_indices: Sequence[int]) -> np.ndarray:
    """(N,) bool: whether the mirror labelling of an image is the better.

    Better is the smaller mean distance over the annotated joints; the labels
    of all joints of an image change together.
    """
    swapped = np.asarray(pred)[:, list(flip_indices)]
    own = _person_means(keypoint_errors(pred, gt, visible))
    other = _person_means(keypoint_errors(swapped, gt, visible))
    return other < own


def _person_means(errors: np.ndarray) -> np.ndarray:
    """(N,) means over what is annotated; NaN for nothing."""
    count = np.isfinite(errors).sum(1)
    return np.divide(np.nansum(errors, 1), count,
                     out=np.full(len(errors), np.nan), where=count > 0)


def labellings(pred: np.ndarray, gt: np.ndarray, visible: np.ndarray,
               flip_indices: Sequence[int],
               corrected: np.ndarray | None = None
               ) -> dict[str, np.ndarray]:
    """The predictions that the figures are calculated from.

    Args:
        pred (np.ndarray): (N, K, 2).
        gt (np.ndarray): (N, K, 2).
        visible (np.ndarray): (N, K).
        flip_indices (Sequence[int]): K channels of a mirrored image.
        corrected (np.ndarray, optional): (N, K, 2), a model's choice.

    Returns:
        dict[str, np.ndarray]: ``''`` as predicted, ``'_corrected'`` where
        there is such, ``'_oracle'``.
    """
    swap = oracle_swaps(pred, gt, visible, flip_indices)
    out = {'': np.asarray(pred, float)}
    if corrected is not None:
        out['_corrected'] = np.asarray(corrected, float)
    out['_oracle'] = np.where(swap[:, None, None],
                              np.asarray(pred, float)[:, list(flip_indices)],
                              pred)
    return out


def _shares(table: dict[str, np.ndarray]) -> dict[str, float]:
    """In percent, how often a labelling is the oracle's."""
    best = table['_oracle']
    return {f'right_side{k}': 100. * float(
        np.isclose(v, best, atol=1e-4).all((1, 2)).mean())
        for k, v in table.items() if k != '_oracle'}


def _read(sample: dict) -> dict[str, Any]:
    """One result of a data sample."""
    pred, truth = sample['pred_instances'], sample['gt_instances']
    points = np.asarray(pred['keypoints'])[0, :, :2]
    gt = np.asarray(truth['keypoints'])[0, :, :2]
    if points.shape != gt.shape:
        raise ValueError(
            f'sample {sample.get("id")!r}: predicted keypoints have the '
            f'shape {points.shape}, annotated ones {gt.shape}')
    out = dict(pred=points, gt=gt, visible=np.asarray(
        truth['keypoints_visible']).reshape(len(gt), -1)[:, 0] > 0,
        role=sample.get('role', 'test'), action=sample.get('action') or '')
    if 'keypoints_corrected' in pred:
        out['corrected'] = np.asarray(pred['keypoints_corrected'])[0, :, :2]
    return out


def _stack(results: Sequence[dict], key: str) -> np.ndarray:
    return np.stack([r[key] for r in results])


def _corrected(results: Sequence[dict]) -> np.ndarray | None:
    """The corrected predictions, where all samples have them."""
    have = [r for r in results if 'corrected' in r]
    if have and len(have) < len(results):
        raise ValueError(f'{len(have)} of {len(results)} samples have '
                         'keypoints_corrected; all or none need them')
    return _stack(results, 'corrected') if have else None


def _part(results: Sequence[dict], role: str) -> list[dict]:
    return [r for r in results if r['role'] == role]


def _post(results: Sequence[dict], table: dict[str, np.ndarray],
          flip_indices: Sequence[int]) -> dict[str, np.ndarray]:
    """Every labelling after the linear map fitted to its own."""
    fit = _part(results, 'fit')
    if not fit:
        return {}
    gt, visible = _stack(fit, 'gt'), _stack(fit, 'visible')
    known = labellings(_stack(fit, 'pred'), gt, visible, flip_indices,
                       _corrected(fit))
    return {f'{k}_post': LinearMap.fit(known[k], gt, visible)(v)
            for k, v in table.items() if k in known}


def _titles(values: dict[str, float]) -> list[tuple[str, dict[str, float]]]:
    """Rows of the log's table: labellings, columns without and with post."""
    rows = []
    for ending, title in (('', 'as predicted'), ('_corrected', 'corrected'),
                          ('_oracle', 'oracle')):
        found = {k: values[f'{k}{ending}'] for k in ('error', )
                 if f'{k}{ending}' in values}
        if found:
            found['post'] = values.get(f'error{ending}_post', float('nan'))
            rows.append((title, found))
    return rows


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
            the samples. Defaults to False.
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
                 by_action: bool = False, out_file: str | None = None,
                 collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if unit not in UNITS:
            raise ValueError(f'unit must be one of {UNITS}, got {unit!r}')
        self.unit, self.joints = unit, joints
        self.by_action, self.out_file = by_action, out_file

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
            self.results.append(dict(_read(sample), factor=factor))

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
        test = _part(results, 'test')
        if not test:
            raise ValueError("all samples have role='fit'; there is none to "
                             'evaluate')
        skeleton = Skeleton.from_metainfo(self.dataset_meta)
        gt, visible = _stack(test, 'gt'), _stack(test, 'visible')
        if self.joints is not None:
            visible = visible & np.isin(np.arange(len(skeleton)),
                                        skeleton.index(*self.joints))
        table = labellings(_stack(test, 'pred'), gt, visible,
                           skeleton.flip_indices, _corrected(test))
        metrics = _shares(table)
        table |= _post(results, table, skeleton.flip_indices)
        factor = np.array([r['factor'] for r in test])

        def error(pred: np.ndarray, rows: Any = slice(None)) -> float:
            return self.calculate(pred[rows], gt[rows], visible[rows],
                                  factor[rows])

        metrics |= {f'error{k}': error(v) for k, v in table.items()}
        actions = np.array([r['action'] for r in test])
        if self.by_action:
            metrics |= {f'error{k}/{a}': error(v, actions == a)
                        for a in sorted(set(actions.tolist()) - {''})
                        for k, v in table.items()}
        print_log(
            f'mean error of {len(test)} images, {self.unit}:\n'
            + format_table(_titles(metrics)), logger='current')
        if self.out_file:
            write_json(self.out_file, dict(
                metric='mean keypoint error', unit=self.unit,
                images=len(test), fitted=len(results) - len(test),
                results=metrics))
        return metrics


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
    and ``right_side*``, as of :class:`MeanKeypointError`.
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
        """Keeps one result a sample; see :class:`MeanKeypointError`."""
        self.results += [_read(sample) for sample in data_samples]

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
        test = _part(results, 'test')
        if not test:
            raise ValueError("all samples have role='fit'; there is none to "
                             'evaluate')
        skeleton = Skeleton.from_metainfo(self.dataset_meta)
        eyes = self._eyes(skeleton)
        gt, visible = _stack(test, 'gt'), _stack(test, 'visible')
        table = labellings(_stack(test, 'pred'), gt, visible,
                           skeleton.flip_indices, _corrected(test))
        metrics = _shares(table)
        table |= _post(results, table, skeleton.flip_indices)
        metrics |= {f'NME{k}': self.calculate(v, gt, visible, eyes)
                    for k, v in table.items()}
        print_log(
            f'inter-ocular error of {len(test)} images, percent:\n'
            + format_table(_titles({k.replace('NME', 'error'): v
                                    for k, v in metrics.items()})),
            logger='current')
        if self.out_file:
            write_json(self.out_file, dict(
                metric='inter-ocular NME', images=len(test),
                fitted=len(results) - len(test), results=metrics))
        return metrics
