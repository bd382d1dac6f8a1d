#!/usr/bin/env python
"""Prepares PennAction for ``FrameArchive``.

    python tools/dataset_converters/penn_action.py Penn_Action --out data

Takes the data set as published (Zhang, Zhu and Derpanis, ICCV 2013)::

    frames/0001/000001.jpg ...
    labels/0001.mat     x, y, visibility (frames, 13), train, action, nframes

Writes, all or nothing, ``OUT/penn_action/frames.npz`` and ``images.zip``:
square crops around each video's people, 13 joints. ``train`` is 1 for
training videos; coordinates count from 1.

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
    reduced,
)
from mirrorpose.datasets.preparation import (
    ConversionError,
    Source,
    decode_image,
    progress,
    run_converter,
)

#: The head's place is not said to be its top, so it stands alone.
JOINTS = ('head', 'left_shoulder', 'right_shoulder', 'left_elbow',
          'right_elbow', 'left_wrist', 'right_wrist', 'left_hip',
          'right_hip', 'left_knee', 'right_knee', 'left_ankle',
          'right_ankle')
PADDING = 1.6


def read_label(data: bytes, name: str
               ) -> tuple[np.ndarray, np.ndarray, bool, str]:
    """Keypoints (T, 13, 2), visibility (T, 13), whether train, action.

    Raises:
        ConversionError: The file is not as documented.
    """
    try:
        found = loadmat(io.BytesIO(data))
        points = np.stack([found['x'], found['y']], -1).astype(float) - 1
        visible = np.asarray(found['visibility'])
        train = int(np.asarray(found['train']).ravel()[0]) == 1
        action = str(np.asarray(found['action']).ravel()[0])
    except (KeyError, ValueError, IndexError, NotImplementedError) as error:
        raise ConversionError(f'{name} is no label of PennAction '
                              f'({error!r})') from error
    if points.shape[1:] != (len(JOINTS), 2) or visible.shape != points.shape[
            :2]:
        raise ConversionError(f'{name}: x and y are {points.shape[:2]}, '
                              f'expected (frames, {len(JOINTS)})')
    return points, visible, train, action


def read(args: argparse.Namespace) -> Iterator[PreparedFrame]:
    """Yields the frames; see the module's text."""
    source = Source(args.source)
    labels = {m[1]: n for n in source.names
              if (m := re.search(r'(?:^|/)labels/(\d+)\.mat$', n))}
    images: dict[str, list[str]] = {}
    for name in source.names:
        match = re.search(r'(?:^|/)frames/(\d+)/\d+\.jpg$', name)
        if match:
            images.setdefault(match[1], []).append(name)
    if not labels or set(labels) != set(images):
        lost = sorted(set(labels) ^ set(images))
        raise ConversionError(f'{source.path}: labels/ and frames/ do not '
                              f'hold the same videos: {lost[:8]}')
    for video in progress(sorted(labels), 'videos'):
        points, visible, train, action = read_label(
            source.read(labels[video]), labels[video])
        names = sorted(images[video])
        if len(names) != len(points):
            raise ConversionError(f'video {video} has {len(names)} frames '
                                  f'and {len(points)} labels')
        for name, place, seen in zip(names, points, visible):
            if (seen > 0).sum() < 2:
                continue  # nobody to cut out
            yield reduced(PreparedFrame(
                f'{video}/{Path(name).name}', video,
                decode_image(source.read(name), name), video,
                'train' if train else 'test', place, seen, action=action),
                args.size, PADDING)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line and converts."""
    parser = frame_command(__doc__, 'folder or zip archive Penn_Action', 160)
    convert_frames(parser, arguments, read, 'penn_action', JOINTS)


if __name__ == '__main__':
    raise SystemExit(run_converter(main))
