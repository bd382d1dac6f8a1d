#!/usr/bin/env python
"""Prepares MPI-INF-3DHP's motion for ``MocapArchive``.

    python tools/dataset_converters/mpi_inf_3dhp.py mpi_inf_3dhp --out data

Takes the training data as published (Mehta et al., 3DV 2017): a folder or zip
archive with ``S1/Seq1/annot.mat`` ... ``S8/Seq2/annot.mat`` and the
``camera.calibration`` beside each. Of ``annot.mat``, ``annot3`` is read: one
cell a camera of (frames, 84) millimetres in that camera's frame; ``annot2``,
(frames, 56) pixels, checks it. One camera is enough, as motion is the same in
all; its calibration turns the motion upright. Writes, all or nothing,
``OUT/mpi_inf_3dhp/motion.npz``: the 28 joints in metres, y up, at 25 frames
per second, one clip a sequence, grouped by subject.

This was written from the layout that public loaders of the data set agree
about, and tested on fixtures of that layout. The data themselves need a
licence and were not at hand.
"""
from __future__ import annotations

import argparse
import importlib.util
import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

if importlib.util.find_spec('mirrorpose') is None:
    # A clone that is not installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mirrorpose.datasets.preparation import (
    ConversionError,
    Source,
    progress,
    run_converter,
    written_together,
)
from mirrorpose.structures.skeleton import Skeleton

SKELETON = Skeleton.from_name('mpi_inf_3dhp_28')
PELVIS = SKELETON.index('pelvis')[0]
#: Sequences that were filmed at 50 frames per second, all others at 25
#: (the data set's own mpii_get_sequence_info.m).
AT_50 = {(1, 2), (3, 1), (3, 2), (5, 1), (5, 2)}
#: Median distance in pixels of 2048 that annot3's projection may keep from
#: annot2.
MAX_ERROR = 10.


