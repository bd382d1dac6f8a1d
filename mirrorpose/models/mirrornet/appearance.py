"""Colours of people and pictures, changed for whole batches."""
from __future__ import annotations

import torch
from torch import Tensor

#: Grey from red, green and blue: ITU-R BT.601. The order of the channels is
#: nobody's business here, and symmetric weights serve either.
_GREY = (.3, .4, .3)


def colour_statistics(images: Tensor, mattes: Tensor
                      ) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the colours inside a matte.

    Args:
        images (Tensor): (N, 3, H, W).
        mattes (Tensor): (N, 1, H, W), weights of the pixels.

    Returns:
        tuple[Tensor, Tensor]: (N, 3) each; 0 where the matte is empty.
    """
    mass = mattes.flatten(1).sum(1).clamp(min=1e-6)[:, None]
    weighted = images * mattes
    mean = weighted.flatten(2).sum(2) / mass
    square = (weighted * images).flatten(2).sum(2) / mass
    return mean, (square - mean.square()).clamp(min=0).sqrt()


def appearance_shift(own: tuple[Tensor, Tensor],
                     other: tuple[Tensor, Tensor], weight: Tensor,
                     most: float = 3.) -> tuple[Tensor, Tensor]:
    """Moves the mean and the spread of colours towards another's.

    Args:
        own (tuple[Tensor, Tensor]): Mean and standard deviation (N, 3).
        other (tuple[Tensor, Tensor]): Those to shift towards.
        weight (Tensor): (N,); 0 leaves the image as it is, 1 goes all the
            way.
        most (float): The spread changes by this factor at most.

    Returns:
        tuple[Tensor, Tensor]: Gain and offset (N, 3, 1, 1) of the colours.
    """
    w = weight[:, None]
    ratio = ((other[1] + 1e-3) / (own[1] + 1e-3)).clamp(1 / most, most)
    gain = 1 - w + w * ratio
    offset = w * (other[0] - ratio * own[0])
    return gain[..., None, None], offset[..., None, None]


def jitter_colours(images: Tensor, brightness: Tensor, contrast: Tensor,
                   saturation: Tensor) -> Tensor:
    """Multiplies brightness, contrast and saturation.

    Args:
        images (Tensor): (N, 3, H, W) in [0, 1].
        brightness (Tensor): (N,) factors, 1 for no change.
        contrast (Tensor): The same, about the image's mean grey.
        saturation (Tensor): The same, about each pixel's grey.

    Returns:
        Tensor: (N, 3, H, W) in [0, 1].
    """
    red, green, blue = images.unbind(1)
    grey = _GREY[0] * red + _GREY[1] * green + _GREY[2] * blue
    mean = grey.mean((1, 2))
    gain = brightness * contrast
    rest = grey * (gain * (1 - saturation))[:, None, None] + (
        brightness * (1 - contrast) * mean)[:, None, None]
    return torch.addcmul(rest[:, None], images, (
        gain * saturation)[:, None, None, None]).clamp_(0, 1)
