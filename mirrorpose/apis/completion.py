"""Dense and complete pose sequences from sparse ones."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..models.completion.completer import SKELETON
from ..models.completion.windows import (
    WindowPlan,
    blend_weights,
    cut,
    merge,
    plan_windows,
    select,
)
from ..models.pose.canonical_frame import (
    FRAMES,
    CanonicalFrame,
    canonical_frame,
)
from ..models.pose.filling import interpolate_in_time
from ..structures import Skeleton
from ..structures import joint_sets as _joint_sets  # noqa: F401  (registers)
from .completers import as_completer

#: Joints that a window needs in order to say by itself where a body is, and
#: how large.
FEWEST_JOINTS = 4


class CompletedTrack(NamedTuple):
    """A completed sequence of one person.

    Attributes:
        keypoints (np.ndarray): (T, K, 2) float32, the unit of the input,
            finite everywhere but at joints that only the input knows and
            never shows.
        spread (np.ndarray): (T, K) float32, one standard deviation of a
            position in the same unit; NaN where the completer says nothing.
        observed (np.ndarray): (T, K) bool, joints that were in the input.
    """

    keypoints: np.ndarray
    spread: np.ndarray
    observed: np.ndarray


def complete(keypoints: Any,
             confidence: Any = None,
             visible: Any = None,
             joints: str | Skeleton = 'coco_17',
             to: str | Skeleton = 'mpi_inf_3dhp_28',
             completer: Any = None,
             overlap: str = 'blend',
             threshold: float = 0.,
             batch_size: int = 256) -> Any:
    """Completes pose sequences of any length.

    Args:
        keypoints (np.ndarray | Sequence[np.ndarray]): (T, K, 2) of one
            person, or a list of such tracks, (T_i, K, 2). (T, K, 3) holds
            the confidence too. x right, y down, any unit. Frames follow one
            another without a gap: a frame in which nobody was found is a row
            of NaN. Coordinates that are not finite are missing.
        confidence (optional): (T, K) in [0, 1], or a list of such. Observed
            joints are kept in proportion to it by completers that do so.
            Values beyond 1, as some detectors give them, count as 1.
        visible (optional): (T, K), positive where observed; or a list. By
            default what is finite and of a confidence above ``threshold``.
        joints (str | Skeleton): What the K joints are. Defaults to
            ``'coco_17'``.
        to (str | Skeleton): What to return; its joints must be among those
            that the completer knows (MPI-INF-3DHP's 28, and what is made of
            them) or among the input's, which are only interpolated in time.
            Defaults to ``'mpi_inf_3dhp_28'``.
        completer (optional): A completer, a model that holds one, its config
            (dict, or the path of a file with ``model``, which then names its
            weights), or the path of a checkpoint. Defaults to None:
            ``InterpolationCompleter``, as no trained weights come with
            mirrorpose.
        overlap (str): ``'blend'`` averages overlapping windows, ``'select'``
            takes each frame from the window that fits it best, as JUMPS,
            and ``'none'`` lays windows end to end. Defaults to
            ``'blend'``.
        threshold (float): Joints of a confidence up to it are missing.
            Defaults to 0.
        batch_size (int): Windows at a time. Defaults to 256.

    Returns:
        CompletedTrack | list[CompletedTrack]: One a track, as given.

    Raises:
        ValueError: No frames; a wrong joint count; an unknown joint set; no
            joint in common; a track in which nothing is observed, or all in
            one place; shapes that do not fit; or joints that cannot be had.
        TypeError: Something that completes nothing.
    """
    if overlap not in ('blend', 'select', 'none'):
        raise ValueError("overlap must be 'blend', 'select' or 'none', got "
                         f'{overlap!r}')
    if batch_size < 1:
        raise ValueError(f'batch_size must be positive, got {batch_size}')
    source, target = (Skeleton.from_name(s) if isinstance(s, str) else s
                      for s in (joints, to))
    one = not isinstance(keypoints, (list, tuple))
    tracks = [keypoints] if one else list(keypoints)
    sides = []
    for name, given in (('confidence', confidence), ('visible', visible)):
        given = [None] * len(tracks) if given is None else (
            [given] if one else list(given))
        if len(given) != len(tracks):
            raise ValueError(f'{len(given)} arrays of {name} were given to '
                             f'{len(tracks)} tracks')
        sides.append(given)
    read = [_read_track(k, c, v, source, threshold, '' if one else
                        f'track {i}: ')
            for i, (k, c, v) in enumerate(zip(tracks, *sides))]
    if not read:
        return []
    model = as_completer(completer)
    done = _complete_tracks(model, read, source, overlap, batch_size,
                            [''] if one else [f'track {i}: ' for i in
                                              range(len(read))])
    out = [_to_joints(track, own, source, target)
           for track, own in zip(done, read)]
    return out[0] if one else out


class _Track(NamedTuple):
    """(T, K, 2) points with 0 where missing, observed, confidence."""

    points: Tensor
    observed: Tensor
    confidence: Tensor


def _read_track(keypoints: Any, confidence: Any, visible: Any,
                source: Skeleton, threshold: float, where: str) -> _Track:
    points = np.asarray(keypoints, np.float64)
    if points.ndim != 3 or points.shape[2] not in (2, 3):
        raise ValueError(f'{where}keypoints must be (T, K, 2), or (T, K, 3) '
                         f'with confidence, got {points.shape}')
    if not len(points):
        raise ValueError(f'{where}the sequence has no frames')
    if points.shape[1] != len(source):
        raise ValueError(
            f'{where}{points.shape[1]} joints were given as '
            f'{source.name!r}, which has {len(source)}: {list(source.joints)}')
    if points.shape[2] == 3:
        confidence = points[..., 2] if confidence is None else confidence
        points = points[..., :2]
    seen = np.isfinite(points).all(-1)
    trust = np.ones(seen.shape)
    for name, given in (('confidence', confidence), ('visible', visible)):
        if given is None:
            continue
        given = np.asarray(given, np.float64)
        if given.shape != seen.shape:
            raise ValueError(f'{where}{name} is {given.shape}, keypoints '
                             f'want {seen.shape}')
        seen &= given > (threshold if name == 'confidence' else 0)
        if name == 'confidence':
            trust = np.clip(np.nan_to_num(given), 0, 1)
    # Far coordinates would lose the person's shape in float32.
    far = np.abs(points[seen]).max(initial=0)
    if far > 1e12:
        raise ValueError(f'{where}coordinates reach {far:.3g}; mark such '
                         'joints as missing (NaN)')
    return _Track(*(torch.from_numpy(a) for a in (
        np.where(seen[..., None], points, 0.), seen,
        np.where(seen, trust, 0.))))


def _own_joints(source: Skeleton) -> list[tuple[int, int]]:
    """Pairs of channels (28, source) that stand for one landmark.

    Means of others (a pelvis between hips) are left to the completer, which
    knows that a pelvis lies higher.
    """
    here = {source.landmark(j): i for i, j in enumerate(source.joints)}
    pairs = [(i, here[SKELETON.landmark(j)])
             for i, j in enumerate(SKELETON.joints)
             if SKELETON.landmark(j) in here]
    if not pairs:
        raise ValueError(f'{source.name!r} has no joint of '
                         f'{SKELETON.name!r}, which completers know: '
                         f'{list(SKELETON.joints)}')
    return pairs


def _complete_tracks(model: Any, tracks: Sequence[_Track], source: Skeleton,
                     overlap: str, batch_size: int,
                     names: Sequence[str]) -> list[_Track]:
    """28 joints, with the spread in the place of the confidence."""
    pairs = _own_joints(source)
    mine, theirs = [list(c) for c in zip(*pairs)]
    lengths = [len(t.points) for t in tracks]
    points = torch.zeros(sum(lengths), len(SKELETON), 2, dtype=torch.float64)
    observed = torch.zeros(points.shape[:-1], dtype=torch.bool)
    trust = torch.zeros(points.shape[:-1])
    points[:, mine] = torch.cat([t.points[:, theirs] for t in tracks])
    observed[:, mine] = torch.cat([t.observed[:, theirs] for t in tracks])
    trust[:, mine] = torch.cat([t.confidence[:, theirs] for t in tracks]
                               ).float()
    for name, part, seen in zip(names, points.split(lengths),
                                observed.split(lengths)):
        _check_extent(part, seen, name)
    plan = plan_windows(lengths, FRAMES,
                        FRAMES if overlap == 'none' else None)
    windows, seen = cut(points, plan), cut(observed, plan)
    seen = seen & plan.valid[..., None]
    weights = cut(trust, plan).masked_fill(~seen, 0.)
    frame = _frames(windows, seen, plan.sequence)
    local = frame.apply(windows).masked_fill(~seen[..., None], 0.).float()
    device = next((p.device for p in model.parameters()), None) or next(
        (b.device for b in model.buffers()), torch.device('cpu')) \
        if isinstance(model, nn.Module) else torch.device('cpu')
    out, spread, error = [], [], []
    for rows in torch.arange(len(local)).split(batch_size):
        done = model.complete(local[rows].to(device), seen[rows].to(device),
                              weights[rows].to(device))
        out.append(done.keypoints.double().cpu())
        spread.append(torch.full(out[-1].shape[:-1], float('nan'),
                                 dtype=torch.float64)
                      if done.spread is None else done.spread.double().cpu())
        error.append(None if done.error is None else
                     done.error.double().cpu())
    size = frame.scale[:, :, :, 0]
    filled = seen.flatten(1).any(1)
    _check_finite(torch.cat(out), filled, plan, names, model)
    whole = torch.cat([frame.invert(torch.cat(out)),
                       (torch.cat(spread) * size)[..., None]], -1)
    if overlap == 'select':
        # In the unit of the input; without errors the middle is best.
        scores = -blend_weights(whole.shape[1]).expand(whole.shape[:2])
        told = [e for e in error if e is not None]
        if told:
            scores = torch.cat(told) * size[:, :, 0]
        scores = torch.where(filled[:, None], scores, torch.inf)
        merged = select(whole, plan, scores)
        got = merge(torch.ones(len(whole), whole.shape[1], 1,
                               dtype=torch.float64), plan,
                    filled.double())[:, 0].isfinite()
    else:
        merged = merge(whole, plan, filled.double())
        got = torch.isfinite(merged[:, 0, 0])
    results = []
    for part, known in zip(merged.split(lengths), got.split(lengths)):
        # frames of which no window knows anything
        mask = known[None, :, None].expand(1, -1, len(SKELETON))
        part = part.masked_fill(~known[:, None, None], 0.)
        results.append(_Track(
            interpolate_in_time(part[None, ..., :2], mask)[0],
            known[:, None].expand(-1, len(SKELETON)),
            interpolate_in_time(part[None, ..., 2:].expand(
                -1, -1, -1, 2), mask)[0, ..., 0]))
    return results


def _check_finite(done: Tensor, filled: Tensor, plan: WindowPlan,
                  names: Sequence[str], model: Any) -> None:
    """Refuses NaN in answers: it would pass for frames without people."""
    bad = filled & ~done.flatten(1).isfinite().all(1)
    if bool(bad.any()):
        where = names[int(plan.sequence[bad][0])]
        raise RuntimeError(
            f'{where}{type(model).__name__} gave NaN or infinite coordinates '
            f'in {int(bad.sum())} of {len(bad)} windows: its weights are '
            'broken, or the confidence')


def _check_extent(points: Tensor, observed: Tensor, where: str) -> None:
    """Refuses tracks that say nothing of a body."""
    if not bool(observed.any()):
        raise ValueError(f'{where}no joint that a completer knows is '
                         'observed in any frame')
    seen = points[observed]
    extent = float((seen.amax(0) - seen.amin(0)).max())
    if extent <= 1e-9 * max(float(seen.abs().max()), 1e-30):
        raise ValueError(
            f'{where}all observed joints lie in one place, {seen[0].tolist()}'
            ': are missing joints marked as missing (NaN, or confidence 0)?')


def _frames(windows: Tensor, seen: Tensor, sequence: Tensor
            ) -> CanonicalFrame:
    """Canonical frames; poor windows borrow those of their track.

    A window with fewer than ``FEWEST_JOINTS`` joints, or with all in one
    place, takes place and size by linear interpolation between the good
    windows of its track.
    """
    own = canonical_frame(windows, seen)
    middle = own.apply(windows).masked_fill(~seen[..., None], 0.)
    good = (seen.any(1).sum(1) >= FEWEST_JOINTS) & (
        middle.flatten(1).abs().amax(1) > 1e-6)
    if bool(good.all()):
        return own
    origin, scale = own.origin.clone(), own.scale.clone()
    for number in torch.unique(sequence[~good]).tolist():
        rows = (sequence == number).nonzero()[:, 0]
        mine = good[rows]
        if not bool(mine.any()):
            continue
        values = torch.cat([own.origin[rows, 0, 0], own.scale[rows, 0, 0]],
                           -1)
        values = interpolate_in_time(
            values[None, :, :, None].expand(-1, -1, -1, 2),
            mine[None, :, None].expand(1, -1, 3))[0, ..., 0]
        origin[rows, 0, 0], scale[rows, 0, 0] = values[:, :2], values[:, 2:]
    return CanonicalFrame(origin, scale)


def _to_joints(done: _Track, own: _Track, source: Skeleton,
               target: Skeleton) -> CompletedTrack:
    """The joints that were asked for."""
    matrix = torch.from_numpy(SKELETON.matrix(target))
    given = [source.landmark(j) for j in source.joints]
    passed = [(i, given.index(target.landmark(j)))
              for i, j in enumerate(target.joints)
              if not bool(matrix[i].any()) and target.landmark(j) in given]
    lost = [j for i, j in enumerate(target.joints)
            if not bool(matrix[i].any()) and i not in dict(passed)]
    if lost:
        raise ValueError(
            f'{lost} of {target.name!r} are neither made of the joints of '
            f'{SKELETON.name!r} nor in the input ({source.name!r}); ask for '
            'another joint set')
    points = torch.einsum('jk,tkc->tjc', matrix, done.points)
    # of means, as if their parts erred alike: never too small
    spread = done.confidence @ matrix.T
    observed = torch.zeros(points.shape[:-1], dtype=torch.bool)
    if passed:
        mine, theirs = [list(c) for c in zip(*passed)]
        seen = own.observed[:, theirs]
        filled = interpolate_in_time(own.points[None, :, theirs], seen[None])
        points[:, mine] = filled[0].masked_fill(
            ~seen.any(0)[:, None], float('nan'))
        spread[:, mine] = float('nan')
    for i, name in enumerate(target.joints):
        if target.landmark(name) in given:
            observed[:, i] = own.observed[:, given.index(
                target.landmark(name))]
    return CompletedTrack(points.float().numpy(), spread.float().numpy(),
                          observed.numpy())
