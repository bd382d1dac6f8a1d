#!/usr/bin/env python
"""Prepares the landmarks of MultiPIE for ``FrameArchive``.

    python tools/dataset_converters/multipie.py labels --out data

Takes the published annotation (Gross et al., Image and Vision Computing
2010): ``CAMERA/SUBJECT_SESSION_RECORDING_CAMERA_LIGHT_lm.mat`` with an array
``pts`` of (68, 2) pixels, counted from 1. Profiles with 39 points are left
out. Writes ``OUT/multipie/frames.npz`` with poses alone: no image is needed,
groups are subjects.

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
    progress,
    run_converter,
)

PATTERN = re.compile(r'(?:^|/)(\d+)_(\d+)_(\d+)_(\d+)_(\d+)_lm\.mat$')


def read_points(data: bytes, name: str) -> np.ndarray:
    """(P, 2) pixels of a label file, (0, 0) the first pixel's centre.

    Raises:
        ConversionError: The file is not as documented.
    """
    try:
        points = np.asarray(loadmat(io.BytesIO(data))['pts'], float)
    except (KeyError, ValueError, NotImplementedError) as error:
        raise ConversionError(f'{name} has no readable pts '
                              f'({error!r})') from error
    if points.ndim != 2 or points.shape[1] != 2:
        raise ConversionError(f'{name}: pts is {points.shape}, expected '
                              '(68, 2)')
    return points - 1


def read(args: argparse.Namespace) -> Iterator[PreparedFrame]:
    """Yields the poses; see the module's text."""
    source = Source(args.source)
    labels = {n: m for n in sorted(source.names) if (m := PATTERN.search(n))}
    if not labels:
        raise ConversionError(f'{source.path} holds no *_lm.mat files')
    profiles = 0
    for name in progress(list(labels), 'labels'):
        points = read_points(source.read(name), name)
        if len(points) != 68:
            profiles += 1
            continue
        stem = labels[name][0].strip('/').removesuffix('_lm.mat')
        yield PreparedFrame(f'{stem}.png', stem, group=labels[name][1],
                            keypoints=points)
    print(f'{profiles} profiles without 68 points are left out')


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line and converts."""
    parser = frame_command(__doc__, 'folder or zip archive of label files')
    convert_frames(parser, arguments, read, 'multipie', 'ibug_68')


if __name__ == '__main__':
    raise SystemExit(run_converter(main))
