"""Scores of rows clip by clip, so that intervals can be drawn."""
from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.labels.statistics import over_seeds, resampled
from mirrorpose.evaluation.retrieval_protocol import (
    VARIANTS,
    Samples,
    Settings,
    near_ranges,
    subject_ranges,
    view_pairs,
)
from mirrorpose.evaluation.retrieval_scores import Finder, alike_once

#: Poses are compared as canonical ones: an instant's is the same in all
#: views, and the nearest true pose is found exactly. As PoseRetrieval's
#: otherwise.
SETTINGS = Settings(topk=(1, 10), alignment='canonical')
#: Per cent, but for the errors in mm and ``turned``: the angle in degrees
#: between the sides from which the query and the first found are seen. Who
#: compares what is seen, and not poses, finds people seen from one side, and
#: less than chance. Recall is of ``kept`` alone.
COLUMNS = ('Recall@1', 'Recall@10', 'Hit@1', 'Hit@10', 'canonical-MPJPE@1',
           'P-MPJPE@1', 'turned@1')


class Judged(NamedTuple):
    """Sums of one row in one variant.

    Attributes:
        sums (np.ndarray): (C, P, M) of the queries of each clip and ordered
            pair of views, by ``COLUMNS``.
        counts (np.ndarray): (C, P, M) how many queries they are of.
        unanswered (int): Queries without an eligible item.
    """

    sums: np.ndarray
    counts: np.ndarray
    unanswered: int


def settings_of(samples: Samples) -> Settings:
    """Without other people where there are none."""
    if samples.subject_count > 1:
        return SETTINGS
    return Settings(**{**vars(SETTINGS), 'variants': VARIANTS[:2]})


def pair_names(samples: Samples) -> list[str]:
    """``'a > b'``: queries of the view a, gallery of b."""
    return [title for title, *_ in view_pairs(samples, 'pair', False, 1)]


def judge(samples: Samples, way: Finder, clips: int,
          azimuth: np.ndarray | None = None,
          settings: Settings | None = None) -> dict[str, Judged]:
    """Searches all pairs of views.

    What ``PoseRetrieval.calculate`` does, kept apart by the query's clip.

    Args:
        samples (Samples): All.
        way (Finder): Gets rows of them.
        clips (int): How many there are.
        azimuth (np.ndarray, optional): (N,) radians of the samples, the
            side from which each is seen.
        settings (Settings, optional): Two K, no ``'others'``.

    Returns:
        dict[str, Judged]: By variant.
    """
    how = settings or settings_of(samples)
    pairs = view_pairs(samples, how.gallery, how.same_view, max(how.topk))
    shape = (clips, len(pairs), len(COLUMNS))
    sums = {v: np.zeros(shape) for v in how.variants}
    counts = {v: np.zeros(shape) for v in how.variants}
    lost = dict.fromkeys(how.variants, 0)
    for number, (_, query, item, _) in enumerate(pairs):
        same, values = _one_pair(samples, way, query, item, how)
        for variant, (index, judged) in values.items():
            found = index >= 0
            lost[variant] += int((~found.any(1)).sum())
            table = _columns(index, judged, same, variant, how)
            if azimuth is not None:
                apart = azimuth[item[index[:, 0]]] - azimuth[query]
                table[found[:, 0], -1] = np.degrees(np.abs(np.angle(
                    np.exp(1j * apart))))[found[:, 0]]
            known = np.isfinite(table)
            clip = samples.clips[query]
            for m in range(len(COLUMNS)):
                use = known[:, m]
                sums[variant][:, number, m] = np.bincount(
                    clip[use], table[use, m], clips)
                counts[variant][:, number, m] = np.bincount(
                    clip[use], minlength=clips)
    return {v: Judged(sums[v], counts[v], lost[v]) for v in how.variants}


def _one_pair(samples: Samples, way: Finder, query: np.ndarray,
              item: np.ndarray, how: Settings
              ) -> tuple[np.ndarray, dict[str, tuple[np.ndarray,
                                                     np.ndarray]]]:
    """Ranges of the query's instant; what was found and how alike it is."""
    clip, time = samples.clips, samples.seconds
    near, same = (near_ranges(clip[query], time[query], clip[item],
                              time[item], gap) for gap in (how.gap, 1e-3))
    ranges = [torch.from_numpy(near)]
    if VARIANTS[2] in how.variants:
        ranges.append(torch.from_numpy(subject_ranges(
            samples.subjects[query], samples.subjects[item])))
    rows, items = torch.from_numpy(query), torch.from_numpy(item)
    found = way(rows, items, max(how.topk), ranges)
    places = {v: index for v, (_, index) in zip(VARIANTS, found)
              if v in how.variants}
    values = alike_once(
        samples, rows, [torch.where(p >= 0, items[p], -1)
                        for p in places.values()],
        how.turn, how.threshold)
    return same, {v: (p.numpy(), judged.numpy()) for (v, p), judged in zip(
        places.items(), values)}


def _columns(index: np.ndarray, judged: np.ndarray, same: np.ndarray,
             variant: str, how: Settings) -> np.ndarray:
    """(Q, M) values of the queries, NaN where they do not count."""
    out = np.full((len(index), len(COLUMNS)), np.nan)
    answered = (index >= 0).any(1)
    with np.errstate(invalid='ignore'):
        hits = judged[..., 3] <= how.hit
    there = same[:, 1] > same[:, 0]
    right = (index >= same[:, :1]) & (index < same[:, 1:])
    for i, k in enumerate(how.topk):
        if variant == VARIANTS[0]:
            out[there, i] = 100. * right[there, :k].any(1)
        out[answered, 2 + i] = 100. * hits[answered, :k].any(1)
    out[:, 4:6] = np.where(answered[:, None], judged[:, 0, :2], np.nan)
    return out


