#!/usr/bin/env python
"""Prepares CatHead for ``FrameArchive``.

    python tools/dataset_converters/cathead.py CAT_DATASET --out data

Takes the data set as published (Zhang, Sun and Tang, ECCV 2008):
``CAT_00/00000001_000.jpg`` and beside it ``00000001_000.jpg.cat`` with
``9 x1 y1 ... x9 y9``: left and right eye, mouth, three points of the left
ear, three of the right. Seven are kept; the ears' inner ends (left ear 3,
right ear 1) are left out, which is [DERIVED]. Left and right are those of the
image. Writes, all or nothing, ``OUT/cathead/frames.npz`` and ``images.zip``:
square crops around the points. There is no official split: a tenth, by a
hash of the name, is the test.

This was written from the layout that is documented, and tested on fixtures of
that layout. The data themselves were not at hand.
"""
from __future__ import annotations

import argparse
import hashlib
import importlib.util
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

PADDING = 2.2
#: Which of the nine points are kept, in the order of ``cathead_7``: eyes,
#: mouth, left ear 1 and 2, right ear 2 and 3.
KEPT = (0, 1, 2, 3, 4, 7, 8)


def read_cat(data: bytes, name: str) -> np.ndarray:
    """(7, 2) pixels of a .cat file.

    Raises:
        ConversionError: The file is not as documented.
    """
    try:
        numbers = np.array(data.decode().split(), float)
    except ValueError as error:
        raise ConversionError(f'{name} is no .cat file ({error})') from error
    if len(numbers) != 19 or numbers[0] != 9:
        raise ConversionError(f'{name} does not hold 9 points but '
                              f'{len(numbers)} numbers')
    return numbers[1:].reshape(9, 2)[list(KEPT)]


def read(args: argparse.Namespace) -> Iterator[PreparedFrame]:
    """Yields the cats; see the module's text."""
    source = Source(args.source)
    labels = [n for n in source.names if n.endswith('.cat')]
    if not labels:
        raise ConversionError(f'{source.path} holds no .cat files')
    known = set(source.names)
    for name in progress(labels, 'cats'):
        image = name.removesuffix('.cat')
        if image not in known:
            raise ConversionError(f'{name} has no image beside it')
        stem = image.rpartition('.')[0]
        held = hashlib.sha256(stem.split('/')[-1].encode()).digest()[0] < 26
        yield reduced(PreparedFrame(
            f'{stem}.jpg', stem, decode_image(source.read(image), image),
            subset='test' if held else 'train',
            keypoints=read_cat(source.read(name), name)), args.size, PADDING)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line and converts."""
    parser = frame_command(__doc__, 'folder or zip archive CAT_DATASET', 160)
    convert_frames(parser, arguments, read, 'cathead', 'cathead_7')


if __name__ == '__main__':
    raise SystemExit(run_converter(main))
