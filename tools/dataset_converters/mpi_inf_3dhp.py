#!/usr/bin/env python
"""Prepares MPI-INF-3DHP for ``MocapArchive`` and ``PreparedViews``.

    python tools/dataset_converters/mpi_inf_3dhp.py mpi_inf_3dhp --out data
    python tools/dataset_converters/mpi_inf_3dhp.py mpi_inf_3dhp --views

Takes the training data as published (Mehta et al., 3DV 2017): a folder or zip
archive with ``S1/Seq1/annot.mat`` ... ``S8/Seq2/annot.mat`` and the
``camera.calibration`` beside each. Of ``annot.mat``, ``annot3`` is read: one
cell a camera of (frames, 84) millimetres in that camera's frame; ``annot2``,
(frames, 56) pixels, checks it. One camera is enough, as motion is the same in
all; its calibration turns the motion upright. Writes, all or nothing,
``OUT/mpi_inf_3dhp/motion.npz``: the 28 joints in metres, y up, at 25 frames
per second, one clip a sequence, grouped by subject.

With ``--views`` the videos beside them, ``S1/Seq1/imageSequence/
video_0.avi`` ..., become crops of several synchronised cameras, with their
calibrations and all 28 joints: ``OUT/mpi_inf_3dhp/views.npz`` and
``images.zip`` (layout: ``mirrorpose/datasets/multiview/prepared.py``).
Videos that end before their annotation give fewer frames; a video that is
not there is an error. The test set has one camera and no place of it, so it
is not converted.

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
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

if importlib.util.find_spec('mirrorpose') is None:
    # A clone that is not installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mirrorpose.datasets.multiview.prepared import (
    PreparedWriter,
    add_crop_options,
    check_crop_options,
    read_frames,
)
from mirrorpose.datasets.preparation import (
    ConversionError,
    Source,
    progress,
    run_converter,
    written_together,
)
from mirrorpose.datasets.sequences import write_archive
from mirrorpose.datasets.sequences.clips import SKELETON, make_clips

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


@contextmanager
def as_file(source: Source, name: str) -> Iterator[Path]:
    """A file of the source as one that OpenCV can open."""
    path = source.path / name
    if path.is_file():
        yield path
        return
    with tempfile.NamedTemporaryFile(suffix=Path(name).suffix) as file:
        file.write(source.read(name))
        file.flush()
        yield Path(file.name)


def read_camera(source: Source, name: str, camera: int
                ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One camera of a sequence, checked.

    Args:
        source (Source): The data.
        name (str): An ``annot.mat``.
        camera (int): Which.

    Returns:
        tuple: intrinsic (3, 3) and world-to-camera (4, 4) matrix, (T, 28, 2)
        pixels and (T, 28, 3) mm in the camera's frame.

    Raises:
        ConversionError: Something is missing or does not fit.
    """
    beside = name.removesuffix('annot.mat') + 'camera.calibration'
    if beside not in source.names:
        raise ConversionError(f'{beside} is missing; without it nobody '
                              'knows which way is up')
    intrinsic, extrinsic = read_calibration(
        source.read(beside).decode(errors='replace'), camera, beside)
    pixels, points = read_annotation(source.read(name), camera, name)
    error = reprojection_error(points, pixels, intrinsic)
    if not error <= MAX_ERROR:
        raise ConversionError(
            f'{name}: annot3 is projected {error:.0f} pixels away from '
            f'annot2 in the median (at most {MAX_ERROR:g}), so the '
            'calibration or the layout is not the one expected')
    return intrinsic, extrinsic, pixels, points


def add_views(writer: PreparedWriter, source: Source, name: str,
              clip_name: str, fps: float, args: argparse.Namespace) -> None:
    """Adds all cameras of one sequence to the prepared views."""
    subject = clip_name.split('_')[0]
    clip = writer.add_clip(f'{subject}/{clip_name.split("_")[1]}', subject,
                           clip_name.split('_')[1], fps, np.array([0., 1,
                                                                   0]))
    instants: dict[int, int] = {}
    step = max(round(args.step * fps / 25), 1)
    for camera in args.cameras:
        intrinsic, extrinsic, pixels, points = read_camera(source, name,
                                                           camera)
        video = name.removesuffix('annot.mat') + \
            f'imageSequence/video_{camera}.avi'
        if video not in source.names:
            raise ConversionError(f'{video} is missing; leave camera '
                                  f'{camera} out by --cameras, or unpack '
                                  'the videos')
        world = world_motion(points, extrinsic) * 1000
        lens = writer.add_calibration(
            f'{clip_name}_{camera}', intrinsic, extrinsic[:3, :3],
            extrinsic[:3, 3], np.zeros(5))
        frames = np.arange(0, len(points), step)
        done = 0
        with as_file(source, video) as path:
            try:
                for frame, image in zip(frames.tolist(),
                                        read_frames(path, frames)):
                    if frame not in instants:
                        instants[frame] = writer.add_instant(clip, frame,
                                                             world[frame])
                    writer.add_view(instants[frame], str(camera), lens,
                                    pixels[frame], image)
                    done += 1
            except ValueError as error:
                if not done:
                    raise ConversionError(f'{video}: {error}') from error


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
        _, extrinsic, _, points = read_camera(source, name, args.camera)
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
        write_archive(part / 'motion.npz', make_clips(
            pose - root[:, None], root, names, groups, length, 25.,
            np.zeros(len(SKELETON), bool), str(source.path)))
        if args.views:
            writer = PreparedWriter(part, SKELETON.joints, args.image_size,
                                    args.padding)
            for key, clip_name in progress(list(zip(sorted(found), names)),
                                           'videos'):
                add_views(writer, source, found[key], clip_name,
                          50. if key in AT_50 else 25., args)
            writer.close()
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
    views = parser.add_argument_group('crops of several cameras')
    views.add_argument('--views', action='store_true',
                       help='write views.npz and images.zip, too')
    views.add_argument('--cameras', type=int, nargs='+', metavar='N',
                       default=[0, 1, 2, 4, 5, 6, 7, 8],
                       help='default: 0 1 2 4 5 6 7 8, about the height of '
                       'the chest')
    views.add_argument('--step', type=int, default=5, metavar='N',
                       help='keep every n-th of 25 frames a second '
                       '(default: 5)')
    add_crop_options(views)
    args = parser.parse_args(arguments)
    check_crop_options(args)
    convert(args)


if __name__ == '__main__':
    raise SystemExit(run_converter(main))
