"""mmpose's box geometry for whole batches.

Affine maps are (N, 2, 3): ``y = A[:, :2] x + A[:, 2]``, pixel coordinates
with the centre of the first pixel at (0, 0). Everything is computed in the
precision that mmpose computes it in, so that the maps agree.
"""
from __future__ import annotations

import numpy as np


def fix_aspect_ratio(scale: np.ndarray, ratio: float) -> np.ndarray:
    """Boxes (N, 2) (w, h), widened to a ratio as by ``TopdownAffine``."""
    w, h = scale[:, :1], scale[:, 1:]
    return np.where(w > h * ratio, np.hstack([w, w / ratio]),
                    np.hstack([h * ratio, h]))


def warp_matrices(center: np.ndarray, scale: np.ndarray,
                  rotation: np.ndarray, size: tuple[int, int],
                  use_udp: bool = False) -> np.ndarray:
    """Maps boxes of the image to the network's input.

    Args:
        center (np.ndarray): (N, 2) float32, pixels.
        scale (np.ndarray): (N, 2) float32 (w, h), pixels, of the input's
            aspect ratio.
        rotation (np.ndarray): (N,) float32, degrees.
        size (tuple[int, int]): Input size (w, h).
        use_udp (bool): As in ``TopdownAffine``. Defaults to False.

    Returns:
        np.ndarray: (N, 2, 3) float64; equals mmpose's ``get_warp_matrix`` or
        ``get_udp_warp_matrix``.
    """
    if use_udp:
        return _udp_matrices(center, scale, rotation, size)
    angle = np.deg2rad(rotation)
    sin, cos = np.sin(angle), np.cos(angle)
    # mmpose solves for three pairs of points, which it rounds to float32:
    # the centre, the middle of the left side, and one at a right angle.
    half = scale[:, 0].astype(np.float64) * -0.5
    a = center.astype(np.float32)
    b = (a + np.stack([cos * half, sin * half], 1)).astype(np.float32)
    v = a.astype(np.float64) - b
    # c - b is v turned by 90 degrees, rounded.
    c = (b + np.stack([-(a - b)[:, 1], (a - b)[:, 0]], 1)).astype(np.float64)
    w = c - a
    det = -v[:, 0] * w[:, 1] + v[:, 1] * w[:, 0]
    dst_w, dst_h = size
    # Columns of the target: b - a = (-dst_w / 2, 0) and, by the same turn,
    # c - a = (-dst_w / 2, dst_w / 2).
    side = dst_w * 0.5
    out = np.empty((len(center), 2, 3))
    # [b - a, c - a]^-1, with b - a = -v.
    out[:, 0, 0] = (-side * w[:, 1] + side * -v[:, 1]) / det
    out[:, 0, 1] = (side * w[:, 0] + side * v[:, 0]) / det
    out[:, 1, 0] = side * v[:, 1] / det
    out[:, 1, 1] = side * -v[:, 0] / det
    middle = np.array([dst_w * 0.5, dst_h * 0.5])
    out[:, :, 2] = middle - np.einsum('nij,nj->ni', out[:, :, :2],
                                      a.astype(np.float64))
    return out


