#!/usr/bin/env python
"""Prepares 300-W for ``FrameArchive``.

    python tools/dataset_converters/w300.py 300w --out data

Takes the re-annotated sets as published by iBUG (Sagonas et al., ICCVW 2013):
a ``.pts`` file of 68 points beside each image, in ``afw/``,
``helen/trainset/``, ``helen/testset/``, ``lfpw/trainset/``,
``lfpw/testset/`` and ``ibug/``. Points count from 1. As usual, AFW and the
two training sets are for training (3,148), the two test sets and iBUG for the
test (689). Writes, all or nothing, ``OUT/300w/frames.npz`` and
``images.zip``: square crops around the points.

This was written from the layout that is documented, and tested on fixtures of
that layout. The data themselves were not at hand.
"""
from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

if importlib.util.find_spec('mirrorpose') is None:
    # A clone that is not installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mirrorpose.datasets.frames.preparing import (
    PreparedFrame,
    convert_frames,
    frame_command,
    reduced,
)
from mirrorpose.datasets.preparation import (
    ConversionError,
    Source,
    decode_image,
    progress,
    run_converter,
)

PADDING = 2.
TEST = ('ibug', 'helen/testset', 'lfpw/testset')
TRAIN = ('afw', 'helen/trainset', 'lfpw/trainset')


def read_pts(data: bytes, name: str) -> np.ndarray:
    """(68, 2) pixels of a .pts file, (0, 0) the first pixel's centre.

    Raises:
        ConversionError: The file is not as documented.
    """
    text = data.decode(errors='replace')
    inside = re.search(r'n_points:\s*(\d+)\s*\{(.*?)\}', text, re.DOTALL)
    try:
        points = np.array((inside[2] if inside else '').split(),
                          float).reshape(-1, 2)
    except ValueError:
        points = np.zeros((0, 2))
    if inside is None or len(points) != 68 or int(inside[1]) != 68:
        raise ConversionError(f'{name} is no .pts file of 68 points '
                              f'({len(points)} found)')
    return points - 1


def subset_of(name: str) -> str | None:
    """Which subset a file belongs to; None for other folders."""
    folder = f'/{name}'.rpartition('/')[0].lower() + '/'
    for subset, folders in (('test', TEST), ('train', TRAIN)):
        if any(f'/{f}/' in folder for f in folders):
            return subset
    return None


def read(args: argparse.Namespace) -> Iterator[PreparedFrame]:
    """Yields the faces; see the module's text."""
    source = Source(args.source)
    images = {n.rpartition('.')[0]: n for n in source.names
              if n.lower().endswith(('.png', '.jpg'))}
    labels = [n for n in source.names if n.lower().endswith('.pts')
              and subset_of(n)]
    if not labels:
        raise ConversionError(f'{source.path} holds no .pts files in '
                              f'{", ".join(TRAIN + TEST)}')
    for name in progress(labels, 'faces'):
        stem = name.rpartition('.')[0]
        if stem not in images:
            raise ConversionError(f'{name} has no image beside it')
        yield reduced(PreparedFrame(
            f'{stem}.jpg', stem,
            decode_image(source.read(images[stem]), images[stem]),
            subset=subset_of(name) or '',
            keypoints=read_pts(source.read(name), name)), args.size, PADDING)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line and converts."""
    parser = frame_command(__doc__, 'folder or zip archive as published', 192)
    convert_frames(parser, arguments, read, '300w', 'ibug_68')


if __name__ == '__main__':
    raise SystemExit(run_converter(main))
