"""How plausible sequences are under a Gaussian of windows."""
from __future__ import annotations

import torch
from torch import Tensor

from ..pose.canonical_frame import SKELETON, canonical_frame
from ..pose.prior import check_keypoints
from .gaussian import LowRankGaussian, log_density
from .windows import window_starts


def by_coordinate(weights: Tensor) -> Tensor:
    """(N, F, K) of joints to (N, F * K * 2) of coordinates."""
    return weights[..., None].expand(*weights.shape, 2).flatten(1)


def score_sequences(gaussian: LowRankGaussian, noise: float, frames: int,
                    limbs: Tensor, keypoints: Tensor,
                    mask: Tensor | None = None) -> Tensor:
    """See :meth:`~.ridge.RidgeCompleter.score`.

    Args:
        gaussian (LowRankGaussian): Of windows, frames * 28 * 2 dimensions.
        noise (float): Of a coordinate, in the canonical unit.
        frames (int): Of a window.
        limbs (Tensor): (28,) bool, joints that tell the canonical frame.
        keypoints (Tensor): (N, F, 28, 2).
        mask (Tensor, optional): (N, F, 28), positive where present.

    Returns:
        Tensor: (N,) nats a coordinate.

    Raises:
        ValueError: Wrong shapes, too few frames, or coordinates that are
            not finite.
    """
    keypoints = check_keypoints(keypoints, mask, SKELETON, sequence=True)
    n, f = keypoints.shape[:2]
    if f < frames:
        raise ValueError(f'a sequence of {f} frames is shorter than a '
                         f'window of {frames}')
    rows = torch.tensor(window_starts(f, frames))[:, None] + \
        torch.arange(frames)
    windows = keypoints[:, rows].flatten(0, 1)
    present = torch.ones_like(windows[..., 0], dtype=torch.bool) \
        if mask is None else (mask > 0)[:, rows].flatten(0, 1)
    # The frame that the moments are of: of what detectors see.
    known = present & limbs
    enough = known.flatten(1).sum(1) >= 4
    frame = canonical_frame(windows, torch.where(
        enough[:, None, None], known, present))
    local = frame.apply(windows).masked_fill(~present[..., None], 0.)
    density = log_density(
        gaussian, local.flatten(1),
        by_coordinate(present.double()), noise)
    share = density / (2 * present.flatten(1).sum(1)).clamp(min=1)
    return share.view(n, -1).mean(1).to(keypoints.dtype)
