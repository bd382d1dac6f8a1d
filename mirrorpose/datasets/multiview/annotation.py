"""Which instants keep their 3D joints: a stated list or fraction."""
from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from ..splits import ranked_split
from .views import Views

_KEYS = {'subjects', 'fraction', 'seed', 'by'}


def annotated_instants(views: Views, rows: np.ndarray,
                       plan: Mapping[str, Any] | None,
                       where: str) -> np.ndarray:
    """Chooses the annotated instants, the same in every process.

    Args:
        views (Views): All views of a source.
        rows (np.ndarray): Instants of the data set.
        plan (Mapping, optional): ``subjects`` (names or patterns; default:
            all), ``fraction`` in [0, 1] of their instants (default 1),
            ``by`` (``'instant'`` or ``'clip'``: what the fraction counts;
            default ``'instant'``) and ``seed`` (default 0). None: all
            instants. The fraction is taken of each subject by itself, ranked
            by ``sha256(f'{seed}:{clip}:{frame}')``, so greater fractions
            hold the smaller ones; at least one instant or clip of each
            subject where it is above 0.
        where (str): The data set, for messages.

    Returns:
        np.ndarray: (len(rows),) bool.

    Raises:
        TypeError: A subject that is no name.
        ValueError: An unknown key, subject or value.
    """
    plan = dict(plan or {})
    unknown = sorted(set(plan) - _KEYS)
    if unknown:
        raise ValueError(f'{where}: annotated has the keys {unknown}; known '
                         f'are {sorted(_KEYS)}')
    by, seed = plan.get('by', 'instant'), int(plan.get('seed', 0))
    fraction = float(plan.get('fraction', 1.))
    if by not in ('instant', 'clip'):
        raise ValueError(f"{where}: annotated['by'] must be 'instant' or "
                         f"'clip', got {by!r}")
    if not 0 <= fraction <= 1:
        raise ValueError(f"{where}: annotated['fraction'] must lie in "
                         f'[0, 1], got {fraction}')
    clip = views.clip[rows]
    subject = views.subjects[clip]
    present = sorted(set(subject.tolist()))
    patterns = plan.get('subjects')
    if isinstance(patterns, str):
        patterns = [patterns]
    for pattern in patterns or ():
        if not isinstance(pattern, str):
            raise TypeError(
                f"{where}: annotated['subjects'] holds {pattern!r}, which is "
                f'no name or pattern; the subjects are {present}')
    chosen = present if patterns is None else [
        s for s in present if any(fnmatchcase(s, p) for p in patterns)]
    for pattern in patterns or ():
        if not any(fnmatchcase(s, pattern) for s in present):
            raise ValueError(f"{where}: annotated['subjects'] names "
                             f'{pattern!r}; the subjects are {present}')
    out = np.zeros(len(rows), bool)
    for name in chosen:
        mine = np.flatnonzero(subject == name)
        if by == 'clip':
            units, unit = np.unique(views.clips[clip[mine]],
                                    return_inverse=True)
            ids = units.tolist()
        else:
            ids = [f'{c}:{f}' for c, f in zip(
                views.clips[clip[mine]].tolist(),
                views.frame[rows[mine]].tolist())]
            unit = np.arange(len(mine))
        share = fraction
        if 0 < fraction * len(ids) < .5:
            share = .5 / len(ids)  # at least one
        out[mine] = ranked_split(ids, share, seed)[unit]
    return out
