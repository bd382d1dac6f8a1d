"""Label splits that any machine and any library version draws alike.

Membership is a function of the seed and the sample's id alone: ids are ranked
by a hash and the first share of them is labelled. So fractions are nested
(who is labelled at 20 % stays labelled at 40 %), no random generator is
involved, and a split is known by its digest.
"""
from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

#: What a data set's ``part`` argument can be.
PARTS = ('all', 'labelled', 'unlabelled')


def ranked_split(ids: Sequence[str | int], fraction: float,
                 seed: int) -> np.ndarray:
    """Chooses the labelled samples.

    Samples are ranked by ``sha256(f'{seed}:{id}')``; the first
    ``round(fraction * N)`` are labelled (halves round up).

    Args:
        ids (Sequence[str | int]): N distinct sample ids.
        fraction (float): Share of labelled samples, in [0, 1].
        seed (int): Seed of the split.

    Returns:
        np.ndarray: (N,) bool, in the order of ``ids``, True = labelled.

    Raises:
        ValueError: ``fraction`` is outside [0, 1], or ids are not distinct.
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f'label fraction must lie in [0, 1], got {fraction}')
    names = [str(i) for i in ids]
    if len(set(names)) != len(names):
        twice = sorted({n for n in names if names.count(n) > 1})[:5]
        raise ValueError(f'sample ids are not distinct: {twice} ...; a split '
                         'by id would put one sample on both sides')
    keys = [hashlib.sha256(f'{seed}:{n}'.encode()).digest() for n in names]
    order = sorted(range(len(names)), key=keys.__getitem__)
    labelled = np.zeros(len(names), dtype=bool)
    labelled[order[:int(fraction * len(names) + 0.5)]] = True
    return labelled


def select_part(ids: Sequence[str | int], fraction: float, part: str,
                seed: int) -> np.ndarray:
    """Chooses the samples of one part of a split.

    Args:
        ids (Sequence[str | int]): N distinct sample ids.
        fraction (float): Share of labelled samples, in [0, 1].
        part (str): ``'all'``, ``'labelled'`` or ``'unlabelled'``.
        seed (int): Seed of the split.

    Returns:
        np.ndarray: (N,) bool, True = belongs to the part.

    Raises:
        ValueError: ``part`` is unknown, or see :func:`ranked_split`.
    """
    if part not in PARTS:
        raise ValueError(f'part must be one of {PARTS}, got {part!r}')
    labelled = ranked_split(ids, fraction, seed)
    if part == 'all':
        return np.ones_like(labelled)
    return labelled if part == 'labelled' else ~labelled


def split_digest(ids: Sequence[str | int]) -> str:
    """A short name of a set of samples, whatever their order.

    Args:
        ids (Sequence[str | int]): Sample ids.

    Returns:
        str: 16 hex digits; equal for equal sets of ids.
    """
    text = '\n'.join(sorted(str(i) for i in ids))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
