#!/usr/bin/env python
"""Prepares Human3.6M for ``PreparedViews``.

    python tools/dataset_converters/h36m.py SOURCE --out data

SOURCE is one of two folders, told apart by what they hold:

- the originals, unpacked (Ionescu et al., TPAMI 2014; a licence is needed)::

    metadata.xml
    S1/MyPoseFeatures/D2_Positions/Directions 1.54138969.cdf
    S1/MyPoseFeatures/D3_Positions_mono/Directions 1.54138969.cdf
    S1/Videos/Directions 1.54138969.mp4

  (``D3_Positions`` will do in the place of ``D3_Positions_mono``). The
  downloads are archives: unpack each with ``tar -xf``. ``.cdf`` files are
  read by the package cdflib.

- what mmpose's ``preprocess_h36m.py`` writes::

    annotation_body3d/cameras.pkl
    annotation_body3d/fps10/h36m_train.npz, h36m_test.npz
    images/S1/S1_Directions_1.54138969/S1_Directions_1.54138969_000001.jpg

Whether 3D joints are in the world's frame or the camera's is not believed
but measured: the frame whose projection meets the 2D joints is taken, and it
is an error if neither does. Writes, all or nothing, ``OUT/h36m/views.npz``
and ``OUT/h36m/images.zip`` (layout: ``mirrorpose/datasets/multiview/
prepared.py``), with all 32 joints from the originals and 17 from mmpose's.
Of the videos' 50 frames a second every 5th is kept (``--step``), and every
64th, on which poses are tested (``--test-step``), where SOURCE has it:
mmpose's script keeps every 5th alone. A missing view stays missing; a missing
3D file is an error.

This was written from the layout that public loaders agree about, and tested
on fixtures of it. The data need a licence and were not at hand; the cameras
were checked on mmpose's published sample (2D and 3D joints within 0.1 pixel).
"""
from __future__ import annotations

import argparse
import importlib.util
import io
import pickle
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

if importlib.util.find_spec('mirrorpose') is None:
    # A clone that is not installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mirrorpose.datasets.multiview.cameras import RealCamera
from mirrorpose.datasets.multiview.prepared import (
    H36M_32,
    PreparedWriter,
    add_crop_options,
    check_crop_options,
    read_frames,
)
from mirrorpose.datasets.multiview.views import SKELETON
from mirrorpose.datasets.preparation import (
    ConversionError,
    decode_image,
    run_converter,
    written_together,
)

SUBJECTS = ('S1', 'S5', 'S6', 'S7', 'S8', 'S9', 'S11')
FPS = 50.
UP = np.array([0., 0., 1.])
#: Median distance in pixels that projected 3D joints may keep from 2D ones.
MAX_ERROR = 5.


class Film(NamedTuple):
    """One camera's view of one clip.

    Attributes:
        subject (str): ``'S1'``.
        action (str): ``'Directions_1'``.
        camera (str): ``'54138969'``.
        frames (np.ndarray): (T,) counted from 0.
        pixels (np.ndarray): (T, J, 2).
        points (np.ndarray): (T, J, 3) mm, world or camera frame.
        images (Any): Video, or (T,) paths.
    """

    subject: str
    action: str
    camera: str
    frames: np.ndarray
    pixels: np.ndarray
    points: np.ndarray
    images: Any


def read_metadata(path: Path) -> dict[tuple[str, str], RealCamera]:
    """Cameras of ``metadata.xml`` by subject and camera.

    The element ``w0`` holds, for each camera, 6 extrinsic numbers of each of
    11 subjects (angles, place in mm), then 9 intrinsic ones a camera: focal
    lengths, principal point, three radial and two tangential coefficients.

    Raises:
        ConversionError: It is not as above.
    """
    try:
        root = ET.parse(path).getroot()
        names = [e.text or '' for e in root.findall('dbcameras/index2id/*')]
        text = root.findtext('w0') or ''
        numbers = np.array(text.strip().strip('[]').split(), float)
        extrinsic = numbers[:264].reshape(4, 11, 6)
        intrinsic = numbers[264:300].reshape(4, 9)
        if len(names) != 4:
            raise ValueError(f'{len(names)} cameras')
    except (ET.ParseError, ValueError) as error:
        raise ConversionError(f'{path} is not the metadata of Human3.6M '
                              f'({error})') from error
    out = {}
    for c, name in enumerate(names):
        fx, fy, cx, cy, k1, k2, k3, p1, p2 = intrinsic[c]
        for s in range(11):
            turn = _rotation(extrinsic[c, s, :3])
            out[f'S{s + 1}', name] = RealCamera(
                name, np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), turn,
                -turn @ extrinsic[c, s, 3:], np.array([k1, k2, p1, p2, k3]),
                (1000, 1002 if name in ('54138969', '60457274') else 1000))
    return out


