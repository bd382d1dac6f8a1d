"""The prepared layout that the converters of real data sets write.

A folder holds ``images.zip``, square JPEG crops around the person, and
``views.npz``, written last. Its arrays, for C clips, M instants, N views and
L calibrations:

===================  =====================================================
``joints`` (J,)      names, or the 32 of Human3.6M, see ``H36M_32``
``clips`` (C,)       distinct names, with the subject: ``S1/Directions_1``
``clip_subject``,    (C,) names
``clip_action``
``clip_fps`` (C,)    frames a second of its videos
``up`` (C, 3)        the world's up, NaN where nobody knows it
``clip`` (M,)        clip of each instant
``frame`` (M,)       frame of the video, counted from 0
``poses`` (M, J, 3)  mm, world frame (the camera's where ``up`` is NaN)
``instant`` (N,)     instant of each view
``camera`` (N,)      names
``calibration`` (N,) row of the calibrations, -1 without
``K R t``            (L, 3, 3), (L, 3, 3) world to camera, (L, 3) mm
``distortion``       (L, 5) OpenCV's k1, k2, p1, p2, k3
``keypoints``        (N, J, 2) pixels of the video
``crop`` (N, 3)      left, top, side of the crop in pixels of the video
``image`` (N,)       member of ``images.zip``
===================  =====================================================

So a frame and its full pose (32 joints of Human3.6M, 28 of MPI-INF-3DHP),
as unpaired pose priors and frame pairs want them, are two look-ups.
"""
from __future__ import annotations

import argparse
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmpose.registry import DATASETS

from mirrorpose.structures.skeleton import Skeleton

from ..preparation import ConversionError, decode_image, encode_image
from .clip import _convert, joint_matrix, resized
from .sources import Crop, ViewSource, file_stamp
from .views import SKELETON, Views, apply_matrices, crop_matrix, inside_crop

#: Human3.6M's 32 joints by the names of ``h36m_17``; the others are ends of
#: segments and doubles.
H36M_17_OF_32 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
H36M_32 = tuple(
    SKELETON.joints[H36M_17_OF_32.index(i)] if i in H36M_17_OF_32
    else f'site_{i:02d}' for i in range(32))
_NEEDED = {
    'joints', 'clips', 'clip_subject', 'clip_action', 'up', 'clip', 'frame',
    'clip_fps', 'poses', 'instant', 'camera', 'calibration', 'K', 'R', 't',
    'distortion', 'keypoints', 'crop', 'image'}
INDEX, IMAGES = 'views.npz', 'images.zip'


class PreparedWriter:
    """Collects views and writes the prepared layout.

    Args:
        folder (Path): Empty folder.
        joints (tuple[str, ...]): J names.
        image_size (int): Side of the crops in pixels.
        padding (float): Side of a crop over the box of the joints.
    """

    def __init__(self, folder: Path, joints: tuple[str, ...],
                 image_size: int, padding: float) -> None:
        self.folder, self.joints = folder, joints
        self.size, self.padding = image_size, padding
        self.rows: dict[str, list] = {k: [] for k in _NEEDED - {'joints'}}
        self._calibrations: dict[str, int] = {}
        self._zip = zipfile.ZipFile(folder / IMAGES, 'w', zipfile.ZIP_STORED)

    def add_clip(self, name: str, subject: str, action: str, fps: float,
                 up: np.ndarray | None) -> int:
        """Returns the clip's number."""
        rows = self.rows
        rows['clips'].append(name)
        rows['clip_subject'].append(subject)
        rows['clip_action'].append(action)
        rows['clip_fps'].append(fps)
        rows['up'].append(np.full(3, np.nan) if up is None else up)
        return len(rows['clips']) - 1

    def add_instant(self, clip: int, frame: int, pose: np.ndarray) -> int:
        """Returns the instant's number; ``pose`` (J, 3) mm."""
        self.rows['clip'].append(clip)
        self.rows['frame'].append(frame)
        self.rows['poses'].append(np.asarray(pose, np.float32))
        return len(self.rows['clip']) - 1

    def add_calibration(self, name: str, K: np.ndarray, R: np.ndarray,
                        t: np.ndarray, distortion: np.ndarray) -> int:
        """Returns the calibration's number; one a name."""
        if name not in self._calibrations:
            self._calibrations[name] = len(self._calibrations)
            for key, value in (('K', K), ('R', R), ('t', t),
                               ('distortion', distortion)):
                self.rows[key].append(np.asarray(value, float))
        return self._calibrations[name]

    def add_view(self, instant: int, camera: str, calibration: int,
                 keypoints: np.ndarray, image: np.ndarray) -> None:
        """Crops the image around ``keypoints`` (J, 2) and keeps it."""
        rows = self.rows
        left, top, side = crop_square(keypoints, self.padding)
        clip = rows['clips'][rows['clip'][instant]]
        name = f'{clip}/{camera}/{rows["frame"][instant]:06d}.jpg'
        self._zip.writestr(zipfile.ZipInfo(name), encode_image(
            cut_square(image, left, top, side, self.size), '.jpg'))
        for key, value in (
                ('instant', instant), ('camera', camera),
                ('calibration', calibration), ('image', name),
                ('keypoints', np.asarray(keypoints, np.float32)),
                ('crop', np.array([left, top, side], np.float32))):
            rows[key].append(value)

    def close(self) -> None:
        """Writes the index."""
        self._zip.close()
        lens = {k: np.array(self.rows[k], float).reshape(
            -1, *shape) for k, shape in (('K', (3, 3)), ('R', (3, 3)),
                                         ('t', (3, )), ('distortion', (5, )))}
        others = {k: np.array(v) for k, v in self.rows.items()
                  if k not in lens}
        np.savez(self.folder / INDEX, joints=np.array(self.joints),
                 **lens, **others)


