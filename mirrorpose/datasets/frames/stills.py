"""Pairs of warps of single images, where there is no video."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmpose.registry import DATASETS

from .pairs import FrameDataset
from .tps import TpsSampler

_TARGET, _SOURCE = 0x7470, 0x7473


@DATASETS.register_module()
class StillPairDataset(FrameDataset):
    """An image, affinely warped, and a bent warp of the same (spec 2.3).

    The image that the pose is read from is warped affinely; its partner, the
    appearance frame, by another draw and by a thin plate spline. Training
    samples keep the moved keypoints; with ``test_mode`` nothing is warped.

    Args:
        sources, joints, size and others: See :class:`FrameDataset`; clips
            may have a single frame.
        rotation (float): Standard deviation in degrees. Defaults to 5.
        scale (float): Defaults to 0.05.
        shift (float): Defaults to 0.05.
        warp (Sequence[float]): Of the spline's weights, see
            :class:`TpsSampler`. Defaults to (0.0005, 0.005).
        points (int): Control points a side. Defaults to 10.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, sources: Sequence[Mapping], joints: str,
                 size: int = 128, rotation: float = 5., scale: float = .05,
                 shift: float = .05, warp: Sequence[float] = (.0005, .005),
                 points: int = 10, **kwargs) -> None:
        self.affine = TpsSampler(size, rotation, scale, shift, None, points)
        self.spline = TpsSampler(size, rotation, scale, shift, warp, points)
        super().__init__(sources, joints, size, **kwargs)

    def get_batch(self, indices: Sequence[int],
                  keys: np.ndarray) -> dict[str, Any]:
        """A training batch.

        Args:
            indices (Sequence[int]): N samples.
            keys (np.ndarray): (N,) uint64.

        Returns:
            dict: See :class:`FrameDataset`.
        """
        keys = np.asarray(keys, np.uint64)
        if len(keys) != len(indices):
            raise ValueError(f'{len(indices)} images and {len(keys)} keys')
        rows = self.rows[np.asarray(indices)]
        images = self.store.images(rows)
        target = self.affine.draw(keys, _TARGET)
        points = self.affine.move(self.store.keypoints[rows], target)
        return dict(
            inputs=dict(
                image=self.affine(images, target),
                condition=self.spline(images, self.spline.draw(keys,
                                                               _SOURCE))),
            data_samples=[self.store.brief(r, p)
                          for r, p in zip(rows, points)])