def read_calibration(text: str, camera: int,
                     name: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads one camera of ``camera.calibration``.

    Args:
        text (str): The file: blocks that begin with ``name N`` and hold
            ``intrinsic`` and ``extrinsic``, 16 numbers each.
        camera (int): Which.
        name (str): The file's name, for messages.

    Returns:
        tuple: (3, 3) intrinsic and (4, 4) world-to-camera matrix, mm.

    Raises:
        ConversionError: The camera is missing or not as above.
    """
    blocks = {b.split()[0]: b for b in re.split(
        r'^\s*name\s+', text, flags=re.MULTILINE)[1:] if b.split()}
    if str(camera) not in blocks:
        raise ConversionError(f'{name} has no camera {camera}, only '
                              f'{sorted(blocks)}')
    found = {}
    for key in ('intrinsic', 'extrinsic'):
        line = re.search(rf'^\s*{key}\s+(.*)$', blocks[str(camera)],
                         re.MULTILINE)
        try:
            numbers = np.array(line[1].split() if line else [], float)
            found[key] = numbers.reshape(4, 4)
        except ValueError:
            raise ConversionError(f'{name}: camera {camera} has no 16 '
                                  f'numbers "{key}"') from None
    turn = found['extrinsic'][:3, :3]
    if np.abs(turn @ turn.T - np.eye(3)).max() > 1e-3 or (
            np.linalg.det(turn) < 0):
        raise ConversionError(f'{name}: the extrinsic of camera {camera} is '
                              'no rotation')
    return found['intrinsic'][:3, :3], found['extrinsic']


def read_annotation(data: bytes, camera: int,
                    name: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads one camera of ``annot.mat``.

    Args:
        data (bytes): The file.
        camera (int): Which.
        name (str): The file's name, for messages.

    Returns:
        tuple: (T, 28, 2) pixels and (T, 28, 3) mm in the camera's frame.

    Raises:
        ConversionError: Arrays are missing or have another shape.
    """
    try:
        content = loadmat(io.BytesIO(data))
    except (MatReadError, ValueError, NotImplementedError) as error:
        raise ConversionError(f'{name} is no readable MATLAB file '
                              f'({error})') from error
    joints = len(SKELETON)
    out = []
    for key, size in (('annot2', 2), ('annot3', 3)):
        cells = np.asarray(content.get(key, [])).ravel()
        if cells.dtype != object or camera >= len(cells):
            raise ConversionError(
                f'{name}: "{key}" must hold a cell for camera {camera}; the '
                f'file has { {k: np.shape(v) for k, v in content.items() if k[0] != "_"} }')  # noqa: E501
        table = np.asarray(cells[camera], float)
        if table.ndim != 2 or table.shape[1] != joints * size or (
                not len(table)):
            raise ConversionError(
                f'{name}: "{key}" of camera {camera} is {table.shape}, '
                f'expected (frames, {joints * size}): is this the training '
                'set?')
        out.append(table.reshape(len(table), joints, size))
    if len(out[0]) != len(out[1]):
        raise ConversionError(f'{name}: annot2 has {len(out[0])} frames, '
                              f'annot3 {len(out[1])}')
    return out[0], out[1]


def world_motion(points: np.ndarray, extrinsic: np.ndarray) -> np.ndarray:
    """(T, 28, 3) mm of the camera to metres of the world, y up."""
    return (points - extrinsic[:3, 3]) @ extrinsic[:3, :3] / 1000


def reprojection_error(points: np.ndarray, pixels: np.ndarray,
                       intrinsic: np.ndarray) -> float:
    """Median distance in pixels between annot3, projected, and annot2."""
    seen = points @ intrinsic.T
    seen = seen[..., :2] / seen[..., 2:]
    return float(np.nanmedian(np.linalg.norm(seen - pixels, axis=-1)))


def convert(args: argparse.Namespace) -> None:
    """Converts; see the module's text."""
    source = Source(args.source)
    found = {}
    for name in source.names:
        match = re.search(r'(?:^|/)S(\d+)/Seq(\d+)/annot\.mat$', name)
        if match:
            found[int(match[1]), int(match[2])] = name
    if not found:
        raise ConversionError(f'{source.path} holds no S1/Seq1/annot.mat ...')
    wanted = {(s, q) for s in range(1, 9) for q in (1, 2)}
    if set(found) != wanted and not args.partial:
        lost = sorted(f'S{s}/Seq{q}' for s, q in wanted ^ set(found))
        raise ConversionError(f'these sequences are missing or unknown: '
                              f'{lost}; pass --partial to go without')
    motions, names, groups = [], [], []
    for subject, sequence in progress(sorted(found), 'sequences'):
        name = found[subject, sequence]
        beside = name.removesuffix('annot.mat') + 'camera.calibration'
        if beside not in source.names:
            raise ConversionError(f'{beside} is missing; without it nobody '
                                  'knows which way is up')
        intrinsic, extrinsic = read_calibration(
            source.read(beside).decode(errors='replace'), args.camera,
            beside)
        pixels, points = read_annotation(source.read(name), args.camera,
                                         name)
        error = reprojection_error(points, pixels, intrinsic)
        if not error <= MAX_ERROR:
            raise ConversionError(
                f'{name}: annot3 is projected {error:.0f} pixels away from '
                f'annot2 in the median (at most {MAX_ERROR:g}), so the '
                'calibration or the layout is not the one expected')
        motion = world_motion(points, extrinsic)
        if (subject, sequence) in AT_50:
            motion = motion[::2]
        motions.append(motion.astype(np.float32))
        names.append(f'S{subject}_Seq{sequence}')
        groups.append(f'S{subject}')
    pose = np.concatenate(motions)
    root = pose[:, PELVIS]
    length = np.array([len(m) for m in motions], np.int32)
    with written_together(Path(args.out) / 'mpi_inf_3dhp') as part:
        np.savez(
            part / 'motion.npz', pos=pose - root[:, None], root=root,
            to28=np.eye(len(SKELETON), dtype=np.float32),
            names28=np.array(SKELETON.joints), clip_name=np.array(names),
            clip_group=np.array(groups), clip_len=length,
            clip_start=(np.cumsum(length) - length).astype(np.int32),
            fps=np.float32(25))
    print(f'{Path(args.out) / "mpi_inf_3dhp" / "motion.npz"}: {len(names)} '
          f'sequences, {len(pose)} frames')


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line and converts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('source', help='folder or archive as published')
    parser.add_argument('--out', default='data',
                        help='data root to write to (default: data)')
    parser.add_argument('--camera', type=int, default=0, metavar='N',
                        help='whose annotation is read (default: 0)')
    parser.add_argument('--partial', action='store_true',
                        help='not all of the 16 sequences are there')
    convert(parser.parse_args(arguments))


if __name__ == '__main__':
    raise SystemExit(run_converter(main))
