"""Scores of completed clips, with intervals over clips."""
from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mirrorpose.evaluation.sequences import SequencePCKh

from .clips import TWELVE, Clip

#: Columns: thresholds of PCKh, then the area under it.
COLUMNS = ('.1', '.5', '1', 'AUC')


def joint_sets(clip: Clip) -> dict[str, np.ndarray]:
    """(T, 28) masks of the rows of a table."""
    known = clip.present
    never = known & ~TWELVE & ~clip.observed
    return dict(
        unseen=never, measured=never & ~clip.derived,
        lost=known & TWELVE & ~clip.observed,
        observed=known & clip.observed, twelve=known & TWELVE, all=known)


def sums(prediction: np.ndarray, clip: Clip, mask: np.ndarray) -> np.ndarray:
    """Of one clip: right at .1, .5 and 1, area, error over head, count."""
    heads = SequencePCKh.heads(clip.truth[None], clip.present[None])[0]
    mask = mask & np.isfinite(heads)[:, None]
    error = np.linalg.norm(prediction - clip.truth, axis=-1) / heads[:, None]
    error = np.where(np.isfinite(error), error, np.inf)[mask]
    capped = np.minimum(error, 10)
    return np.array([(error <= .1).sum(), (error <= .5).sum(),
                     (error <= 1).sum(), np.clip(1 - error, 0, None).sum(),
                     capped.sum(), mask.sum()], float)


def velocity_error(prediction: np.ndarray, clip: Clip,
                   mask: np.ndarray) -> np.ndarray:
    """Mean error of frame-to-frame motion over head: sum and count."""
    heads = SequencePCKh.heads(clip.truth[None], clip.present[None])[0]
    size = np.nanmean(heads)
    both = mask[1:] & mask[:-1]
    error = np.linalg.norm(np.diff(prediction - clip.truth, axis=0),
                           axis=-1)[both] / size
    return np.array([error.sum(), both.sum()])


def jitter(sequence: np.ndarray, clip: Clip,
           mask: np.ndarray) -> np.ndarray:
    """Mean length of second differences over head: sum and count."""
    heads = SequencePCKh.heads(clip.truth[None], clip.present[None])[0]
    three = mask[2:] & mask[1:-1] & mask[:-2]
    size = np.linalg.norm(np.diff(sequence, 2, axis=0), axis=-1)[three]
    return np.array([size.sum() / np.nanmean(heads), three.sum()])


def interval(parts: np.ndarray, column: int = 3, count: int = -1,
             draws: int = 1000) -> tuple[float, float]:
    """95 % of the mean over clips, by resampling clips.

    Args:
        parts (np.ndarray): (C, M) sums of each clip.
        column (int): Which sum. Defaults to the area.
        count (int): Where the counts are. Defaults to the last.
        draws (int): Defaults to 1000.
    """
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(parts), (draws, len(parts)))
    with np.errstate(invalid='ignore'):
        means = parts[rows, column].sum(1) / parts[rows, count].sum(1)
    low, high = np.nanpercentile(means, [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)


def paired(one: np.ndarray, other: np.ndarray, column: int = 3,
           draws: int = 1000) -> tuple[float, float, float]:
    """Difference of two rows over the same clips, with its interval."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(one), (draws, len(one)))

    def mean(parts: np.ndarray) -> np.ndarray:
        return parts[rows, column].sum(1) / parts[rows, -1].sum(1)

    low, high = np.percentile(mean(one) - mean(other), [2.5, 97.5])
    middle = (one[:, column].sum() / one[:, -1].sum()
              - other[:, column].sum() / other[:, -1].sum())
    return round(float(middle), 4), round(float(low), 4), round(
        float(high), 4)


def score(predictions: Sequence[np.ndarray], clips: Sequence[Clip],
          sets: Callable[[Clip], dict[str, np.ndarray]] = joint_sets
          ) -> tuple[dict[str, dict], dict[str, np.ndarray]]:
    """Tables of all joint sets.

    Returns:
        tuple: By joint set a row (columns; in heads ``error``, the mean
        distance, and that of ``velocity``, and ``jitter`` and
        ``jitter_truth``, the mean change of velocity; ``interval`` of the
        area, ``joints``, and ``clips`` that have such); and by joint set
        the (C, 6) sums of the clips.
    """
    table, parts = {}, {}
    for name in sets(clips[0]):
        masks = [sets(c)[name] for c in clips]
        rows = np.stack([sums(p, c, m) for p, c, m in zip(
            predictions, clips, masks)])
        moved = np.stack([velocity_error(p, c, m) for p, c, m in zip(
            predictions, clips, masks)]).sum(0)
        shaken = [np.stack([jitter(p, c, m) for p, c, m in zip(
            of, clips, masks)]).sum(0)
            for of in (predictions, [c.truth for c in clips])]
        total = rows.sum(0)
        if not total[-1]:
            continue
        mean = total / total[-1]
        table[name] = {**{k: round(float(v), 4) for k, v in zip(
            COLUMNS, mean)}, 'error': round(float(mean[4]), 4),
            'velocity': round(float(moved[0] / max(moved[1], 1)), 5),
            **{k: round(float(j[0] / max(j[1], 1)), 5) for k, j in zip(
                ('jitter', 'jitter_truth'), shaken)},
            'interval': interval(rows), 'joints': int(total[-1]),
            'clips': int((rows[:, -1] > 0).sum())}
        parts[name] = rows
    return table, parts
