"""A picture sheet: queries, and what is found before other cameras."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from mirrorpose.evaluation.retrieval_protocol import VARIANTS, near_ranges
from mirrorpose.structures.canonical import to_camera
from mirrorpose.utils.files import write_atomically
from mirrorpose.visualization.drawing import draw_skeleton, png
from mirrorpose.visualization.gallery import Row, Tile
from mirrorpose.visualization.sheets import (
    image_tile,
    picture_sheet,
    pose_tile,
)

from .data import SKELETON, HeldOut
from .rows import by_vectors, embed
from .scores import SETTINGS

SIDE = 160
#: How much of the side the largest pose of a row takes.
_FILLED = .92
_GREY = 190


def chosen_queries(held: HeldOut, number: int) -> np.ndarray:
    """Rows of samples, spread evenly over people and time.

    Cameras take turns; an instant that the camera did not see is asked from
    the first that did.
    """
    s = held.samples
    instants, first = np.unique(held.data.group[s.order], return_index=True)
    # in the order of people, clips and time, not of the data set
    first = np.sort(first)
    at = first[((np.arange(number) + .5) * len(first) / number).astype(int)]
    rows = []
    for i, start in enumerate(at):
        views = np.flatnonzero(held.data.group[s.order]
                               == held.data.group[s.order[start]])
        rows.append(views[i % len(views)])
    return np.array(rows)


def found_by(held: HeldOut, vectors: torch.Tensor, row: int, k: int,
             variant: str) -> tuple[int, np.ndarray]:
    """What a query finds among all other cameras' views.

    Args:
        held (HeldOut): N views.
        vectors (Tensor): (N, D) in the data set's order.
        row (int): Of samples.
        k (int): How many.
        variant (str): Of ``VARIANTS``.

    Returns:
        tuple: A row of its instant in another camera, and the k rows that
        are found, nearest first.
    """
    s = held.samples
    items = s.views != s.views[row]
    same = items & (s.clips == s.clips[row]) & (
        np.abs(s.seconds - s.seconds[row]) < 1e-3)
    if variant == VARIANTS[2]:
        items &= s.subjects != s.subjects[row]
    rows, query = np.flatnonzero(items), np.array([row])
    gap = SETTINGS.gap if variant == VARIANTS[1] else -1.
    near = near_ranges(s.clips[query], s.seconds[query], s.clips[rows],
                       s.seconds[rows], gap)
    found = by_vectors(held, vectors)(
        torch.from_numpy(query), torch.from_numpy(rows), k,
        [torch.from_numpy(near)])[1][1][0].numpy()
    return int(np.flatnonzero(same)[0]), rows[found[found >= 0]]


def sheet(model: Any, held: HeldOut, variant: str, queries: int,
          neighbours: int) -> np.ndarray:
    """Draws it.

    First the query, then its instant before another camera, then what is
    found, with the canonical MPJPE to the query's pose. A tile shows above
    what the network read, and below the true 3D pose as the query's camera
    would see it, before the query's own in grey.

    Args:
        model (nn.Module): A MetricPoseRegressor.
        held (HeldOut): What is searched.
        variant (str): Of ``VARIANTS``.
        queries (int): Rows of the sheet.
        neighbours (int): Of each.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB.
    """
    vectors, _ = embed(model, held)
    out = []
    for row in chosen_queries(held, queries).tolist():
        instant, found = found_by(held, vectors, row, neighbours, variant)
        rows = [row, instant, *found.tolist()]
        captions = [f'query {_who(held, row)}', f'same instant, '
                    f'{_camera(held, instant)}', *(
                        f'{_apart(held, row, r):.0f} mm, {_who(held, r)}'
                        for r in rows[2:])]
        below = _poses(held, rows)
        out.append(Row('', [
            Tile(text, np.concatenate([_read(held, r), drawn]))
            for text, r, drawn in zip(captions, rows, below)]))
    return picture_sheet(out, heads=2)


def _apart(held: HeldOut, row: int, other: int) -> float:
    """Canonical MPJPE of two samples' true poses."""
    poses = held.samples.poses
    return float((poses[row] - poses[other]).norm(dim=-1).mean())


def _camera(held: HeldOut, row: int) -> str:
    return f'c{held.samples.views[row] + 1}'


def _who(held: HeldOut, row: int) -> str:
    told = held.data.meta(int(held.samples.order[row]))
    # a caption is 24 letters wide
    return f'{told["subject"].removeprefix("cmu_")}, {_camera(held, row)}'


def _read(held: HeldOut, row: int) -> np.ndarray:
    """The image, or the joints where there is none, (SIDE, SIDE, 3)."""
    data, view = held.data, int(held.samples.order[row])
    if held.pictures is not None:
        return image_tile('', np.ascontiguousarray(
            held.pictures.image(view)[..., ::-1]), SIDE).image
    return pose_tile('', data.keypoints[view], data.visible[view], SKELETON,
                     SIDE).image


def _poses(held: HeldOut, rows: list[int]) -> list[np.ndarray]:
    """3D poses as the first one's camera sees them, all in one scale."""
    s = held.samples
    rotation = held.rotation[int(s.order[rows[0]])].double()
    points = to_camera(s.poses[rows], rotation)[..., :2].numpy()
    low, high = points.min((0, 1)), points.max((0, 1))
    scale = _FILLED * SIDE / float((high - low).max())
    placed = (points - (low + high) / 2) * scale + (SIDE - 1) / 2
    seen = np.ones(len(SKELETON))
    blank = np.full((SIDE, SIDE, 3), 255, np.uint8)
    ghost = draw_skeleton(blank, placed[0], seen, SKELETON, 2)
    ghost[(ghost < 255).any(-1)] = _GREY
    return [draw_skeleton(ghost if i else blank, pose, seen, SKELETON, 2)
            for i, pose in enumerate(placed)]


def write_sheet(path: Path, *args: Any) -> None:
    """Draws :func:`sheet` and writes it as a PNG."""
    content = png(sheet(*args))
    write_atomically(path, lambda part: part.write_bytes(content))
