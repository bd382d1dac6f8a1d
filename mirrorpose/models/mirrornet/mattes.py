"""Mattes from poses: capsules around the limbs, as wide as the body is tall.

Where a data set has no silhouettes, the annotated joints say roughly which
pixels are the person.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mirrorpose.structures.skeleton import MIDPOINTS, Skeleton

#: A point of the body: landmarks and their weights, which sum to 1.
Point = dict[str, float]


def _beyond(start: str, end: str, share: float) -> Point:
    """The point that lies so far beyond the end of a limb."""
    return {end: 1 + share, start: -share}


#: Segment lengths over the body's height: Drillis and Contini (1966), as in
#: Winter, "Biomechanics and Motor Control of Human Movement", Fig. 4.1.
_LENGTHS = (('shoulder', 'elbow', .186), ('elbow', 'wrist', .146),
            ('hip', 'knee', .245), ('knee', 'ankle', .246),
            ('shoulder', 'hip', .288))

#: Limbs of either side, and their radii over the body's height. Hands and
#: feet are no joints: they lie beyond the last one.
_SIDED: tuple[tuple[str, str, float, float], ...] = (
    ('shoulder', 'elbow', 0., .036), ('elbow', 'wrist', .35, .028),
    ('hip', 'knee', 0., .05), ('knee', 'ankle', .12, .036),
    ('shoulder', 'hip', 0., .05))
_MIDDLE: tuple[tuple[Point, Point, float], ...] = (
    ({'left_shoulder': 1.}, {'right_shoulder': 1.}, .045),
    ({'left_hip': 1.}, {'right_hip': 1.}, .055),
    ({'left_shoulder': .5, 'right_shoulder': .5},
     {'left_hip': .5, 'right_hip': .5}, .075))
_HEADS: tuple[tuple[Point, Point, float], ...] = (
    ({'neck': 1.}, {'head_top': .8, 'neck': .2}, .058),
    # Without a head top: as far above the nose as the neck below it.
    ({'neck': 1.}, {'head': 1.}, .058),
    ({'left_shoulder': .5, 'right_shoulder': .5},
     {'nose': 1.3, 'left_shoulder': -.15, 'right_shoulder': -.15}, .062))


class LimbCapsules(nn.Module):
    """Draws a person as capsules (segments with round ends).

    A pose knows lengths, not widths. The body's height is the mean of the
    three longest estimates that its limbs give by the proportions of an
    average adult (a limb that points at the camera only looks shorter), and
    every radius is a share of it. In joint sets without shoulders and hips,
    the longer side of the joints' box is the height, and all limbs of the
    joint set are drawn alike.

    Args:
        skeleton (Skeleton): The joint set.
        width (float): Factor on all radii. Defaults to 1.

    Raises:
        ValueError: The width is not positive, or the joint set has neither
            shoulders and hips nor limbs.
    """

    starts: Tensor
    ends: Tensor
    needs: Tensor
    radii: Tensor
    rulers: Tensor
    lengths: Tensor

    def __init__(self, skeleton: Skeleton, width: float = 1.) -> None:
        super().__init__()
        if not width > 0:
            raise ValueError(f'width must be positive, got {width}')
        self.skeleton = skeleton
        rows = self._rows()
        capsules = [(self._weights(a), self._weights(b), r * width)
                    for a, b, r in self._parts()]
        kept = [(a, b, r) for a, b, r in capsules
                if a is not None and b is not None]
        rulers = [(a - b, length) for a, b, length in rows]
        self.proportioned = bool(rulers) and bool(kept)
        if not self.proportioned:
            kept = [(np.eye(len(skeleton))[a], np.eye(len(skeleton))[b],
                     .05 * width) for a, b in skeleton.limb_indices]
            if not kept:
                raise ValueError(
                    f'the joint set {skeleton.name!r} has neither shoulders '
                    'and hips nor limbs, so no person can be drawn from its '
                    'joints; name its limbs, or bring silhouettes')
        start, end, radius = (np.array(x) for x in zip(*kept))
        # Buffers go with the device, but are constants: not in checkpoints.
        for name, value in (
                ('starts', start), ('ends', end),
                ('needs', (start != 0) | (end != 0)), ('radii', radius),
                ('rulers', np.array([r for r, _ in rulers]).reshape(
                    len(rulers), len(skeleton))),
                ('lengths', np.array([x for _, x in rulers]))):
            self.register_buffer(name, torch.as_tensor(
                value, dtype=torch.float32), persistent=False)

    def _weights(self, point: Point) -> np.ndarray | None:
        """(K,) weights of the joints; None where one is unknown."""
        known = {self.skeleton.landmark(j): i
                 for i, j in enumerate(self.skeleton.joints)}
        out = np.zeros(len(self.skeleton))
        for name, weight in point.items():
            parts: Sequence[str] = (name, ) if name in known else \
                MIDPOINTS.get(name, ())
            if not parts or any(p not in known for p in parts):
                return None
            for part in parts:
                out[known[part]] += weight / len(parts)
        return out

    def _parts(self) -> list[tuple[Point, Point, float]]:
        """Start, end and radius of each capsule."""
        parts = [
            ({f'{side}_{a}': 1.}, _beyond(f'{side}_{a}', f'{side}_{b}', more),
             radius) for side in ('left', 'right')
            for a, b, more, radius in _SIDED]
        heads = [h for h in _HEADS if all(
            self._weights(p) is not None for p in h[:2])]
        return parts + list(_MIDDLE) + heads[:1]

    def _rows(self) -> list[tuple[np.ndarray, np.ndarray, float]]:
        """Weights of the ends of the limbs that tell the height."""
        found = []
        for side in ('left', 'right'):
            for a, b, length in _LENGTHS:
                start, end = (self._weights({f'{side}_{j}': 1.})
                              for j in (a, b))
                if start is not None and end is not None:
                    found.append((start, end, length))
        return found

    def height(self, keypoints: Tensor, present: Tensor) -> Tensor:
        """Height of the body, were it stretched out, in pixels.

        Args:
            keypoints (Tensor): (N, K, 2) pixels.
            present (Tensor): (N, K) bool.

        Returns:
            Tensor: (N,); 0 where too few joints are present.
        """
        if not self.proportioned:
            low = keypoints.masked_fill(~present[..., None], torch.inf)
            high = keypoints.masked_fill(~present[..., None], -torch.inf)
            side = (high.amax(1) - low.amin(1)).amax(-1)
            return side.clamp(min=0)
        clean = keypoints.masked_fill(~present[..., None], 0)
        absent = (~present).to(clean)
        lost = absent @ (self.rulers != 0).to(clean).T > 0
        spans = torch.einsum('lk,nkd->nld', self.rulers, clean).norm(dim=-1)
        guesses = (spans / self.lengths).masked_fill(lost, -1)
        best = guesses.topk(min(3, guesses.shape[1]), 1).values
        given = best >= 0
        return (best * given).sum(1) / given.sum(1).clamp(min=1)

    def forward(self, keypoints: Tensor, present: Tensor,
                size: tuple[int, int], stride: int = 1,
                edge: float = 1.) -> Tensor:
        """Mattes with a soft edge.

        Args:
            keypoints (Tensor): (N, K, 2) pixels (x, y), centres at whole
                numbers.
            present (Tensor): (N, K) bool; where False, anything may stand in
                ``keypoints``.
            size (tuple[int, int]): (H, W) in pixels.
            stride (int): Drawn at every so many pixels, and interpolated.
                Defaults to 1.
            edge (float): Width in pixels over which the edge falls from 1 to
                0. Defaults to 1.

        Returns:
            Tensor: (N, 1, H, W) in [0, 1]; 0 where no limb can be drawn.
        """
        h, w = size
        keypoints = keypoints.float()
        clean = keypoints.masked_fill(~present[..., None], 0)
        height = self.height(keypoints, present)
        a = torch.einsum('lk,nkd->nld', self.starts, clean)
        b = torch.einsum('lk,nkd->nld', self.ends, clean) - a
        lost = (~present).float() @ self.needs.T > 0
        radius = (self.radii * height[:, None]).masked_fill(lost, -torch.inf)
        rows, columns = -(-h // stride), -(-w // stride)
        x, y = ((torch.arange(n, device=keypoints.device) + .5) * stride - .5
                for n in (columns, rows))
        dx = x - a[..., 0, None]  # (N, L, w)
        dy = y - a[..., 1, None]
        square = b.square().sum(-1).clamp(min=1e-6)[..., None]
        along = ((dy * b[..., 1, None] / square)[..., :, None]
                 + (dx * b[..., 0, None] / square)[..., None, :]).clamp_(0, 1)
        across = (dx[..., None, :] - along * b[..., 0, None, None]).square_()
        across += (dy[..., :, None] - along * b[..., 1, None, None]).square_()
        inside = (radius[..., None, None] - across.sqrt_()).amax(1)
        matte = (.5 + inside / max(edge, 1e-3)).clamp(0, 1)[:, None]
        if stride > 1:
            matte = F.interpolate(matte, scale_factor=float(stride),
                                  mode='bilinear', align_corners=False)
        return matte[..., :h, :w]


def silhouette_mattes(silhouettes: Tensor,
                      size: tuple[int, int]) -> Tensor:
    """Silhouettes at the size of the image, with a soft edge.

    Args:
        silhouettes (Tensor): (N, 1, h, w) in [0, 1], of any resolution; cells
            are areas. Those at full resolution are averaged over 3 x 3
            pixels, coarser ones are soft already.
        size (tuple[int, int]): (H, W) in pixels.

    Returns:
        Tensor: (N, 1, H, W) in [0, 1].
    """
    if tuple(silhouettes.shape[-2:]) != tuple(size):
        return F.interpolate(silhouettes, tuple(size), mode='bilinear',
                             align_corners=False)
    out = F.pad(silhouettes, (1, 1, 1, 1), mode='replicate')
    for axis in (2, 3):
        n = size[axis - 2]
        out = (out.narrow(axis, 0, n) + out.narrow(axis, 1, n)
               + out.narrow(axis, 2, n)) / 3
    return out


def capsules_of(skeleton: str | Skeleton | Sequence[str] | Mapping[str, str],
                width: float = 1.) -> LimbCapsules:
    """Capsules for a joint set by name, or by the names of its joints."""
    from mirrorpose.datasets.joint_names import named_skeleton
    return LimbCapsules(named_skeleton(skeleton), width)
