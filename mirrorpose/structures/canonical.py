"""The canonical pose, and the rotation from it to the camera.

An embedding that is the same from every view holds no camera, so a pose can
be told from it only in a frame of the body's own (spec T4.1). That frame is
root-relative; x is the hip line, right to left, projected on the ground, y
points down, z = x cross y. So a person whom a level camera sees from the
front has the same pose in both frames. [DERIVED] (M4)

    pose_camera = canonical @ rotation.T

The rotation has three angles, each learnt as (sin, cos):
rotation = Rz(roll) Rx(elevation) Ry(azimuth), where azimuth turns the person
about the vertical, elevation is positive for a camera that looks down, and
roll is the camera's own.
"""
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .skeleton import Skeleton

#: Joints of metric pose, mmpose's Human3.6M order.
SKELETON = Skeleton.from_name('h36m_17')
ANGLES = ('azimuth', 'elevation', 'roll')
#: Lines that run from right to left across the body, best first.
_LINES = (('right_hip', 'left_hip'), ('right_shoulder', 'left_shoulder'))
#: Shorter than this part of the pose's size, a line has no direction.
_SHORT = 1e-3


def canonical_pose(pose: Any, down: Any,
                   skeleton: Skeleton = SKELETON) -> tuple[Tensor, Tensor]:
    """Turns poses of the camera frame into the canonical frame.

    Where the hip line is vertical, or has no length, the shoulder line takes
    its place, and where that has no direction either, the camera's x axis
    (as for a person seen from the front); so nothing is NaN unless the pose
    is.

    Args:
        pose (Tensor): (..., K, 3), x right, y down, z forward, in any unit;
            it need not be root-relative. Arrays are taken too.
        down (Tensor): (..., 3) or (3,), the world's vertical in the camera
            frame, of any length: the camera rotation (world to camera) times
            the world's down.
        skeleton (Skeleton): Its joints. Defaults to ``h36m_17``.

    Returns:
        tuple: the canonical poses (..., K, 3), root-relative, in the same
        unit, and the rotations (..., 3, 3) from the canonical to the camera
        frame.

    Raises:
        ValueError: Another shape than the joints', or a vertical of length
            zero or with NaN in it.
    """
    pose = torch.as_tensor(pose)
    down = torch.as_tensor(down, dtype=pose.dtype, device=pose.device)
    if pose.ndim < 2 or tuple(pose.shape[-2:]) != (len(skeleton), 3):
        raise ValueError(f'poses are (..., {len(skeleton)}, 3) in the joints '
                         f'of {skeleton.name!r}, got {tuple(pose.shape)}')
    length = torch.linalg.vector_norm(down, dim=-1, keepdim=True)
    if down.shape[-1:] != (3, ) or not bool((length > 0).all()):
        raise ValueError('down is the vertical in the camera frame, (..., 3) '
                         f'and of a length above 0, got {tuple(down.shape)} '
                         'with a length of zero or NaN: is the camera '
                         'calibrated?')
    y = (down / length).expand(*pose.shape[:-2], 3)
    pose = pose - pose[..., _root(skeleton), None, :]
    # A joint that is not known is no reason to doubt the hips.
    size = torch.linalg.vector_norm(pose, dim=-1).nan_to_num(0.).amax(
        -1, keepdim=True)

    def level(line: Tensor) -> Tensor:
        return line - (line * y).sum(-1, keepdim=True) * y

    # The last resort first: the camera's x axis, or z where x is vertical.
    axes = torch.eye(3, dtype=pose.dtype, device=pose.device)
    x = torch.where(y[..., :1].abs() < .9, level(axes[0].expand_as(y)),
                    level(axes[2].expand_as(y)))
    for right, left in reversed(_LINES):
        a, b = skeleton.index(right, left)
        line = level(pose[..., b, :] - pose[..., a, :])
        long = torch.linalg.vector_norm(line, dim=-1, keepdim=True)
        x = torch.where((long > _SHORT * size) | long.isnan(), line, x)
    x = x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    z = torch.linalg.cross(x, y)
    rotation = torch.stack([x, y, z], -1)
    return pose @ rotation, rotation


