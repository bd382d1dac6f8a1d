"""Samples of a test loop as the tables that keypoint metrics judge."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mirrorpose.structures.skeleton import Skeleton

from .keypoint_sides import labellings, oracle_shares
from .linear_map import LinearMap


class Tables(NamedTuple):
    """The samples that are judged, N of them.

    Attributes:
        samples (list[dict]): Of :func:`read_sample`.
        gt (np.ndarray): (N, K, 2).
        visible (np.ndarray): (N, K) bool.
        pred (dict[str, np.ndarray]): (N, K, 2) by labelling: ``''``,
            ``'_corrected'``, ``'_oracle'``, and each with ``_post``.
        shares (dict[str, float]): Of the labellings' sides, in percent.
    """

    samples: list[dict]
    gt: np.ndarray
    visible: np.ndarray
    pred: dict[str, np.ndarray]
    shares: dict[str, float]


def read_sample(sample: dict) -> dict[str, Any]:
    """One result of a data sample.

    Raises:
        ValueError: Predicted and annotated joints are not equally many.
    """
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


def converted(results: Sequence[dict], skeleton: Skeleton,
              target: Skeleton) -> list[dict]:
    """The samples in another joint set, predicted and annotated alike.

    Args:
        results (Sequence[dict]): Of :func:`read_sample`.
        skeleton (Skeleton): Theirs.
        target (Skeleton): The other one.

    Raises:
        ValueError: A joint of the target cannot be had.
    """
    out = []
    for result in results:
        gt, visible = skeleton.convert(result['gt'], result['visible'],
                                       target)
        new = dict(result, gt=gt, visible=visible > 0)
        everywhere = np.ones(len(skeleton), bool)
        for key in ('pred', 'corrected'):
            if key in result:
                new[key] = skeleton.convert(result[key], everywhere,
                                            target)[0]
        out.append(new)
    return out


def read_tables(results: Sequence[dict], skeleton: Skeleton,
                joints: Sequence[str] | None = None) -> Tables:
    """All labellings of the samples that are judged.

    Args:
        results (Sequence[dict]): Of :func:`read_sample`; those of the role
            ``'fit'`` are for the linear map alone.
        skeleton (Skeleton): The K joints.
        joints (Sequence[str], optional): Only these count. Defaults to all.

    Raises:
        ValueError: There is no sample to judge, too few to fit, or only
            some have corrected predictions.
    """
    test = [r for r in results if r['role'] == 'test']
    if not test:
        raise ValueError("all samples have role='fit'; there is none to "
                         'evaluate')
    gt, visible = _stack(test, 'gt'), _stack(test, 'visible')
    if joints is not None:
        visible = visible & np.isin(np.arange(len(skeleton)),
                                    skeleton.index(*joints))
    flip = skeleton.flip_indices
    table = labellings(_stack(test, 'pred'), gt, visible, flip,
                       _corrected(test))
    shares = oracle_shares(table)
    fit = [r for r in results if r['role'] == 'fit']
    if fit:
        known, there = _stack(fit, 'gt'), _stack(fit, 'visible')
        learnt = labellings(_stack(fit, 'pred'), known, there, flip,
                            _corrected(fit))
        # Every labelling by the map that is fitted to its own.
        table |= {f'{k}_post': LinearMap.fit(learnt[k], known, there)(v)
                  for k, v in table.items() if k in learnt}
    return Tables(test, gt, visible, table, shares)


def rows_of(values: dict[str, float], name: str
            ) -> list[tuple[str, dict[str, float]]]:
    """Rows of the log's table: labellings, without and with the map.

    Args:
        values (dict[str, float]): A metric's results.
        name (str): What its figures are called.
    """
    rows = []
    for ending, title in (('', 'as predicted'), ('_corrected', 'corrected'),
                          ('_oracle', 'oracle')):
        if f'{name}{ending}' in values:
            rows.append((title, dict(
                error=values[f'{name}{ending}'],
                post=values.get(f'{name}{ending}_post', float('nan')))))
    return rows


def _stack(results: Sequence[dict], key: str) -> np.ndarray:
    return np.stack([r[key] for r in results])


def _corrected(results: Sequence[dict]) -> np.ndarray | None:
    """The corrected predictions, where all samples have them."""
    have = [r for r in results if 'corrected' in r]
    if have and len(have) < len(results):
        raise ValueError(f'{len(have)} of {len(results)} samples have '
                         'keypoints_corrected; all or none need them')
    return _stack(results, 'corrected') if have else None
