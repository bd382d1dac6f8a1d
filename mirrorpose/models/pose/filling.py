"""What stands in for missing joints where a network wants all of them.

The paper says no more than that the encoder reads the input. Here joints
that are seen in some frame are interpolated in time; joints that are never
seen take their conditional mean given the others under a Gaussian of single
poses (the first half is spec 3.1's, the second replaces its offset from the
parent joint, [DERIVED]).
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

from .canonical_frame import SKELETON

_SIZE = 2 * len(SKELETON)


def interpolate_in_time(keypoints: Tensor, observed: Tensor) -> Tensor:
    """Fills gaps of each joint linearly; ends are held.

    Args:
        keypoints (Tensor): (N, F, K, 2); what is not observed may be
            anything, NaN included.
        observed (Tensor): (N, F, K) bool.

    Returns:
        Tensor: (N, F, K, 2), equal at observed places; 0 for joints that
        are seen in no frame.
    """
    frames = keypoints.shape[1]
    keypoints = keypoints.masked_fill(~observed[..., None], 0.)
    time = torch.arange(frames, device=keypoints.device)[:, None]
    before = torch.where(observed, time, -1).cummax(1).values
    after = torch.where(observed, time, frames).flip(1).cummin(1).values.flip(
        1)
    after = torch.where(after == frames, before, after)
    before = torch.where(before < 0, after, before)
    here = (before.clamp(min=0), after.clamp(min=0))
    low, high = (keypoints.gather(1, i[..., None].expand_as(keypoints))
                 for i in here)
    span = (after - before).clamp(min=1)
    share = ((time - before).to(keypoints) / span).clamp(0, 1)[..., None]
    filled = low + share * (high - low)
    return torch.where(observed[..., None], keypoints, filled)


class PoseStatistics(nn.Module):
    """Mean and second moment of single canonical poses, running.

    Both are averages, so those of several processes may be averaged.

    Args:
        momentum (float): Share of a batch, after the first
            ``1 / momentum`` of them. Defaults to 0.01.
        noise (float): Standard deviation that observed coordinates are
            reckoned to have, in canonical units; it regularises. Defaults
            to 0.01.
    """

    mean: Tensor
    second: Tensor
    batches: Tensor

    def __init__(self, momentum: float = .01, noise: float = .01) -> None:
        super().__init__()
        if not 0 < momentum <= 1 or noise <= 0:
            raise ValueError('momentum lies in (0, 1] and noise above 0, got '
                             f'{momentum} and {noise}')
        self.momentum, self.noise = momentum, noise
        self.register_buffer('mean', torch.zeros(_SIZE))
        self.register_buffer('second', torch.eye(_SIZE))
        self.register_buffer('batches', torch.zeros(()))

    @torch.no_grad()
    def update(self, keypoints: Tensor, present: Tensor | None = None
               ) -> None:
        """Adds the complete poses of a batch.

        Args:
            keypoints (Tensor): (N, F, 28, 2), canonical.
            present (Tensor, optional): (N, F, 28) bool.
        """
        poses = keypoints.detach().flatten(2).flatten(0, 1).float()
        whole = poses.new_ones(len(poses)) if present is None else \
            present.flatten(0, 1).all(1).to(poses)
        # No branch on the data: nothing waits for the device.
        count = whole.sum()
        poses = torch.where(whole[:, None] > 0, poses, 0.)
        share = torch.clamp(1 / (self.batches + 1), min=self.momentum) * (
            count > 0)
        divisor = count.clamp(min=1)
        self.mean += share * (poses.sum(0) / divisor - self.mean)
        self.second += share * (poses.T @ poses / divisor - self.second)
        self.batches += (count > 0)

    @torch.no_grad()
    def fill(self, keypoints: Tensor, observed: Tensor) -> Tensor:
        """Completes windows.

        Args:
            keypoints (Tensor): (N, F, 28, 2), canonical.
            observed (Tensor): (N, F, 28) bool.

        Returns:
            Tensor: (N, F, 28, 2), finite, equal at observed places. The mean
            pose where nothing is observed.
        """
        if bool(observed.all()):
            return keypoints
        out = interpolate_in_time(keypoints, observed)
        seen = observed.any(1)
        if bool(seen.all()):
            return out
        mean = self.mean.double()
        covariance = self.second.double() - torch.outer(mean, mean)
        # Windows that lack the same joints share one solve.
        kinds, which = torch.unique(seen, dim=0, return_inverse=True)
        for kind in range(len(kinds)):
            rows = (which == kind).nonzero().flatten()
            known = kinds[kind].repeat_interleave(2)
            lost = ~known
            if not bool(lost.any()):
                continue
            poses = out[rows].flatten(2).double()
            guess = mean[lost].expand(*poses.shape[:2], -1)
            if bool(known.any()):
                own = covariance[known][:, known] + self.noise**2 * torch.eye(
                    int(known.sum()), dtype=mean.dtype, device=mean.device)
                map_ = torch.linalg.solve(own, covariance[known][:, lost])
                guess = guess + (poses[..., known] - mean[known]) @ map_
            poses[..., lost] = guess
            out[rows] = poses.view(*out[rows].shape).to(out)
        return out
