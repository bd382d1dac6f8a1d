"""Warps and colour jitter of image batches on their device."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def warp(crops: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear affine warp, black outside, as ``cv2.warpAffine``.

    Args:
        crops (Tensor): (N, S, S, C) uint8.
        matrices (Tensor): (N, 2, 3) output pixel -> crop pixel, pixel
            centres at integers.
        size (tuple[int, int]): Output size (w, h).

    Returns:
        Tensor: (N, C, h, w) float32 in [0, 255], not rounded. OpenCV rounds
        positions to 1/32 pixel and values to integers.
    """
    w, h = size
    side = crops.shape[1:3]
    x = torch.arange(w, device=crops.device, dtype=torch.float32)
    y = torch.arange(h, device=crops.device, dtype=torch.float32)[:, None]
    # Not affine_grid: its matrix product may run in TF32, to a tenth of a
    # pixel.
    axes = []
    for row, length in ((0, side[1]), (1, side[0])):
        a, b, c = (t[:, None, None] for t in matrices[:, row].unbind(1))
        axes.append((a * x + (b * y + c)) * (2 / (length - 1)) - 1)
    return F.grid_sample(crops.permute(0, 3, 1, 2).float(),
                         torch.stack(axes, -1), mode='bilinear',
                         padding_mode='zeros', align_corners=True)


def jitter_colour(images: Tensor, gains: Tensor) -> Tensor:
    """Adds to hue, saturation and value, as ``YOLOXHSVRandomAug``.

    With OpenCV's 8 bit colours: whole numbers in between, hue in steps of
    two degrees.

    Args:
        images (Tensor): (N, 3, H, W) BGR in [0, 255].
        gains (Tensor): (N, 3) whole numbers.

    Returns:
        Tensor: (N, 3, H, W) in [0, 255], whole numbers; within 3 of
        OpenCV's, and 9 where it rounds a hue otherwise.
    """
    images = images.round()
    blue, green, red = images.unbind(1)
    value, low = images.amax(1), images.amin(1)
    spread = value - low
    safe = spread.clamp(min=1)
    hue = torch.where(
        value == red, (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe,
                    4 + (red - green) / safe)) * 30
    saturation = 255 * spread / value.clamp(min=1)
    d_hue, d_saturation, d_value = gains[:, :, None, None].unbind(1)
    hue = (hue.round() + d_hue).remainder(180)
    saturation = (saturation.round() + d_saturation).clamp(0, 255) / 255
    value = (value + d_value).clamp(0, 255)
    # Channel c of RGB is value * (1 - saturation * share of the hue).
    sector = hue / 30
    out = []
    for offset in (1., 3., 5.):  # blue, green, red
        k = (sector + offset).remainder(6)
        share = torch.minimum(k, 4 - k).clamp(0, 1)
        out.append(value * (1 - saturation * share))
    return torch.stack(out, 1).round()
