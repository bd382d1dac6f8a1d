"""Ordinary Procrustes alignment in the plane, in closed form.

With points as complex numbers the best similarity is one division: no SVD,
no reflection, and a smooth function of its input (spec 3.1, trap T3.5).
"""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

#: What the transform may do: all of it, turn and shift, resize and shift,
#: shift alone, nothing.
ALIGNMENTS = ('similarity', 'rigid', 'scaling', 'translation', 'none')
#: Below this mean squared spread (canonical units) there is no telling a
#: direction or a size, and the points are only moved.
SMALLEST = 1e-10


class Similarity(NamedTuple):
    """x -> c (x - source) + target, with c a complex number.

    Attributes:
        real, imaginary (Tensor): (N,) parts of c, scale times the turn.
        source, target (Tensor): (N, 2) centroids of the observed points.
    """

    real: Tensor
    imaginary: Tensor
    source: Tensor
    target: Tensor

    def apply(self, points: Tensor) -> Tensor:
        """Transforms points (N, ..., 2)."""
        shape = (-1, *(1, ) * (points.ndim - 2))
        re, im = self.real.view(shape), self.imaginary.view(shape)
        offset = points - self.source.view(*shape, 2)
        x, y = offset.unbind(-1)
        turned = torch.stack([re * x - im * y, im * x + re * y], -1)
        return turned + self.target.view(*shape, 2)


def fit_similarity(source: Tensor, target: Tensor,
                   weights: Tensor | None = None,
                   alignment: str = 'similarity') -> Similarity:
    """The transform that brings ``source`` nearest to ``target``.

    Least squares over all weighted points of a sample together: one
    transform for a whole window. Gradients flow through it in full.

    Args:
        source (Tensor): (N, ..., 2).
        target (Tensor): Broadcasts against ``source``; what weighs 0 may be
            anything finite.
        weights (Tensor, optional): (N, ...), never negative; all 1 by
            default.
        alignment (str): One of :data:`ALIGNMENTS`. Defaults to
            ``'similarity'``.

    Returns:
        Similarity: Only a shift where the weighted points of a side are in
        one place, and nothing at all where no point has a weight.

    Raises:
        ValueError: Unknown alignment.
    """
    if alignment not in ALIGNMENTS:
        raise ValueError(f'alignment is one of {ALIGNMENTS}, got '
                         f'{alignment!r}')
    n = len(source)
    a = source.flatten(1, -2)
    b = target.expand_as(source).flatten(1, -2)
    w = a.new_ones(a.shape[:2]) if weights is None else \
        weights.to(a).expand(source.shape[:-1]).flatten(1)
    one, nought = a.new_ones(n), a.new_zeros(n)
    if alignment == 'none':
        return Similarity(one, nought, a.new_zeros(n, 2), a.new_zeros(n, 2))
    total = w.sum(1)
    share = (w / total.clamp(min=torch.finfo(w.dtype).tiny)[:, None])
    mean_a = (share[..., None] * a).sum(1)
    mean_b = (share[..., None] * b).sum(1)
    if alignment == 'translation':
        return Similarity(one, nought, mean_a, mean_b)
    a, b = a - mean_a[:, None], b - mean_b[:, None]
    # <a, b> with a conjugated, over the shares.
    real = (share * (a * b).sum(-1)).sum(1)
    imaginary = (share * (a[..., 0] * b[..., 1]
                          - a[..., 1] * b[..., 0])).sum(1)
    norm_a, norm_b = ((share * side.square().sum(-1)).sum(1)
                      for side in (a, b))
    if alignment == 'rigid':
        # Of <a, b> the direction alone counts.
        squared = real.square() + imaginary.square()
        usable = squared > SMALLEST**2
        size = torch.where(usable, squared, one).sqrt()
    else:
        # A target in one place would shrink the source to a point.
        usable, size = (norm_a > SMALLEST) & (norm_b > SMALLEST), norm_a
        if alignment == 'scaling':
            imaginary = nought
    size = torch.where(usable, size, one)
    return Similarity(torch.where(usable, real / size, one),
                      torch.where(usable, imaginary / size, nought),
                      mean_a, mean_b)


def align(source: Tensor, target: Tensor, weights: Tensor | None = None,
          alignment: str = 'similarity') -> Tensor:
    """``source`` brought to ``target``, as :func:`fit_similarity` says.

    Points without a weight move along.

    Returns:
        Tensor: The shape of ``source``.
    """
    return fit_similarity(source, target, weights, alignment).apply(source)
