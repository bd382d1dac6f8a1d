"""Exact nearest neighbours in chunks, on any device.

A query's score of a gallery item is ``q . g - |g|^2 / 2``, which orders items
as their Euclidean distance does: one matrix product and a top-k a chunk, no
index to build, and memory for one chunk of scores.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

#: Scores that are held at a time.
_SCORES = 2**23


def nearest(queries: Tensor,
            gallery: Tensor,
            k: int,
            excluded: Sequence[Tensor] = (),
            chunk: int | None = None) -> list[tuple[Tensor, Tensor]]:
    """The k nearest gallery items of each query, by Euclidean distance.

    Distances are computed again from the differences for what was found, so
    that they are exact for near items too. Equal distances come in no
    particular order.

    Args:
        queries (Tensor): (Q, D), float32 or float64, finite.
        gallery (Tensor): (M, D), of the same type and device.
        k (int): At least 1; may be more than M.
        excluded (Sequence[Tensor]): See :func:`best`.
        chunk (int, optional): Queries at a time. Defaults to as many as keep
            2**23 scores.

    Returns:
        list[tuple[Tensor, Tensor]]: ``len(excluded) + 1`` times distances
        (Q, k), ascending, and indices (Q, k); infinity and -1 where a query
        has fewer than k eligible items.

    Raises:
        ValueError: Shapes or k do not fit.
    """
    if queries.ndim != 2 or gallery.ndim != 2 or (
            queries.shape[1] != gallery.shape[1]):
        raise ValueError(
            'queries and gallery must be (Q, D) and (M, D), got '
            f'{tuple(queries.shape)} and {tuple(gallery.shape)}')
    half = -0.5 * gallery.square().sum(1)

    def scores(part: slice) -> Tensor:
        return torch.addmm(half, queries[part], gallery.T)

    def distances(part: slice, indices: Tensor) -> Tensor:
        return torch.linalg.vector_norm(
            queries[part, None] - gallery[indices], dim=2)

    return best(scores, distances, len(queries), len(gallery), k, excluded,
                chunk)


def best(scores: Callable[[slice], Tensor],
         distances: Callable[[slice, Tensor], Tensor],
         total: int,
         held: int,
         k: int,
         excluded: Sequence[Tensor] = (),
         chunk: int | None = None) -> list[tuple[Tensor, Tensor]]:
    """The k best items of each query, for any score.

    Args:
        scores (Callable): Gets a slice of the queries and gives (q, M),
            which this function may change; minus infinity is never found.
        distances (Callable): Gets a slice and indices (q, k) of what was
            found, and gives their exact distances (q, k).
        total (int): Q, how many queries there are.
        held (int): M, how many items there are.
        k (int): At least 1; may be more than M.
        excluded (Sequence[Tensor]): Each (Q, 2), a range of gallery indices
            from its first to before its second number that a query may not
            find. The ranges add up: the first result excludes nothing, the
            next the first range, the next the first and the second.
        chunk (int, optional): Queries at a time.

    Returns:
        list[tuple[Tensor, Tensor]]: As :func:`nearest`.

    Raises:
        ValueError: Shapes or k do not fit.
    """
    if k < 1:
        raise ValueError(f'k must be at least 1, got {k}')
    for ranges in excluded:
        if ranges.shape != (total, 2):
            raise ValueError(f'ranges of excluded items must be ({total}, '
                             f'2), got {tuple(ranges.shape)}')
    chunk = chunk or max(1, _SCORES // max(held, 1))
    parts: list[list[tuple[Tensor, Tensor]]] = []
    for start in range(0, max(total, 1), chunk):
        part = slice(start, min(start + chunk, total))
        made = scores(part)
        parts.append([])
        for step in range(len(excluded) + 1):
            if step:
                _exclude(made, excluded[step - 1][part].to(made.device))
            top = made.topk(min(k, held), dim=1)
            found = top.values > -math.inf
            off = torch.where(found, distances(part, top.indices), math.inf)
            # the order of the scores may differ by their rounding
            off, order = off.sort(dim=1, stable=True)
            index = torch.where(found, top.indices, -1).gather(1, order)
            short = (0, k - off.shape[1])
            parts[-1].append((F.pad(off, short, value=math.inf),
                              F.pad(index, short, value=-1)))
    return [(torch.cat([d for d, _ in step]), torch.cat([i for _, i in step]))
            for step in zip(*parts)]


def _exclude(scores: Tensor, ranges: Tensor) -> None:
    """Gives the items of ranges the score of minus infinity, in place."""
    low, high = ranges.unbind(1)
    length = (high - low).clamp_min(0)
    total = int(length.sum())
    if not total:
        return
    if total * 20 > scores.numel():
        column = torch.arange(scores.shape[1], device=scores.device)
        scores.masked_fill_((column >= low[:, None])
                            & (column < high[:, None]), -math.inf)
        return
    row = torch.repeat_interleave(length)
    first = length.cumsum(0) - length
    column = torch.arange(total, device=scores.device) - first[row] + low[row]
    scores[row, column] = -math.inf
