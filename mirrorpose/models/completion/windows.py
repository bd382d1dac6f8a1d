"""Sequences of any length as half-overlapping windows, and back.

JUMPS, Section III-D: windows of 24 frames, each 12 after the one before; the
last one ends with the sequence. Several sequences make one batch.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..pose.canonical_frame import FRAMES


def window_starts(length: int, frames: int = FRAMES,
                  stride: int | None = None) -> list[int]:
    """First frames of the windows of one sequence.

    Args:
        length (int): Frames of the sequence.
        frames (int): Frames of a window. Defaults to 24.
        stride (int, optional): Half a window by default.

    Returns:
        list[int]: From 0 by ``stride``; the last window ends with the
        sequence, so it may overlap by more. One window for short sequences.

    Raises:
        ValueError: An empty sequence, or a stride that leaves frames out.
    """
    stride = max(frames // 2, 1) if stride is None else stride
    if length < 1:
        raise ValueError('a sequence needs at least one frame, got '
                         f'{length}')
    if not 1 <= stride <= frames:
        raise ValueError(f'stride must lie in [1, {frames}], the length of a '
                         f'window, got {stride}')
    last = max(length - frames, 0)
    starts = list(range(0, last + 1, stride))
    return starts if starts[-1] == last else [*starts, last]


class WindowPlan(NamedTuple):
    """Which frames of several sequences, end to end, each window holds.

    Attributes:
        frames (Tensor): (W, F) int64 into the T frames of all sequences.
        valid (Tensor): (W, F) bool, False where a short sequence was padded
            with its last frame.
        sequence (Tensor): (W,) int64, the sequence of each window.
        total (int): T.
    """

    frames: Tensor
    valid: Tensor
    sequence: Tensor
    total: int


def plan_windows(lengths: Sequence[int], frames: int = FRAMES,
                 stride: int | None = None) -> WindowPlan:
    """Lays half-overlapping windows over sequences.

    Args:
        lengths (Sequence[int]): Frames of each sequence.
        frames (int): Frames of a window. Defaults to 24.
        stride (int, optional): Half a window by default.

    Raises:
        ValueError: See :func:`window_starts`.
    """
    starts, firsts, ends, owner = [], [], [], []
    offset = 0
    for number, length in enumerate(lengths):
        mine = window_starts(int(length), frames, stride)
        starts += [offset + s for s in mine]
        ends += [offset + int(length)] * len(mine)
        owner += [number] * len(mine)
        firsts.append(offset)
        offset += int(length)
    wanted = torch.tensor(starts, dtype=torch.int64)[:, None] + torch.arange(
        frames)
    end = torch.tensor(ends, dtype=torch.int64)[:, None]
    return WindowPlan(torch.minimum(wanted, end - 1), wanted < end,
                      torch.tensor(owner, dtype=torch.int64), offset)


def cut(values: Tensor, plan: WindowPlan) -> Tensor:
    """Windows (W, F, ...) of (T, ...); padding repeats the last frame."""
    return values[plan.frames.to(values.device)]


def blend_weights(frames: int) -> Tensor:
    """Triangle over a window, (F,): highest in its middle, never 0.

    Half-overlapping triangles add up to a constant.
    """
    place = torch.arange(frames, dtype=torch.float64)
    return torch.minimum(place + .5, frames - .5 - place) / frames * 2


def merge(windows: Tensor, plan: WindowPlan,
          weight: Tensor | None = None) -> Tensor:
    """Blends overlapping windows.

    Args:
        windows (Tensor): (W, F, ...).
        plan (WindowPlan): Of the windows.
        weight (Tensor, optional): (W,) or (W, F), positive, multiplies
            :func:`blend_weights`; frames none of whose windows has a weight
            become NaN.

    Returns:
        Tensor: (T, ...), the weighted means.
    """
    frames = windows.shape[1]
    share = blend_weights(frames).to(windows) * plan.valid.to(windows)
    if weight is not None:
        share = share * weight.to(windows).reshape(len(windows), -1)
    index = plan.frames.to(windows.device).flatten()
    total = windows.new_zeros(plan.total).index_add_(0, index,
                                                     share.flatten())
    flat = windows.flatten(0, 1)
    share = share.flatten().reshape(-1, *[1] * (flat.ndim - 1))
    out = flat.new_zeros(plan.total, *flat.shape[1:]).index_add_(
        0, index, torch.where(share > 0, flat * share, 0.))
    return out / total.reshape(-1, *[1] * (flat.ndim - 1))


def select(windows: Tensor, plan: WindowPlan,
           error: Tensor | None = None) -> Tensor:
    """Takes every frame from one of its windows.

    Args:
        windows (Tensor): (W, F, ...).
        plan (WindowPlan): Of the windows.
        error (Tensor, optional): (W, F), the lowest wins (JUMPS: the
            contextual loss of the frame), the first of equals. The distance
            from the middle of the window by default, as completions are
            worst at the ends of windows.

    Returns:
        Tensor: (T, ...).

    Raises:
        ValueError: An error is NaN, or its shape does not fit.
    """
    frames = windows.shape[1]
    if error is None:
        error = -blend_weights(frames).to(windows.device).expand(
            len(windows), frames)
    elif error.shape != windows.shape[:2] or bool(error.isnan().any()):
        raise ValueError(f'error must be {tuple(windows.shape[:2])} without '
                         f'NaN, got {tuple(error.shape)}')
    valid = plan.valid.to(windows.device)
    index = plan.frames.to(windows.device)[valid]
    error = error[valid]
    best = error.new_full((plan.total, ), float('inf')).scatter_reduce_(
        0, index, error, 'amin')
    place = torch.arange(windows.shape[0] * frames,
                         device=windows.device).reshape(-1, frames)[valid]
    wins = error == best[index]
    chosen = place.new_full((plan.total, ), len(windows) * frames)
    chosen.scatter_reduce_(0, index[wins], place[wins], 'amin')
    return windows.flatten(0, 1)[chosen]
