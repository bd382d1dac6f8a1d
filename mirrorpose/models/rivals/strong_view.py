"""Strong augmentation of whole batches, and maps that follow an image."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import Tensor, nn

from mirrorpose.datasets.crops.draws import uniforms

from ..mirrornet.appearance import jitter_colours
from ..mirrornet.compositing import image_size
from ..mirrornet.recombination_draws import StepKeys, on

#: Independent streams of a key.
COLOURS, HOLES, PLACES = range(120, 123)


@MODELS.register_module()
class StrongColours(nn.Module):
    """Colour jitter and cutout; labels stay as they are.

    One of ``batch_augments`` of any data preprocessor, or the strong view of
    a :class:`MeanTeacher`.

    Args:
        mean, std (Sequence[float], optional): By which inputs were
            normalised. Defaults to None: inputs lie in [0, 255].
        jitter (Mapping[str, float], optional): Reach of ``brightness``,
            ``contrast`` and ``saturation``, each a factor in 1 +- reach.
            Defaults to 0.4 each.
        holes (int): Rectangles a picture that are filled with its mean grey
            (DeVries and Taylor, arXiv 1708.04552). Defaults to 1.
        hole_size (tuple[float, float]): Sides over the image's, uniform.
            Defaults to (0.1, 0.4).

    Raises:
        ValueError: An option that does not exist or does not fit.
    """

    def __init__(self,
                 mean: Sequence[float] | None = None,
                 std: Sequence[float] | None = None,
                 jitter: Mapping[str, float] | None = None,
                 holes: int = 1,
                 hole_size: tuple[float, float] = (.1, .4)) -> None:
        super().__init__()
        reach = dict(brightness=.4, contrast=.4, saturation=.4)
        reach.update(jitter or {})
        if len(reach) > 3 or any(not 0 <= r <= 1 for r in reach.values()):
            raise ValueError('jitter has brightness, contrast and saturation '
                             f'in [0, 1], got {dict(jitter or {})}')
        if (mean is None) != (std is None):
            raise ValueError('mean and std belong together; only one of them '
                             'is given')
        low, high = hole_size
        if holes < 0 or not 0 <= low <= high <= 1:
            raise ValueError('holes must not be negative and hole_size lie '
                             f'in [0, 1], got {holes} and {hole_size}')
        self.jitter, self.holes = np.array(list(reach.values())), holes
        self.hole_size = (low, high)
        for name, values in (('mean', mean or (0., )), ('std', std or (1., ))):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1)
                                 / 255, persistent=False)
        self._keys = StepKeys()

    mean: Tensor
    std: Tensor

    @torch.no_grad()
    def forward(self, inputs: Tensor,
                samples: Any) -> tuple[Tensor, Any]:
        """Augments a batch: inputs (N, 3, H, W), and samples as they are."""
        return self.augment(inputs, self._keys(len(inputs))), samples

    @torch.no_grad()
    def augment(self, inputs: Tensor, keys: np.ndarray) -> Tensor:
        """Augments images; a function of their keys.

        Args:
            inputs (Tensor): (N, 3, H, W) normalised.
            keys (np.ndarray): (N,) uint64.
        """
        with torch.autocast(inputs.device.type, enabled=False):
            unit = torch.addcmul(self.mean, inputs.float(), self.std)
            if self.jitter.any():
                reach = 2 * uniforms(keys, 3, COLOURS) - 1
                unit = jitter_colours(unit, *on(
                    unit.device, 1 + reach * self.jitter).unbind(1))
            if self.holes:
                hole = self._holes(keys, image_size(unit)).to(unit.device)
                unit = torch.where(hole[:, None], unit.mean(
                    (2, 3), keepdim=True), unit)
            return ((unit - self.mean) / self.std).to(inputs)

    def _holes(self, keys: np.ndarray, size: tuple[int, int]) -> Tensor:
        """(N, H, W) bool."""
        drawn = uniforms(keys, 4 * self.holes, HOLES).reshape(
            len(keys), self.holes, 2, 2)
        low, high = self.hole_size
        half = (low + (high - low) * drawn[..., 0]) / 2
        inside = [np.abs((np.arange(n) + .5) / n - drawn[:, :, axis, 1, None])
                  <= half[:, :, axis, None] for axis, n in enumerate(size)]
        return torch.from_numpy(
            (inside[0][..., None] & inside[1][:, :, None]).any(1))


def in_pixels(matrices: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Maps between places in [-1, 1] as maps between pixels.

    Args:
        matrices (np.ndarray): (N, 2, 3); -1 and 1 are the borders of the
            image, as ``grid_sample(align_corners=False)`` has them.
        size (tuple[int, int]): (H, W).

    Returns:
        np.ndarray: (N, 2, 3); pixel centres at whole numbers.
    """
    sides = np.array(size[::-1], np.float64)
    slope, offset = 2 / sides, 1 / sides - 1
    linear = matrices[:, :, :2].astype(np.float64)
    shift = linear @ offset + matrices[:, :, 2] - offset
    return np.concatenate([linear * slope / slope[:, None],
                           (shift / slope)[..., None]], 2)


def move_points(points: Tensor, matrices: np.ndarray) -> Tensor:
    """Where points of the source come to lie.

    Args:
        points (Tensor): (N, K, 2) pixels of the source.
        matrices (np.ndarray): (N, 2, 3) pixels, output to source.

    Returns:
        Tensor: (N, K, 2) pixels of the output.
    """
    back = np.linalg.inv(matrices[:, :, :2])
    shift = on(points.device, matrices[:, None, :, 2])
    return (points - shift) @ on(points.device, back.transpose(0, 2, 1))


def move_maps(maps: Tensor, matrices: np.ndarray) -> Tensor:
    """Warps maps by maps between their cells, zero beyond their border.

    Args:
        maps (Tensor): (N, K, h, w); cell centres at whole numbers.
        matrices (np.ndarray): (N, 2, 3) cells, output to source.
    """
    h, w = image_size(maps)
    y, x = (torch.arange(n, device=maps.device, dtype=maps.dtype)
            for n in (h, w))
    rows = on(maps.device, matrices).to(maps)[..., None, None].unbind(1)
    grid = torch.stack([
        (a * x + (b * y[:, None] + c) + .5) * (2 / n) - 1
        for (a, b, c), n in zip((row.unbind(1) for row in rows), (w, h))], -1)
    return F.grid_sample(maps, grid, mode='bilinear', padding_mode='zeros',
                         align_corners=False)
