"""Poses, heatmaps, masks and normalised images as RGB pictures.

Every picture is an (H, W, 3) uint8 array in RGB.
"""
from __future__ import annotations

import base64
from typing import Any

import cv2
import numpy as np
from torch import Tensor

from ..structures import Skeleton

#: Bits behind the binary point of cv2's drawing coordinates.
_SHIFT = 4
#: Cells farther out than this are drawn at it; cv2 overflows beyond.
_FAR = 1e5


def joint_colors(skeleton: Skeleton) -> np.ndarray:
    """RGB of every joint: left green, right orange, middle blue.

    Returns:
        np.ndarray: (K, 3) uint8.
    """
    info = skeleton.metainfo()['keypoint_info']
    return np.array([info[i]['color'] for i in range(len(skeleton))],
                    np.uint8)


def limb_colors(skeleton: Skeleton) -> np.ndarray:
    """RGB of every limb, (L, 3) uint8."""
    info = skeleton.metainfo()['skeleton_info']
    return np.array([info[i]['color'] for i in range(len(info))],
                    np.uint8).reshape(-1, 3)


def draw_skeleton(image: np.ndarray,
                  keypoints: np.ndarray,
                  visible: np.ndarray,
                  skeleton: Skeleton,
                  thickness: int = 2) -> np.ndarray:
    """Draws limbs, then joints.

    A limb is drawn when both of its ends are; a joint that is absent or not
    finite leaves no trace.

    Args:
        image (np.ndarray): (H, W, 3) uint8. It is not changed.
        keypoints (np.ndarray): (K, 2) pixels (x, y), (0, 0) the centre of
            the first pixel.
        visible (np.ndarray): (K,), positive where present.
        skeleton (Skeleton): The K joints.
        thickness (int): Of a limb in pixels; joints are discs of this
            radius. Defaults to 2.

    Returns:
        np.ndarray: (H, W, 3) uint8.

    Raises:
        ValueError: A shape does not fit.
    """
    keypoints, visible = np.asarray(keypoints), np.asarray(visible)
    image = _check_image(image)
    if keypoints.shape != (len(skeleton), 2) or visible.shape != (
            len(skeleton), ):
        raise ValueError(
            f'{skeleton.name!r} has {len(skeleton)} joints; got keypoints '
            f'{keypoints.shape} and visible {visible.shape}, expected '
            f'({len(skeleton)}, 2) and ({len(skeleton)},)')
    out = np.ascontiguousarray(image.copy())
    present = (visible > 0) & np.isfinite(keypoints).all(-1)
    clean = np.where(present[:, None], keypoints, 0).clip(-_FAR, _FAR)
    points = np.round(clean * 2**_SHIFT).astype(int).tolist()
    for (a, b), color in zip(skeleton.limb_indices, limb_colors(skeleton)):
        if present[a] and present[b]:
            cv2.line(out, points[a], points[b], color.tolist(), thickness,
                     cv2.LINE_AA, _SHIFT)
    for i, color in enumerate(joint_colors(skeleton)):
        if present[i]:
            cv2.circle(out, points[i], thickness << _SHIFT, color.tolist(),
                       -1, cv2.LINE_AA, _SHIFT)
    return out


def heatmap_image(heatmaps: np.ndarray | Tensor,
                  colors: np.ndarray) -> np.ndarray:
    """One picture of all maps of a pose, each joint in its colour on black.

    A cell shows the strongest joint's colour, as bright as its value; values
    are clipped to [0, 1].

    Args:
        heatmaps (np.ndarray | Tensor): (K, h, w).
        colors (np.ndarray): (K, 3) uint8.

    Returns:
        np.ndarray: (h, w, 3) uint8.

    Raises:
        ValueError: Another number of colours than of maps.
    """
    maps = _array(heatmaps)
    if maps.ndim != 3 or len(colors) != len(maps):
        raise ValueError('heatmap_image takes (K, h, w) maps and K colours, '
                         f'got {maps.shape} and {len(colors)}')
    value = np.nan_to_num(maps).clip(0, 1)
    lit = value.max(0)[..., None] * np.asarray(colors)[value.argmax(0)]
    return lit.round().astype(np.uint8)


def mask_image(mask: np.ndarray | Tensor) -> np.ndarray:
    """A mask (h, w) or (1, h, w) in [0, 1] in grey."""
    values = _array(mask)
    grey = np.nan_to_num(values.reshape(values.shape[-2:])).clip(0, 1) * 255
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, -1)


def denormalise(images: Tensor, preprocessor: Any) -> np.ndarray:
    """Undoes the data preprocessor's normalisation.

    Args:
        images (Tensor): (N, 3, h, w), normalised (and perhaps reduced).
        preprocessor: mmengine's ``ImgDataPreprocessor`` or a child of it.

    Returns:
        np.ndarray: (N, h, w, 3) uint8 RGB.
    """
    pixels = images.detach().float().cpu()
    if getattr(preprocessor, '_enable_normalize', False):
        pixels = pixels * preprocessor.std.cpu() + preprocessor.mean.cpu()
    if not getattr(preprocessor, '_channel_conversion', False):
        pixels = pixels.flip(1)  # images are read as BGR
    pixels = pixels.nan_to_num(0.).round().clamp(0, 255)
    return pixels.permute(0, 2, 3, 1).numpy().astype(np.uint8)


def enlarge(image: np.ndarray, factor: int) -> np.ndarray:
    """Repeats every pixel ``factor`` times in x and y."""
    return _check_image(image).repeat(factor, 0).repeat(factor, 1)


def enlarge_points(keypoints: np.ndarray, factor: float) -> np.ndarray:
    """Where pixel coordinates lie after :func:`enlarge`."""
    return (np.asarray(keypoints) + 0.5) * factor - 0.5


def png(image: np.ndarray) -> bytes:
    """A picture as the bytes of a PNG file."""
    fine, data = cv2.imencode('.png', _check_image(image)[..., ::-1],
                              [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert fine, 'cv2 writes every uint8 image'
    return data.tobytes()


def data_uri(content: bytes) -> str:
    """PNG bytes as the source of an HTML image."""
    return 'data:image/png;base64,' + base64.b64encode(content).decode()


def _check_image(image: np.ndarray) -> np.ndarray:
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        raise ValueError('a picture is (H, W, 3) uint8, got '
                         f'{image.shape} {image.dtype}')
    return image


def _array(values: np.ndarray | Tensor) -> np.ndarray:
    if isinstance(values, Tensor):
        return values.detach().float().cpu().numpy()
    return np.asarray(values)
