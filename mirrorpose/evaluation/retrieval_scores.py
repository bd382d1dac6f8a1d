"""Exact search, and how alike the true poses of what was found are."""
from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..structures.alignment import aligned_distances
from ..structures.pairwise import pairwise_distances
from ..utils.nearest import best, nearest
from .retrieval_protocol import (
    LEAST_JOINTS,
    VARIANTS,
    Samples,
    Settings,
    near_ranges,
    subject_ranges,
)

#: Ways to find: gets query and gallery rows, k and the excluded ranges.
Finder = Callable[[Tensor, Tensor, int, Sequence[Tensor]],
                  list[tuple[Tensor, Tensor]]]


def by_embedding(embeddings: Tensor, gallery: Tensor | None = None) -> Finder:
    """Finds by Euclidean distance of embeddings (N, D) of all samples.

    Args:
        embeddings (Tensor): Of the queries.
        gallery (Tensor, optional): Of the gallery. Defaults to the same.
    """
    held = embeddings if gallery is None else gallery

    def find(query: Tensor, items: Tensor, k: int,
             excluded: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        return nearest(embeddings[query], held[items], k, excluded)
    return find


def by_pose(poses: Tensor, seen: Tensor, turn: str) -> Finder:
    """Finds by the distance of the true poses: the best that is possible.

    Args:
        poses (Tensor): (N, K, 3) root-relative.
        seen (Tensor): (N, K) bool.
        turn (str): ``'none'`` for canonical poses, else ``'rotation'``.
    """
    if turn == 'none' and bool(seen.all()):
        return by_embedding((poses / poses.abs().max().clamp_min(
            1e-9)).flatten(1).float())

    def find(query: Tensor, items: Tensor, k: int,
             excluded: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        def distances(part: slice) -> Tensor:
            rows = query[part]
            return pairwise_distances(
                poses[rows].float(), poses[items].float(), seen[rows],
                seen[items], turn, least=LEAST_JOINTS)

        def scores(part: slice) -> Tensor:
            return -distances(part)

        def exact(part: slice, index: Tensor) -> Tensor:
            rows, other = query[part][:, None], items[index]
            both = seen[rows] & seen[other]
            if turn == 'none':
                off = torch.where(both[..., None], poses[rows] - poses[other],
                                  0.).norm(dim=-1)
            else:
                off = aligned_distances(poses[other], poses[rows], both,
                                        scale=False)
            return off.square().sum(-1).div(
                both.sum(-1).clamp_min(1)).sqrt()
        return best(scores, exact, len(query), len(items), k, excluded,
                    max(1, 2**21 // max(len(items), 1)))
    return find


def alike(samples: Samples, query: Tensor, item: Tensor, turn: str,
          threshold: float) -> Tensor:
    """How alike the true poses of pairs are.

    Args:
        samples (Samples): All.
        query (Tensor): (P,) samples; their poses are what is compared with.
        item (Tensor): (P,) samples.
        turn (str): ``'rotation'`` about the root, scale kept, or ``'none'``.
        threshold (float): Of PCK, in mm.

    Returns:
        Tensor: (P, 4) float64: MPJPE, P-MPJPE, PCK in percent, NP-MPJPE. NaN
        with fewer than three common joints, the last without a torso.
    """
    out = samples.poses.new_empty(len(query), 4)
    step = 2**16
    for start in range(0, len(query), step):
        part = slice(start, start + step)
        target, source = samples.poses[query[part]], samples.poses[item[part]]
        both = samples.seen[query[part]] & samples.seen[item[part]]
        count = both.sum(1)
        mask = None if bool(both.all()) else both
        if turn == 'none':
            off = (source - target).square().sum(-1).sqrt() * both
        else:
            off = aligned_distances(source, target, mask, scale=False,
                                    translate=False)
        fine = torch.where(count >= LEAST_JOINTS, count.double(), torch.nan)
        similar = aligned_distances(source, target, mask).sum(1) / fine
        right = ((off <= threshold) & both).sum(1)
        out[part] = torch.stack([
            off.sum(1) / fine, similar, 100 * right / fine,
            similar / samples.torso[query[part]]], 1)
    return out


def alike_once(samples: Samples, query: Tensor, items: Sequence[Tensor],
               turn: str, threshold: float) -> list[Tensor]:
    """:func:`alike` of several lists (Q, k), each pair measured once.

    Items of -1 give NaN.
    """
    total = len(samples.order)
    keys = torch.stack([torch.where(i >= 0, query[:, None] * total + i, -1)
                        for i in items])
    once, place = keys.unique(return_inverse=True)
    real = once >= 0
    values = samples.poses.new_full((len(once), 4), torch.nan)
    values[real] = alike(samples, once[real] // total, once[real] % total,
                         turn, threshold)
    return list(values[place])


def evaluate_pair(samples: Samples, way: Finder, query: np.ndarray,
                  item: np.ndarray, own: bool, settings: Settings
                  ) -> dict[str, dict[str, float]]:
    """Retrieval of one pair of views.

    Args:
        samples (Samples): All.
        way (Finder): Gets rows of them.
        query (np.ndarray): (Q,) rows.
        item (np.ndarray): (M,) rows.
        own (bool): The gallery is the queries' own view.
        settings (Settings): What to find and to measure.

    Returns:
        dict[str, dict[str, float]]: Variant to results.
    """
    device = samples.poses.device
    clip, time = samples.clips, samples.seconds
    # 'others' has several views of an instant: runs of clips stay ordered
    near = near_ranges(clip[query], time[query], clip[item], time[item],
                       settings.gap)
    same = near_ranges(clip[query], time[query], clip[item], time[item], 1e-3)
    ranges = [torch.from_numpy(near).to(device)]
    if 'cross_subject' in settings.variants:
        ranges.append(torch.from_numpy(subject_ranges(
            samples.subjects[query], samples.subjects[item])).to(device))
    elif 'removed' not in settings.variants:
        ranges = []
    rows, items = (torch.from_numpy(r).to(device) for r in (query, item))
    found = way(rows, items, max(settings.topk), ranges)
    places = dict(zip(VARIANTS, (index for _, index in found)))
    used = [v for v in settings.variants if not (own and v == 'kept')]
    lists = [torch.where(places[v] >= 0, items[places[v]], -1) for v in used]
    values = alike_once(samples, rows, lists, settings.turn,
                        settings.threshold)
    instant = torch.from_numpy(same).to(device)
    return {v: _summary(places[v], judged, instant if v == 'kept' else None,
                        settings)
            for v, judged in zip(used, values)}


def _summary(index: Tensor, judged: Tensor, instant: Tensor | None,
             settings: Settings) -> dict[str, float]:
    """Means over queries, of one pair of views and one variant."""
    found = index >= 0
    answered = found.any(1)
    out: dict[str, float] = dict(queries=int(answered.sum()),
                                 unanswered=int((~answered).sum()))
    kind = settings.alignment
    hits = judged[..., 3] <= settings.hit
    best = judged[..., 2].nan_to_num(-1.).cummax(1).values
    for k in sorted(settings.topk):
        first = judged[answered, :k]
        known = first[..., :3].isfinite()
        per_query = first[..., :3].nan_to_num(0.).sum(1) / known.sum(1)
        means = [float(c[c.isfinite()].mean()) if c.isfinite().any()
                 else math.nan for c in per_query.T]
        top = best[answered, k - 1]
        out |= {
            f'Hit@{k}': _share(hits[answered, :k].any(1)),
            f'{kind}-MPJPE@{k}': means[0], f'P-MPJPE@{k}': means[1],
            f'PCK@{k}': means[2],
            f'bestPCK@{k}': float(top[top >= 0].mean())
            if (top >= 0).any() else math.nan}
        if instant is not None:
            low, high = instant[:, :1], instant[:, 1:]
            there = (high > low)[:, 0]
            right = ((index[:, :k] >= low) & (index[:, :k] < high)).any(1)
            out[f'Recall@{k}'] = _share(right[there])
    return out


def _share(right: Tensor) -> float:
    return 100 * float(right.double().mean()) if len(right) else math.nan


def mean_of_pairs(table: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Means over the pairs of views that have a value."""
    counts = ('queries', 'unanswered')
    first = next(iter(table.values()))
    mean = {}
    for key in first:
        values = [t[key] for t in table.values() if np.isfinite(t[key])]
        if key not in counts:
            mean[key] = float(np.mean(values)) if values else math.nan
    return dict(mean=mean, pairs=dict(table), **{
        c: int(sum(t[c] for t in table.values())) for c in counts})
