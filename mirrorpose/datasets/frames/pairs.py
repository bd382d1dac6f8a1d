"""Two frames of one clip: what KeypointGAN learns from."""
from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS
from torch.utils.data import Dataset

from mirrorpose.structures.skeleton import Skeleton

from ..crops.draws import uniforms
from ..keyed import sample_keys
from ..splits import split_digest
from .store import FrameStore

ORDERS = ('earlier', 'any')
_PAIR_STREAM = 0x70616972


class FrameDataset(Dataset):
    """What pairs of frames and stills share: frames and their samples.

    In training, ``dataset[i]`` and :meth:`get_batch` give ``inputs``, a dict
    of ``image`` and ``condition``, uint8 BGR (N, 3, S, S), and
    ``data_samples``. With ``test_mode``, ``dataset[i]`` is mmpose's item of
    the frame alone: ``inputs`` (3, S, S) uint8 BGR and ``data_samples``, a
    ``PoseDataSample``; frames without any annotated joint are left out.

    Args:
        sources (Sequence[dict]): Frame sources: ``FrameFolders``,
            ``VideoFiles``, ``FrameArchive``, ``SyntheticClips`` and others
            of :class:`sources.FrameSource`.
        joints (str): Joint set of the annotations and of the poses that the
            frames are trained with.
        size (int): S. Defaults to 128.
        masks (bool): Black out what lies outside the persons' masks (the
            paper's default where there are masks). Defaults to False.
        limit (int, optional): Only so many frames, evenly spaced over all.
            Defaults to all.
        role (str): ``'test'``, or ``'fit'`` for the frames that the
            supervised linear post-processing is fitted to. Defaults to
            ``'test'``.
        seed (int): Of ``dataset[i]``. Defaults to 0.
        data_root, cache_dir: See :class:`store.FrameStore`.
        test_mode (bool): Defaults to False.
        indices (int | Sequence[int], optional): Only these (the first so
            many), as in mmengine.
        metainfo (dict, optional): Replaces the joint set's.

    Raises:
        ValueError: An argument is out of range, or no frame is left.
    """

    def __init__(self, sources: Sequence[Mapping], joints: str,
                 size: int = 128, masks: bool = False,
                 limit: int | None = None, role: str = 'test', seed: int = 0,
                 data_root: str | None = None,
                 cache_dir: str | Path | None = None,
                 test_mode: bool = False,
                 indices: int | Sequence[int] | None = None,
                 metainfo: dict | None = None) -> None:
        if role not in ('test', 'fit'):
            raise ValueError(f"role must be 'test' or 'fit', got {role!r}")
        self.skeleton = Skeleton.from_name(joints)
        self.store = FrameStore(sources, size, self.skeleton, masks,
                                data_root, cache_dir)
        self.size, self.role, self.seed = size, role, seed
        self.test_mode = test_mode
        self._metainfo = parse_pose_metainfo(copy.deepcopy(
            metainfo or self.skeleton.metainfo()))
        rows = self._rows()
        if test_mode:
            known = self.store.visible[rows].any(1)
            if not known.all():
                print_log(f'{type(self).__name__}: {int((~known).sum())} of '
                          f'{len(rows)} frames have no annotated joint and '
                          'are not tested on', 'current')
            rows = rows[known]
        if limit is not None:
            if limit < 1:
                raise ValueError(f'limit must be at least 1, got {limit}')
            rows = rows[np.linspace(0, len(rows) - 1, min(
                limit, len(rows))).round().astype(int)] if len(rows) else rows
        if indices is not None:
            rows = rows[:indices] if isinstance(
                indices, int) else rows[list(indices)]
        if not len(rows):
            raise ValueError(f'{type(self).__name__}: no frame is left of '
                             f'{len(self.store)}')
        self.rows = rows
        self.split_digest = split_digest(sorted(self.clips()))
        print_log(
            f'{type(self).__name__}: {len(rows)} frames of '
            f'{len(self.clips())} clips, {len(set(self.store.groups))} '
            f'groups, {size} pixels, digest {self.split_digest}', 'current')

    def _rows(self) -> np.ndarray:
        """Frames that are samples; all by default."""
        return np.arange(len(self.store))

    # -- what mmengine asks ------------------------------------------------
    @property
    def metainfo(self) -> dict:
        """Parsed metainfo, as mmpose's data sets give it."""
        return copy.deepcopy(self._metainfo)

    def full_init(self) -> None:
        """Everything is loaded already."""

    def __len__(self) -> int:
        return len(self.rows)

    def clips(self) -> set[str]:
        """Names of the clips, with their source's and a half's ending."""
        return {self.store.names[i]
                for i in np.unique(self.store.clip[self.rows])}

    def get_data_info(self, idx: int) -> dict:
        """Which frame a sample is."""
        row = self.rows[idx]
        clip = self.store.clip[row]
        return dict(id=self.store.frame_id(row), sample_idx=idx,
                    img_path=self.store.frames[row],
                    clip=self.store.names[clip],
                    group=self.store.groups[clip])

    def __getitem__(self, idx: int) -> dict[str, Any]:
        """One sample; the same whenever it is asked for."""
        if not -len(self) <= idx < len(self):
            raise IndexError(f'{idx} of {len(self)} frames')
        idx = int(idx) % len(self)
        if self.test_mode:
            row = self.rows[idx]
            return dict(inputs=self.store.images(np.array([row]))[0],
                        data_samples=self.store.sample(row, self.role))
        batch = self.get_batch([idx], self.fixed_keys([idx]))
        return dict(inputs={k: v[0] for k, v in batch['inputs'].items()},
                    data_samples=batch['data_samples'][0])

    def fixed_keys(self, indices: Sequence[int]) -> np.ndarray:
        """The keys that ``dataset[i]`` uses: (N,) uint64."""
        return sample_keys(self.seed, 0, list(indices), [0] * len(indices))

    def get_batch(self, indices: Sequence[int],
                  keys: np.ndarray) -> dict[str, Any]:
        """A batch whose random numbers are functions of the keys."""
        raise NotImplementedError