def crop_square(keypoints: np.ndarray, padding: float
                ) -> tuple[int, int, int]:
    """Left, top and side of a square around (J, 2) joints, whole pixels."""
    low, high = np.nanmin(keypoints, 0), np.nanmax(keypoints, 0)
    side = max(int(round(float((high - low).max()) * padding)), 2)
    left, top = np.round((low + high - side) / 2).astype(int)
    return int(left), int(top), side


def cut_square(image: np.ndarray, left: int, top: int, side: int,
               size: int) -> np.ndarray:
    """Cuts a square out of an image, black outside, and resizes it."""
    h, w = image.shape[:2]
    out = np.zeros((side, side, 3), np.uint8)
    y0, y1 = max(top, 0), min(top + side, h)
    x0, x1 = max(left, 0), min(left + side, w)
    if y1 > y0 and x1 > x0:
        out[y0 - top:y1 - top, x0 - left:x1 - left] = image[y0:y1, x0:x1]
    return resized(out, size)


@DATASETS.register_module()
class PreparedViews(ViewSource):
    """Views of a data set that a converter has prepared.

    Args:
        folder (str): Below the data root, e.g. ``'h36m'``.
        image_size (int): Side of the crops in pixels. Defaults to 224.
        command (str, optional): What prepares the folder, for messages.
            Defaults to ``'tools/dataset_converters/{folder}.py'``.
        name (str, optional): Defaults to the folder's.

    Raises:
        ValueError: The arrays are not those of the module's text.
    """

    def __init__(self, folder: str, image_size: int = 224,
                 command: str | None = None, name: str | None = None) -> None:
        super().__init__(name or Path(folder).name)
        self.folder, self.size = folder, image_size
        self.command = command or \
            f'python tools/dataset_converters/{Path(folder).name}.py SOURCE'

    def _path(self, data_root: str, name: str) -> Path:
        path = Path(data_root) / self.folder / name
        if not path.is_file():
            raise FileNotFoundError(
                f'prepared views not found: {path}. Prepare them by '
                f'`{self.command}`, or set MIRRORPOSE_DATA (or data_root in '
                f'the config) to the folder that holds {self.folder}/{name}')
        return path

    def key(self, data_root: str) -> Mapping[str, Any]:
        """Arguments and files."""
        return dict(kind='prepared', size=self.size, files=[
            file_stamp(self._path(data_root, n)) for n in (INDEX, IMAGES)])

    def read(self, data_root: str) -> Views:
        """Reads the index and converts the joints."""
        path = self._path(data_root, INDEX)
        with np.load(path, allow_pickle=False) as arrays:
            data = {k: arrays[k] for k in arrays.files}
        if _NEEDED - set(data):
            raise ValueError(f'{path} lacks {sorted(_NEEDED - set(data))}; '
                             f'prepare it anew by `{self.command}`')
        names = [str(n) for n in data['joints']]
        for what in ('poses', 'keypoints'):
            if data[what].shape[1] != len(names):
                raise ValueError(
                    f'{path}: mixed joint sets: {what} '
                    f'{data[what].shape} for {len(names)} joints; prepare '
                    f'it anew by `{self.command}`')
        matrix = to_h36m(names, str(path))
        crop = data['crop'].astype(float)
        crops = crop_matrix(crop[:, 0], crop[:, 1], crop[:, 2], self.size)
        which = data['calibration']
        lens = {}
        for key, shape in (('K', (3, 3)), ('R', (3, 3)), ('t', (3, ))):
            table = np.concatenate([data[key].reshape(-1, *shape),
                                    np.full((1, *shape), np.nan)])
            lens[key] = table[np.where(which < 0, -1, which)]
        keypoints = apply_matrices(crops, _convert(
            matrix, data['keypoints'].astype(float))).astype(np.float32)
        return Views(
            subjects=data['clip_subject'], actions=data['clip_action'],
            clips=data['clips'], groups=data['clip_subject'],
            clip=data['clip'], frame=data['frame'].astype(np.int64),
            seconds=data['frame'] / data['clip_fps'].astype(float)[
                data['clip']],
            poses=_convert(matrix, data['poses'].astype(float)).astype(
                np.float32),
            up=data['up'].astype(np.float32), instant=data['instant'],
            cameras=data['camera'], K=crops @ lens['K'], R=lens['R'],
            t=lens['t'], keypoints=keypoints,
            visible=(2 * inside_crop(keypoints, self.size)).astype(np.int8),
            paths=data['image'], size=self.size)

    def images(self, data_root: str, views: Views) -> Iterator[Crop]:
        """Decodes the crops."""
        with zipfile.ZipFile(self._path(data_root, IMAGES)) as archive:
            names = set(archive.namelist())
            for name in views.paths.tolist():
                if name not in names:
                    raise ValueError(
                        f'{archive.filename} lacks {name}: a view is '
                        f'missing; prepare it anew by `{self.command}`')
                yield Crop(resized(decode_image(archive.read(name), name),
                                   self.size))


