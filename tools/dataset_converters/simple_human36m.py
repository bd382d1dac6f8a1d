#!/usr/bin/env python
"""Prepares Simplified Human3.6M for ``FrameArchive``.

    python tools/dataset_converters/simple_human36m.py human_images --out data

Takes the folder (or a zip of it) that Zhang et al. published (CVPR 2018) and
KeypointGAN's code reads::

    S1/WithBackground/Directions 1/17.jpg       128 x 128
    S1/BackgroudMask/Directions 1/17.png        (their spelling)
    S1/Landmarks/Directions 1/17.mat            keypoints_2d (32, 2)

with landmarks as fractions of the image's side, y first. Writes, all or
nothing, ``OUT/simple_human36m/frames.npz``, ``images.zip`` and ``masks.zip``.
S11 is the test, as in KeypointGAN's code.

This was written from the layout that is documented, and tested on fixtures of
that layout. The data themselves were not at hand.
"""
from __future__ import annotations

import argparse
import importlib.util
import io
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.io import loadmat

if importlib.util.find_spec('mirrorpose') is None:
    # A clone that is not installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mirrorpose.datasets.frames.preparing import (
    PreparedFrame,
    convert_frames,
    frame_command,
)
from mirrorpose.datasets.preparation import (
    ConversionError,
    Source,
    decode_image,
    progress,
    run_converter,
)

TEST = ('S11', )
IMAGES, MASKS, LANDMARKS = 'WithBackground', 'BackgroudMask', 'Landmarks'


def read_landmarks(data: bytes, size: tuple[int, int],
                   name: str) -> np.ndarray:
    """(32, 2) pixels (x, y) of one .mat file.

    A fraction f of the side is the pixel ``f * side``, as in the code.

    Raises:
        ConversionError: The file has no such array.
    """
    try:
        found = np.asarray(loadmat(io.BytesIO(data))['keypoints_2d'], float)
    except (KeyError, ValueError, NotImplementedError) as error:
        raise ConversionError(f'{name} has no readable keypoints_2d '
                              f'({error})') from error
    if found.shape != (32, 2):
        raise ConversionError(f'{name}: keypoints_2d is {found.shape}, '
                              'expected (32, 2)')
    return found[:, ::-1] * [size[1], size[0]]


def read(args: argparse.Namespace) -> Iterator[PreparedFrame]:
    """Yields the frames; see the module's text."""
    source = Source(args.source)
    clips: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for name in source.names:
        match = re.search(rf'(?:^|/)(S\d+)/{IMAGES}/([^/]+)/(\d+)\.jpg$',
                          name)
        if match:
            clips.setdefault((match[1], match[2]), []).append(
                (int(match[3]), name))
    if not clips:
        raise ConversionError(f'{source.path} holds no '
                              f'S1/{IMAGES}/SEQUENCE/1.jpg ...')
    known = set(source.names)
    for (actor, sequence), frames in progress(sorted(clips.items()),
                                              'sequences'):
        action = re.match(r'[A-Za-z]*', sequence)
        for number, name in sorted(frames):
            beside = {kind: name.replace(f'/{IMAGES}/', f'/{kind}/')[:-4]
                      + ending for kind, ending in (
                          (MASKS, '.png'), (LANDMARKS, '.mat'))}
            lost = [n for kind, n in beside.items() if n not in known
                    and not (kind == MASKS and args.no_masks)]
            if lost:
                raise ConversionError(f'{lost[0]} is missing beside {name}')
            data = source.read(name)
            height, width = decode_image(data, name).shape[:2]
            shape = height, width
            yield PreparedFrame(
                f'{actor}/{sequence}/{number:06d}.jpg',
                f'{actor}/{sequence}', data, actor,
                'test' if actor in TEST else 'train',
                read_landmarks(source.read(beside[LANDMARKS]), shape,
                               beside[LANDMARKS]),
                mask=None if args.no_masks else source.read(beside[MASKS]),
                action=(action[0] if action else '').lower(), shape=shape)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line and converts."""
    parser = frame_command(__doc__, 'folder or zip archive human_images')
    parser.add_argument('--no-masks', action='store_true',
                        help='go without the masks')
    convert_frames(parser, arguments, read, 'simple_human36m',
                   'human36m_32')


if __name__ == '__main__':
    raise SystemExit(run_converter(main))
