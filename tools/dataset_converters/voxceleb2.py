#!/usr/bin/env python
"""Prepares frames of VoxCeleb2 for ``FrameArchive``.

    python tools/dataset_converters/voxceleb2.py vox2 --out data

Takes the videos as published (Chung et al., Interspeech 2018):
``dev/mp4/id00012/21Uxsk56VDQ/00001.mp4`` (``dev/`` and ``mp4/`` may be
missing), square crops of faces at 224 x 224, 25 frames per second. Writes,
all or nothing, ``OUT/voxceleb2/frames.npz`` and ``images.zip``: every
``--stride``-th frame at ``--size``, a clip a video file, grouped by speaker.
There are no landmarks.

This was written from the layout that is documented, and tested on fixtures of
that layout. The data themselves were not at hand.
"""
from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

if importlib.util.find_spec('mirrorpose') is None:
    # A clone that is not installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mirrorpose.datasets.frames.files import VideoFiles
from mirrorpose.datasets.frames.preparing import (
    PreparedFrame,
    convert_frames,
    frame_command,
)
from mirrorpose.datasets.frames.squares import cut
from mirrorpose.datasets.preparation import (
    ConversionError,
    progress,
    run_converter,
)


def read(args: argparse.Namespace) -> Iterator[PreparedFrame]:
    """Yields the frames; see the module's text."""
    root = Path(args.source)
    videos = sorted(root.glob('**/id*/*/*.mp4'))
    if not videos:
        raise ConversionError(f'{root} holds no id00012/VIDEO/00001.mp4 ...')
    for path in progress(videos, 'videos'):
        speaker, video = path.parts[-3], path.parts[-2]
        clip = f'{speaker}/{video}/{path.stem}'
        place = path.relative_to(root)
        subset = 'test' if 'test' in place.parts else 'train'
        try:
            source = VideoFiles(
                place.as_posix(), stride=args.stride, crop='centre',
                max_frames=args.stride * args.most)
            (found, ) = source.select(str(root))
            for number, image in enumerate(source.images(found)):
                square = source.squares(
                    found.rows(slice(0, 1)),
                    (image.shape[0], image.shape[1]))[0]
                yield PreparedFrame(
                    f'{clip}/{number:04d}.jpg', clip,
                    cut(image, square, args.size), speaker, subset,
                    scale=float(square[2]) / args.size)
        except ValueError as error:
            raise ConversionError(str(error)) from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line and converts."""
    parser = frame_command(
        __doc__, 'folder that holds dev/ or test/ with videos', 128)
    parser.add_argument('--stride', type=int, default=5, metavar='N',
                        help='keep every N-th frame (default: 5)')
    parser.add_argument('--most', type=int, default=40, metavar='N',
                        help='frames kept of a video (default: 40)')
    convert_frames(parser, arguments, read, 'voxceleb2', None)


if __name__ == '__main__':
    raise SystemExit(run_converter(main))