def to_h36m(names: list[str], where: str) -> np.ndarray:
    """(17, J) map from a prepared file's joints to Human3.6M's.

    Raises:
        ValueError: They cannot give them.
    """
    for known in ('h36m_17', 'mpi_inf_3dhp_28'):
        skeleton = Skeleton.from_name(known)
        if list(skeleton.joints) == names:
            return skeleton.matrix(SKELETON)
    if names == list(H36M_32):
        return np.eye(32)[list(H36M_17_OF_32)]
    return joint_matrix(names, where)


def read_frames(path: Path, frames: np.ndarray) -> Iterator[np.ndarray]:
    """Frames of a video, (H, W, 3) uint8 BGR.

    Args:
        path (Path): The video.
        frames (np.ndarray): Numbers, ascending, counted from 0.

    Raises:
        ValueError: It cannot be read, or ends early.
    """
    video = cv2.VideoCapture(str(path))
    try:
        if not video.isOpened():
            raise ValueError(f'{path} is no video that OpenCV can read')
        at = 0
        for frame in frames.tolist():
            while at < frame and video.grab():
                at += 1
            done, image = video.read()
            if not done:
                raise ValueError(f'{path} ends before frame {frame}')
            at += 1
            yield image
    finally:
        video.release()


def add_crop_options(parser: argparse._ActionsContainer) -> None:
    """The options of crops, of converters that write this layout."""
    parser.add_argument('--image-size', type=int, default=256,
                        help='side of the crops in pixels (default: 256)')
    parser.add_argument('--padding', type=float, default=1.3,
                        help='side of a crop over the box of the joints '
                        '(default: 1.3)')


def check_crop_options(args: argparse.Namespace) -> None:
    """Validates ``step``, ``image_size`` and ``padding``.

    Raises:
        ConversionError: One is too small.
    """
    if args.step < 1 or args.image_size < 16 or args.padding < 1:
        raise ConversionError('step and padding are at least 1, image-size '
                              f'16; got {args.step}, {args.padding} and '
                              f'{args.image_size}')