# -- means and intervals ----------------------------------------------------
def means(judged: Judged, weights: np.ndarray | None = None) -> np.ndarray:
    """Means over queries, then over pairs.

    Args:
        judged (Judged): Of a row.
        weights (np.ndarray, optional): (D, C), how often each clip counts.

    Returns:
        np.ndarray: (D, M); D is 1 without weights.
    """
    pairs = by_pair(judged, weights)
    with warnings.catch_warnings():  # a column that there is not
        warnings.simplefilter('ignore', RuntimeWarning)
        return np.nanmean(pairs, 1)


def by_pair(judged: Judged, weights: np.ndarray | None = None) -> np.ndarray:
    """Means over queries of each pair, (D, P, M)."""
    clips, *rest = judged.sums.shape
    use = np.ones((1, clips)) if weights is None else weights
    sums, counts = ((use @ v.reshape(clips, -1)).reshape(-1, *rest)
                    for v in (judged.sums, judged.counts))
    with np.errstate(invalid='ignore', divide='ignore'):
        return sums / counts


def over_models(rows: Sequence[Judged]) -> Judged:
    """The mean of several models over the same queries.

    Raises:
        ValueError: Not the same queries.
    """
    if any(not np.array_equal(r.counts, rows[0].counts) for r in rows):
        raise ValueError('models were asked different queries: measure '
                         'them again (--again)')
    return rows[0]._replace(sums=np.mean([r.sums for r in rows], 0))


def table(rows: Sequence[Judged], pairs: Sequence[str]) -> dict[str, Any]:
    """A row of the table.

    Args:
        rows (Sequence[Judged]): One a seed.
        pairs (Sequence[str]): Titles of the pairs of views.

    Returns:
        dict: ``mean`` by column; ``clips``, 95 % of it when the queries'
        clips are drawn anew (the gallery stays); ``seeds``, 95 % by
        Student's t over the seeds, None below two; ``each`` by seed;
        ``pairs`` by pair of views; ``queries``, ``unanswered``.
    """
    whole = over_models(rows)
    drawn = means(whole, resampled(len(whole.sums)))
    each = np.concatenate([means(r) for r in rows])
    there = [m for m in range(len(COLUMNS)) if whole.counts[..., m].any()]
    split = by_pair(whole)[0]
    out: dict[str, Any] = dict(mean={}, clips={}, seeds={}, each={})
    for m in there:
        name = COLUMNS[m]
        out['mean'][name] = round(float(each[:, m].mean()), 3)
        out['clips'][name] = _interval(drawn[:, m])
        out['seeds'][name] = over_seeds(each[:, m].tolist())
        out['each'][name] = [round(float(v), 3) for v in each[:, m]]
    out['pairs'] = {title: {COLUMNS[m]: round(float(split[p, m]), 3)
                            for m in there} for p, title in enumerate(pairs)}
    out['queries'] = int(whole.counts[..., COLUMNS.index('Hit@1')].sum())
    out['unanswered'] = rows[0].unanswered
    return out


def difference(one: Sequence[Judged],
               other: Sequence[Judged]) -> dict[str, Any]:
    """One row minus another, over the same queries and the same seeds.

    Returns:
        dict: ``mean``, ``clips`` (paired), ``seeds`` and ``each``, as
        :func:`table`.

    Raises:
        ValueError: Seeds cannot be paired.
    """
    if len(one) != len(other) or not one:
        raise ValueError(f'{len(one)} and {len(other)} seeds cannot be '
                         'paired')
    a, b = over_models(one), over_models(other)
    if not np.array_equal(a.counts, b.counts):
        raise ValueError('the rows were asked different queries')
    weights = resampled(len(a.sums))
    drawn = means(a, weights) - means(b, weights)
    each = np.concatenate([means(x) - means(y) for x, y in zip(one, other)])
    out: dict[str, Any] = dict(mean={}, clips={}, seeds={}, each={})
    for m, name in enumerate(COLUMNS):
        if a.counts[..., m].any():
            out['mean'][name] = round(float(each[:, m].mean()), 3)
            out['clips'][name] = _interval(drawn[:, m])
            out['seeds'][name] = over_seeds(each[:, m].tolist())
            out['each'][name] = [round(float(v), 3) for v in each[:, m]]
    return out


def _interval(drawn: np.ndarray) -> list[float]:
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return [round(float(low), 3), round(float(high), 3)]


def as_arrays(found: Mapping[str, Judged]) -> dict[str, np.ndarray]:
    """For a file."""
    return {f'{variant}/{key}': np.asarray(value)
            for variant, judged in found.items()
            for key, value in judged._asdict().items()}


def from_arrays(held: Mapping[str, np.ndarray]) -> dict[str, Judged]:
    """From a file."""
    variants = dict.fromkeys(k.split('/')[0] for k in held if '/' in k)
    return {v: Judged(held[f'{v}/sums'], held[f'{v}/counts'],
                      int(held[f'{v}/unanswered'])) for v in variants}
