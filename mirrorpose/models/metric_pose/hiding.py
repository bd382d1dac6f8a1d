"""2D poses as if some joints had not been found."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mirrorpose.structures import Skeleton


def without_joints(poses: Tensor, joints: Sequence[int]) -> Tensor:
    """Takes joints out of a network's 2D input.

    What is left is placed and scaled anew, as the data sets do with joints
    that are not visible: a detector that has not found an arm does not know
    how wide the person's box would be with it.

    Args:
        poses (Tensor): (N, K, 3): x, y in [-1, 1] in the square around the
            joints that are there, and a confidence, 0 where absent; or
            (N, K, 2), NaN where absent.
        joints (Sequence[int]): Those to take out.

    Returns:
        Tensor: (N, K, 3) likewise; all zero where nothing is left.
    """
    if poses.shape[2] == 2:
        poses = torch.cat([poses, torch.ones_like(poses[..., :1])], -1)
    hidden = torch.zeros(poses.shape[1], dtype=torch.bool,
                         device=poses.device)
    hidden[list(joints)] = True
    points = poses[..., :2]
    seen = (poses[..., 2] > 0) & points.isfinite().all(-1) & ~hidden
    low = points.masked_fill(~seen[..., None], float('inf')).amin(1)
    high = points.masked_fill(~seen[..., None], -float('inf')).amax(1)
    some = seen.any(1)[:, None]
    low, high = (torch.where(some, v, torch.zeros_like(v))
                 for v in (low, high))
    half = ((high - low).amax(1) / 2).clamp(min=1e-6)
    flat = (points - ((low + high) / 2)[:, None]) / half[:, None, None]
    return torch.cat([flat, poses[..., 2:]], -1).masked_fill(
        ~seen[..., None], 0.)


def hidden_joints(groups: Mapping[str, Sequence[str]] | None,
                  skeleton: Skeleton) -> dict[str, list[int]]:
    """Reads ``test_cfg.hide_joints``.

    Args:
        groups (Mapping, optional): Names to names of joints.
        skeleton (Skeleton): Of the 2D input.

    Raises:
        ValueError: A group that cannot be a field's name, without joints,
            of unknown ones, or of all.
    """
    out = {}
    for name, joints in (groups or {}).items():
        unknown = sorted(set(joints) - set(skeleton.joints))
        if not name.isidentifier() or isinstance(joints, str) or unknown \
                or not 0 < len(set(joints)) < len(skeleton):
            raise ValueError(
                f'hide_joints[{name!r}] = {joints!r}: a name of letters and '
                'underscores, and a list of some of the joints of '
                f'{skeleton.name!r}, {list(skeleton.joints)}')
        out[name] = skeleton.index(*joints)
    return out
