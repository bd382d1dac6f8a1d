"""Frames of one source with poses of another: a training batch."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmpose.registry import DATASETS
from torch.utils.data import Dataset

from mirrorpose.structures.skeleton import check_same_joints
from mirrorpose.utils.random_state import mix

from ..crops.draws import uniforms
from .clips import shared_clips
from .pairs import FrameDataset
from .poses import UnpairedPoseDataset

_CHOICE_STREAM = 0x63686F69


@DATASETS.register_module()
class UnpairedDataset(Dataset):
    """What KeypointGAN trains on: frames, and poses that are not theirs.

    A sample is a pair of frames; which pose stands beside it is drawn by its
    key, all alike. If both sides hold frames of one clip the images' own
    poses would be among the prior's, so that is an error. Two halves of one
    clip (``half='first'`` and ``half='second'`` of the sources) are two
    clips, as in the paper. Clips are compared by name: files that two
    sources read under two names are not told apart.

    A batch: ``inputs`` (dict of ``image`` and ``condition``, (N, 3, S, S)
    uint8 BGR), ``poses`` (N, K, 2) float32 in [-1, 1], ``pose_present``
    (N, K) bool, ``data_samples`` (list of N).

    Args:
        frames (dict): Config of ``FramePairDataset`` or
            ``StillPairDataset``.
        poses (dict): Config of ``UnpairedPoseDataset``.

    Raises:
        TypeError: A config names another kind of data set.
        ValueError: Both sides hold frames of one clip, or joint sets or
            sizes of the two differ.
    """

    def __init__(self, frames: Mapping, poses: Mapping) -> None:
        self.frames = self._build(frames, FrameDataset, 'frames')
        self.poses = self._build(poses, UnpairedPoseDataset, 'poses')
        check_same_joints(self.frames.skeleton.joints,
                          self.poses.skeleton.joints,
                          'UnpairedDataset, frames and poses')
        if self.frames.size != self.poses.size:
            raise ValueError(
                f'frames have size={self.frames.size}, poses '
                f'size={self.poses.size}; a pose is given in the crop of the '
                'frames, so the two are one')
        if self.frames.test_mode:
            raise ValueError('UnpairedDataset trains; its frames have '
                             'test_mode=True')
        images, prior = self.frames.clips(), self.poses.clips()
        shared = shared_clips(images, prior)
        if shared:
            give = 'clip gives' if len(shared) == 1 else 'clips give'
            raise ValueError(
                f'{len(shared)} {give} both images and poses, e.g. '
                f'{shared[:5]}: the prior would hold the images\' own poses. '
                "Take other people (split and part of the sources), or half="
                "'first' for the images and half='second' for the poses")
        print_log(f'UnpairedDataset: {len(images)} clips of images and '
                  f'{len(prior)} of poses, none in both', 'current')

    @staticmethod
    def _build(config: Any, kind: type, where: str) -> Any:
        built = config if isinstance(config, Dataset) else DATASETS.build(
            dict(config))
        if not isinstance(built, kind):
            raise TypeError(f'{where} must be a {kind.__name__}, got '
                            f'{type(built).__name__}')
        return built

    # -- what mmengine asks ------------------------------------------------
    @property
    def metainfo(self) -> dict:
        """Parsed metainfo of the joint set."""
        return self.frames.metainfo

    @property
    def skeleton(self):
        """The joint set of both."""
        return self.frames.skeleton

    def full_init(self) -> None:
        """Everything is loaded already."""

    def __len__(self) -> int:
        return len(self.frames)

    def clips(self) -> set[str]:
        """Names of the clips of the images."""
        return self.frames.clips()

    def get_data_info(self, idx: int) -> dict:
        """Of the frame."""
        return self.frames.get_data_info(idx)

    def __getitem__(self, idx: int) -> dict[str, Any]:
        """One sample; the same whenever it is asked for."""
        if not -len(self) <= idx < len(self):
            raise IndexError(f'{idx} of {len(self)} frames')
        idx = int(idx) % len(self)
        batch = self.get_batch([idx], self.frames.fixed_keys([idx]))
        return dict(inputs={k: v[0] for k, v in batch['inputs'].items()},
                    **{k: v[0] for k, v in batch.items() if k != 'inputs'})

    def get_batch(self, indices: Sequence[int],
                  keys: np.ndarray) -> dict[str, Any]:
        """A training batch; all draws are functions of the keys.

        Args:
            indices (Sequence[int]): N samples.
            keys (np.ndarray): (N,) uint64.

        Returns:
            dict: See the class.
        """
        keys = np.asarray(keys, np.uint64)
        batch = self.frames.get_batch(indices, keys)
        chosen = (uniforms(keys, 1, _CHOICE_STREAM)[:, 0]
                  * len(self.poses)).astype(np.int64)
        poses = self.poses.get_batch(chosen, mix(keys))
        return dict(inputs=batch['inputs'], poses=poses['poses'],
                    pose_present=poses['pose_present'],
                    data_samples=batch['data_samples'])