def _rotation(angles: np.ndarray) -> np.ndarray:
    """(3, 3) world to camera: Rx Ry Rz of the data set's own code."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    return (np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
            @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
            @ np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]]))


class _Arrays(pickle.Unpickler):
    """Reads pickles that hold nothing but arrays and plain data."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split('.')[0] == 'numpy' and name in (
                '_reconstruct', 'ndarray', 'dtype', 'scalar',
                '_frombuffer'):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f'{module}.{name} is no array')


def read_pickled_cameras(path: Path) -> dict[tuple[str, str], RealCamera]:
    """Cameras of mmpose's ``cameras.pkl``: metres, R camera to world.

    Raises:
        ConversionError: It holds something else.
    """
    try:
        table = _Arrays(io.BytesIO(path.read_bytes())).load()
        out = {}
        for key, entry in table.items():
            turn = np.array(entry['R'], float).T
            place = np.array(entry['T'], float).ravel() * 1000
            (fx, fy), (cx, cy) = np.ravel(entry['f']), np.ravel(entry['c'])
            k, p = np.ravel(entry['k']), np.ravel(entry['p'])
            out[str(key[0]), str(key[1])] = RealCamera(
                str(key[1]), np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]),
                turn, -turn @ place, np.array([k[0], k[1], p[0], p[1], k[2]]),
                (int(entry['w']), int(entry['h'])))
    except (pickle.UnpicklingError, KeyError, ValueError, TypeError,
            AttributeError, EOFError) as error:
        raise ConversionError(f'{path} is not what preprocess_h36m.py writes '
                              f'({error})') from error
    return out


def read_cdf(path: Path, size: int) -> np.ndarray:
    """(T, 32, size) of a ``.cdf`` file.

    Raises:
        ConversionError: It cannot be read, or cdflib is missing.
    """
    try:
        import cdflib  # type: ignore[import-not-found]
    except ImportError as error:
        raise ConversionError('the .cdf files of Human3.6M are read by the '
                              'package cdflib: pip install cdflib'
                              ) from error
    try:
        table = np.asarray(cdflib.CDF(str(path)).varget('Pose'), float)
    except Exception as error:  # cdflib raises whatever comes
        raise ConversionError(f'{path} cannot be read as CDF '
                              f'({error})') from error
    table = table.reshape(-1, table.shape[-1])
    if table.shape[1] != 32 * size:
        raise ConversionError(f'{path} holds {table.shape} numbers, expected '
                              f'(frames, {32 * size})')
    return table.reshape(len(table), 32, size)


def kept(frames: np.ndarray, steps: Sequence[int]) -> np.ndarray:
    """(T,) bool: frames (T,) that are a multiple of one of ``steps``."""
    return (frames[:, None] % np.array(steps) == 0).any(1)