@DATASETS.register_module()
class FramePairDataset(FrameDataset):
    """Pairs of frames of one clip (KeypointGAN, Section 3; spec 2.3).

    Every frame that has a partner is a sample. Its partner lies a number of
    frames away that is uniform over those of ``[gap_min, gap_max]`` that
    stay within the clip, so short clips do not always end at their last
    frame. A minimum gap keeps the appearance frame from showing the pose
    (trap T2.2).

    Args:
        sources, joints, size and others: See :class:`FrameDataset`.
        gap_min (int): At least 1. Defaults to 1.
        gap_max (int): The reference samples up to 1,000 frames. Defaults
            to 1000.
        order (str): ``'earlier'``: the image is the earlier of the two, as
            in the reference; ``'any'``: the partner may come before it, so
            that every frame is an image. Defaults to ``'earlier'``.

    Raises:
        ValueError: An argument is out of range, or a clip has too few
            frames for a pair.
    """

    def __init__(self, sources: Sequence[Mapping], joints: str,
                 size: int = 128, gap_min: int = 1, gap_max: int = 1000,
                 order: str = 'earlier', **kwargs) -> None:
        if not 1 <= gap_min <= gap_max:
            raise ValueError('the gap must satisfy 1 <= gap_min <= gap_max, '
                             f'got {gap_min} and {gap_max}: a frame is not '
                             'its own partner')
        if order not in ORDERS:
            raise ValueError(f'order must be one of {ORDERS}, got {order!r}')
        self.gap_min, self.gap_max, self.order = gap_min, gap_max, order
        super().__init__(sources, joints, size, **kwargs)

    def _rows(self) -> np.ndarray:
        """Frames with a partner; in ``test_mode`` all."""
        store = self.store
        if self.test_mode:
            return super()._rows()
        short = np.nonzero(store.length <= self.gap_min)[0]
        if len(short):
            raise ValueError(
                f'{len(short)} of {len(store.length)} clips have no pair of '
                f'frames that are gap_min={self.gap_min} apart, e.g. '
                + ', '.join(f'{store.names[i]!r} with {store.length[i]} '
                            f'frame{"" if store.length[i] == 1 else "s"}'
                            for i in short[:3])
                + f'. Leave them out with min_frames={self.gap_min + 1} of '
                'the source, or use StillPairDataset, which pairs warps of '
                'single images')
        before, after = self._room(np.arange(len(store)))
        return np.nonzero(before + after > 0)[0]

    def _room(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How many partners each frame has before and after it."""
        store = self.store
        place, length = store.place[rows], store.length[store.clip[rows]]

        def count(frames: np.ndarray) -> np.ndarray:
            return np.clip(np.minimum(frames, self.gap_max) - self.gap_min
                           + 1, 0, None)

        after = count(length - 1 - place)
        before = count(place) if self.order == 'any' else after * 0
        return before, after

    def partners(self, rows: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """The other frame of each pair.

        Args:
            rows (np.ndarray): (N,) rows of the store.
            keys (np.ndarray): (N,) uint64.

        Returns:
            np.ndarray: (N,) rows of the store.
        """
        before, after = self._room(rows)
        drawn = (uniforms(keys, 1, _PAIR_STREAM)[:, 0]
                 * (before + after)).astype(np.int64)
        later = drawn >= before
        distance = np.where(later, drawn - before, drawn) + self.gap_min
        return rows + np.where(later, distance, -distance)

    def get_batch(self, indices: Sequence[int],
                  keys: np.ndarray) -> dict[str, Any]:
        """A training batch.

        Args:
            indices (Sequence[int]): N samples.
            keys (np.ndarray): (N,) uint64.

        Returns:
            dict: See :class:`FrameDataset`.
        """
        keys = np.asarray(keys, np.uint64)
        if len(keys) != len(indices):
            raise ValueError(f'{len(indices)} frames and {len(keys)} keys')
        rows = self.rows[np.asarray(indices)]
        other = self.partners(rows, keys)
        return dict(
            inputs=dict(image=self.store.images(rows),
                        condition=self.store.images(other)),
            data_samples=[self.store.brief(r, self.store.keypoints[r])
                          for r in rows])
