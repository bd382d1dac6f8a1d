"""A small world of views, and retrieval by a loop over its queries."""
from __future__ import annotations

import itertools

import numpy as np
import pytest

from mirrorpose.structures import Skeleton

SKELETON = Skeleton.from_name('h36m_17')
TOPK = (1, 3, 5)


def world(seed=0, subjects=2, clips=2, frames=5, views=3, hidden=0.):
    """Poses that move slowly, and noisy embeddings of them."""
    rng = np.random.default_rng(seed)
    out = dict(embeddings=[], poses=[], views=[], clips=[], seconds=[],
               subjects=[])
    mean = 250 * rng.normal(size=(17, 3))
    project = rng.normal(size=(51, 12)) / 600
    for s, c in itertools.product(range(subjects), range(clips)):
        path = 100 * rng.normal(size=(frames, 17, 3)).cumsum(0) + mean
        for f, v in itertools.product(range(frames), range(views)):
            turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
            turn *= np.sign(np.linalg.det(turn))
            pose = (path[f] - path[f][:1]) @ turn
            pose[rng.random(17) < hidden] = np.nan
            out['embeddings'].append(
                (path[f] - path[f][:1]).ravel() @ project
                 + rng.normal(size=12))
            out['poses'].append(pose)
            out['views'].append(f'C{v}')
            out['clips'].append(f's{s}c{c}')
            out['seconds'].append(f / 4)
            out['subjects'].append(f's{s}')
    order = rng.permutation(len(out['views']))
    return {k: [v[i] for i in order] if k in ('views', 'clips', 'subjects')
            else np.array(v)[order] for k, v in out.items()}


def kabsch(a, b, scale):
    """a onto b, about the origin."""
    u, s, vt = np.linalg.svd(a.T @ b)
    fix = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    size = (s * fix).sum() / (a**2).sum() if scale else 1.
    return size * a @ u @ np.diag(fix) @ vt


def judge(found, query, alignment):
    """MPJPE, P-MPJPE, PCK, NP-MPJPE of one pair."""
    both = np.isfinite(found).all(1) & np.isfinite(query).all(1)
    torso = sum(np.linalg.norm(query[a] - query[b])
                for a, b in ((0, 7), (7, 8)))
    if both.sum() < 3:
        return [np.nan] * 4
    a, b = (p[both] - p[0] for p in (found, query))
    moved = kabsch(a, b, False) if alignment == 'rotation' else a
    off = np.linalg.norm(moved - b, axis=1)
    a, b = a - a.mean(0), b - b.mean(0)
    similar = np.linalg.norm(kabsch(a, b, True) - b, axis=1).mean()
    return [off.mean(), similar, 100 * (off <= 150).mean(), similar / torso]


def slowly(w, variant, topk=TOPK, gap=.5, alignment='rotation', ask=None,
           others=False, own=False, hit=.1):
    """The definitions, one query at a time."""
    n = len(w['views'])
    unit = w['embeddings'] / np.linalg.norm(w['embeddings'], axis=1,
                                            keepdims=True)
    ask = unit if ask is None else ask / np.linalg.norm(ask, axis=1,
                                                        keepdims=True)
    usable = [i for i in range(n) if np.isfinite(w['poses'][i][0]).all()
              and np.isfinite(w['poses'][i]).all(1).sum() >= 3]
    names = sorted(set(w['views']))
    pairs = {}
    combos = [(a, tuple(x for x in names if x != a)) for a in names] if \
        others else [(a, (b, )) for a in names for b in names
                     if a != b or own]
    for a, gallery_views in combos:
        totals, unanswered = [], 0
        for q in usable:
            if w['views'][q] != a:
                continue
            eligible = []
            for g in usable:
                if w['views'][g] not in gallery_views:
                    continue
                near = (w['clips'][q] == w['clips'][g] and abs(
                    w['seconds'][q] - w['seconds'][g]) <= gap + 1e-9)
                same = w['subjects'][q] == w['subjects'][g]
                if variant == 'removed' and near or (
                        variant == 'cross_subject' and (same or near)):
                    continue
                eligible.append(g)
            off = [np.linalg.norm(ask[q] - unit[g]) for g in eligible]
            first = [eligible[i] for i in np.argsort(off)[:max(topk)]]
            if not first:
                unanswered += 1
                continue
            judged = np.array([judge(w['poses'][g], w['poses'][q], alignment)
                               for g in first])
            values = {}
            for k in topk:
                part = judged[:k]
                values[f'Hit@{k}'] = 100. * (part[:, 3] <= hit).any()
                means = [np.mean(c[np.isfinite(c)]) if np.isfinite(c).any()
                         else np.nan for c in part[:, :3].T]
                values |= {f'{alignment}-MPJPE@{k}': means[0],
                           f'P-MPJPE@{k}': means[1], f'PCK@{k}': means[2]}
                values[f'bestPCK@{k}'] = (
                    np.nanmax(part[:, 2]) if np.isfinite(part[:, 2]).any()
                    else np.nan)
                if variant == 'kept':
                    sync = [g for g in usable
                            if w['views'][g] in gallery_views
                            and w['clips'][g] == w['clips'][q]
                            and w['seconds'][g] == w['seconds'][q]]
                    values[f'Recall@{k}'] = 100. * any(
                        g in sync for g in first[:k]) if sync else np.nan
            totals.append(values)
        title = f'{a} > ' + ('others' if others else gallery_views[0])
        pairs[title] = {k: np.nanmean([t[k] for t in totals])
                        for k in totals[0]} if totals else None
        if totals:
            pairs[title] |= dict(queries=len(totals), unanswered=unanswered)
    return pairs


def compare(made, expected):
    assert set(made['pairs']) == set(expected)
    for title, values in expected.items():
        assert made['pairs'][title] == pytest.approx(values, rel=1e-5,
                                                     nan_ok=True), title
    for key, value in made['mean'].items():
        assert value == pytest.approx(np.nanmean(
            [v[key] for v in expected.values()]), rel=1e-5)
