"""Poses alone, in the frame of a crop: what the prior learns from."""
from __future__ import annotations

import copy
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS
from torch.utils.data import Dataset

from mirrorpose.structures.skeleton import Skeleton

from ..crops.draws import uniforms
from ..keyed import sample_keys
from ..splits import split_digest
from .pose_sources import Poses, PoseSource
from .squares import boxes_of, normalise

_POSE_STREAM = 0x706F7365


@DATASETS.register_module()
class UnpairedPoseDataset(Dataset):
    """Poses without images, in [-1, 1] of a crop (spec 2.1, 2.3).

    A sample is ``poses`` (K, 2) float32, x right, y down, -1 and 1 the
    centres of the outer pixels of a crop of ``size``, and ``pose_present``
    (K,) bool; coordinates of absent joints are 0. In training
    (:meth:`get_batch`) the augmentation is a function of each sample's key.

    Framing is that of the images: a pose that comes with crops
    (``FramePoses``) keeps its place in them; others stand in the middle of
    the square around their joints, ``padding`` times as large.

    Args:
        sources (Sequence[dict]): Pose sources: ``FramePoses``,
            ``DatasetPoses``, ``MotionPoses``, or others of
            :class:`pose_sources.PoseSource`.
        joints (str): The joint set that is given.
        size (int): Side of the images' crops in pixels. Defaults to 128.
        padding (float): Side of the square over the longer side of the box
            around the joints. Defaults to 1.25.
        refit (bool): Frame all poses anew, those with crops too. Defaults
            to False.
        complete (bool): Leave out poses that lack a joint. Defaults to
            False.
        limit (int, optional): Only so many poses (the paper's Table 5: 50,
            500, 5,000), ranked by a hash of ``limit_seed`` and their ids:
            smaller sets are parts of larger ones. Defaults to all.
        limit_seed (int): Defaults to 0.
        scale (tuple[float, float]): Range of a factor about the middle of
            the crop. Defaults to (1, 1).
        shift (float): Half range of a translation in x and y, in the unit
            of the poses. Defaults to 0.
        mirror (float): Chance of a mirrored pose; mirror pairs change
            places. Defaults to 0.
        augment_single (bool): Whether ``dataset[i]`` is augmented, too, by
            a key that is a function of ``seed`` and i. Defaults to False.
        seed (int): Defaults to 0.
        data_root (str, optional): Defaults to the environment variable
            ``MIRRORPOSE_DATA``, then ``data/``.
        indices (int | Sequence[int], optional): As in mmengine.
        metainfo (dict, optional): Replaces the joint set's.

    Raises:
        ValueError: An argument is out of range, there is no pose, a source
            shares no joint with the joint set, or a coordinate is not
            finite.
    """

    def __init__(self, sources: Sequence[Mapping], joints: str,
                 size: int = 128, padding: float = 1.25, refit: bool = False,
                 complete: bool = False, limit: int | None = None,
                 limit_seed: int = 0,
                 scale: Sequence[float] = (1., 1.), shift: float = 0.,
                 mirror: float = 0., augment_single: bool = False,
                 seed: int = 0, data_root: str | None = None,
                 indices: int | Sequence[int] | None = None,
                 metainfo: dict | None = None) -> None:
        if size < 8 or padding <= 0:
            raise ValueError('size is a side in pixels and padding positive, '
                             f'got {size} and {padding}')
        if len(scale) != 2 or not 0 < scale[0] <= scale[1] or shift < 0 or (
                not 0 <= mirror <= 1):
            raise ValueError(
                'scale must be an ascending pair of factors, shift not '
                f'negative and mirror a chance, got {scale}, {shift} and '
                f'{mirror}')
        if limit is not None and limit < 1:
            raise ValueError(f'limit must be at least 1, got {limit}')
        self.skeleton = Skeleton.from_name(joints)
        self.size, self.padding, self.seed = size, padding, seed
        self.scale = float(scale[0]), float(scale[1])
        self.shift, self.mirror = shift, mirror
        self.augment_single = augment_single
        self._flip = np.array(self.skeleton.flip_indices)
        self._metainfo = parse_pose_metainfo(copy.deepcopy(
            metainfo or self.skeleton.metainfo()))
        if isinstance(sources, Mapping):
            sources = [sources]
        found = [self._load(config, data_root, refit) for config in sources]
        if not sum(len(p.ids) for p in found):
            raise ValueError(
                'there is no pose: the sources '
                f'{[dict(c).get("type") for c in sources]} are empty')
        self.poses = np.concatenate([p.points for p in found])
        self.present = np.concatenate([p.present for p in found])
        self.ids = [i for p in found for i in p.ids]
        self._clips = [c for p in found for c in p.clips]
        self._check()
        self._choose(complete, limit, limit_seed, indices)
        self.split_digest = split_digest(self.ids)
        print_log(
            f'UnpairedPoseDataset: {len(self)} poses of '
            f'{len(self.clips())} clips, {self.skeleton.name}, '
            f'{self.present.mean():.1%} of the joints present, digest '
            f'{self.split_digest}', 'current')

    def _load(self, config: Mapping, data_root: str | None,
              refit: bool) -> Poses:
        """Poses of a source in [-1, 1]."""
        source = DATASETS.build(dict(config))
        if not isinstance(source, PoseSource):
            raise TypeError(f'{type(source).__name__} is no PoseSource; use '
                            'FramePoses, DatasetPoses or MotionPoses')
        poses = source.load(data_root, self.size, self.skeleton)
        points = poses.points
        if not poses.size or refit:
            points = frame_poses(points, poses.present, self.size,
                                 self.padding)
        points = normalise(points, self.size)
        return Poses(np.where(poses.present[..., None], points, 0),
                     poses.present, poses.ids, poses.clips, poses.size)

    def _check(self) -> None:
        """Every pose has to be one.

        Raises:
            ValueError: Ids twice, or coordinates that are not finite.
        """
        if len(set(self.ids)) != len(self.ids):
            counts = Counter(self.ids)
            twice = [i for i, n in counts.most_common(5) if n > 1]
            raise ValueError(f'poses share the ids {twice}: is a source '
                             'given twice?')
        bad = np.nonzero(~np.isfinite(self.poses).all((1, 2)))[0]
        if len(bad):
            raise ValueError(
                f'{len(bad)} poses have coordinates that are not finite, '
                f'e.g. {self.ids[bad[0]]}; mark those joints as absent')

    def _choose(self, complete: bool, limit: int | None, limit_seed: int,
                indices: int | Sequence[int] | None) -> None:
        """Leaves out what was not asked for."""
        keep = np.nonzero(self.present.all(1) if complete else
                          self.present.sum(1) >= 2)[0]
        if len(keep) < len(self.ids):
            print_log(
                f'UnpairedPoseDataset: {len(self.ids) - len(keep)} of '
                f'{len(self.ids)} poses '
                f'{"lack a joint" if complete else "have no two joints"} and '
                'are left out', 'current')
        if limit is not None and limit < len(keep):
            ranks = [hashlib.sha256(f'{limit_seed}:{self.ids[i]}'.encode()
                                    ).digest() for i in keep]
            order = sorted(range(len(keep)), key=ranks.__getitem__)
            keep = np.sort(keep[order[:limit]])
        if indices is not None:
            keep = keep[:indices] if isinstance(
                indices, int) else keep[list(indices)]
        if not len(keep):
            raise ValueError(
                f'no pose is left of {len(self.ids)}'
                + (f': none has all joints of {self.skeleton.name!r}; pass '
                   'complete=False' if complete else ''))
        self.poses, self.present = self.poses[keep], self.present[keep]
        self.ids = [self.ids[i] for i in keep]
        self._clips = [self._clips[i] for i in keep]

    # -- what mmengine asks ------------------------------------------------
    @property
    def metainfo(self) -> dict:
        """Parsed metainfo, as mmpose's data sets give it."""
        return copy.deepcopy(self._metainfo)

    def full_init(self) -> None:
        """Everything is loaded already."""

    def __len__(self) -> int:
        return len(self.ids)

    def clips(self) -> set[str]:
        """Names of what the poses were taken from."""
        return set(self._clips)

    def get_data_info(self, idx: int) -> dict:
        """Name and clip of a pose."""
        return dict(id=self.ids[idx], sample_idx=idx, clip=self._clips[idx])

    def __getitem__(self, idx: int) -> dict[str, Any]:
        """One pose, the same whenever it is asked for."""
        if not -len(self) <= idx < len(self):
            raise IndexError(f'{idx} of {len(self)} poses')
        idx = int(idx) % len(self)
        if not self.augment_single:
            return dict(poses=torch.from_numpy(self.poses[idx].copy()),
                        pose_present=torch.from_numpy(
                            self.present[idx].copy()), ids=self.ids[idx])
        batch = self.get_batch([idx], sample_keys(self.seed, 0, [idx], [0]))
        return {k: v[0] for k, v in batch.items()}

    def get_batch(self, indices: Sequence[int] | np.ndarray,
                  keys: np.ndarray) -> dict[str, Any]:
        """A batch whose augmentation is a function of the keys.

        Args:
            indices (Sequence[int]): N poses.
            keys (np.ndarray): (N,) uint64.

        Returns:
            dict: ``poses`` (N, K, 2) float32, ``pose_present`` (N, K) bool,
            ``ids`` (N,) str.
        """
        rows = np.asarray(indices)
        if len(keys) != len(rows):
            raise ValueError(f'{len(rows)} poses and {len(keys)} keys')
        points, present = self.poses[rows], self.present[rows]
        if self.mirror or self.shift or self.scale != (1., 1.):
            drawn = uniforms(np.asarray(keys, np.uint64), 4, _POSE_STREAM)
            low, high = self.scale
            factor = low + (high - low) * drawn[:, 0]
            shift = self.shift * (2 * drawn[:, 1:3] - 1)
            turn = drawn[:, 3] < self.mirror
            mirrored = points[turn][:, self._flip]
            mirrored[..., 0] *= -1
            points[turn] = mirrored
            present[turn] = present[turn][:, self._flip]
            points = (points * factor[:, None, None] + shift[:, None])
            points = np.where(present[..., None], points, 0).astype(
                np.float32)
        return dict(poses=torch.from_numpy(points),
                    pose_present=torch.from_numpy(present),
                    ids=[self.ids[i] for i in rows])


def frame_poses(points: np.ndarray, present: np.ndarray, size: int,
                padding: float) -> np.ndarray:
    """Puts each pose in the middle of a crop of its own.

    Args:
        points (np.ndarray): (N, K, 2), any unit.
        present (np.ndarray): (N, K) bool.
        size (int): Side of the crop in pixels.
        padding (float): Side of the crop over the longer side of the box
            around the present joints.

    Returns:
        np.ndarray: (N, K, 2) float32 pixels of the crops. Poses without
        extent are NaN.
    """
    boxes = boxes_of(points, present)
    side = (boxes[:, 2:] - boxes[:, :2]).max(-1) * padding
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    scale = size / np.where(side > 0, side, np.nan)
    return ((points - middle[:, None]) * scale[:, None, None]
            + (size - 1) / 2).astype(np.float32)
