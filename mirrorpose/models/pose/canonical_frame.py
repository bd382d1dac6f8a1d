"""The frame in which sequences are learnt: where the body is, and how large.

Per window: minus the mean over frames of the pelvis, divided by one body
scale, twice the mean over frames of the distance from head top to pelvis
(spec 3.3, [DERIVED]). So a standing person lies within about [-1, 1],
x right, y down.
"""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mirrorpose.structures import Skeleton

#: Joints of a window, and its frames (JUMPS, Section III).
SKELETON = Skeleton.from_name('mpi_inf_3dhp_28')
FRAMES = 24

PELVIS, NECK, HEAD_TOP = SKELETON.index('pelvis', 'neck', 'head_top')
HIPS = SKELETON.index('left_hip', 'right_hip')
SHOULDERS = SKELETON.index('left_shoulder', 'right_shoulder')

#: Distance to the pelvis over that of the head top, in upright projections
#: of CMU's and Bandai-Namco's motions (medians .71/.72 and .81/.70; the hips
#: of the two skeletons lie differently below the pelvis).
NECK_SHARE, SHOULDER_SHARE = .71, .73
#: Distance from head top to pelvis over the root mean square distance of
#: the joints from their centroid; medians of the same, 12 limb joints.
SPREAD_SHARE = 1 / .727


class CanonicalFrame(NamedTuple):
    """Where the windows are, and how large.

    Attributes:
        origin (Tensor): (N, 1, 1, 2), in the unit of the keypoints.
        scale (Tensor): (N, 1, 1, 1), positive, the same unit.
    """

    origin: Tensor
    scale: Tensor

    def apply(self, keypoints: Tensor) -> Tensor:
        """Into the canonical frame; (N, F, K, 2) with any F and K."""
        return (keypoints - self.origin) / self.scale

    def invert(self, keypoints: Tensor) -> Tensor:
        """Back out of the canonical frame."""
        return keypoints * self.scale + self.origin


def _masked_mean(values: Tensor, mask: Tensor, dims: tuple[int, ...]
                 ) -> tuple[Tensor, Tensor]:
    """Mean over ``dims`` where the mask holds, and where there was any.

    Values (N, F[, K], 2) with a mask of one dimension less; the results
    keep their dimensions.
    """
    count = mask.sum(dims, keepdim=True)
    held = values.masked_fill(~mask[..., None], 0.)
    mean = held.sum(dims, keepdim=True) / count.clamp(min=1)[..., None]
    return mean, count > 0


def canonical_frame(keypoints: Tensor, observed: Tensor | None = None
                    ) -> CanonicalFrame:
    """The frame of each window, from what is observed of it.

    Complete windows: by the definition above. Where joints are missing, the
    pelvis is, by what is there in any frame of the window, the pelvis, the
    middle of the hips, or the centroid of all observed joints; its distance
    to the head top, the head top's, the neck's or the middle of the
    shoulders' by typical proportions, or else the spread of the observed
    joints. So the frame of an incomplete window is near that of the complete
    one, not equal. A scale is never below the root mean square distance of
    the observed joints from the origin, which bounds the coordinates of
    people who are seen from above.

    Args:
        keypoints (Tensor): (N, F, 28, 2), x right, y down; coordinates of
            unobserved joints do not matter, NaN included.
        observed (Tensor, optional): (N, F, 28) bool; all by default.

    Returns:
        CanonicalFrame: Windows without any observed joint, and points all in
        one place, get the origin of what there is, and scale 1.

    Raises:
        ValueError: The shapes do not fit the 28 joints.
    """
    if keypoints.ndim != 4 or keypoints.shape[2:] != (len(SKELETON), 2):
        raise ValueError(
            f'windows are (N, F, {len(SKELETON)}, 2) in the joints of '
            f'{SKELETON.name!r}, got {tuple(keypoints.shape)}: convert with '
            'Skeleton.convert')
    if observed is None:
        observed = torch.ones_like(keypoints[..., 0], dtype=torch.bool)
    elif observed.shape != keypoints.shape[:-1]:
        raise ValueError(f'observed is {tuple(observed.shape)}, keypoints '
                         f'want {tuple(keypoints.shape[:-1])}')
    observed = observed.bool()
    points = keypoints.masked_fill(~observed[..., None], 0.)

    pelvis, has_pelvis = points[:, :, PELVIS], observed[:, :, PELVIS]
    hips, has_hips = points[:, :, HIPS].mean(2), observed[:, :, HIPS].all(2)
    known = has_pelvis.any(1, keepdim=True)
    # One kind of pelvis a window: a change between frames would be a jump.
    root = torch.where(known[..., None], pelvis, hips)
    has_root = torch.where(known, has_pelvis, has_hips)
    centre, _ = _masked_mean(points, observed, (1, 2))
    mean_root, rooted = _masked_mean(root, has_root, (1, ))
    origin = torch.where(rooted[..., None, None], mean_root[:, :, None],
                         centre)

    spread = _root_mean_square(points - centre, observed)
    height, found = SPREAD_SHARE * spread, torch.zeros_like(rooted[:, 0])
    shoulders = points[:, :, SHOULDERS].mean(2)
    for upper, there, share in (
            (points[:, :, HEAD_TOP], observed[:, :, HEAD_TOP], 1.),
            (points[:, :, NECK], observed[:, :, NECK], NECK_SHARE),
            (shoulders, observed[:, :, SHOULDERS].all(2), SHOULDER_SHARE)):
        both = there & has_root
        length = torch.linalg.vector_norm(upper - root, dim=-1)
        mean = length.masked_fill(~both, 0.).sum(1) / both.sum(1).clamp(min=1)
        height = torch.where(both.any(1) & ~found, mean / share, height)
        found = found | both.any(1)
    scale = torch.maximum(2 * height,
                          _root_mean_square(points - origin, observed))
    extent = points.detach().abs().amax((1, 2, 3))
    usable = scale > 1e-6 * extent.clamp(min=1e-20)
    scale = torch.where(usable, scale, torch.ones_like(scale))
    return CanonicalFrame(origin, scale[:, None, None, None])


def _root_mean_square(offsets: Tensor, observed: Tensor) -> Tensor:
    """Of the observed joints' lengths, (N,)."""
    squared = offsets.square().sum(-1).masked_fill(~observed, 0.)
    mean = squared.sum((1, 2)) / observed.sum((1, 2)).clamp(min=1)
    # At 0 the root's slope has no bound, and 0 times it would be NaN.
    positive = mean > 0
    return torch.where(positive, mean, 1.).sqrt() * positive
