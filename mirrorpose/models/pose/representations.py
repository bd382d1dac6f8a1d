"""Poses as coordinates, as heatmaps, and back, batched and differentiable.

Coordinates are heatmap cells unless a name says otherwise: x right, y down,
(0, 0) the centre of the first cell.
"""
from __future__ import annotations

import torch
from torch import Tensor


def _axis(size: int, like: Tensor) -> Tensor:
    return torch.arange(size, device=like.device, dtype=like.dtype)


def draw_gaussians(keypoints: Tensor, size: tuple[int, int],
                   sigma: float = 2.) -> Tensor:
    """Gaussian heatmaps with peak 1.

    Args:
        keypoints (Tensor): (..., K, 2) in cells (x, y).
        size (tuple[int, int]): (h, w) of the maps.
        sigma (float): Standard deviation in cells. Defaults to 2.

    Returns:
        Tensor: (..., K, h, w) in [0, 1]. Differentiable in the keypoints.

    Raises:
        ValueError: Keypoints are not 2D, or sigma is not positive.
    """
    if keypoints.shape[-1] != 2:
        raise ValueError('draw_gaussians takes 2D keypoints, got '
                         f'{tuple(keypoints.shape)}')
    if sigma <= 0:
        raise ValueError(f'sigma must be positive, got {sigma}')
    h, w = size
    # The Gaussian is separable: an outer product instead of h * w exps.
    x = torch.exp(-(_axis(w, keypoints) - keypoints[..., :1])**2
                  / (2 * sigma**2))
    y = torch.exp(-(_axis(h, keypoints) - keypoints[..., 1:])**2
                  / (2 * sigma**2))
    return y[..., :, None] * x[..., None, :]


def draw_one_hot(keypoints: Tensor, size: tuple[int, int]) -> Tensor:
    """One-hot maps: 1 at the cell nearest to the joint.

    Args:
        keypoints (Tensor): (..., K, 2) in cells (x, y).
        size (tuple[int, int]): (h, w) of the maps.

    Returns:
        Tensor: (..., K, h, w) in {0, 1}; all zero where the joint lies
        outside the map. Not differentiable.
    """
    h, w = size
    cell = keypoints.detach().round()
    x = (_axis(w, keypoints) == cell[..., :1]).to(keypoints.dtype)
    y = (_axis(h, keypoints) == cell[..., 1:]).to(keypoints.dtype)
    return y[..., :, None] * x[..., None, :]


def peaks(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Argmax of every map.

    Args:
        heatmaps (Tensor): (..., K, h, w).

    Returns:
        tuple[Tensor, Tensor]: (..., K, 2) cells (x, y) and (..., K) values.
    """
    width = heatmaps.shape[-1]
    value, where = heatmaps.flatten(-2).max(-1)
    xy = torch.stack([where % width, where // width], -1)
    return xy.to(heatmaps.dtype), value


def soft_argmax(heatmaps: Tensor,
                temperature: float = 1.,
                radius: int | None = None) -> Tensor:
    """Expected cell under a softmax over the map, or around its peak.

    Args:
        heatmaps (Tensor): (..., K, h, w), any range.
        temperature (float): Divides the maps before the softmax; heatmaps
            with peak 1 want about 0.05. Defaults to 1.
        radius (int, optional): Only cells this near to the peak count (in x
            and in y). Over the whole map, the many cells of a weak map pull
            its joint to the middle of the image. Defaults to the whole map.

    Returns:
        Tensor: (..., K, 2) cells (x, y), differentiable.
    """
    h, w = heatmaps.shape[-2:]
    logits = heatmaps / temperature
    if radius is not None:
        peak = peaks(heatmaps.detach())[0]
        x = (_axis(w, heatmaps) - peak[..., :1]).abs() <= radius
        y = (_axis(h, heatmaps) - peak[..., 1:]).abs() <= radius
        near = y[..., :, None] & x[..., None, :]
        logits = logits.masked_fill(~near, -torch.inf)
    p = logits.flatten(-2).softmax(-1).unflatten(-1, (h, w))
    return torch.stack([p.sum(-2) @ _axis(w, heatmaps),
                        p.sum(-1) @ _axis(h, heatmaps)], -1)


def cells_from_normalised(keypoints: Tensor, size: tuple[int, int]) -> Tensor:
    """[-1, 1] coordinates (centres of the first and last cell) to cells.

    Args:
        keypoints (Tensor): (..., 2).
        size (tuple[int, int]): (h, w) of the maps.
    """
    h, w = size
    return (keypoints + 1) / 2 * keypoints.new_tensor([w - 1, h - 1])


def normalised_from_cells(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """Inverse of :func:`cells_from_normalised`."""
    h, w = size
    return cells / cells.new_tensor([w - 1, h - 1]) * 2 - 1
