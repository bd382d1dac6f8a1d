"""Codecs between keypoints and the maps of the papers."""
from __future__ import annotations

import numpy as np
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.registry import KEYPOINT_CODECS


@KEYPOINT_CODECS.register_module()
class OneHotHeatmap(BaseKeypointCodec):
    """One-hot maps: 1 in the joint's cell, 0 elsewhere.

    The targets of MirrorNet (Section 5.1), decoded by the argmax without a
    sub-pixel shift. With ``s = input_size / heatmap_size`` the cell (i, j)
    stands for the input pixel (i * s, j * s), as in mmpose's codecs, and a
    joint falls in the cell whose pixel is nearest (halves go up): a decoded
    joint is off by at most s/2 an axis, and encoding what was decoded gives
    the same cell. A joint within s/2 of the right or lower border rounds to
    a cell that does not exist, and counts as outside of the map.

    Encoded, with K keypoints:

        - heatmaps (np.ndarray): (K, H, W) float32 in {0, 1}; zero for
          joints that are absent or outside of the map
        - keypoint_weights (np.ndarray): (1, K) float32 in {0, 1}

    Args:
        input_size (tuple[int, int]): Image size (w, h) in pixels.
        heatmap_size (tuple[int, int]): Map size (W, H) in cells.

    Raises:
        ValueError: A size is not positive.
    """

    label_mapping_table = dict(keypoint_weights='keypoint_weights')
    field_mapping_table = dict(heatmaps='heatmaps')

    def __init__(self, input_size: tuple[int, int],
                 heatmap_size: tuple[int, int]) -> None:
        super().__init__()
        for what, size in (('input_size', input_size), ('heatmap_size',
                                                        heatmap_size)):
            if len(size) != 2 or min(size) <= 0:
                raise ValueError(f'{what} must be two positive numbers '
                                 f'(w, h), got {size}')
        self.input_size = tuple(input_size)
        self.heatmap_size = tuple(heatmap_size)
        self.scale_factor = (np.array(input_size) / heatmap_size).astype(
            np.float32)

    def encode(self,
               keypoints: np.ndarray,
               keypoints_visible: np.ndarray | None = None) -> dict:
        """Draws one pose.

        Args:
            keypoints (np.ndarray): (1, K, 2) in input pixels.
            keypoints_visible (np.ndarray, optional): (1, K); joints below
                0.5 are absent. Defaults to all present.

        Returns:
            dict: ``heatmaps`` and ``keypoint_weights``.

        Raises:
            ValueError: There is not exactly one instance.
        """
        if keypoints.shape[0] != 1:
            raise ValueError('OneHotHeatmap encodes one person at a time, '
                             f'got {keypoints.shape[0]}')
        if keypoints_visible is None:
            keypoints_visible = np.ones(keypoints.shape[:2], np.float32)
        width, height = self.heatmap_size
        present = keypoints_visible[0] >= 0.5
        # Absent joints may hold anything, NaN too: out before any arithmetic.
        points = np.where(present[:, None], keypoints[0], -1e3)
        cells = np.floor(points / self.scale_factor + 0.5)
        inside = present & (cells >= 0).all(axis=1) & (
            cells < [width, height]).all(axis=1)
        heatmaps = np.zeros((len(points), height, width), np.float32)
        rows = np.nonzero(inside)[0]
        x, y = cells[rows].astype(np.int64).T
        heatmaps[rows, y, x] = 1
        return dict(heatmaps=heatmaps,
                    keypoint_weights=inside[None].astype(np.float32))

    def decode(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Decodes one pose.

        Args:
            encoded (np.ndarray): (K, H, W) maps, of any range.

        Returns:
            tuple: (1, K, 2) float32 keypoints in input pixels, and (1, K)
            the value of each map's maximum. Unlike mmpose's codecs this one
            trusts a maximum that is negative too: a recognizer's maps are
            unbounded. The first cell wins a tie.
        """
        joints, _, width = encoded.shape
        flat = encoded.reshape(joints, -1)
        best = flat.argmax(axis=1)
        cells = np.stack([best % width, best // width], axis=1)
        keypoints = cells.astype(np.float32) * self.scale_factor
        return keypoints[None], flat[np.arange(joints), best][None]