def _udp_matrices(center: np.ndarray, scale: np.ndarray,
                  rotation: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    angle = np.deg2rad(rotation).astype(np.float64)
    sin, cos = np.sin(angle), np.cos(angle)
    ratio = (np.array(size) - 1.) / scale
    cx, cy = (center * 2).astype(np.float64).T
    w, h = scale.astype(np.float64).T
    out = np.empty((len(center), 2, 3))
    out[:, 0, 0], out[:, 0, 1] = cos, -sin
    out[:, 0, 2] = -.5 * cx * cos + .5 * cy * sin + .5 * w
    out[:, 1, 0], out[:, 1, 1] = sin, cos
    out[:, 1, 2] = -.5 * cx * sin - .5 * cy * cos + .5 * h
    out *= ratio[:, :, None]
    return out.astype(np.float32).astype(np.float64)


def from_crop(matrices: np.ndarray, origin: np.ndarray,
              scale: np.ndarray) -> np.ndarray:
    """Lets maps of an image start at a crop of it.

    Args:
        matrices (np.ndarray): (N, 2, 3) from the image to the input.
        origin (np.ndarray): (N, 2), and
        scale (np.ndarray): (N, 2) (x, y): image pixel = origin + scale *
            crop pixel.

    Returns:
        np.ndarray: (N, 2, 3) from the crop to the input.
    """
    out = matrices.copy()
    out[:, :, :2] *= scale[:, None]
    out[:, :, 2] += np.einsum('nij,nj->ni', matrices[:, :, :2], origin)
    return out


def mirror_crop(origin: np.ndarray, scale: np.ndarray, width: np.ndarray,
                flip: np.ndarray, crop_width: np.ndarray | None = None
                ) -> tuple[np.ndarray, np.ndarray]:
    """Where crops lie in images, some of which are mirrored left to right.

    Args:
        origin (np.ndarray): (N, 2), and
        scale (np.ndarray): (N, 2), of the crops in the unmirrored images.
        width (np.ndarray): (N,) of the images.
        flip (np.ndarray): (N,) bool.
        crop_width (np.ndarray, optional): (N,) where the crops of mirrored
            images are mirrored too. Defaults to None: they are not.

    Returns:
        tuple[np.ndarray, np.ndarray]: Origin and scale (N, 2), as for
        :func:`from_crop`; without ``crop_width`` the scale may be negative.
    """
    origin, scale = origin.copy(), scale.copy()
    x = width - 1 - origin[:, 0]
    if crop_width is None:
        scale[flip, 0] *= -1
    else:
        x -= scale[:, 0] * (crop_width - 1)
    origin[:, 0] = np.where(flip, x, origin[:, 0])
    return origin, scale


def invert(matrices: np.ndarray) -> np.ndarray:
    """Inverse affine maps, (N, 2, 3) float64."""
    a, b, tx = matrices[:, 0].T
    c, d, ty = matrices[:, 1].T
    det = a * d - b * c
    out = np.stack([d, -b, b * ty - d * tx, -c, a, c * tx - a * ty], 1)
    return (out / det[:, None]).reshape(-1, 2, 3)


def transform_points(points: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Maps points (N, K, 2); float32 like ``cv2.transform``'s."""
    turned = matrices[:, :, :2].transpose(0, 2, 1)
    with np.errstate(invalid='ignore', over='ignore'):  # absent joints
        moved = points.astype(np.float64) @ turned
        return (moved + matrices[:, None, :, 2]).astype(np.float32)


def mirror_points(points: np.ndarray, width: np.ndarray,
                  flip: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Points (N, K, 2), mirrored and swapped left for right where asked."""
    mirrored = points[:, order].copy()
    mirrored[..., 0] = (width - 1).astype(points.dtype)[:, None] \
        - mirrored[..., 0]
    return np.where(flip[:, None, None], mirrored, points)


def rotated_extent(size: tuple[int, int], degrees: float) -> float:
    """Square that holds a box of a shape however it is turned.

    Args:
        size (tuple[int, int]): Shape (w, h) of the box.
        degrees (float): Largest angle, either way.

    Returns:
        float: Side of the square over the longer side of the box: the
        maximum of ``(w |cos| + h |sin|)`` and of ``(w |sin| + h |cos|)``; up
        to sqrt(2) for a square.
    """
    w, h = (n / max(size) for n in size)
    most = np.deg2rad(min(abs(degrees), 90.))
    # The maxima lie at atan(h / w) and atan(w / h), or at the ends.
    angles = np.unique(np.clip([0., np.arctan2(h, w), np.arctan2(w, h), most],
                               0., most))
    cos, sin = np.cos(angles), np.sin(angles)
    return float(np.maximum(w * cos + h * sin, w * sin + h * cos).max())
