"""Supervised post-processing: keypoints by a linear map of predicted ones.

Methods whose keypoints have no names need it to be compared at all. It is
fitted to the training set and is no part of any model.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np


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