def read_originals(root: Path, subjects: Sequence[str],
                   steps: Sequence[int]) -> Iterator[Film]:
    """Films of the unpacked originals, subject by subject."""
    for subject in subjects:
        features = root / subject / 'MyPoseFeatures'
        files = sorted((features / 'D2_Positions').glob('*.cdf'))
        if not files:
            raise ConversionError(
                f'{features / "D2_Positions"} holds no .cdf; unpack '
                "the subject's Poses_D2_Positions archive by tar -xf")
        for file in files:
            action, camera = file.stem.rsplit('.', 1)
            if action.split(' ')[0] == '_ALL':
                continue
            spots = [features / kind / file.name for kind in (
                'D3_Positions_mono', 'D3_Positions')]
            spots.append(features / 'D3_Positions' / f'{action}.cdf')
            three = next((s for s in spots if s.is_file()), None)
            if three is None:
                raise ConversionError(f'there are no 3D joints for {file}: '
                                      f'none of {[str(s) for s in spots]}')
            video = root / subject / 'Videos' / f'{file.stem}.mp4'
            if not video.is_file():
                raise ConversionError(f'{video} is missing')
            pixels, points = read_cdf(file, 2), read_cdf(three, 3)
            if len(pixels) != len(points):
                raise ConversionError(f'{file} has {len(pixels)} frames, '
                                      f'{three} {len(points)}')
            frames = np.arange(len(pixels))
            frames = frames[kept(frames, steps)]
            yield Film(subject, action.replace(' ', '_'), camera, frames,
                       pixels[frames], points[frames], video)


_NAME = re.compile(r'^(S\d+)_(.+)\.(\d+)_(\d+)\.jpg$')


def read_mmpose(root: Path, subjects: Sequence[str],
                steps: Sequence[int]) -> Iterator[Film]:
    """Films of what mmpose's script has written."""
    files = sorted(root.glob('annotation_body3d/fps*/h36m_t*.npz'))
    names: list[str] = []
    pixels, points = [], []
    for file in files:
        with np.load(file, allow_pickle=False) as arrays:
            lost = {'imgname', 'part', 'S'} - set(arrays.files)
            if lost:
                raise ConversionError(f'{file} lacks {sorted(lost)}')
            if arrays['part'].shape[1:] != (17, 3) or \
                    arrays['S'].shape[1:] != (17, 4):
                raise ConversionError(
                    f'{file}: mixed joint sets: part {arrays["part"].shape} '
                    f'and S {arrays["S"].shape}, expected (N, 17, 3) and '
                    '(N, 17, 4)')
            names += [str(n) for n in arrays['imgname']]
            pixels.append(arrays['part'][..., :2])
            points.append(arrays['S'][..., :3] * 1000)
    two, three = np.concatenate(pixels), np.concatenate(points)
    films: dict[tuple, list[int]] = {}
    frames = []
    for i, name in enumerate(names):
        match = _NAME.match(name.split('/')[-1])
        if match is None:
            raise ConversionError(f'{name!r} is no image of Human3.6M')
        films.setdefault(match.groups()[:3], []).append(i)
        frames.append(int(match[4]) - 1)  # counted from 1 there
    number = np.array(frames)
    if len(set(zip(names))) != len(names):
        twice = sorted({n for n in names if names.count(n) > 1})[:3]
        raise ConversionError(f'these images stand there twice (duplicate '
                              f'frames): {twice}')
    wanted = set(subjects)
    for (subject, action, camera), rows in sorted(films.items()):
        if subject not in wanted:
            continue
        mine = np.array(rows)[np.argsort(number[rows])]
        mine = mine[kept(number[mine], steps)]
        if len(mine):
            yield Film(subject, action, camera, number[mine], two[mine],
                       three[mine], [root / 'images' / names[i]
                                     for i in mine])


def world_points(film: Film, camera: RealCamera) -> np.ndarray:
    """(T, J, 3) mm of the world, from whichever frame the 3D joints are in.

    Raises:
        ConversionError: Neither projects onto the 2D joints.
    """
    errors = []
    for points in (film.points, (film.points - camera.t) @ camera.R):
        with np.errstate(invalid='ignore'):
            gap = np.linalg.norm(camera.project(points) - film.pixels,
                                 axis=-1)
        # A point behind the camera is as far away as can be.
        errors.append(float(np.median(np.nan_to_num(gap, nan=np.inf))))
        if errors[-1] <= MAX_ERROR:
            return points
    raise ConversionError(
        f'{film.subject} {film.action}, camera {film.camera}: the 3D joints '
        f'are {min(errors):.0f} pixels away from the 2D joints in the '
        f'median (at most {MAX_ERROR:g}), so cameras or layout are not the '
        'ones expected')


