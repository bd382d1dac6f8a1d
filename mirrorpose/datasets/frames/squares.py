"""Which square of a frame is seen, and how it becomes a crop.

A square has whole pixels, so cutting, area averaging and the map of
coordinates are exact: source pixel p (its centre at an integer) is pixel
``(p + 0.5 - corner) * size / side - 0.5`` of the crop.
"""
from __future__ import annotations

import cv2
import numpy as np

#: How a source's frames may be cut; see :func:`frame_squares`.
CROPS = ('whole', 'centre', 'clip', 'frame')


def frame_squares(crop: str, shape: tuple[int, int], count: int,
                  boxes: np.ndarray | None, padding: float,
                  where: str) -> np.ndarray:
    """The square of every frame of a clip.

    - ``'whole'``: the image, which has to be square;
    - ``'centre'``: the largest square in the middle;
    - ``'clip'``: one square around all boxes of the clip, so the background
      stands still;
    - ``'frame'``: a square around each frame's box, as poses are framed.

    Args:
        crop (str): One of ``CROPS``.
        shape (tuple[int, int]): (height, width) of the images.
        count (int): T.
        boxes (np.ndarray, optional): (T, 4) x1, y1, x2, y2; NaN where there
            is none, which takes the neighbours' (linear between them).
        padding (float): Side of the square over the longer side of the box.
        where (str): The clip, for messages.

    Returns:
        np.ndarray: (T, 3) int64: left, top and side in pixels. It may reach
        beyond the image.

    Raises:
        ValueError: The image is not square, or there are no boxes.
    """
    height, width = shape
    if crop == 'whole':
        if height != width:
            raise ValueError(
                f'{where}: the images have {width} x {height} pixels and are '
                "not square; pass crop='centre', or crop='clip' or 'frame' "
                'where there are boxes or keypoints')
        return np.tile(np.array([0, 0, width]), (count, 1))
    if crop == 'centre':
        side = min(height, width)
        return np.tile(np.array([(width - side) // 2, (height - side) // 2,
                                 side]), (count, 1))
    known = (np.isfinite(boxes).all(-1) if boxes is not None else
             np.zeros(count, bool))
    if boxes is None or not known.any():
        raise ValueError(f'{where}: crop={crop!r} needs boxes or keypoints, '
                         "and it has none; pass crop='centre' or 'whole'")
    if crop == 'clip':
        box = np.concatenate([boxes[known, :2].min(0),
                              boxes[known, 2:].max(0)])
        boxes = np.tile(box, (count, 1))
    elif not known.all():
        rows, have = np.arange(count), np.nonzero(known)[0]
        boxes = np.stack([np.interp(rows, have, boxes[have, k])
                          for k in range(4)], -1)
    return squares_around(boxes, padding)


def squares_around(boxes: np.ndarray, padding: float) -> np.ndarray:
    """Squares of whole pixels around boxes.

    Args:
        boxes (np.ndarray): (T, 4) x1, y1, x2, y2, centres of pixels.
        padding (float): See :func:`frame_squares`.

    Returns:
        np.ndarray: (T, 3) int64: left, top and side.
    """
    extent = (boxes[:, 2:] - boxes[:, :2]).max(-1)
    side = np.maximum(np.round(extent * padding), 2)
    corner = np.round((boxes[:, :2] + boxes[:, 2:] + 1 - side[:, None]) / 2)
    return np.concatenate([corner, side[:, None]], -1).astype(np.int64)


def boxes_of(keypoints: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Tight boxes around visible keypoints.

    Args:
        keypoints (np.ndarray): (T, K, 2).
        visible (np.ndarray): (T, K), positive where annotated.

    Returns:
        np.ndarray: (T, 4) float64 x1, y1, x2, y2; NaN for frames with fewer
        than two visible keypoints.
    """
    there = np.asarray(visible) > 0
    low = np.where(there[..., None], keypoints, np.inf).min(1)
    high = np.where(there[..., None], keypoints, -np.inf).max(1)
    out = np.concatenate([low, high], -1).astype(np.float64)
    out[there.sum(1) < 2] = np.nan
    return out


def to_crop(points: np.ndarray, squares: np.ndarray,
            size: int) -> np.ndarray:
    """Maps pixels of the images to pixels of the crops.

    Args:
        points (np.ndarray): (T, K, 2).
        squares (np.ndarray): (T, 3) left, top, side.
        size (int): Side of the crops.

    Returns:
        np.ndarray: (T, K, 2) float32.
    """
    scale = (size / squares[:, 2])[:, None, None]
    corner = squares[:, None, :2]
    return ((points + .5 - corner) * scale - .5).astype(np.float32)


def cut(image: np.ndarray, square: np.ndarray, size: int) -> np.ndarray:
    """Cuts a square out and brings it to size; edges are replicated.

    Args:
        image (np.ndarray): (H, W[, C]) uint8.
        square (np.ndarray): (3,) left, top and side in pixels.
        size (int): Side of the result.

    Returns:
        np.ndarray: (size, size[, C]) uint8. Averaged over areas where it
        shrinks, bilinear where it grows.
    """
    left, top, side = (int(v) for v in square)
    height, width = image.shape[:2]
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + side, width), min(top + side, height)
    if x1 <= x0 or y1 <= y0:  # wholly outside: the nearest pixel
        x0, y0 = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
        inside = image[y0:y0 + 1, x0:x0 + 1]
        edges = (0, side - 1, 0, side - 1)
    else:
        inside = image[y0:y1, x0:x1]
        edges = (y0 - top, top + side - y1, x0 - left, left + side - x1)
    if any(edges):
        inside = cv2.copyMakeBorder(inside, *edges, cv2.BORDER_REPLICATE)
    if side == size:
        return np.ascontiguousarray(inside)
    return cv2.resize(inside, (size, size), interpolation=(
        cv2.INTER_AREA if side > size else cv2.INTER_LINEAR))


def normalise(pixels: np.ndarray, size: int) -> np.ndarray:
    """Pixels of a crop to [-1, 1]: 0 is -1 and ``size - 1`` is 1."""
    return (2. * pixels / (size - 1) - 1.).astype(np.float32)