def to_camera(canonical: Tensor, rotation: Tensor) -> Tensor:
    """Canonical poses (..., K, 3) in the camera frame, root-relative.

    Args:
        canonical (Tensor): (..., K, 3).
        rotation (Tensor): (..., 3, 3), canonical to camera.
    """
    return canonical @ rotation.transpose(-1, -2)


def mirrored(canonical: Tensor, rotation: Tensor,
             skeleton: Skeleton = SKELETON) -> tuple[Tensor, Tensor]:
    """What belongs to the horizontally flipped image.

    Left and right change places, so the hip line still runs along +x.

    Args:
        canonical (Tensor): (..., K, 3).
        rotation (Tensor): (..., 3, 3), canonical to camera.
        skeleton (Skeleton): Its joints. Defaults to ``h36m_17``.
    """
    sign = canonical.new_tensor([-1., 1., 1.])
    return (canonical[..., skeleton.flip_indices, :] * sign,
            sign[:, None] * rotation * sign)


def encode_rotation(rotation: Tensor) -> Tensor:
    """Sines and cosines of the three angles.

    A camera that looks straight down or up has no roll of its own: its
    azimuth holds all of the rotation about the vertical.

    Args:
        rotation (Tensor): (..., 3, 3).

    Returns:
        Tensor: (..., 3, 2), rows azimuth, elevation, roll; columns sin, cos.
    """
    x, y, z = rotation[..., 0, 1], rotation[..., 1, 1], rotation[..., 2, 1]
    flat = torch.sqrt(x * x + y * y)
    poles = flat < 1e-6
    sin_r = torch.where(poles, 0., -x / flat.clamp(min=1e-6))
    cos_r = torch.where(poles, 1., y / flat.clamp(min=1e-6))
    # Rx^T Rz^T R = Ry, whose first row is (cos, 0, sin).
    cos_a = cos_r * rotation[..., 0, 0] + sin_r * rotation[..., 1, 0]
    sin_a = cos_r * rotation[..., 0, 2] + sin_r * rotation[..., 1, 2]
    length = torch.sqrt(sin_a**2 + cos_a**2).clamp(min=1e-6)
    return torch.stack([
        torch.stack([sin_a / length, cos_a / length], -1),
        torch.stack([z, flat], -1),
        torch.stack([sin_r, cos_r], -1)], -2)


def decode_rotation(code: Tensor) -> Tensor:
    """Rotations (..., 3, 3) of sines and cosines (..., A, 2).

    Args:
        code (Tensor): (..., A, 2) for the first A of ``ANGLES``, A at most
            3; the others are zero. Rows need not have length 1; one of
            length 0 means an angle of zero.

    Raises:
        ValueError: Another shape.
    """
    if code.ndim < 2 or code.shape[-1] != 2 or not 1 <= code.shape[-2] <= 3:
        raise ValueError('a rotation is (..., 1 to 3, 2), sin and cos of '
                         f'{ANGLES}, got {tuple(code.shape)}')
    length = torch.linalg.vector_norm(code, dim=-1, keepdim=True)
    none = code.new_tensor([0., 1.]).expand_as(code)
    unit = torch.where(length > 1e-6, code / length.clamp(min=1e-6), none)
    out = None
    for i, axes in enumerate(((2, 0), (1, 2), (0, 1))[:code.shape[-2]]):
        turn = _turn(unit[..., i, :], *axes)
        out = turn if out is None else turn @ out
    assert out is not None
    return out


def _turn(unit: Tensor, a: int, b: int) -> Tensor:
    """The rotation from axis a towards axis b."""
    sin, cos = unit[..., 0], unit[..., 1]
    one, zero = torch.ones_like(sin), torch.zeros_like(sin)
    rows = [[one if i == j else zero for j in range(3)] for i in range(3)]
    rows[a][a] = rows[b][b] = cos
    rows[b][a], rows[a][b] = sin, -sin
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _root(skeleton: Skeleton) -> int:
    for name in ('root', 'pelvis', 'hip', 'mid_hip'):
        if name in skeleton.joints:
            return skeleton.index(name)[0]
    raise ValueError(f'{skeleton.name!r} has no joint that is a root: a '
                     'canonical pose is relative to the pelvis')