def film_images(film: Film) -> Iterator[np.ndarray]:
    """The images of a film."""
    if isinstance(film.images, Path):
        try:
            yield from read_frames(film.images, film.frames)
        except ValueError as error:
            raise ConversionError(str(error)) from error
    else:
        for path in film.images:
            if not path.is_file():
                raise ConversionError(f'{path} is missing')
            yield decode_image(path.read_bytes(), str(path))


def convert(args: argparse.Namespace) -> None:
    """Converts; see the module's text."""
    root = Path(args.source)
    steps = [s for s in (args.step, args.test_step) if s]
    mmpose = bool(list(root.glob('annotation_body3d/fps*/h36m_t*.npz')))
    films: Iterator[Film]
    if mmpose:
        cameras = read_pickled_cameras(
            _there(root / 'annotation_body3d' / 'cameras.pkl'))
        films = read_mmpose(root, args.subjects, steps)
        joints = SKELETON.joints
    elif (root / 'metadata.xml').is_file():
        cameras = read_metadata(root / 'metadata.xml')
        films = read_originals(root, args.subjects, steps)
        joints = H36M_32
    else:
        raise ConversionError(
            f'{root} holds neither metadata.xml (the originals, unpacked) '
            'nor annotation_body3d/fps*/h36m_train.npz (what mmpose\'s '
            'preprocess_h36m.py writes)')
    clips: dict[tuple[str, str], int] = {}
    instants: dict[tuple[int, int], int] = {}
    with written_together(Path(args.out) / 'h36m') as part:
        writer = PreparedWriter(part, joints, args.image_size,
                                args.padding)
        count = 0
        for film in films:
            camera = cameras.get((film.subject, film.camera))
            if camera is None:
                raise ConversionError(
                    f'camera {film.camera} of {film.subject} has no '
                    f'calibration; known are {sorted(cameras)[:4]} ...')
            points = world_points(film, camera)
            key = film.subject, film.action
            if key not in clips:
                clips[key] = writer.add_clip(
                    f'{film.subject}/{film.action}', film.subject,
                    re.sub(r'_\d+$', '', film.action), FPS, UP)
            lens = writer.add_calibration(
                f'{film.subject}_{film.camera}', camera.K, camera.R,
                camera.t, camera.distortion)
            for frame, pixels, pose, image in zip(
                    film.frames.tolist(), film.pixels, points,
                    film_images(film)):
                place = clips[key], frame
                if place not in instants:
                    instants[place] = writer.add_instant(*place, pose)
                writer.add_view(instants[place], film.camera, lens, pixels,
                                image)
            count += 1
            print(f'{film.subject} {film.action} {film.camera}: '
                  f'{len(film.frames)} frames', flush=True)
        if not count:
            raise ConversionError(f'{root} holds no view of {args.subjects}')
        writer.close()
    print(f'{Path(args.out) / "h36m"}: {len(clips)} clips, {len(instants)} '
          f'instants, {count} films')


def _there(path: Path) -> Path:
    if not path.is_file():
        raise ConversionError(f'{path} is missing: without it there is no '
                              'calibration')
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line and converts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('source', help='folder, see above')
    parser.add_argument('--out', default='data',
                        help='data root to write to (default: data)')
    parser.add_argument('--subjects', nargs='+', default=list(SUBJECTS),
                        help='default: all seven with annotations')
    parser.add_argument('--step', type=int, default=5, metavar='N',
                        help='keep frames 0, N, 2N ... (default: 5, 10 a '
                        'second)')
    parser.add_argument('--test-step', type=int, default=64, metavar='N',
                        help='and frames 0, N, 2N ..., on which poses are '
                        'tested (default: 64; 0: none)')
    add_crop_options(parser)
    args = parser.parse_args(arguments)
    check_crop_options(args)
    if args.test_step < 0:
        raise ConversionError(f'test-step is at least 0, got '
                              f'{args.test_step}')
    convert(args)


if __name__ == '__main__':
    raise SystemExit(run_converter(main))
