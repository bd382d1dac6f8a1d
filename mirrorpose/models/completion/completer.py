"""What the toolkit asks of anything that completes pose sequences."""
from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from ..pose.canonical_frame import SKELETON


class Completion(NamedTuple):
    """Complete windows, in the frame and unit of the input.

    Attributes:
        keypoints (Tensor): (N, F, 28, 2), finite everywhere.
        spread (Tensor, optional): (N, F, 28), one standard deviation of a
            joint's position (root of the sum of both variances); None from
            completers that know nothing of it. 0 means certain.
        error (Tensor, optional): (N, F), how badly the windows fit what was
            observed, lower is better. Overlapping windows are chosen by it.
        believed (Tensor, optional): (N, F, 28, 2), where a completer doubts
            what was observed and yet keeps of it: its estimate alone.
    """

    keypoints: Tensor
    spread: Tensor | None = None
    error: Tensor | None = None
    believed: Tensor | None = None


@runtime_checkable
class Completer(Protocol):
    """Completes windows of MPI-INF-3DHP's 28 joints.

    Windows stand in a canonical frame that is estimated from what is
    observed of them (:func:`mirrorpose.models.pose.canonical_frame
    .canonical_frame`), in training and in use. Windows do not know of each
    other: a result does not depend on the batch.
    """

    def complete(self, keypoints: Tensor, observed: Tensor,
                 confidence: Tensor | None = None) -> Completion:
        """Fills what is not observed.

        Args:
            keypoints (Tensor): (N, F, 28, 2), x right, y down. What is not
                observed does not matter, NaN included.
            observed (Tensor): (N, F, 28) bool.
            confidence (Tensor, optional): (N, F, 28) in [0, 1], of observed
                joints; all 1 by default.

        Raises:
            ValueError: Shapes do not fit, or an observed joint is not finite.
        """
        ...


def check_windows(keypoints: Tensor, observed: Tensor,
                  confidence: Tensor | None = None
                  ) -> tuple[Tensor, Tensor, Tensor]:
    """Validates what a completer was given.

    Returns:
        tuple: Keypoints with 0 where nothing is observed, observed as bool,
        and the confidence as a float, 0 where nothing is observed.

    Raises:
        ValueError: Shapes do not fit the 28 joints, an observed joint is not
            finite, or a confidence lies outside of [0, 1].
    """
    if keypoints.ndim != 4 or keypoints.shape[2:] != (len(SKELETON), 2):
        raise ValueError(
            f'a completer reads windows (N, F, {len(SKELETON)}, 2) in the '
            f'joints of {SKELETON.name!r}, got {tuple(keypoints.shape)}: '
            'mirrorpose.apis.complete takes any joint set and any length')
    if keypoints.shape[1] == 0:
        raise ValueError('a window needs at least one frame, got none')
    for what, mask in (('observed', observed), ('confidence', confidence)):
        if mask is not None and mask.shape != keypoints.shape[:-1]:
            raise ValueError(f'{what} is {tuple(mask.shape)}, keypoints '
                             f'want {tuple(keypoints.shape[:-1])}')
    observed = observed > 0
    points = keypoints.masked_fill(~observed[..., None], 0.)
    if not bool(points.detach().isfinite().all()):
        raise ValueError('keypoints hold NaN or infinite coordinates at '
                         'joints that are said to be observed')
    if confidence is None:
        return points, observed, observed.to(points.dtype)
    weight = confidence.to(points.dtype).masked_fill(~observed, 0.)
    if not bool(((weight >= 0) & (weight <= 1)).all()):
        raise ValueError('the confidence of observed joints must lie in '
                         f'[0, 1], got [{weight.min()}, {weight.max()}]')
    return points, observed, weight


def keep_observed(estimate: Tensor, points: Tensor,
                  confidence: Tensor) -> Tensor:
    """Observed joints, in proportion to how far they are trusted.

    Args:
        estimate (Tensor): (N, F, K, 2).
        points (Tensor): (N, F, K, 2), finite.
        confidence (Tensor): (N, F, K) in [0, 1]; 0 gives the estimate, 1
            the observation.
    """
    return torch.lerp(estimate, points, confidence[..., None])


def frame_error(estimate: Tensor, points: Tensor,
                confidence: Tensor) -> Tensor:
    """Mean distance of the estimate from what was observed, by frame.

    Frames without observed joints get the window's mean; windows without
    any get infinity.

    Returns:
        Tensor: (N, F).
    """
    distance = torch.linalg.vector_norm(estimate - points, dim=-1)
    weight = confidence.sum(-1)
    total = (distance * confidence).sum(-1)
    whole = total.sum(1, keepdim=True) / weight.sum(1, keepdim=True)
    error = torch.where(weight > 0, total / weight, whole)
    return error.nan_to_num(nan=float('inf'), posinf=float('inf'))
