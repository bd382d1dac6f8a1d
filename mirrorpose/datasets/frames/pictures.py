"""Contact sheets: pairs of frames and poses, to look at."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mirrorpose.structures.skeleton import Skeleton
from mirrorpose.utils.files import write_atomically
from mirrorpose.visualization.drawing import (
    draw_skeleton,
    enlarge,
    enlarge_points,
    png,
)

from ..keyed import sample_keys
from .pairs import FrameDataset
from .poses import UnpairedPoseDataset
from .unpaired import UnpairedDataset


def pair_tiles(dataset: FrameDataset, indices: Sequence[int],
               factor: int = 1, seed: int = 0) -> list[list[np.ndarray]]:
    """Pictures of pairs: image, image with its annotation, partner.

    Args:
        dataset (FrameDataset): In training mode.
        indices (Sequence[int]): N samples.
        factor (int): Enlargement. Defaults to 1.
        seed (int): Of the draws. Defaults to 0.

    Returns:
        list[list[np.ndarray]]: N times three (S * factor, S * factor, 3)
        uint8 RGB.
    """
    batch = dataset.get_batch(indices, sample_keys(
        seed, 0, list(indices), [0] * len(indices)))
    out = []
    for image, other, sample in zip(batch['inputs']['image'],
                                    batch['inputs']['condition'],
                                    batch['data_samples']):
        left, right = (enlarge(v.permute(1, 2, 0).numpy()[..., ::-1], factor)
                       for v in (image, other))
        truth = sample.gt_instances
        drawn = draw_skeleton(
            left, enlarge_points(truth.keypoints[0], factor),
            truth.keypoints_visible[0], dataset.skeleton,
            max(factor // 2, 1))
        out.append([left, drawn, right])
    return out


def pose_tiles(poses: np.ndarray, present: np.ndarray, skeleton: Skeleton,
               size: int, factor: int = 1) -> list[np.ndarray]:
    """Pictures of normalised poses, on black.

    Args:
        poses (np.ndarray): (N, K, 2) in [-1, 1].
        present (np.ndarray): (N, K).
        skeleton (Skeleton): The K joints.
        size (int): Side of the crop in pixels.
        factor (int): Enlargement. Defaults to 1.
    """
    blank = np.zeros((size * factor, size * factor, 3), np.uint8)
    pixels = (np.asarray(poses) + 1) * (size - 1) / 2
    return [draw_skeleton(blank, enlarge_points(p, factor), v, skeleton,
                          max(factor // 2, 1))
            for p, v in zip(pixels, present)]


def contact_sheet(rows: Sequence[Sequence[np.ndarray]],
                  gap: int = 2) -> np.ndarray:
    """Puts pictures of one size into a table on white.

    Args:
        rows (Sequence[Sequence[np.ndarray]]): (H, W, 3) uint8 each.
        gap (int): White pixels between them. Defaults to 2.

    Raises:
        ValueError: There is no picture, or sizes differ.
    """
    sizes = {p.shape for row in rows for p in row}
    if len(sizes) != 1:
        raise ValueError(f'a contact sheet needs pictures of one size, got '
                         f'{sorted(sizes)}')
    height, width, _ = sizes.pop()
    columns = max(len(row) for row in rows)
    out = np.full((len(rows) * (height + gap) + gap,
                   columns * (width + gap) + gap, 3), 255, np.uint8)
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            top, left = gap + y * (height + gap), gap + x * (width + gap)
            out[top:top + height, left:left + width] = picture
    return out


def dataset_sheet(dataset: Any, number: int = 8, factor: int = 1,
                  seed: int = 0) -> np.ndarray:
    """A sheet of a data set of this room.

    Args:
        dataset: ``UnpairedDataset`` (pairs and poses), a
            :class:`FrameDataset` (pairs) or ``UnpairedPoseDataset``.
        number (int): Samples, evenly spaced. Defaults to 8.
        factor (int): Enlargement. Defaults to 1.
        seed (int): Of the draws. Defaults to 0.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB, a sample a row; of poses alone a
        square table.

    Raises:
        TypeError: Another kind of data set.
    """
    chosen = np.linspace(0, len(dataset) - 1, number).round().astype(
        int).tolist()
    keys = sample_keys(seed, 0, chosen, [0] * number)
    if isinstance(dataset, UnpairedPoseDataset):
        batch = dataset.get_batch(chosen, keys)
        tiles = pose_tiles(batch['poses'].numpy(), batch['pose_present'],
                           dataset.skeleton, dataset.size, factor)
        side = int(np.ceil(np.sqrt(number)))
        return contact_sheet([tiles[i:i + side]
                              for i in range(0, number, side)])
    if isinstance(dataset, UnpairedDataset):
        rows = pair_tiles(dataset.frames, chosen, factor, seed)
        batch = dataset.get_batch(chosen, keys)
        poses = pose_tiles(batch['poses'].numpy(), batch['pose_present'],
                           dataset.skeleton, dataset.poses.size, factor)
        return contact_sheet([[*row, pose] for row, pose in zip(rows,
                                                                poses)])
    if isinstance(dataset, FrameDataset):
        return contact_sheet(pair_tiles(dataset, chosen, factor, seed))
    raise TypeError(f'no pictures of a {type(dataset).__name__}')


def write_sheet(path: str | Path, sheet: np.ndarray) -> None:
    """Writes a sheet as a PNG file, whole or not at all."""
    write_atomically(Path(path), lambda part: part.write_bytes(png(sheet)))
