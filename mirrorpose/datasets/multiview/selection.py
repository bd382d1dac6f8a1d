"""Which views of a source a data set keeps."""
from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np
from mmengine.logging import print_log

from .views import Views


def with_calibration(views: Views, keep: np.ndarray, rule: str,
                     where: str) -> np.ndarray:
    """(N,) bool: views that stay; see ``uncalibrated`` of the data set."""
    lost = keep & ~views.calibrated
    if not lost.any() or rule == 'unannotated':
        return np.ones_like(keep)
    if rule == 'error':
        row = int(np.flatnonzero(lost)[0])
        raise ValueError(
            f'{where}: {int(lost.sum())} views have no calibration, the '
            f'first is camera {str(views.cameras[row])!r} of clip '
            f'{str(views.clips[views.clip[views.instant[row]]])!r}, so '
            'their 3D joints cannot be turned into the camera\'s frame; '
            "add the calibration, or set uncalibrated='unannotated' (the "
            "views stay, without 3D joints) or 'drop'")
    return ~lost


def whole_groups(views: Views, rows: np.ndarray, min_views: int,
                 require_all: bool, where: str) -> np.ndarray:
    """Rows of instants that enough cameras saw."""
    if not len(rows):
        raise ValueError(f'{where}: no view is left; look at part, '
                         'subjects, actions, cameras and stride')
    counts = np.bincount(views.instant[rows], minlength=len(views.clip))
    per_clip = np.zeros(len(views.clips), int)
    np.maximum.at(per_clip, views.clip, counts)
    short = (counts > 0) & (counts < per_clip[views.clip])
    if require_all and short.any():
        first = int(np.flatnonzero(short)[0])
        clip = views.clip[first]
        raise ValueError(
            f'{where}: instants miss views: {int(short.sum())}, the first '
            f'is frame {views.frame[first]} of {views.clips[clip]!s} '
            f'with {counts[first]} of {per_clip[clip]} cameras; add the '
            'views, or let require_all_views be False')
    few = (counts > 0) & (counts < min_views)
    if few.any():
        print_log(f'{where}: {int(few.sum())} instants that fewer than '
                  f'{min_views} cameras saw are left out', 'current')
    rows = rows[counts[views.instant[rows]] >= min_views]
    if not len(rows):
        raise ValueError(
            f'{where}: no instant is seen by {min_views} cameras (single '
            'views cannot be compared); give more cameras, or '
            'min_views=1 for a test on single views')
    return rows


def matching(names: np.ndarray, patterns: Sequence[str] | None, what: str,
             where: str) -> np.ndarray:
    """(N,) bool: names that a pattern matches; all without patterns."""
    if patterns is None:
        return np.ones(len(names), bool)
    if isinstance(patterns, str):
        patterns = [patterns]
    distinct, inverse = np.unique(names, return_inverse=True)
    hit = np.zeros(len(distinct), bool)
    for pattern in patterns:
        mine = np.array([fnmatchcase(str(n), pattern) for n in distinct])
        if not mine.any():
            raise ValueError(f'{where}: {what} names {pattern!r}; there are '
                             f'{distinct.tolist()}')
        hit |= mine
    return hit[inverse]
