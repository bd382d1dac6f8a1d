"""Errors of keypoints, and left against right.

A skeleton image of one channel cannot tell left from right, so predictions
are judged under several labellings: as they are, as a model has corrected
them, and by the better of the two mirror labellings.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np


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


def oracle_shares(table: dict[str, np.ndarray]) -> dict[str, float]:
    """In percent, how often a labelling is the oracle's.

    Args:
        table (dict[str, np.ndarray]): Of :func:`labellings`.
    """
    best = table['_oracle']
    return {f'right_side{k}': 100. * float(
        np.isclose(v, best, atol=1e-4).all((1, 2)).mean())
        for k, v in table.items() if k != '_oracle'}
