"""Poses as pictures of a skeleton: the renderer beta of KeypointGAN.

Jakab, Gupta, Bilen, Vedaldi, "Self-supervised Learning of Interpretable
Keypoints from Unlabelled Videos", CVPR 2020, Eq. 2.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from mirrorpose.structures import Skeleton

from .distance_field import nearest_segment_field

#: End of a limb: a joint, or several whose mean it is.
End = int | str | Sequence[int | str]

#: Added to squared distances: the slope of a root at 0 is infinite.
SMOOTH = 1e-6
#: Where limbs that are not drawn lie: their value is exactly 0 there.
NOWHERE = 1e4


def limb_sides(skeleton: Skeleton) -> list[list[int]]:
    """Limbs of the left side, of the right side, and the others.

    A limb belongs to a side if an end does and the other is not of the
    other side.

    Args:
        skeleton (Skeleton): Its mirror pairs tell the sides.

    Returns:
        list[list[int]]: Three lists of positions in ``skeleton.limbs``.
    """
    left, right = (({p[i] for p in skeleton.pairs}) for i in (0, 1))
    sides: list[list[int]] = [[], [], []]
    for number, limb in enumerate(skeleton.limbs):
        on_left, on_right = (bool(s & set(limb)) for s in (left, right))
        sides[2 if on_left == on_right else int(on_right)].append(number)
    return sides


@MODELS.register_module()
class SkeletonRenderer(nn.Module):
    r"""Draws poses as limbs that fade exponentially (Eq. 2).

    .. math:: \beta(p)[u] = \max_{(i, j) \in E}
        \exp(-\gamma \min_{r \in [0, 1]} \|u - r p_i - (1 - r) p_j\|^k)

    with :math:`\gamma = 1 / \sigma^2` and distances in the units of the
    keypoints, smoothed: :math:`d = \sqrt{d^2 + 10^{-6}}`. The published code
    has k = 1 and sigma = 0.2 (gamma 25), for coordinates in [-1, 1]. Only the
    nearest limb of each pixel gets gradient. Computes in float32 under
    autocast, in float64 for float64 keypoints. Has no parameters.

    Args:
        skeleton (Skeleton | str, optional): Gives the limbs and the names.
        size (int | tuple[int, int]): (h, w) of the image. Defaults to 128.
        sigma (float): Defaults to 0.2.
        exponent (float): k. Defaults to 1.
        limbs (Sequence, optional): Pairs of ends in place of the skeleton's.
            An end is a joint, or a sequence of joints whose mean it is; by
            name with a skeleton, by index with or without. A limb from a
            joint to itself is a dot.
        channels (str | Sequence[Sequence[int]]): ``'one'`` image of all
            limbs; one a ``'limb'``; by ``'side'``: left, right and axial,
            which needs a skeleton and its own limbs; or lists of limbs.
            Defaults to ``'one'``.

    Raises:
        TypeError: Neither skeleton nor limbs are given, or they are of the
            wrong type.
        ValueError: A number is out of range, a joint or a limb is unknown, a
            channel is empty, or ``'side'`` without what it needs.
    """

    parts: Tensor
    weights: Tensor
    groups: Tensor

    def __init__(self,
                 skeleton: Skeleton | str | None = None,
                 size: int | Sequence[int] = 128,
                 sigma: float = 0.2,
                 exponent: float = 1.,
                 limbs: Sequence[Sequence[End]] | None = None,
                 channels: str | Sequence[Sequence[int]] = 'one') -> None:
        super().__init__()
        if isinstance(skeleton, str):
            skeleton = Skeleton.from_name(skeleton)
        if skeleton is None and limbs is None:
            raise TypeError('SkeletonRenderer needs a skeleton or limbs')
        if skeleton is not None and not isinstance(skeleton, Skeleton):
            raise TypeError('skeleton is a Skeleton or the name of one, got '
                            f'{skeleton!r}')
        h, w = (size, size) if isinstance(size, int) else size
        if min(h, w) < 2:
            raise ValueError(f'size must be at least 2 pixels, got {size}')
        for name, value in (('sigma', sigma), ('exponent', exponent)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f'{name} must be positive, got {value}')
        self.skeleton, self.size = skeleton, (int(h), int(w))
        self.sigma, self.exponent = sigma, exponent
        ends = self._read(skeleton.limbs if limbs is None and skeleton
                          is not None else limbs)
        joints = len(skeleton) if skeleton is not None else 1 + max(
            j for limb in ends for end in limb for j in end)
        self.joints = joints
        # Rows: the first ends of all limbs, then the second ones. A shorter
        # list of joints repeats its first with weight 0.
        rows = [limb[side] for side in range(2) for limb in ends]
        most = max(map(len, rows))
        self.register_buffer('parts', torch.tensor(
            [r + r[:1] * (most - len(r)) for r in rows]), False)
        self.register_buffer('weights', torch.tensor(
            [[1 / len(r)] * len(r) + [0.] * (most - len(r)) for r in rows],
            dtype=torch.float64), False)
        self.register_buffer('groups', self._groups(
            channels, len(ends), limbs is None), False)

    @property
    def gamma(self) -> float:
        """1 / sigma^2."""
        return 1 / self.sigma**2

    @property
    def channels(self) -> int:
        """Channels of the image."""
        return len(self.groups)

    def _read(self, limbs: Any) -> list[list[list[int]]]:
        """Limbs as two lists of joint indices each."""
        where = 'SkeletonRenderer'
        out = []
        for limb in limbs:
            if isinstance(limb, str) or not isinstance(limb, Sequence) \
                    or len(limb) != 2:
                raise TypeError(f'{where}: a limb has two ends, got {limb!r}')
            ends = []
            for end in limb:
                joints = [end] if isinstance(end, (int, str)) else list(end)
                ends.append([self._joint(j) for j in joints])
                if not joints:
                    raise ValueError(f'{where}: limb {limb!r} has an end '
                                     'without joints')
            out.append(ends)
        if not out:
            name = getattr(self.skeleton, 'name', None)
            raise ValueError(f'{where}: there is no limb to draw (skeleton '
                             f'{name!r}); give limbs')
        return out

    def _joint(self, joint: Any) -> int:
        if isinstance(joint, str):
            if self.skeleton is None:
                raise ValueError(f'SkeletonRenderer: joint {joint!r} is a '
                                 'name; give the skeleton that has it')
            return self.skeleton.index(joint)[0]
        most = len(self.skeleton) if self.skeleton is not None else None
        if not isinstance(joint, int) or joint < 0 or (
                most is not None and joint >= most):
            raise ValueError(f'SkeletonRenderer: {joint!r} is no joint'
                             + (f' of {most}' if most is not None else ''))
        return joint

    def _groups(self, channels: Any, limbs: int, own: bool) -> Tensor:
        """(L, most limbs of a channel), padded with -1."""
        if channels == 'one':
            lists = [list(range(limbs))]
        elif channels == 'limb':
            lists = [[i] for i in range(limbs)]
        elif channels == 'side':
            if self.skeleton is None or not own:
                raise ValueError("channels='side' takes the sides from a "
                                 'skeleton with its own limbs; list the '
                                 'limbs of each channel instead')
            lists = limb_sides(self.skeleton)
        elif isinstance(channels, str):
            raise ValueError("channels is 'one', 'limb', 'side' or lists of "
                             f'limbs, got {channels!r}')
        else:
            lists = [list(c) for c in channels]
        wrong = [i for c in lists for i in c if not 0 <= i < limbs]
        if wrong or not lists or not all(lists):
            raise ValueError(
                f'channels={channels!r}: every channel draws at least one of '
                f'the limbs 0 to {limbs - 1}'
                + (f', there is no {wrong}' if wrong else f'; got {lists}'))
        most = max(map(len, lists))
        return torch.tensor([c + [-1] * (most - len(c)) for c in lists])

    def ends(self, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        """Where the limbs begin and end.

        Args:
            keypoints (Tensor): (N, K, 2).

        Returns:
            tuple[Tensor, Tensor]: (N, E, 2) each.
        """
        # No product of matrices: autocast would round it.
        weights = self.weights.to(keypoints)[..., None]
        ends = (keypoints[:, self.parts] * weights).sum(2)
        first, second = ends.chunk(2, 1)
        return first, second

    def forward(self, keypoints: Tensor,
                visible: Tensor | None = None) -> Tensor:
        """Draws a batch of poses.

        Args:
            keypoints (Tensor): (N, K, 2), x right, y down, [-1, 1] over the
                pixel centres of the image; outside of it is allowed.
            visible (Tensor, optional): (N, K), positive where a joint is
                there. Limbs with an absent joint are not drawn, and the
                coordinates of absent joints do not matter.

        Returns:
            Tensor: (N, L, h, w) in [0, 1], float32 or float64. Once
            differentiable in the keypoints.

        Raises:
            ValueError: The shapes do not fit.
        """
        if keypoints.ndim != 3 or keypoints.shape[1:] != (self.joints, 2):
            raise ValueError(f'keypoints are (N, {self.joints}, 2), got '
                             f'{tuple(keypoints.shape)}')
        if visible is not None and visible.shape != keypoints.shape[:2]:
            raise ValueError(f'visible is {tuple(visible.shape)}, keypoints '
                             f'want {tuple(keypoints.shape[:2])}')
        with torch.autocast(keypoints.device.type, enabled=False):
            if keypoints.dtype != torch.float64:
                keypoints = keypoints.float()
            return self._draw(keypoints, visible)

    def _draw(self, keypoints: Tensor, visible: Tensor | None) -> Tensor:
        n = len(keypoints)
        drawn = (self.groups >= 0)[None]
        if visible is not None:
            absent = ~(visible > 0)
            keypoints = keypoints.masked_fill(absent[..., None], 0.)
            first, second = absent[:, self.parts].any(2).chunk(2, 1)
            gone = first | second
            drawn = drawn & ~gone[:, self.groups.clamp(min=0)]
        a, b = (e[:, self.groups.clamp(min=0)].masked_fill(
            ~drawn[..., None], NOWHERE).flatten(0, 1)
            for e in self.ends(keypoints))
        squared = nearest_segment_field(a, b, self.size) + SMOOTH
        distance = squared.sqrt() if self.exponent == 1 else \
            squared**(self.exponent / 2)
        image = torch.exp(-self.gamma * distance)
        return image.view(n, self.channels, *self.size)

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return (f'joints={self.joints}, limbs={len(self.parts) // 2}, '
                f'size={self.size}, sigma={self.sigma}, '
                f'exponent={self.exponent}, channels={self.channels}')
