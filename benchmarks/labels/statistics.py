"""Scores of rows, and their differences, paired over people and seeds."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

DRAWS = 2000


def score(right: np.ndarray, counted: np.ndarray) -> float:
    """PCK in per cent: the mean over joints of their people's share.

    Args:
        right (np.ndarray): (N, K).
        counted (np.ndarray): (N, K).
    """
    return float(_scores(np.ones((1, len(right))), right, counted)[0])


def _scores(weights: np.ndarray, right: np.ndarray,
            counted: np.ndarray) -> np.ndarray:
    """Scores (D,) with people weighted by (D, N)."""
    with np.errstate(invalid='ignore', divide='ignore'):
        joints = 100 * (weights @ right) / (weights @ counted)
    return np.nanmean(joints, axis=1)


def resampled(number: int, draws: int = DRAWS) -> np.ndarray:
    """How often each person is drawn: (D, N), the same for every row."""
    rng = np.random.default_rng(0)
    return rng.multinomial(number, np.full(number, 1 / number),
                           draws).astype(np.float64)


def difference(one: Sequence[np.ndarray], other: Sequence[np.ndarray],
               counted: np.ndarray, draws: int = DRAWS) -> dict[str, Any]:
    """One row against another, over the same people and the same seeds.

    Args:
        one (Sequence[np.ndarray]): Right joints (N, K) of each seed.
        other (Sequence[np.ndarray]): The same of the other row.
        counted (np.ndarray): (N, K), who counts.
        draws (int): Of people.

    Returns:
        dict: ``mean`` in points; ``people``, 95 % of it when people are
        drawn anew (percentile bootstrap, one draw for all seeds and both
        rows); ``each``, by seed; ``seeds``, 95 % by Student's t over the
        seeds, None with fewer than two.

    Raises:
        ValueError: Seeds or people of the two differ in number.
    """
    if len(one) != len(other) or not one:
        raise ValueError(f'{len(one)} and {len(other)} seeds cannot be '
                         'paired')
    if any(a.shape != counted.shape for a in (*one, *other)):
        raise ValueError('rows over different people cannot be paired: '
                         f'{[a.shape for a in (*one, *other)]}')
    each = [score(a, counted) - score(b, counted)
            for a, b in zip(one, other)]
    # A score is linear in who is right, so the seeds' mean goes first.
    weights = resampled(len(counted), draws)
    mine, theirs = (np.mean([a.astype(np.float64) for a in rows], axis=0)
                    for rows in (one, other))
    drawn = _scores(weights, mine, counted) - _scores(weights, theirs,
                                                      counted)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return dict(mean=round(float(np.mean(each)), 2),
                people=[round(float(low), 2), round(float(high), 2)],
                each=[round(e, 2) for e in each], seeds=over_seeds(each))


def over_seeds(each: Sequence[float]) -> list[float] | None:
    """95 % of the mean over seeds by Student's t; None below two."""
    if len(each) < 2:
        return None
    half = stats.t.ppf(.975, len(each) - 1) * stats.sem(each)
    middle = float(np.mean(each))
    return [round(middle - half, 2), round(middle + half, 2)]
