"""The sequence critic as a pose prior: it scores anybody's sequences."""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..completion.windows import window_starts
from ..pose.canonical_frame import FRAMES, SKELETON, canonical_frame
from ..pose.filling import interpolate_in_time
from ..pose.prior import check_keypoints

Critic = Callable[[Tensor], Tensor]
Fill = Callable[[Tensor, Tensor], Tensor]


def score_sequences(critic: Critic, keypoints: Tensor,
                    mask: Tensor | None = None,
                    fill: Fill | None = None) -> Tensor:
    """Mean score of a sequence's half-overlapping windows.

    Each window is put into its canonical frame, so neither place nor size
    matters. Differentiable in the keypoints that are present.

    Args:
        critic (Callable): Canonical windows (N, 24, 28, 2) to (N,). In
            evaluation mode, if it has batch normalisation.
        keypoints (Tensor): (N, F, 28, 2), F at least 24, x right, y down.
        mask (Tensor, optional): (N, F, 28), positive where present. Missing
            joints are interpolated in time.
        fill (Callable, optional): Completes canonical windows with joints
            that are present in no frame, given what is present.

    Returns:
        Tensor: (N,), higher is more plausible; not calibrated.

    Raises:
        ValueError: Wrong shapes, fewer than 24 frames, coordinates that are
            not finite, or a joint present in no frame of a window without
            ``fill``.
    """
    keypoints = check_keypoints(keypoints, mask, SKELETON, sequence=True)
    n, frames = keypoints.shape[:2]
    if frames < FRAMES:
        raise ValueError(f'a sequence of {frames} frames is shorter than a '
                         f'window of {FRAMES}: repeat its last frame')
    starts = window_starts(frames, FRAMES)
    rows = torch.tensor(starts, device=keypoints.device)[:, None] + \
        torch.arange(FRAMES, device=keypoints.device)
    windows = keypoints[:, rows].flatten(0, 1)
    if mask is None:
        windows = canonical_frame(windows).apply(windows)
        return critic(windows).view(n, -1).mean(1)
    present = (mask > 0)[:, rows].flatten(0, 1)
    lost = (~present.any(1)).any(0)
    if bool(lost.any()) and fill is None:
        names = [j for j, gone in zip(SKELETON.joints, lost.tolist()) if gone]
        raise ValueError(
            f'{names} are present in no frame of a window, and a critic '
            'alone cannot make them up: score with the whole Jumps model')
    windows = canonical_frame(windows, present).apply(windows)
    whole = interpolate_in_time(windows, present)
    if fill is not None:
        made = fill(whole.detach(), present)
        whole = torch.where(present.any(1)[:, None, :, None], whole, made)
    return critic(whole).view(n, -1).mean(1)
