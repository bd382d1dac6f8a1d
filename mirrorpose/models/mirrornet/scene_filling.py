"""The scene behind a person: what is hidden is filled in from around it."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def dilate(mask: Tensor, size: int) -> Tensor:
    """Largest value within a square.

    Args:
        mask (Tensor): (N, 1, H, W).
        size (int): Side of the square in pixels, odd.

    Returns:
        Tensor: (N, 1, H, W).

    Raises:
        ValueError: The size is no positive odd number.
    """
    if size < 1 or size % 2 == 0:
        raise ValueError(f'size must be a positive odd number, got {size}')
    pad = size // 2
    out = F.pad(mask, (pad, pad, pad, pad), value=-torch.inf)
    for axis in (2, 3):  # a square is separable, and windows double
        width = 1
        while width < size:
            step = min(width, size - width)
            length = out.shape[axis] - step
            out = torch.maximum(out.narrow(axis, 0, length),
                                out.narrow(axis, step, length))
            width += step
    return out


def fill_unknown(images: Tensor, known: Tensor,
                 kept: Tensor | None = None) -> Tensor:
    """Fills what is not known by a pyramid of normalised convolutions.

    Each level halves the one below it, averaging only what is known
    (normalised convolution: Knutsson and Westin, CVPR 1993). From the top
    down, what is still unknown takes the interpolated value of the level
    above: Gortler et al., "The Lumigraph", SIGGRAPH 1996, call it pull and
    push.

    Args:
        images (Tensor): (N, C, H, W).
        known (Tensor): (N, 1, H, W) in [0, 1]: 1 keeps the pixel, 0 replaces
            it, and in between mixes.
        kept (Tensor, optional): (N, 1, H, W), which pixels are kept, where
            that is more than what others are filled from. Defaults to
            ``known``.

    Returns:
        Tensor: (N, C, H, W) between the extremes of what is known; 0 in an
        image of which nothing is.
    """
    values, weights = [images], [known]
    while max(values[-1].shape[-2:]) > 1:
        value, weight = values[-1], weights[-1]
        h, w = value.shape[-2:]
        if h % 2 or w % 2:  # replicated pixels count as pixels
            border = (0, w % 2, 0, h % 2)
            value = F.pad(value, border, mode='replicate')
            weight = F.pad(weight, border, mode='replicate')
        mass = F.avg_pool2d(weight, 2)
        value = F.avg_pool2d(value * weight, 2) / mass.clamp(min=1e-6)
        values.append(value)
        # A quarter of known pixels is enough to trust the average.
        weights.append((4 * mass).clamp(max=1))
    filled = values[-1] * (weights[-1] > 0)
    weights[0] = known if kept is None else kept
    for value, weight in zip(values[-2::-1], weights[-2::-1]):
        h, w = value.shape[-2:]
        above = F.interpolate(filled, scale_factor=2., mode='bilinear',
                              align_corners=False)[..., :h, :w]
        filled = torch.lerp(above, value, weight)
    return filled


def hide(images: Tensor, mattes: Tensor, size: int,
         threshold: float = .05, black: float = .5 / 255,
         fill_black: bool = False) -> Tensor:
    """Images without the person.

    What is black lies outside of the picture that a crop was taken from. It
    does not run into the hole, and stays black unless it is to be filled.

    Args:
        images (Tensor): (N, C, H, W) in [0, 1].
        mattes (Tensor): (N, 1, H, W) in [0, 1], 1 inside the person.
        size (int): The hole is this dilated; see :func:`dilate`.
        threshold (float): Above it, a pixel belongs to the hole.
        black (float): Up to here, all channels, a pixel is black. Defaults
            to half a level of 255.
        fill_black (bool): Fill what is black, too. Defaults to False.
    """
    scene = 1 - dilate((mattes > threshold).to(images.dtype), size)
    inside = images.amax(1, keepdim=True) > black
    known = scene * inside
    return fill_unknown(images, known, known if fill_black else scene)
