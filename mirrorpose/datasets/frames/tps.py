"""Affine and thin-plate-spline warps of whole batches.

The pairs of single images of Jakab et al., spec 2.3. All images are warped in
one ``grid_sample``; what is drawn is a function of each sample's key, so no
grids have to be kept (the reference draws from 1,000 cached ones).
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor
from torch.nn import functional as F

from ..crops.draws import uniforms


class Warps(NamedTuple):
    """Draws for N images, in units of the padded image.

    Attributes:
        matrix (np.ndarray): (N, 2, 2) float64 and
        shift (np.ndarray): (N, 2): output point u looks at
            ``matrix^T u + shift``.
        weights (np.ndarray, optional): (N, C, 2), of the control points.
    """

    matrix: np.ndarray
    shift: np.ndarray
    weights: np.ndarray | None


class TpsSampler:
    """Random warps about the centre of an image.

    The image is padded by half its size by replication; control points lie
    on a regular grid over the padded image. A point u of the output, padded
    coordinates in [-1, 1], looks at

        A^T u + t + sum_c w_c phi(|u - c|^2),   phi(s) = s log s

    with A the scaled rotation. Weights are N(0, warp[0]), and for every other
    coordinate, drawn at random, another N(0, warp[1]) is added.

    Args:
        size (int): Side of the images in pixels.
        rotation (float): Standard deviation in degrees. Defaults to 5.
        scale (float): Of the scale around 1. Defaults to 0.05.
        shift (float): Of the translation, in units of the padded image's
            half side, which is the image's side. Defaults to 0.05.
        warp (tuple[float, float], optional): Of the weights; None: affine
            only. Defaults to (0.0005, 0.005).
        points (int): Control points a side. Defaults to 10.

    Raises:
        ValueError: A deviation is negative.
    """

    def __init__(self, size: int, rotation: float = 5., scale: float = .05,
                 shift: float = .05,
                 warp: Sequence[float] | None = (.0005, .005),
                 points: int = 10) -> None:
        values = [rotation, scale, shift, *(warp or ())]
        if min(values) < 0 or (warp is not None and len(warp) != 2) or (
                points < 2):
            raise ValueError(
                'rotation, scale, shift and the two of warp are standard '
                f'deviations, points at least 2; got {rotation}, {scale}, '
                f'{shift}, {warp} and {points}')
        self.size, self.rotation, self.scale = size, rotation, scale
        self.shift, self.points = shift, points
        self.warp = None if warp is None else (float(warp[0]),
                                               float(warp[1]))
        # Where the image's own pixels lie in the padded image.
        padding = size // 2
        total = size + 2 * padding
        line = torch.linspace(-1, 1, total, dtype=torch.float64)[
            padding:padding + size]
        y, x = torch.meshgrid(line, line, indexing='ij')
        self._plane = torch.stack([x, y], -1).reshape(-1, 2)
        line = torch.linspace(-1, 1, points, dtype=torch.float64)
        y, x = torch.meshgrid(line, line, indexing='ij')
        self.control = torch.stack([x, y], -1).reshape(-1, 2)
        square = torch.cdist(self._plane, self.control).square().clamp_min(
            1e-8)
        self._kernel = (square * square.log()).float()
        # Padded coordinates to the image's own: its ends lie at +-_edge.
        self._edge = float(line.new_tensor((size - 1) / (total - 1)))

    def draw(self, keys: np.ndarray, stream: int) -> Warps:
        """Draws warps.

        Args:
            keys (np.ndarray): (N,) uint64.
            stream (int): Streams of one key are independent.
        """
        count = 2 * self.points**2
        amount = 4 + (3 * count if self.warp else 0)
        flat = uniforms(keys, amount, stream)
        # No draw of 53 bits is 0 but for one in 2^53.
        normal = ndtri(np.clip(flat, 2.**-54, 1 - 2.**-54))
        angle = np.radians(self.rotation * normal[:, 0])
        size = 1 + self.scale * normal[:, 1]
        cos, sin = size * np.cos(angle), size * np.sin(angle)
        matrix = np.stack([np.stack([cos, -sin], -1),
                           np.stack([sin, cos], -1)], -2)
        weights = None
        if self.warp:
            first, second = normal[:, 4:4 + count], normal[:, 4 + count:
                                                           4 + 2 * count]
            also = flat[:, 4 + 2 * count:] > .5
            weights = (self.warp[0] * first + self.warp[1] * second * also
                       ).reshape(len(keys), -1, 2)
        return Warps(matrix, self.shift * normal[:, 2:4], weights)

    def grids(self, warps: Warps) -> Tensor:
        """Where each pixel of the output looks.

        Returns:
            Tensor: (N, S, S, 2) float32, [-1, 1] between the centres of the
            image's outer pixels (align corners).
        """
        grid = self._plane.float() @ torch.from_numpy(warps.matrix).float()
        grid = grid + torch.from_numpy(warps.shift).float()[:, None]
        if warps.weights is not None:
            weights = torch.from_numpy(warps.weights).float()
            bent = self._kernel @ weights.permute(1, 0, 2).flatten(1)
            grid += bent.unflatten(1, (-1, 2)).permute(1, 0, 2)
        return (grid / self._edge).reshape(-1, self.size, self.size, 2)

    def __call__(self, images: Tensor, warps: Warps) -> Tensor:
        """Warps images.

        Args:
            images (Tensor): (N, 3, S, S) uint8.
            warps (Warps): N draws.

        Returns:
            Tensor: (N, 3, S, S) uint8. Beyond the edge it is replicated.
        """
        out = F.grid_sample(images.float(), self.grids(warps),
                            padding_mode='border', align_corners=True)
        return out.round_().clamp_(0, 255).to(torch.uint8)

    def move(self, keypoints: np.ndarray, warps: Warps) -> np.ndarray:
        """Where keypoints lie after affine warps.

        Args:
            keypoints (np.ndarray): (N, K, 2) pixels of the images.
            warps (Warps): N draws without weights.

        Returns:
            np.ndarray: (N, K, 2) float32 pixels.

        Raises:
            ValueError: The warps bend: they have no closed inverse.
        """
        if warps.weights is not None:
            raise ValueError('only affine warps are inverted; pass warp=None')
        half = (self.size - 1) / 2
        places = (keypoints / half - 1) * self._edge
        moved = (places - warps.shift[:, None]) @ np.linalg.inv(warps.matrix)
        return ((moved / self._edge + 1) * half).astype(np.float32)
