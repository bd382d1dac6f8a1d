"""Left and right, which a skeleton image of one channel cannot tell."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def nearer_sides(keypoints: Tensor, reference: Tensor,
                 flip_indices: Sequence[int],
                 present: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Exchanges left and right where that brings a pose nearer.

    With the pose of the frozen pre-trained regressor as reference this is
    the correction of the published code; with the annotation, its oracle
    (spec 2.4).

    Args:
        keypoints (Tensor): (N, K, 2).
        reference (Tensor): (N, K, 2), in the same unit.
        flip_indices (Sequence[int]): Mirror partner of each joint.
        present (Tensor, optional): (N, K), positive where the reference is
            known.

    Returns:
        tuple[Tensor, Tensor]: (N, K, 2), and (N,) bool: exchanged.
    """
    other = keypoints[:, list(flip_indices)]
    weight = torch.ones_like(keypoints[..., 0]) if present is None else \
        (present > 0).to(keypoints)

    def distance(pose: Tensor) -> Tensor:
        return ((pose - reference).norm(dim=-1) * weight).sum(-1)

    swapped = distance(other) < distance(keypoints)
    return torch.where(swapped[:, None, None], other, keypoints), swapped
