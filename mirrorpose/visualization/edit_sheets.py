"""Pictures of edited poses: who looks like whom, and which joint moved."""
from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..structures import Skeleton
from .drawing import draw_skeleton, enlarge, enlarge_points
from .gallery import Row, Tile

#: Sides of pictures in pixels, at least.
SIDE = 160
_GROUND = 28
_WHITE = (255, 255, 255)


def swap_rows(poses: np.ndarray, keypoints: np.ndarray,
              pose_names: Sequence[str], appearances: np.ndarray,
              appearance_names: Sequence[str], made: np.ndarray,
              skeleton: Skeleton) -> list[Row]:
    """Poses in rows, appearances in columns: the paper's Figure 9.

    Two tiles head each row, the image and its drawn skeleton, and a row of
    the appearances stands on top.

    Args:
        poses (np.ndarray): (P, S, S, 3) uint8 RGB.
        keypoints (np.ndarray): (P, K, 2) pixels of them.
        pose_names (Sequence[str]): P.
        appearances (np.ndarray): (A, S, S, 3) uint8 RGB.
        appearance_names (Sequence[str]): A.
        made (np.ndarray): (P, A, S, S, 3) uint8 RGB.
        skeleton (Skeleton): The K joints.

    Returns:
        list[Row]: P + 1 rows of A + 2 tiles.
    """
    blank = np.full_like(_large(poses[0]), 255)
    rows = [Row('', [Tile('', blank), Tile('pose below, look ->', blank)] + [
        Tile(n, _large(a)) for n, a in zip(appearance_names, appearances)])]
    for image, points, name, made_of in zip(poses, keypoints, pose_names,
                                            made):
        rows.append(Row(name, [
            Tile(name, _large(image)),
            Tile('its skeleton', drawn_pose(points, len(image), skeleton)),
            *(Tile('', _large(m)) for m in made_of)]))
    return rows


def move_rows(images: np.ndarray, before: np.ndarray, after: np.ndarray,
              plain: np.ndarray, edited: np.ndarray, names: Sequence[str],
              skeleton: Skeleton) -> list[Row]:
    """Images before and after joints were moved: the paper's Figure 10.

    What the decoder makes of the pose as it was stands beside what it makes
    of the edited one: the two differ by the edit alone.

    Args:
        images (np.ndarray): (N, S, S, 3) uint8 RGB.
        before (np.ndarray): (N, K, 2) pixels.
        after (np.ndarray): (N, K, 2) pixels.
        plain (np.ndarray): (N, S, S, 3) uint8 RGB, decoded as it was.
        edited (np.ndarray): (N, S, S, 3) uint8 RGB, decoded after.
        names (Sequence[str]): N.
        skeleton (Skeleton): The K joints.

    Returns:
        list[Row]: N rows of 5 tiles.
    """
    return [Row(name, [
        Tile(name, _large(image)),
        Tile('its skeleton', drawn_pose(old, len(image), skeleton)),
        Tile('decoded, no edit', _large(made)),
        Tile('edited skeleton', drawn_pose(new, len(image), skeleton, old)),
        Tile('decoded, edited', _large(changed))])
        for name, image, old, new, made, changed in zip(
            names, images, before, after, plain, edited)]


def walk_rows(image: np.ndarray, keypoints: np.ndarray, path: np.ndarray,
              made: np.ndarray, name: str, joint: str,
              skeleton: Skeleton) -> list[Row]:
    """A joint on its way: the skeletons, and below them the images.

    Args:
        image (np.ndarray): (S, S, 3) uint8 RGB.
        keypoints (np.ndarray): (K, 2) pixels, as they were.
        path (np.ndarray): (T, K, 2) pixels.
        made (np.ndarray): (T, S, S, 3) uint8 RGB, decoded.
        name (str): Of the image.
        joint (str): Which one walks.
        skeleton (Skeleton): The K joints.

    Returns:
        list[Row]: Two rows of T + 1 tiles.
    """
    side, index = len(image), skeleton.joints.index(joint)
    steps = path[:, index] - keypoints[index]
    return [
        Row(name, [Tile(f'{name}: {joint}',
                        drawn_pose(keypoints, side, skeleton))] + [
            Tile(f'{dx:+.0f}, {dy:+.0f}',
                 drawn_pose(pose, side, skeleton, keypoints))
            for pose, (dx, dy) in zip(path, steps)]),
        Row(name, [Tile('image', _large(image))] + [
            Tile('', _large(m)) for m in made])]


def drawn_pose(keypoints: np.ndarray, size: int, skeleton: Skeleton,
               before: np.ndarray | None = None) -> np.ndarray:
    """A pose on a dark ground; what it was before shines through.

    Args:
        keypoints (np.ndarray): (K, 2) pixels of an image of ``size``.
        size (int): Side of the image in pixels.
        skeleton (Skeleton): The K joints.
        before (np.ndarray, optional): (K, 2); white lines lead from where
            joints were to where they are.

    Returns:
        np.ndarray: (H, H, 3) uint8 RGB.
    """
    factor = _factor(size)
    side = size * factor
    sheet = np.full((side, side, 3), _GROUND, np.uint8)
    seen, thick = np.ones(len(keypoints)), max(2, side // 80)
    places = enlarge_points(keypoints, factor)
    old = places if before is None else enlarge_points(before, factor)
    moved = np.abs(old - places).max(1) >= 1
    if moved.any():
        ghost = draw_skeleton(sheet, old, seen, skeleton, thick)
        sheet = (.35 * ghost + .65 * sheet).round().astype(np.uint8)
        for start, end in zip(old[moved], places[moved]):
            cv2.line(sheet, start.round().astype(int),
                     end.round().astype(int), _WHITE, 1, cv2.LINE_AA)
    return draw_skeleton(sheet, places, seen, skeleton, thick)


def _factor(size: int) -> int:
    return -(-SIDE // size)


def _large(image: np.ndarray) -> np.ndarray:
    return enlarge(image, _factor(len(image)))
