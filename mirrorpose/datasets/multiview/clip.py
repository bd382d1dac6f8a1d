"""A real clip of calibrated, synchronised cameras, with 3D joints."""
from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmpose.registry import DATASETS

from mirrorpose.structures.skeleton import Skeleton

from ..preparation import decode_image
from .cameras import RealCamera
from .sources import Crop, ViewSource, file_stamp
from .views import SKELETON, Views, apply_matrices, crop_matrix


@DATASETS.register_module()
class TriangulatedClip(ViewSource):
    """One person before calibrated cameras, triangulated.

    Files below the data root: ``FOLDER/NAME.npz`` with ``joints3d``
    (T, J, 3) metres, z up, ``kp2d`` (C, T, J, 3) pixels and confidence,
    ``crop_box`` (C, 3) middle and side of each camera's crop, ``joint_names``
    and ``fps``; ``FOLDER/cameras.json`` (``K``, ``R``, ``T``, ``D``,
    ``size``; a camera without ``K``, ``R`` or ``T`` has no calibration);
    ``FOLDER/NAME_crops.zip`` with ``cam1/000.jpg`` ...

    The joints become Human3.6M's by name; hips give the root, shoulders the
    thorax, all four the spine, the top of the head the head. Those are
    derived and no measurements. A joint that was not triangulated is NaN.
    It shows that real views and calibrations work; one person shows no
    generalisation.

    Args:
        clip (str): NAME. Defaults to ``'balancing'``.
        folder (str): FOLDER. Defaults to ``'multiview'``.
        image_size (int): Side of the crops in pixels. Defaults to 128.
        min_confidence (float): 2D joints below it count as not seen.
            Defaults to 0.3.
        name (str, optional): Defaults to the clip's.
    """

    def __init__(self, clip: str = 'balancing', folder: str = 'multiview',
                 image_size: int = 128, min_confidence: float = .3,
                 name: str | None = None) -> None:
        super().__init__(name or clip)
        self.clip, self.folder, self.size = clip, folder, image_size
        self.min_confidence = min_confidence

    def _paths(self, data_root: str) -> tuple[Path, Path, Path]:
        root = Path(data_root) / self.folder
        paths = (root / f'{self.clip}.npz', root / 'cameras.json',
                 root / f'{self.clip}_crops.zip')
        for path in paths:
            if not path.is_file():
                raise FileNotFoundError(
                    f'clip not found: {path}. Set MIRRORPOSE_DATA (or '
                    'data_root in the config) to the folder that holds '
                    f'{self.folder}/{path.name}')
        return paths

    def key(self, data_root: str) -> Mapping[str, Any]:
        """Arguments and files."""
        return dict(kind='clip', size=self.size, clip=self.clip,
                    confidence=self.min_confidence,
                    files=[file_stamp(p) for p in self._paths(data_root)])

    def read(self, data_root: str) -> Views:
        """Reads joints and calibrations."""
        npz, cameras, _ = self._paths(data_root)
        with np.load(npz, allow_pickle=False) as arrays:
            data = {k: arrays[k] for k in arrays.files}
        calibrations = json.loads(cameras.read_text())
        count, times = data['kp2d'].shape[:2]
        if len(calibrations) != count:
            raise ValueError(f'{npz} has {count} cameras, {cameras} '
                             f'{len(calibrations)}')
        matrix = joint_matrix([str(n) for n in data['joint_names']],
                              str(npz))
        poses = _convert(matrix, data['joints3d'].astype(float)) * 1000
        box = data['crop_box'].astype(float)
        crops = crop_matrix(box[:, 0] - box[:, 2] / 2,
                            box[:, 1] - box[:, 2] / 2, box[:, 2], self.size)
        lens = [read_calibration(c, f'cam{i + 1}')
                for i, c in enumerate(calibrations)]
        points, visible = [], []
        for i in range(count):
            seen = data['kp2d'][i].astype(float)
            flat = np.where(seen[..., 2:] >= self.min_confidence,
                            seen[..., :2], np.nan)
            flat = _convert(matrix, flat)
            points.append(apply_matrices(
                np.repeat(crops[i][None], times, 0), flat))
            visible.append(np.isfinite(flat).all(-1))
        order = np.arange(count * times).reshape(count, times).T.ravel()
        K, R, t = (np.stack([
            np.full(shape, np.nan) if c is None else getattr(c, attribute)
            for c in lens]) for attribute, shape in (
                ('K', (3, 3)), ('R', (3, 3)), ('t', 3)))
        keypoints = np.concatenate(points)[order].astype(np.float32)
        with np.errstate(invalid='ignore'):
            inside = ((keypoints >= -.5)
                      & (keypoints <= self.size - .5)).all(-1)
        return Views(
            subjects=np.array(['person']), actions=np.array([self.clip]),
            clips=np.array([f'person/{self.clip}']),
            groups=np.array(['person']), clip=np.zeros(times, int),
            frame=np.arange(times),
            seconds=np.arange(times) / float(data['fps']),
            poses=poses.astype(np.float32),
            up=np.array([[0, 0, 1]], np.float32),
            instant=np.repeat(np.arange(times), count),
            cameras=np.tile([f'cam{i + 1}' for i in range(count)], times),
            K=np.tile(crops @ K, (times, 1, 1)), R=np.tile(R, (times, 1, 1)),
            t=np.tile(t, (times, 1)), keypoints=keypoints,
            visible=np.where(np.concatenate(visible)[order] & inside, 2,
                             0).astype(np.int8),
            paths=np.array([f'cam{c + 1}/{i:03d}.jpg' for i in range(times)
                            for c in range(count)]), size=self.size)

    def images(self, data_root: str, views: Views) -> Iterator[Crop]:
        """Decodes the crops."""
        with zipfile.ZipFile(self._paths(data_root)[2]) as archive:
            names = set(archive.namelist())
            for path in views.paths.tolist():
                if path not in names:
                    raise ValueError(f'{archive.filename} lacks {path}: a '
                                     'view is missing')
                image = decode_image(archive.read(path), path)
                yield Crop(resized(image, self.size))


