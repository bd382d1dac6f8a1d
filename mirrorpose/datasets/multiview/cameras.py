"""Published calibrations of real camera rigs."""
from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class RealCamera:
    """A calibrated camera with lens distortion.

    Attributes:
        name (str): Within its rig.
        K (np.ndarray): (3, 3) pixels.
        R (np.ndarray): (3, 3) world to camera.
        t (np.ndarray): (3,) mm.
        distortion (np.ndarray): (5,) OpenCV's k1, k2, p1, p2, k3.
        size (tuple[int, int]): (w, h) pixels.
    """

    name: str
    K: np.ndarray
    R: np.ndarray
    t: np.ndarray
    distortion: np.ndarray
    size: tuple[int, int]

    @property
    def center(self) -> np.ndarray:
        """(3,) the camera's place in the world, mm."""
        return -self.R.T @ self.t

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) world points in mm to the camera frame."""
        return points @ self.R.T + self.t

    def project(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) world points in mm to (..., 2) distorted pixels.

        Points behind the camera are NaN.
        """
        seen = self.to_camera(points)
        front = seen[..., 2] > 1
        x, y = np.moveaxis(
            seen[..., :2] / np.where(front, seen[..., 2], 1)[..., None],
            -1, 0)
        k1, k2, p1, p2, k3 = self.distortion
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        # Beyond the lens's field of view the polynomial folds back.
        front &= 1 + r2 * (3 * k1 + r2 * (5 * k2 + r2 * 7 * k3)) > 0
        bent = np.stack([
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
            np.ones_like(x)], -1)
        pixels = (bent @ self.K.T)[..., :2]
        return np.where(front[..., None], pixels, np.nan)


@dataclass(frozen=True)
class Rig:
    """Cameras around one place.

    Attributes:
        name (str): Of the rig.
        cameras (tuple[RealCamera, ...]): At least two.
        up (np.ndarray): (3,) the world's up.
    """

    name: str
    cameras: tuple[RealCamera, ...]
    up: np.ndarray

    def middle(self) -> np.ndarray:
        """(3,) mm: the point nearest to all optical axes, on the ground.

        The ground is the plane through the world's origin.
        """
        axes = np.stack([c.R[2] for c in self.cameras])
        across = np.eye(3) - axes[:, :, None] * axes[:, None]
        centers = np.stack([c.center for c in self.cameras])
        point = np.linalg.solve(
            across.sum(0), np.einsum('nij,nj->i', across, centers))
        return point - (point @ self.up) * self.up


_H36M = re.compile(r'^(S\d+)_(\d+)$')
_MPI = re.compile(r'^(S\d+_Seq\d+)_Cam(\d+)$')


def read_rigs(path: Path, names: Sequence[str] | None = None) -> list[Rig]:
    """Reads ``h36m.json`` or ``mpi_inf_3dhp.json``.

    Both hold, by the name of a camera, ``R``, ``T`` in metres, ``c``, ``f``,
    ``w``, ``h`` and, in Human3.6M, ``k`` and ``p``. Human3.6M's R is camera
    to world and T the camera's place, z up; MPI-INF-3DHP's are world to
    camera, y up.

    Args:
        path (Path): The file.
        names (Sequence[str], optional): Rigs, such as ``'S1'`` or
            ``'S1_Seq1'``. All by default.

    Raises:
        FileNotFoundError: It is missing.
        ValueError: A rig is not in the file or has fewer than two
            calibrated cameras, or the keys are of neither kind.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f'camera rigs not found: {path}. Set MIRRORPOSE_DATA (or '
            f'data_root in the config) to the folder that holds '
            f'{path.parent.name}/{path.name}; mmpose ships both as pickles '
            '(tests/data/h36m/cameras.pkl, tests/data/mpi_inf_3dhp/'
            'cameras_train.pkl)')
    rigs: dict[str, list[RealCamera]] = {}
    ups: dict[str, np.ndarray] = {}
    for key, entry in json.loads(path.read_text()).items():
        match = _H36M.match(key) or _MPI.match(key)
        if match is None:
            raise ValueError(f'{path}: {key!r} is no camera of Human3.6M '
                             '(S1_54138969) or MPI-INF-3DHP (S1_Seq1_Cam0)')
        name = match[1]
        if names is not None and name not in names:
            continue
        if 'R' not in entry or 'T' not in entry:
            raise ValueError(f'{path}: the camera {key!r} has no '
                             'calibration (R, T); leave its rig out')
        z_up = _H36M.match(key) is not None
        rigs.setdefault(name, []).append(_camera(match[2], entry, z_up))
        ups[name] = np.array([0., 0, 1] if z_up else [0., 1, 0])
    lost = sorted(set(names or ()) - set(rigs))
    if lost:
        raise ValueError(f'{path} has no rigs {lost}')
    single = sorted(n for n, c in rigs.items() if len(c) < 2)
    if single:
        raise ValueError(f'{path}: the rigs {single} have a single camera')
    return [Rig(n, tuple(c), ups[n]) for n, c in rigs.items()]


def _camera(name: str, entry: dict, z_up: bool) -> RealCamera:
    R = np.array(entry['R'], float)
    t = np.array(entry['T'], float).ravel() * 1000
    if z_up:  # camera to world, and its place
        R = R.T
        t = -R @ t
    (fx, ), (fy, ) = entry['f']
    (cx, ), (cy, ) = entry['c']
    k = np.ravel(entry.get('k', [0, 0, 0]))
    p = np.ravel(entry.get('p', [0, 0]))
    w, h = int(entry['w']), int(entry['h'])
    if h * 5 < w:  # 204 in mmpose's file stands for 2048
        h = w
    return RealCamera(name, np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]),
                      R, t, np.array([k[0], k[1], p[0], p[1], k[2]]), (w, h))
