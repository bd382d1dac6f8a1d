"""What a nearest neighbour knows: no learning, but the training poses."""
from __future__ import annotations

import torch
from torch import Tensor

from mirrorpose.datasets.sequences import PoseSequenceDataset
from mirrorpose.models.completion.completer import (
    Completion,
    check_windows,
    keep_observed,
)
from mirrorpose.models.pose.canonical_frame import canonical_frame
from mirrorpose.models.pose.filling import interpolate_in_time


class NearestPoses:
    """Each frame's missing joints from the nearest poses of the training.

    Nearest by the mean square distance of observed joints, in the canonical
    frame; the mean of ``k``, each moved to where the observed joints are.

    Args:
        data (PoseSequenceDataset): Training windows.
        k (int): Neighbours. Defaults to 8.
        poses (int): Poses to choose from. Defaults to 60,000.
    """

    def __init__(self, data: PoseSequenceDataset, k: int = 8,
                 poses: int = 60_000) -> None:
        number = min(len(data), poses // 8)
        chosen = torch.linspace(0, len(data) - 1, number).long().tolist()
        batch = data.get_batch(chosen, data.fixed_keys(chosen))
        # The frame as it is estimated from what is seen.
        truth, seen = batch['inputs'], batch['observed']
        local = canonical_frame(batch['detected'], seen).apply(truth)
        self.poses, self.k = local[:, ::3].flatten(0, 1), k

    def complete(self, keypoints: Tensor, observed: Tensor,
                 confidence: Tensor | None = None) -> Completion:
        """See ``Completer``."""
        points, observed, weight = check_windows(keypoints, observed,
                                                 confidence)
        # A joint that is hidden for a while is asked for by interpolation.
        ever = observed.any(1, keepdim=True).expand_as(observed)
        points = interpolate_in_time(points, observed)
        x, m = points.flatten(0, 1), ever.flatten(0, 1).float()
        out = torch.cat([self._frames(a, b) for a, b in zip(
            x.split(512), m.split(512))]).view_as(points)
        return Completion(keep_observed(out, points, weight))

    def _frames(self, x: Tensor, m: Tensor) -> Tensor:
        near = self.poses
        flat = m[..., None].expand_as(x).flatten(1)
        y = near.flatten(1)
        distance = flat @ y.square().T - 2 * (
            flat * x.flatten(1)) @ y.T
        found = near[distance.topk(self.k, 1, largest=False).indices]
        share = m[:, None, :, None]
        offset = ((x[:, None] - found) * share).sum(2, keepdim=True) / \
            share.sum(2, keepdim=True).clamp(min=1)
        return (found + offset).mean(1)
