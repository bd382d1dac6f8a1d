"""Layers of images: warped, pasted, and what they hide."""
from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .recombination_draws import on


def image_size(images: Tensor) -> tuple[int, int]:
    """(H, W) of images (N, C, H, W)."""
    return int(images.shape[-2]), int(images.shape[-1])


def warp(images: Tensor, matrices: np.ndarray,
         padding: str = 'zeros') -> Tensor:
    """Bilinear warp by maps from output to source places in [-1, 1].

    Not by ``affine_grid``, whose product of slim matrices takes longer than
    the interpolation.

    Args:
        images (Tensor): (N, C, H, W).
        matrices (np.ndarray): (N, 2, 3); -1 and 1 are the borders of the
            image.
        padding (str): As ``grid_sample``'s. Defaults to ``'zeros'``.

    Returns:
        Tensor: (N, C, H, W).
    """
    y, x = ((torch.arange(n, device=images.device, dtype=images.dtype) * 2
             + 1) / n - 1 for n in image_size(images))
    rows = on(images.device, matrices)[..., None, None].unbind(1)
    grid = torch.stack([a * x + (b * y[:, None] + c)
                        for a, b, c in (row.unbind(1) for row in rows)], -1)
    return F.grid_sample(images, grid, mode='bilinear', padding_mode=padding,
                         align_corners=False)


def hidden_joints(keypoints: Tensor, present: Tensor,
                  cover: Tensor) -> Tensor:
    """Joints that a layer in front hides.

    Args:
        keypoints (Tensor): (N, K, 2) pixels, centres at whole numbers.
        present (Tensor): (N, K) bool.
        cover (Tensor): (N, 1, H, W) in [0, 1].

    Returns:
        Tensor: (N, K) bool; joints outside of the image are not hidden.
    """
    h, w = image_size(cover)
    points = keypoints.masked_fill(~present[..., None], -4 * max(h, w))
    grid = (points + .5) / points.new_tensor([w, h]) * 2 - 1
    at = F.grid_sample(cover, grid[:, :, None], mode='bilinear',
                       padding_mode='zeros', align_corners=False)
    return at[:, 0, :, 0] > .5
