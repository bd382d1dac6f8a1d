#!/usr/bin/env python
r"""Makes one archive for ``MocapArchive`` of BVH or AMC files.

The CMU database (mocap.cs.cmu.edu; ``subjects/01/01.asf``, ``01_01.amc``):

    python tools/dataset_converters/motion.py CMU --files 'subjects/*/*.amc' \
        --joints cmu_asf --scale 0.0564444 --fps 120 --prefix cmu_amc_ \
        --out data/mocap/cmu31_30fps.npz

Bandai-Namco's research motion data set (BVH in centimetres):

    python tools/dataset_converters/motion.py BANDAI \
        --files 'dataset/**/*.bvh' --joints bandai_bvh --scale 0.01 \
        --out data/mocap/bandai26_30fps.npz

These are the files that the ``*_mocap.py`` configs read. Own motion: any BVH
files; ``--joints`` is then a JSON file that says which of the 28 joints of
``mpi_inf_3dhp_28`` is which node, ``{"pelvis": "Hips", ...}``; joints that it
leaves out are absent. Clips are named by prefix and file name and resampled
to 30 frames a second. Which clips belong together (and are held out together)
the config says, by ``groups``.
"""
from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

if importlib.util.find_spec('mirrorpose') is None:
    # A clone that is not installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mirrorpose.datasets.preparation import (
    ConversionError,
    run_converter,
    written_together,
)
from mirrorpose.datasets.sequences import MotionFiles, write_archive
from mirrorpose.datasets.sequences.readers import JOINT_MAPS


def joint_map(text: str) -> Any:
    """The name of a known map, or a map from a JSON file.

    Raises:
        ConversionError: Neither, or the file is no JSON object.
    """
    if text in JOINT_MAPS:
        return text
    path = Path(text)
    if not path.is_file():
        raise ConversionError(
            f'--joints {text}: neither one of {sorted(JOINT_MAPS)} nor a JSON '
            'file')
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise ConversionError(f'{path} is no JSON: {error}') from error
    if not isinstance(found, dict):
        raise ConversionError(f'{path} must hold an object, joint to node')
    return found


def convert(args: argparse.Namespace) -> None:
    """Converts; see the module's text."""
    if not args.source.is_dir():
        raise ConversionError(f'{args.source} is no folder')
    if args.out.suffix != '.npz':
        raise ConversionError(f'--out must end in .npz, got {args.out}')
    try:
        clips = MotionFiles(
            args.files, joint_map(args.joints), scale=args.scale,
            asf=args.asf, fps=args.fps, target_fps=args.target_fps).load(
                str(args.source))
    except (ValueError, FileNotFoundError) as error:
        raise ConversionError(str(error)) from error
    names = tuple(args.prefix + n.rpartition('/')[2] for n in clips.names)
    twice = sorted({n for n in names if names.count(n) > 1})[:5]
    if twice:
        raise ConversionError(f'files of several folders are called {twice}; '
                              'convert them one by one, with --prefix')
    with written_together(args.out.parent) as part:
        write_archive(part / args.out.name, replace(
            clips, names=names, groups=names))
    print(f'{args.out}: {len(names)} clips, {len(clips.root)} frames, '
          f'{clips.present.any(0).sum()} of 28 joints')


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line and converts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('source', type=Path, help='folder')
    parser.add_argument('--files', required=True,
                        help="pattern below it, e.g. '**/*.bvh'")
    parser.add_argument('--joints', required=True,
                        help=f'{", ".join(sorted(JOINT_MAPS))}, or a JSON '
                        'file')
    parser.add_argument('--out', required=True, type=Path, help='the npz')
    parser.add_argument('--scale', type=float, default=1.,
                        help='metres a unit of length (default: 1)')
    parser.add_argument('--fps', type=float,
                        help='of AMC files, which do not say it')
    parser.add_argument('--asf', help='skeleton of AMC files, if it is not '
                        'the only one in their folder')
    parser.add_argument('--target-fps', type=float, default=30.)
    parser.add_argument('--prefix', default='', help='of the clips\' names')
    convert(parser.parse_args(arguments))


if __name__ == '__main__':
    raise SystemExit(run_converter(main))