def resized(image: np.ndarray, size: int) -> np.ndarray:
    """A square image at another size, averaged where it shrinks."""
    if image.shape[:2] == (size, size):
        return image
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA
                      if size < image.shape[0] else cv2.INTER_LINEAR)


def read_calibration(entry: Mapping, name: str) -> RealCamera | None:
    """One camera of ``cameras.json``; None without a calibration."""
    if any(entry.get(k) is None for k in ('K', 'R', 'T')):
        return None
    lens = np.zeros(5)
    lens[:len(entry.get('D', ()))] = entry.get('D', ())
    width, height = entry['size']
    return RealCamera(
        name, np.array(entry['K'], float), np.array(entry['R'], float),
        np.array(entry['T'], float).ravel() * 1000, lens,
        (int(width), int(height)))


def joint_matrix(names: list[str], where: str) -> np.ndarray:
    """(17, J) map from named joints to Human3.6M's.

    Args:
        names (list[str]): J joints.
        where (str): For messages.

    Raises:
        ValueError: Root, hips, knees, ankles, shoulders, elbows or wrists
            cannot be had.
    """
    sides = [n[5:] for n in names if n.startswith('left_')
             and f'right_{n[5:]}' in names]
    own = Skeleton('named', tuple(names), (), tuple(
        (f'left_{s}', f'right_{s}') for s in sides),
        {k: v for k, v in dict(upper_neck='neck', head_top='head',
                               mid_hip='pelvis').items()
         if k in names and v not in names})
    matrix = own.matrix(SKELETON)
    lost = [j for j, row in zip(SKELETON.joints, matrix) if not row.any()
            and j not in ('head', 'neck_base')]
    if lost:
        raise ValueError(f'{where}: mixed joint sets: {names} cannot give '
                         f'{lost} of {SKELETON.name!r}')
    return matrix


def _convert(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(..., J, D) points to (..., 17, D); NaN where a part is."""
    known = np.isfinite(points).all(-1)
    out = matrix @ np.where(known[..., None], points, 0)
    lost = (~known).astype(float) @ (matrix > 0).T.astype(float) > 0
    lost |= ~matrix.any(1)
    return np.where(lost[..., None], np.nan, out)
