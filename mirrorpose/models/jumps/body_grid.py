"""The body-part grid of JUMPS (Fig. 3): time by body parts, four channels.

Each of its 18 entries holds two joints, left and right. The eight joints of
the axis stand in both places of an entry of their own: encoder and critic
duplicate them, and the average of the two copies is what a generator means.
"""
from __future__ import annotations

import torch
from torch import Tensor

from ..pose.canonical_frame import SKELETON

#: "Ordered from hands to feet" [PAPER]; where the head's chain stands is a
#: guess [DERIVED, spec 3.1].
ENTRIES = ('hand', 'wrist', 'elbow', 'shoulder', 'clavicle', 'head_top',
           'head', 'neck', 'spine4', 'spine3', 'spine2', 'spine', 'pelvis',
           'hip', 'knee', 'ankle', 'foot', 'toe')
#: Channels of an entry.
CHANNELS = ('left x', 'left y', 'right x', 'right y')


def _sides(entry: str) -> tuple[str, str]:
    if entry in SKELETON.joints:
        return entry, entry
    return f'left_{entry}', f'right_{entry}'


#: Joint of each place of the grid, (18, 2).
PLACES = tuple(tuple(SKELETON.index(*_sides(e))) for e in ENTRIES)
#: The two flat places (2 * entry + side) that hold each joint, (28, 2); one
#: place twice for a joint with a partner.
COPIES = tuple(
    (places[0], places[-1]) for places in (
        [2 * e + s for e, pair in enumerate(PLACES) for s in (0, 1)
         if pair[s] == joint] for joint in range(len(SKELETON))))


def to_grid(keypoints: Tensor) -> Tensor:
    """Joints to body parts.

    Args:
        keypoints (Tensor): (N, F, 28, 2).

    Returns:
        Tensor: (N, 4, F, 18), channels as :data:`CHANNELS`.

    Raises:
        ValueError: Not 28 joints.
    """
    if keypoints.ndim != 4 or keypoints.shape[2:] != (len(SKELETON), 2):
        raise ValueError(f'a body grid is made of (N, F, {len(SKELETON)}, 2)'
                         f' keypoints, got {tuple(keypoints.shape)}')
    n, frames = keypoints.shape[:2]
    places = torch.tensor(PLACES, device=keypoints.device).flatten()
    parts = keypoints.index_select(2, places)
    return parts.reshape(n, frames, len(ENTRIES), 4).permute(0, 3, 1, 2)


def from_grid(grid: Tensor) -> Tensor:
    """Body parts to joints; the copies of an axial joint are averaged.

    Exactly undoes :func:`to_grid`.

    Args:
        grid (Tensor): (N, 4, F, 18).

    Returns:
        Tensor: (N, F, 28, 2).

    Raises:
        ValueError: Another shape.
    """
    if grid.ndim != 4 or (grid.shape[1], grid.shape[3]) != (
            4, len(ENTRIES)):
        raise ValueError(f'a body grid is (N, 4, F, {len(ENTRIES)}), got '
                         f'{tuple(grid.shape)}')
    n, _, frames, _ = grid.shape
    parts = grid.permute(0, 2, 3, 1).reshape(n, frames, -1, 2)
    first, second = torch.tensor(COPIES, device=grid.device).unbind(1)
    return .5 * (parts.index_select(2, first)
                 + parts.index_select(2, second))


def velocities(sequence: Tensor, dim: int = 1) -> Tensor:
    """Differences to the frame before; 0 at the first frame [DERIVED].

    Args:
        sequence (Tensor): Frames along ``dim``.
        dim (int): Defaults to 1.

    Returns:
        Tensor: The same shape.
    """
    steps = sequence.diff(dim=dim)
    first = torch.zeros_like(sequence.narrow(dim, 0, 1))
    return torch.cat([first, steps], dim)


def critic_grid(keypoints: Tensor) -> Tensor:
    """Positions and velocities as the critic reads them.

    Args:
        keypoints (Tensor): (N, F, 28, 2).

    Returns:
        Tensor: (N, 8, F, 18): four channels of positions, then four of
        velocities, made of the positions (trap T3.3).
    """
    grid = to_grid(keypoints)
    return torch.cat([grid, velocities(grid, 2)], 1)
