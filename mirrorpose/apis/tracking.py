"""Who is who from frame to frame, where a detector does not say it."""
from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

#: A person who is farther from where somebody was than this share of that
#: person's size is another one.
FARTHEST = .5


def link_people(frames: np.ndarray, points: np.ndarray,
                longest_gap: int = 12) -> np.ndarray:
    """Links poses to tracks, frame after frame.

    Poses of a frame are assigned to open tracks by the smallest sum of mean
    joint distances over the tracks' sizes (Hungarian method). Nothing is
    predicted: people who meet while unseen may be exchanged, so a tracker's
    own numbers are better.

    Args:
        frames (np.ndarray): (N,) frame numbers.
        points (np.ndarray): (N, K, 3), x, y and confidence; joints without
            confidence do not count.
        longest_gap (int): Frames after which a track is closed. Defaults to
            12.

    Returns:
        np.ndarray: (N,) int64 track numbers, by first appearance.
    """
    tracks = np.full(len(frames), -1, np.int64)
    seen = np.isfinite(points).all(-1) & (points[..., 2] > 0)
    xy = np.where(seen[..., None], points[..., :2], np.nan)
    last: dict[int, int] = {}  # track to the row where it was last
    count = 0
    for frame in np.unique(frames):
        rows = np.flatnonzero(frames == frame)
        last = {t: r for t, r in last.items()
                if frame - frames[r] <= longest_gap}
        names = list(last)
        if names:
            before = np.array([last[t] for t in names])
            cost = _distances(xy[before], xy[rows])
            gap = np.sqrt(frame - frames[before])[:, None]
            near = cost <= FARTHEST * np.minimum(gap, 2)
            for a, b in zip(*linear_sum_assignment(
                    np.where(near, cost, 1e6))):
                if near[a, b]:
                    tracks[rows[b]] = names[a]
        for row in rows:
            if tracks[row] < 0:
                tracks[row] = count
                count += 1
            last[int(tracks[row])] = int(row)
    return tracks


def _distances(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Mean joint distance over the size of the person before, (A, B)."""
    both = np.isfinite(before[:, None]).all(-1) & np.isfinite(
        now[None]).all(-1)
    gap = np.where(both, np.linalg.norm(
        before[:, None] - now[None], axis=-1), 0).sum(-1)
    high = np.where(np.isfinite(before), before, -np.inf).max(1)
    low = np.where(np.isfinite(before), before, np.inf).min(1)
    size = np.maximum((high - low).max(-1), 1e-9)[:, None]
    shared = both.sum(-1)
    with np.errstate(invalid='ignore', divide='ignore'):
        cost = gap / shared / size
    return np.where((shared > 0) & np.isfinite(cost), cost, 1e6)
