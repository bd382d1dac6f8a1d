"""What a trained KeypointGAN sees, reconstructs, swaps and edits: one sheet.

    python benchmarks/keypointgan_pictures.py [RUN] [--out FILE.png]

RUN is a run of benchmarks/keypoints/training.py, ``keypointgan_all_0`` by
default. Held-out frames, evenly spaced and not chosen. Above: input, skeleton
image and its logarithm, drawn keypoints, reconstruction, keypoints as
predicted and corrected, truth. In the middle: every pose with every
appearance, and a joint moved. Below: the joint walks. Drawn by
mirrorpose/visualization and apis/editing.py; writes
``docs/images/keypointgan.png``, or for frames of real people, which may not
go into the project, the file that ``--out`` names.
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from keypoints.runs import FOLDER, REAL, checkpoint, parts, settings
from mmengine.logging import MMLogger

from mirrorpose.apis import PoseEditor, load_model
from mirrorpose.structures import Skeleton
from mirrorpose.utils.files import write_atomically
from mirrorpose.visualization.drawing import png
from mirrorpose.visualization.edit_sheets import move_rows, walk_rows
from mirrorpose.visualization.gallery import Row, Tile
from mirrorpose.visualization.keypoint_gallery import (
    frame_rows,
    held_out,
    swapped_rows,
)
from mirrorpose.visualization.sheets import picture_sheet
from mirrorpose.visualization.work_dir import Stage

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / 'docs' / 'images' / 'keypointgan.png'
#: The joint that is edited, by joint set, and its way in shares of the side.
EDITED = dict(mpii_16='left_wrist', lsp_14='left_wrist', ibug_68='kpt-8')
WAY = (.12, -.12)


def joint_of(skeleton: Skeleton, joint: str | None = None) -> str:
    """The joint that is edited.

    Args:
        skeleton (Skeleton): That of the model.
        joint (str, optional): Defaults to that of ``EDITED``.

    Raises:
        ValueError: There is no default for the joint set.
    """
    found = joint or EDITED.get(skeleton.name)
    if found is None:
        raise ValueError(f'which joint of {skeleton.name!r} is to move? '
                         'Name it by --joint')
    return found


def frames(name: str, number: int) -> dict[str, Any]:
    """Held-out frames of a run's data; see ``held_out``."""
    stage = Stage(name, FOLDER / name, settings(name))
    return held_out(stage, number)[0]


def sheet(model: Any, batch: dict[str, Any],
          joint: str | None = None) -> np.ndarray:
    """Frames, swaps and edits below each other, (H, W, 3) uint8 RGB.

    Args:
        model (KeypointGAN): Conditional, with weights.
        batch (dict): Of :func:`frames`.
        joint (str, optional): See :func:`joint_of`.

    Raises:
        ValueError: The decoder reads no appearance frame.
    """
    editor = PoseEditor(model)
    joint = joint_of(editor.skeleton, joint)
    subjects = editor.read(list(batch['images'].numpy().transpose(
        0, 2, 3, 1)))._replace(names=batch['names'])
    seen, first = subjects.images[..., ::-1], subjects.images[:1]
    # In a straight line, held at the border: no image is too tight for it.
    moved = editor.walk(subjects, joint, WAY, 2, 'fraction')[:, 1]
    plain, edited = (editor.decode(p, subjects.images)[..., ::-1]
                     for p in (subjects.keypoints, moved))
    circle = editor.walk(subjects, joint)[0]
    walked = editor.decode(circle, np.repeat(first, len(circle), 0))
    moves = move_rows(seen, subjects.keypoints, moved, plain, edited,
                      subjects.names, editor.skeleton)
    walk = walk_rows(seen[0], subjects.keypoints[0], circle,
                     walked[..., ::-1], subjects.names[0], joint,
                     editor.skeleton)
    return stacked([
        picture_sheet(legible(frame_rows(model, batch))),
        stacked([picture_sheet(swapped_rows(model, batch), heads=2),
                 picture_sheet(moves)], axis=1),
        picture_sheet(walk)])


def legible(rows: Sequence[Row]) -> list[Row]:
    """Captions without the narrow spaces that OpenCV cannot write."""
    return [Row(row.title, [Tile(t.caption.replace('\u202f', ' '), t.image)
                            for t in row.tiles]) for row in rows]


def stacked(sheets: Sequence[np.ndarray], axis: int = 0) -> np.ndarray:
    """Sheets of any size below or beside each other, on white.

    Args:
        sheets (Sequence[np.ndarray]): (H, W, 3) uint8 each.
        axis (int): 0: below each other, 1: beside. Defaults to 0.
    """
    most = max(s.shape[1 - axis] for s in sheets)
    short = [[(0, 0)] * 3 for _ in sheets]
    for pads, s in zip(short, sheets):
        pads[1 - axis] = (0, most - s.shape[1 - axis])
    return np.concatenate([np.pad(s, pads, constant_values=255)
                           for pads, s in zip(short, sheets)], axis)


def main() -> None:
    """Draws a run's sheet."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('run', nargs='?', default='keypointgan_all_0')
    parser.add_argument('--out', type=Path)
    parser.add_argument('--frames', type=int, default=4)
    parser.add_argument('--joint', help='that is moved')
    args = parser.parse_args()
    if args.out is None and parts(args.run)[1] in REAL:
        parser.error(f'{args.run} shows real people: name a file outside of '
                     'the project by --out')
    out = args.out or OUT
    torch.set_num_threads(1)
    MMLogger.get_instance('mmengine').setLevel('ERROR')
    model = load_model(settings(args.run), checkpoint(args.run))
    content = png(sheet(model, frames(args.run, args.frames), args.joint))
    write_atomically(out, lambda part: part.write_bytes(content))
    print('written to', out)


if __name__ == '__main__':
    main()
