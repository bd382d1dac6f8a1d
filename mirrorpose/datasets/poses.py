"""Poses without images, for pose priors.

MirrorNet proposes to train its pose VAE on motion capture or on the poses of
other data sets. The samples look like those of an image data set, so they
pass through the same pipelines with ``LoadBlankImage`` in the place of
``LoadImage``.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from mmpose.registry import DATASETS

from mirrorpose.structures.skeleton import Skeleton, check_same_joints

from .joint_names import named_skeleton, nothing_shared
from .lsp import LabelSplitDataset


def project_poses(poses: np.ndarray, seed: int, first: int,
                  pitch_range: tuple[float, float] = (-10., 30.),
                  distance_range: tuple[float, float] = (3., 8.),
                  focal: float = 1000.) -> np.ndarray:
    """Looks at each pose through a virtual camera of its own.

    The camera stands at a random azimuth, elevation and distance and looks
    at the middle of the body, without roll. Pose i depends on ``seed`` and
    ``first + i`` alone.

    Args:
        poses (np.ndarray): (N, K, 3) in metres, y up.
        seed (int): Seed of the cameras.
        first (int): Index of the first pose.
        pitch_range (tuple[float, float]): Elevation in degrees, positive
            looks down. Defaults to (-10, 30).
        distance_range (tuple[float, float]): In metres. Defaults to (3, 8).
        focal (float): Focal length in pixels. Defaults to 1000.

    Returns:
        np.ndarray: (N, K, 2) float32 pixels, x right, y down, the camera's
        axis at (0, 0).
    """
    count = len(poses)
    draws = np.stack([
        np.random.Generator(np.random.Philox(key=[seed, first + i])).random(3)
        for i in range(count)]) if count else np.zeros((0, 3))
    yaw = 2 * np.pi * draws[:, 0]
    pitch = np.radians(pitch_range[0] +
                       (pitch_range[1] - pitch_range[0]) * draws[:, 1])
    distance = distance_range[0] + (distance_range[1] -
                                    distance_range[0]) * draws[:, 2]
    middle = (poses.max(axis=1) + poses.min(axis=1)) / 2
    x, y, z = np.moveaxis(poses - middle[:, None], -1, 0)
    cos, sin = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    # The camera looks along -z at yaw 0, so a person who faces it along +z
    # has the left side at the right of the image.
    x, z = cos * x - sin * z, sin * x + cos * z
    cos, sin = np.cos(pitch)[:, None], np.sin(pitch)[:, None]
    y, z = cos * y - sin * z, sin * y + cos * z
    depth = distance[:, None] - z
    return (focal * np.stack([x / depth, -y / depth], axis=-1)).astype(
        np.float32)


@DATASETS.register_module()
class PoseCollectionDataset(LabelSplitDataset):
    """A collection of poses, from 2D files or from motion capture.

    Two kinds of npz are read, told apart by what they hold:

    - 2D: ``keypoints`` (N, K, 2), ``visible`` (N, K; all present where it
      is absent), ``joints`` (K names, or the name of a joint set), and
      ``names`` (N ids) where there are such.
    - motion capture: ``pos`` (T, J, 3) root-relative metres with y up,
      ``to28`` (28, J) and ``names28`` (28), which give MPI-INF-3DHP's
      joints. Each kept frame is seen by ``views`` virtual cameras that
      depend on ``seed`` and the index alone.

    Args:
        ann_file (str): The npz below ``data_root``.
        joints (str | Sequence[str] | Mapping[str, str], optional): What the
            joints of a 2D file are, see :func:`named_skeleton`; overrides
            the file. Defaults to None.
        stride (int): Keep every n-th frame of motion capture. Defaults to 5.
        views (int): Virtual cameras a frame. Defaults to 1.
        seed (int): Seed of the cameras. Defaults to 0.
        pitch_range (tuple[float, float]): Elevation of the cameras in
            degrees. Defaults to (-10, 30).
        distance_range (tuple[float, float]): Distance of the cameras in
            metres. Defaults to (3, 8).
        label_fraction, part, split_seed and others: see
            :class:`LabelSplitDataset`.

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: Unknown content, joint names or counts, or coordinates
            that are not finite.
    """

    def __init__(self,
                 ann_file: str,
                 data_root: str | None = None,
                 joints: str | Sequence[str] | Mapping[str, str] |
                 None = None,
                 stride: int = 5,
                 views: int = 1,
                 seed: int = 0,
                 pitch_range: tuple[float, float] = (-10., 30.),
                 distance_range: tuple[float, float] = (3., 8.),
                 **kwargs: Any) -> None:
        if stride < 1 or views < 1:
            raise ValueError('stride and views must be at least 1, got '
                             f'{stride} and {views}')
        if not 1.5 < distance_range[0] <= distance_range[1]:
            raise ValueError('distance_range must be ascending and beyond '
                             f'1.5 m, got {distance_range}')
        self.joints = joints
        self.stride, self.views, self.seed = stride, views, seed
        self.pitch_range = pitch_range
        self.distance_range = distance_range
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            **kwargs)

    def load_people(self) -> list[dict]:
        """Reads or projects the poses."""
        path = Path(self.ann_file)
        if not path.is_file():
            raise FileNotFoundError(
                f'pose collection not found: {path}. Any npz with the arrays '
                'keypoints (N, K, 2), visible (N, K) and joints (K names) '
                'will do, e.g. np.savez(path, keypoints=..., visible=..., '
                "joints=...); or set MIRRORPOSE_DATA (or data_root in the "
                'config) to the folder that holds '
                f'{path.parent.name}/{path.name}')
        try:
            with np.load(path, allow_pickle=False) as arrays:
                data = {k: arrays[k] for k in arrays.files}
        except (EOFError, BadZipFile) as error:
            raise ValueError(f'{path} is empty or damaged; write it anew '
                             f'({error})') from error
        if {'pos', 'to28', 'names28'} <= set(data):
            points, visible, skeleton, names = self._read_mocap(data, path)
        elif 'keypoints' in data:
            points, visible, skeleton, names = self._read_2d(data, path)
        else:
            raise ValueError(
                f'{path} holds {sorted(data)}; expected keypoints (and '
                'visible, joints), or pos, to28 and names28')
        if not len(points):
            raise ValueError(f'{path} holds no pose; write it anew, or leave '
                             'it out')
        target = Skeleton.from_metainfo(self.metainfo)
        # A conversion would spread what is not finite over other joints.
        own = points, visible
        broken = ((visible > 0) & ~np.isfinite(points).all(-1)).any(1)
        points, visible = skeleton.convert(points, visible, target,
                                           allow_missing=True)
        if not visible.any():
            raise ValueError(f'{path}: {nothing_shared(skeleton, target)}')
        people = []
        for i, name in enumerate(names):
            sample = f'{path.stem}/{name}'
            pose, there = own if broken[i] else (points, visible)
            info = self.person_info(pose[i], there[i], sample)
            info.update(id=sample, img_id=sample, is_labeled=True)
            people.append(info)
        return people

    def _read_2d(self, data: dict[str, np.ndarray], path: Path) -> tuple:
        """Returns keypoints, visibility, joint set and names."""
        points = data['keypoints'].astype(np.float32)
        if points.ndim != 3 or points.shape[2] != 2:
            raise ValueError(f'{path}: keypoints must be (N, K, 2), got '
                             f'{points.shape}')
        visible = data.get('visible', np.ones(points.shape[:2])).astype(
            np.float32)
        joints = self.joints
        if 'joints' in data:
            own = data['joints']
            if own.ndim == 0:
                joints = str(own) if joints is None else joints
            elif joints is None or isinstance(joints, Mapping):
                skeleton = named_skeleton(joints or {},
                                          [str(j) for j in own])
                return points, visible, skeleton, self._names(data, points)
        if joints is None:
            raise ValueError(f'{path} does not say what its '
                             f'{points.shape[1]} joints are; pass joints=')
        return (points, visible, named_skeleton(joints),
                self._names(data, points))

    @staticmethod
    def _names(data: dict[str, np.ndarray], points: np.ndarray) -> list[str]:
        """Ids of the samples: the file's own, or their number."""
        return [str(n) for n in data.get('names', range(len(points)))]

    def _read_mocap(self, data: dict[str, np.ndarray], path: Path) -> tuple:
        """Returns projected keypoints, visibility, joint set and names."""
        skeleton = Skeleton.from_name('mpi_inf_3dhp_28')
        check_same_joints(skeleton.joints, [str(n) for n in data['names28']],
                          str(path))
        frames = np.arange(0, len(data['pos']), self.stride)
        poses = np.einsum('kj,tjc->tkc', data['to28'],
                          data['pos'][frames].astype(np.float32))
        poses = np.repeat(poses, self.views, axis=0)
        points = project_poses(poses, self.seed, 0, self.pitch_range,
                               self.distance_range)
        names = [f'{t}_{v}' for t in frames for v in range(self.views)]
        return (points, np.ones(points.shape[:2], np.float32), skeleton,
                names)
