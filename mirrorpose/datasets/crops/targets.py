"""mmpose's heatmap codecs for whole batches, on any device."""
from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import torch
from mmpose.codecs import MSRAHeatmap, UDPHeatmap
from mmpose.registry import KEYPOINT_CODECS
from torch import Tensor

from ..codecs import OneHotHeatmap
from .memory import TensorPool

#: (N, K, 2) input pixels, (N, K) visibility, and where memory comes from
#: -> (N, K, h, w), (N, K).
Encode = Callable[..., tuple[Tensor, Tensor]]

#: Coordinates are clipped here before they become integers.
_FAR = 1e6


def batched_encoder(config: dict) -> Encode:
    """The encoder of a codec, for batches.

    Args:
        config (dict): Of a codec: ``MSRAHeatmap`` (biased or not),
            ``UDPHeatmap`` with Gaussian maps, or ``OneHotHeatmap``.

    Returns:
        Callable: Keypoints (N, K, 2) in input pixels and visibility (N, K)
        to heatmaps (N, K, h, w) and keypoint weights (N, K), as the codec's
        ``encode`` gives them sample by sample. What stands at joints of a
        visibility below 0.5 cannot matter. The maps take their memory
        from a third argument, a :class:`TensorPool`, where there is one.

    Raises:
        ValueError: Another codec, or an option of it.
    """
    return _encoder(json.dumps(config, sort_keys=True))


@lru_cache(maxsize=32)
def _encoder(text: str) -> Encode:
    codec = KEYPOINT_CODECS.build(json.loads(text))
    if type(codec) is MSRAHeatmap:
        return partial(_gaussians, codec,
                       'unbiased' if codec.unbiased else 'rounded')
    if type(codec) is UDPHeatmap and codec.heatmap_type == 'gaussian':
        return partial(_gaussians, codec, 'udp')
    if type(codec) is OneHotHeatmap:
        return partial(_one_hot, codec)
    raise ValueError(
        f'the fast pipeline cannot draw the targets of {text}; it can those '
        'of MSRAHeatmap, UDPHeatmap (gaussian) and OneHotHeatmap. Use the '
        'stock pipeline for this loader')


def _cells(codec: Any, keypoints: Tensor, present: Tensor) -> Tensor:
    """Keypoints in cells; absent joints far away, whatever they held."""
    factor = torch.as_tensor(codec.scale_factor).to(keypoints)
    cells = torch.where(present[..., None], keypoints / factor, -_FAR)
    return cells.clamp(-_FAR, _FAR)


def _gaussians(codec: Any, kind: str, keypoints: Tensor, visible: Tensor,
               memory: TensorPool | None = None) -> tuple[Tensor, Tensor]:
    """Gaussian maps with peak 1.

    ``'rounded'``: around the nearest cell, cut off at three sigma, with
    mmpose's integer arithmetic (which moves the peak near the left and upper
    border where three sigma is no integer). ``'udp'``: the same window
    around the exact place. ``'unbiased'``: exact and not cut off.
    """
    (width, height), sigma = codec.heatmap_size, codec.sigma
    present = visible >= 0.5
    cells = _cells(codec, keypoints, present)
    radius = 3 * sigma
    size = cells.new_tensor([width, height])
    if kind == 'unbiased':
        left, right, center = cells - radius, cells + radius + 1, cells
    else:
        mu = (cells + 0.5).trunc()
        left, right = (mu - radius).trunc(), (mu + radius + 1).trunc()
        center = left + (2 * radius + 1) // 2
        if kind == 'udp':
            center = center + (cells - mu)
    seen = present & (left < size).all(-1) & (right >= 0).all(-1)
    # A Gaussian is separable, and so is its window.
    factors = []
    for axis, length in ((0, width), (1, height)):
        at = torch.arange(length, device=cells.device, dtype=cells.dtype)
        middle, low, high = (t[..., axis, None] for t in (center, left, right))
        value = torch.exp((at - middle).square() / (-2 * sigma**2))
        inside = seen[..., None]
        if kind != 'unbiased':
            inside = inside & (at >= low) & (at < high)
        factors.append(torch.where(inside, value, 0.))
    maps = torch.mul(factors[1][..., :, None], factors[0][..., None, :],
                     out=_empty(memory, (*visible.shape, height, width)))
    return maps, torch.where(seen | ~present, visible, 0.)


def _one_hot(codec: Any, keypoints: Tensor, visible: Tensor,
             memory: TensorPool | None = None) -> tuple[Tensor, Tensor]:
    """One-hot maps: 1 in the joint's cell."""
    width, height = codec.heatmap_size
    present = visible >= 0.5
    cells = (_cells(codec, keypoints, present) + 0.5).floor()
    size = cells.new_tensor([width, height])
    inside = present & (cells >= 0).all(-1) & (cells < size).all(-1)
    x, y = ((torch.arange(n, device=cells.device, dtype=cells.dtype)
             == cells[..., axis, None]).to(keypoints.dtype)
            for axis, n in ((0, width), (1, height)))
    x = x * inside[..., None]
    maps = torch.mul(y[..., :, None], x[..., None, :],
                     out=_empty(memory, (*visible.shape, height, width)))
    return maps, inside.to(keypoints.dtype)


def _empty(memory: TensorPool | None, shape: tuple[int, ...]) -> Tensor | None:
    return None if memory is None else memory.empty(shape)
