"""Windows of pose sequences, projected from 3D motion when asked for."""
from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS
from torch import Tensor
from torch.utils.data import Dataset

from mirrorpose.utils.random_state import mix

from ..crops.draws import uniforms
from ..keyed import sample_keys
from ..lsp import default_data_root
from ..splits import split_digest
from .cameras import VirtualCameras
from .clips import SKELETON, MotionClips, concatenate
from .holes import HoleChain, HolePattern
from .parts import PARTS, in_part
from .sources import MotionSource

_PELVIS, _NECK, _HEAD_TOP = SKELETON.index('pelvis', 'neck', 'head_top')
_FLIP = np.array(SKELETON.flip_indices)
_START_STREAM, _MIRROR_STREAM = 0x737472, 0x6D6972


@DATASETS.register_module()
class PoseSequenceDataset(Dataset):
    """Windows of 2D pose sequences, seen by virtual cameras.

    Nothing is stored but the 3D motion of this part: each window is
    projected when it is asked for, by a camera of its own. In training
    (:meth:`get_batch`) camera, first frame, mirroring and holes are
    functions of the sample's key, so an epoch is other than the last; of
    ``dataset[i]`` they are functions of ``seed`` and ``i``.

    A batch or sample holds, in the canonical frame of the complete window
    (:func:`mirrorpose.models.pose.canonical_frame.canonical_frame`):

    - ``inputs`` (N, F, 28, 2) float32, the truth; 0 where it is unknown;
    - ``present`` (N, F, 28) bool, where it is known;
    - ``detected`` (N, F, 28, 2) float32, what is seen of it through the
      holes and the noise; 0 where nothing is;
    - ``observed`` (N, F, 28) bool, where a completer may look;
    - ``confidence`` (N, F, 28) float32 in [0, 1], 0 where not observed;
    - ``derived`` (N, 28) bool, joints that the source does not measure;
    - ``heads`` (N, F) float32, lengths from neck to head top; the window's
      mean where they are unknown, NaN where all are;
    - ``ids`` (N,) str, clip and first frame (at ``fps``).

    Args:
        sources (Sequence[dict]): Motion sources: ``MocapArchive``,
            ``SyntheticMotions``, ``MotionFiles``, or others of
            :class:`sources.MotionSource`.
        part (str): ``'train'``, ``'val'``, ``'test'`` or ``'all'``; whole
            groups, by each source's ``held_out``. Defaults to ``'train'``.
        split_seed (int): Seed of shares of ``held_out``. Defaults to 0.
        frames (int): F. Defaults to 24.
        fps (float): Defaults to 25.
        stride (int): Frames between windows. Defaults to 12.
        views (int): Windows of different cameras for one place. Defaults to
            1.
        random_start (bool): Windows start anywhere within the stride, by
            the key. Defaults to False.
        mirror (float): Chance that left and right are exchanged: the image
            is reflected and so are the channels. Defaults to 0.
        cameras (dict, optional): Of :class:`cameras.VirtualCameras`.
        holes (Sequence[dict]): Hole patterns, one after the other; see
            :mod:`holes`. Defaults to none: all that is known is observed.
        seed (int): Of ``dataset[i]``. Defaults to 0.
        data_root (str, optional): Defaults to the environment variable
            ``MIRRORPOSE_DATA``, then ``data/``.
        indices (int | Sequence[int], optional): Only these windows (the
            first so many), as in mmengine.
        metainfo (dict, optional): Replaces the joint set's.
        test_mode (bool): As in mmengine, without effect.

    Raises:
        ValueError: An argument is out of range, or no window is left.
    """

    METAINFO: dict = SKELETON.metainfo()

    def __init__(self,
                 sources: Sequence[dict],
                 part: str = 'train',
                 split_seed: int = 0,
                 frames: int = 24,
                 fps: float = 25.,
                 stride: int = 12,
                 views: int = 1,
                 random_start: bool = False,
                 mirror: float = 0.,
                 cameras: Mapping[str, Any] | None = None,
                 holes: Sequence[dict] = (),
                 seed: int = 0,
                 data_root: str | None = None,
                 indices: int | Sequence[int] | None = None,
                 metainfo: dict | None = None,
                 test_mode: bool = False) -> None:
        if part not in PARTS:
            raise ValueError(f'part must be one of {PARTS}, got {part!r}')
        for name, value in (('frames', frames), ('stride', stride),
                            ('views', views)):
            if value < 1:
                raise ValueError(f'{name} must be at least 1, got {value}')
        if not 0 <= mirror <= 1:
            raise ValueError('mirror must be a chance in [0, 1], got '
                             f'{mirror}')
        if not (np.isfinite(fps) and fps > 0):
            raise ValueError(f'fps must be positive, got {fps}')
        self.part, self.split_seed, self.seed = part, split_seed, seed
        self.frames, self.fps, self.stride = frames, fps, stride
        self.views, self.random_start, self.mirror = (views, random_start,
                                                      mirror)
        self.cameras = VirtualCameras(**dict(cameras or {}))
        self.holes: HolePattern | None = (
            HoleChain(list(holes)) if holes else None)
        self.test_mode = test_mode
        self._metainfo = parse_pose_metainfo(
            copy.deepcopy(metainfo or self.METAINFO))
        self.clips = self._load(sources, default_data_root()
                                if data_root is None else data_root)
        windows = self.clips.windows(frames, stride)
        short = int((self.clips.length < frames).sum())
        if short:
            print_log(f'{type(self).__name__} ({part}): {short} of '
                      f'{len(self.clips)} clips are shorter than {frames} '
                      f'frames at {fps:g} per second and give no window',
                      'current')
        if indices is not None:
            windows = windows[:indices] if isinstance(
                indices, int) else windows[list(indices)]
        if not len(windows):
            raise ValueError(
                f'part {part!r} has no window of {frames} frames in '
                f'{len(self.clips)} clips; lower frames, or hold out fewer '
                'groups')
        self.windows = windows
        self.split_digest = split_digest(self.clips.names)
        print_log(
            f'{type(self).__name__}: {part} has {len(self)} windows of '
            f'{len(self.clips)} clips, {len(set(self.clips.groups))} groups, '
            f'{self.clips.nbytes / 2**20:.0f} MiB; split seed {split_seed}, '
            f'digest {self.split_digest}', 'current')

    def _load(self, sources: Sequence[dict], data_root: str) -> MotionClips:
        """Clips of this part at ``fps``; groups carry the source's name."""
        parts = []
        for config in sources:
            source = DATASETS.build(config)
            if not isinstance(source, MotionSource):
                raise TypeError(f'{config.get("type")} is no MotionSource')
            clips = source.load(data_root)
            keep = in_part(clips.groups, self.part, source.held_out,
                           self.split_seed, source.name)
            parts.append(clips.select(keep).resampled(self.fps))
        return concatenate(parts)

    # -- what mmengine asks -----------------------------------------------
    @property
    def metainfo(self) -> dict:
        """Parsed metainfo, as mmpose's data sets give it."""
        return copy.deepcopy(self._metainfo)

    def full_init(self) -> None:
        """Everything is loaded already."""

    def __len__(self) -> int:
        return len(self.windows) * self.views

    def get_data_info(self, idx: int) -> dict:
        """Clip, group and first frame of a window."""
        clip, first = self.windows[idx // self.views]
        return dict(id=f'{self.clips.names[clip]}:{first}', sample_idx=idx,
                    clip=self.clips.names[clip],
                    group=self.clips.groups[clip], first=int(first))

    @property
    def derived(self) -> np.ndarray:
        """(28,) bool: joints that any source derives."""
        return self.clips.derived.any(0)

    # -- samples ----------------------------------------------------------
    def __getitem__(self, idx: int) -> dict[str, Any]:
        """One window, the same whenever it is asked for."""
        if not -len(self) <= idx < len(self):
            raise IndexError(f'{idx} of {len(self)} windows')
        batch = self.get_batch([idx % len(self)], self.fixed_keys(
            [idx % len(self)]))
        return {k: v[0] for k, v in batch.items()}

    def fixed_keys(self, indices: Sequence[int]) -> np.ndarray:
        """The keys that ``dataset[i]`` uses: (N,) uint64."""
        return sample_keys(self.seed, 0, list(indices), [0] * len(indices))

    def get_batch(self, indices: Sequence[int],
                  keys: np.ndarray) -> dict[str, Any]:
        """A batch whose random numbers are functions of the keys.

        Args:
            indices (Sequence[int]): N windows.
            keys (np.ndarray): (N,) uint64.

        Returns:
            dict: See the class.
        """
        keys = np.asarray(keys, np.uint64)
        if len(keys) != len(indices):
            raise ValueError(f'{len(indices)} windows and {len(keys)} keys')
        clip, first = self.windows[np.asarray(indices) // self.views].T
        if self.random_start:
            room = self.clips.length[clip] - self.frames - first
            size = np.minimum(self.stride, room + 1)
            first = first + (size * uniforms(
                keys, 1, _START_STREAM)[:, 0]).astype(np.int64)
        return self._project(clip, first, self.frames, keys)

    def get_clip(self, number: int, key: int | None = None
                 ) -> dict[str, Any]:
        """A whole clip through one camera, for completers of any length.

        Args:
            number (int): Which of ``clips``.
            key (int, optional): Of camera, mirroring and holes; by default
                a function of ``seed`` and ``number``.

        Returns:
            dict: As a batch with N = 1 and F the clip's length.
        """
        keys = (np.array([key], np.uint64) if key is not None else
                sample_keys(self.seed, -1, [number], [0]))
        return self._project(np.array([number]), np.array([0]),
                             int(self.clips.length[number]), keys)

    def _project(self, clip: np.ndarray, first: np.ndarray, frames: int,
                 keys: np.ndarray) -> dict[str, Any]:
        # Here, as models import data sets.
        from mirrorpose.models.pose.canonical_frame import canonical_frame

        rows = (self.clips.start[clip] + first)[:, None] + np.arange(frames)
        present = self.clips.present[rows]
        root = self.clips.root[rows]
        points = self.clips.positions[rows]
        points += root[:, :, None]
        # The mean place of the pelvis; of the root where it is not known.
        known = present[:, :, _PELVIS, None]
        place = np.where(known, points[:, :, _PELVIS], root)
        middle = place.mean(1)
        complete = bool(present.all())
        if not complete:  # an absent joint is nowhere, not at the origin
            # Nor is a person of whom a frame knows nothing.
            met = present.any(2)[..., None]
            count = np.maximum(met.sum(1), 1).astype(place.dtype)
            middle = np.where(met.any(1), np.where(
                met, place, 0).sum(1) / count, middle)
            points = np.where(present[..., None], points,
                              middle[:, None, None])
        image = self.cameras.project(points, middle, self.cameras.draw(keys))
        derived = self.clips.derived[clip]
        if self.mirror:
            turn = uniforms(keys, 1, _MIRROR_STREAM)[:, 0] < self.mirror
            mirrored = image[turn][:, :, _FLIP]
            mirrored[..., 0] *= -1
            image[turn] = mirrored
            present[turn] = present[turn][:, :, _FLIP]
            derived[turn] = derived[turn][:, _FLIP]
        there = torch.from_numpy(present)
        flat = torch.from_numpy(image)
        inputs = canonical_frame(flat, there).apply(flat)
        if not complete:
            inputs = inputs.masked_fill(~there[..., None], 0.)
        detected, observed = inputs, there
        confidence = there.float()
        if self.holes is not None:
            seen = self.holes.detect(inputs.numpy(), present,
                                     mix(keys ^ np.uint64(0x686F6C65)))
            detected, observed, confidence = (
                torch.from_numpy(v) for v in seen)
        return dict(
            inputs=inputs, present=there, detected=detected,
            observed=observed, confidence=confidence,
            derived=torch.from_numpy(derived), heads=head_lengths(
                inputs, there), ids=[
                    f'{self.clips.names[c]}:{f}' for c, f in zip(clip, first)
                ])


def head_lengths(keypoints: Tensor, present: Tensor) -> Tensor:
    """The size that PCKh is measured by: from neck to head top, each frame.

    Args:
        keypoints (Tensor): (N, F, 28, 2).
        present (Tensor): (N, F, 28) bool.

    Returns:
        Tensor: (N, F), the unit of the keypoints. The window's mean where
        one of the two is absent, NaN where it always is.
    """
    length = torch.linalg.vector_norm(
        keypoints[:, :, _HEAD_TOP] - keypoints[:, :, _NECK], dim=-1)
    known = present[:, :, _HEAD_TOP] & present[:, :, _NECK]
    if bool(known.all()):
        return length
    mean = length.masked_fill(~known, 0.).sum(1) / known.sum(1)
    return torch.where(known, length, mean[:, None])
