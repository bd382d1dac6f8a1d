"""Distances of all pairs of two sets of poses, joints missing in either."""
from __future__ import annotations

import math

import torch
from torch import Tensor

from .alignment import _singular, aligned_distances

#: What may be aligned before a distance is taken.
TURNS = ('none', 'rotation')


@torch.no_grad()
def pairwise_distances(a: Tensor,
                       b: Tensor,
                       mask_a: Tensor | None = None,
                       mask_b: Tensor | None = None,
                       turn: str = 'rotation',
                       unit_size: bool = False,
                       least: int = 3) -> Tensor:
    """Root mean square joint distance of all pairs, after alignment.

    Each pair is aligned over the joints that both have: their centroids
    coincide, the best rotation turns one onto the other, and with
    ``unit_size`` both have a root mean square radius of one. All of it comes
    from products of masked coordinates, (N, K) by (K, M): no pair is visited.

    Args:
        a (Tensor): (N, K, D) poses, D 2 or 3, floating point, in whose type
            all is computed. Absent joints may be NaN.
        b (Tensor): (M, K, D).
        mask_a (Tensor, optional): (N, K), positive where a joint is present.
            Defaults to all.
        mask_b (Tensor, optional): (M, K).
        turn (str): ``'none'`` or ``'rotation'`` (in 2D in the image plane).
            Defaults to ``'rotation'``.
        unit_size (bool): Compare shapes regardless of size. Defaults to
            False: the unit of the poses.
        least (int): Pairs with fewer common joints are infinitely far, and
            with ``unit_size`` those of no extent. Defaults to 3.

    Returns:
        Tensor: (N, M), at least 0. In float32 near pairs are accurate to
        about a thousandth of the poses' size.

    Raises:
        ValueError: Shapes, or a turn that is unknown.
    """
    if a.ndim != 3 or b.ndim != 3 or a.shape[1:] != b.shape[1:] or (
            a.shape[2] not in (2, 3)):
        raise ValueError(
            'all pairs of (N, K, D) and (M, K, D) with D 2 or 3 were asked '
            f'for, got {tuple(a.shape)} and {tuple(b.shape)}; poses of '
            'different joint sets have to be converted first')
    if turn not in TURNS:
        raise ValueError(f'turn must be one of {list(TURNS)}, got {turn!r}')
    a, wa = _centred(a, mask_a)
    b, wb = _centred(b, mask_b)
    size = torch.maximum(_largest(a), _largest(b))
    a, b = a / size, b / size
    dims = range(a.shape[2])
    full = mask_a is None and mask_b is None
    if full:
        count = a.new_full((len(a), len(b)), a.shape[1])
        spread_a = a.square().sum((1, 2))[:, None]
        spread_b = b.square().sum((1, 2))[None]
    else:
        count = wa @ wb.T
        safe = count.clamp_min(1)
        sum_a = [a[:, :, d] @ wb.T for d in dims]
        sum_b = [wa @ b[:, :, d].T for d in dims]
        spread_a = a.square().sum(2) @ wb.T - sum(
            s.square() for s in sum_a) / safe
        spread_b = wa @ b.square().sum(2).T - sum(
            s.square() for s in sum_b) / safe

    def product(d: int, e: int) -> Tensor:
        made = a[:, :, d] @ b[:, :, e].T
        return made if full else made - sum_a[d] * sum_b[e] / safe

    if turn == 'none':
        best = a.flatten(1) @ b.flatten(1).T
        if not full:
            best = best - sum(x * y for x, y in zip(sum_a, sum_b)) / safe
    elif a.shape[2] == 2:
        best = torch.hypot(product(0, 0) + product(1, 1),
                           product(0, 1) - product(1, 0))
    else:
        best = _singular([[product(d, e) for e in dims] for d in dims])[0]
    if unit_size:
        extent = (spread_a.clamp_min(0) * spread_b.clamp_min(0)).sqrt()
        none = extent <= torch.finfo(extent.dtype).eps
        square = 2 - 2 * best / extent.masked_fill(none, 1)
        square.masked_fill_(none, math.inf)
        scale = a.new_ones(())
    else:
        square = (spread_a + spread_b - 2 * best) / count.clamp_min(1)
        scale = size
    return (square.clamp_min(0).sqrt() * scale).masked_fill(
        count < least - .5, math.inf)


@torch.no_grad()
def paired_distances(a: Tensor, b: Tensor, both: Tensor, turn: str,
                     unit_size: bool) -> Tensor:
    """What :func:`pairwise_distances` gives, exactly, of pairs side by side.

    Args:
        a (Tensor): (..., K, D) float64.
        b (Tensor): (..., K, D) float64.
        both (Tensor): (..., K) bool, the common joints.
        turn (str): ``'none'`` or ``'rotation'``.
        unit_size (bool): Both are scaled to a root mean square radius of 1.

    Returns:
        Tensor: (...) root mean square distances.
    """
    seen, count = both[..., None], both.sum(-1).clamp_min(1)
    one, other = (_about_centre(p, seen, count) for p in (a, b))
    if unit_size:
        one, other = (p / (p.square().sum((-2, -1)) / count).sqrt()
                      .clamp_min(1e-12)[..., None, None]
                      for p in (one, other))
    if turn == 'rotation' and a.shape[-1] == 3:
        square = aligned_distances(one, other, both,
                                   scale=False).square().sum(-1)
    else:
        square = (one - other).square().sum((-2, -1))
        if turn == 'rotation':
            dot = (one * other).sum((-2, -1))
            cross = (one[..., 0] * other[..., 1]
                     - one[..., 1] * other[..., 0]).sum(-1)
            square = square + 2 * (dot - torch.hypot(dot, cross))
    return (square.clamp_min(0) / count).sqrt()


def _about_centre(poses: Tensor, seen: Tensor, count: Tensor) -> Tensor:
    poses = poses * seen
    return (poses - poses.sum(-2, keepdim=True) / count[..., None, None]
            ) * seen


def _centred(poses: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Poses about their own centroid, 0 where absent, and 0/1 weights."""
    if mask is None:
        return (poses - poses.mean(1, keepdim=True),
                torch.ones_like(poses[..., 0]))
    if mask.shape != poses.shape[:2]:
        raise ValueError(f'mask {tuple(mask.shape)} does not fit poses '
                         f'{tuple(poses.shape)}')
    seen = (mask > 0)[..., None]
    poses = torch.where(seen, poses, 0.)
    centre = poses.sum(1, keepdim=True) / seen.sum(1, keepdim=True).clamp_min(
        1)
    return (poses - centre) * seen, seen[..., 0].to(poses.dtype)


def _largest(poses: Tensor) -> Tensor:
    if not poses.numel():
        return poses.new_ones(())
    return poses.abs().max().clamp_min(torch.finfo(poses.dtype).tiny)
