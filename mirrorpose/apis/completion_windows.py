"""Tracks in windows: cut, completed, and joined again."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

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

#: Joints that a window needs in order to say by itself where a body is, and
#: how large.
FEWEST_JOINTS = 4


class Track(NamedTuple):
    """One person's joints.

    Attributes:
        points (Tensor): (T, K, 2) float64, 0 where missing.
        observed (Tensor): (T, K) bool.
        confidence (Tensor): (T, K) in [0, 1].
    """

    points: Tensor
    observed: Tensor
    confidence: Tensor


class CompletedJoints(NamedTuple):
    """One person's completed 28 joints.

    Attributes:
        points (Tensor): (T, 28, 2) float64.
        spread (Tensor): (T, 28), NaN where the completer says nothing.
        hypotheses (Tensor): (S, T, 28, 2), S of them.
    """

    points: Tensor
    spread: Tensor
    hypotheses: Tensor


def own_joints(source: Skeleton) -> list[tuple[int, int]]:
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


def complete_tracks(model: Any, tracks: Sequence[Track], source: Skeleton,
                    overlap: str, batch_size: int, names: Sequence[str],
                    hypotheses: int = 0) -> list[CompletedJoints]:
    """Completes tracks in half-overlapping windows, all people together.

    Args:
        model (Completer): What completes windows.
        tracks (Sequence[Track]): In the joints of ``source``.
        source (Skeleton): Of the tracks.
        overlap (str): See :func:`~.completion.complete`.
        batch_size (int): Windows at a time.
        names (Sequence[str]): Of the tracks, for messages.
        hypotheses (int): Further answers to each. Defaults to 0.

    Raises:
        ValueError: No joint in common, or a track that says nothing of a
            body.
        RuntimeError: The completer gave NaN.
    """
    lengths = [len(t.points) for t in tracks]
    points, observed, trust = _in_our_joints(tracks, source)
    for name, part, known in zip(names, points.split(lengths),
                                 observed.split(lengths)):
        _check_extent(part, known, name)
    plan = plan_windows(lengths, FRAMES,
                        FRAMES if overlap == 'none' else None)
    windows, seen = cut(points, plan), cut(observed, plan)
    seen = seen & plan.valid[..., None]
    weights = cut(trust, plan).masked_fill(~seen, 0.)
    frame = _frames(windows, seen, plan.sequence)
    local = frame.apply(windows).masked_fill(~seen[..., None], 0.).float()
    device = _device(model)
    out, spread, error, several = [], [], [], []
    for rows in torch.arange(len(local)).split(batch_size):
        given = [v[rows].to(device) for v in (local, seen, weights)]
        done = model.complete(*given)
        out.append(done.keypoints.double().cpu())
        spread.append(torch.full(out[-1].shape[:-1], float('nan'),
                                 dtype=torch.float64)
                      if done.spread is None else done.spread.double().cpu())
        error.append(None if done.error is None else
                     done.error.double().cpu())
        several.append(out[-1][:, None][:, :0] if not hypotheses else
                       model.hypotheses(*given, number=hypotheses
                                        ).double().cpu())
    size = frame.scale[:, :, :, 0]
    filled = seen.flatten(1).any(1)
    answers = torch.cat([torch.cat(out)[:, None], torch.cat(several)], 1)
    _check_finite(answers, filled, plan, names, model)
    # (W, F, 1 + S, 28, 2): the answer, then the hypotheses.
    placed = CanonicalFrame(*(v[:, None] for v in frame)).invert(
        answers).movedim(1, 2)
    whole = torch.cat([placed[:, :, 0],
                       (torch.cat(spread) * size)[..., None]], -1)
    other = merge(placed[:, :, 1:], plan, filled.double())
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
    for part, more, known in zip(merged.split(lengths), other.split(lengths),
                                 got.split(lengths)):
        results.append(CompletedJoints(
            _over_gaps(part[..., :2], known),
            _over_gaps(part[..., 2:].expand(-1, -1, 2), known)[..., 0],
            _over_gaps(more.flatten(1, 2), known).view(
                more.shape).movedim(1, 0)))
    return results


def _in_our_joints(tracks: Sequence[Track], source: Skeleton
                   ) -> tuple[Tensor, Tensor, Tensor]:
    """Points, observed and confidence of all tracks, in the 28 joints."""
    mine, theirs = [list(c) for c in zip(*own_joints(source))]
    total = sum(len(t.points) for t in tracks)
    points = torch.zeros(total, len(SKELETON), 2, dtype=torch.float64)
    observed = torch.zeros(points.shape[:-1], dtype=torch.bool)
    trust = torch.zeros(points.shape[:-1])
    points[:, mine] = torch.cat([t.points[:, theirs] for t in tracks])
    observed[:, mine] = torch.cat([t.observed[:, theirs] for t in tracks])
    trust[:, mine] = torch.cat([t.confidence[:, theirs] for t in tracks]
                               ).float()
    return points, observed, trust


def _device(model: Any) -> torch.device:
    """Where a completer is."""
    if not isinstance(model, nn.Module):
        return torch.device('cpu')
    held = next((t.device for group in (model.parameters(), model.buffers())
                 for t in group), None)
    return torch.device('cpu') if held is None else held


def _over_gaps(values: Tensor, known: Tensor) -> Tensor:
    """(T, K, 2) over frames of which no window knows anything."""
    values = values.masked_fill(~known[:, None, None], 0.)
    mask = known[None, :, None].expand(1, -1, values.shape[1])
    return interpolate_in_time(values[None], mask)[0]


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
