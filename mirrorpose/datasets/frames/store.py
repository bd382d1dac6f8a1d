"""All frames of a data set's sources: rows, clips, annotations."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS
from mmpose.structures import PoseDataSample
from torch import Tensor

from mirrorpose.structures.skeleton import Skeleton

from ..crops.dataset import default_cache_dir
from ..joint_names import nothing_shared
from .sources import FrameSource


def build_source(config: Mapping | FrameSource) -> FrameSource:
    """Builds a source of a config.

    Raises:
        TypeError: It is another thing.
    """
    source = (config if isinstance(config, FrameSource) else
              DATASETS.build(dict(config)))
    if not isinstance(source, FrameSource):
        raise TypeError(f'{type(source).__name__} is no FrameSource; use '
                        'FrameFolders, VideoFiles, FrameArchive, '
                        'SyntheticClips, or a class of your own that '
                        'inherits FrameSource')
    return source


class FrameStore:
    """The frames of several sources as one table, T rows.

    Args:
        sources (Sequence[Mapping]): Configs of frame sources.
        size (int): Side of the crops in pixels.
        skeleton (Skeleton): Joint set that annotations are converted to.
        masked (bool): Black out what lies outside the persons' masks.
        data_root (str, optional): See ``default_data_root``.
        cache_dir (str, optional): Folder of all caches; by default the
            environment variable ``MIRRORPOSE_CACHE``, then
            ``work_dirs/crops``.

    Attributes:
        clip (np.ndarray): (T,) int64, the clip of each row.
        place (np.ndarray): (T,) int64, the row's place in its clip.
        start, length (np.ndarray): (C,) int64, of each clip.
        names (list[str]): C names with their source's.
        groups (list[str]): C people.
        keypoints (np.ndarray): (T, K, 2) float32 pixels of the crops.
        visible (np.ndarray): (T, K) bool.
        scale (np.ndarray): (T,) float64, original pixels a crop's pixel.

    Raises:
        ValueError: No source, a name twice, or a source none of whose joints
            belongs to the joint set.
    """

    def __init__(self, sources: Sequence[Mapping], size: int,
                 skeleton: Skeleton, masked: bool = False,
                 data_root: str | None = None,
                 cache_dir: str | Path | None = None) -> None:
        if isinstance(sources, Mapping):
            sources = [sources]
        if not sources:
            raise ValueError('no source of frames was given')
        if size < 8:
            raise ValueError(f'size is a side in pixels, got {size}')
        self.size, self.skeleton = size, skeleton
        folder = Path(cache_dir or default_cache_dir()).absolute()
        self.pixels: list[np.ndarray] = []
        names, groups, actions, frames = [], [], [], []
        lengths, points, flags, scales = [], [], [], []
        for config in sources:
            source = build_source(config)
            clips = source.select(data_root)
            cache = source.open(clips, size, masked, folder)
            self.pixels.append(cache.pixels)
            names += [f'{source.name}/{c.name}' for c in clips]
            groups += [f'{source.name}/{c.group}' for c in clips]
            actions += [c.action for c in clips]
            frames += [str(f) for c in clips for f in c.frames]
            lengths.append(cache.length)
            seen, there = self._convert(cache.keypoints, source)
            points.append(seen)
            flags.append(there)
            scales.append(np.concatenate(
                [np.broadcast_to(c.scale, len(c)) for c in clips])
                * cache.squares[:, 2] / size)
        if len(set(names)) != len(names):
            twice = sorted({n for n in names if names.count(n) > 1})[:5]
            raise ValueError(f'clips share the names {twice}: is a source '
                             'given twice? Give one of them another name=')
        self.names, self.groups, self.actions = names, groups, actions
        self.frames = frames
        self.length = np.concatenate(lengths)
        self.start = np.cumsum(self.length) - self.length
        self.clip = np.repeat(np.arange(len(names)), self.length)
        self.place = np.arange(len(self.clip)) - self.start[self.clip]
        self.keypoints = np.concatenate(points)
        self.visible = np.concatenate(flags)
        self.scale = np.concatenate(scales)
        self._ends = np.cumsum([len(p) for p in self.pixels])

    def _convert(self, found: np.ndarray, source: FrameSource
                 ) -> tuple[np.ndarray, np.ndarray]:
        """Annotations of a source in the joint set of the data set."""
        count = len(self.skeleton)
        if source.skeleton is None or not found.shape[1]:
            return (np.zeros((len(found), count, 2), np.float32),
                    np.zeros((len(found), count), bool))
        if not source.skeleton.matrix(self.skeleton).any():
            raise ValueError(
                f'{source.name} is annotated with another joint set: '
                f'{nothing_shared(source.skeleton, self.skeleton)}')
        points, visible = source.skeleton.convert(
            found[..., :2], found[..., 2], self.skeleton, allow_missing=True)
        return points.astype(np.float32), visible > 0

    def __len__(self) -> int:
        return len(self.clip)

    def images(self, rows: np.ndarray) -> Tensor:
        """Frames (N, 3, S, S) uint8 BGR, a copy."""
        rows = np.asarray(rows)
        if len(self.pixels) == 1:
            return torch.from_numpy(self.pixels[0][rows])
        out = np.empty((len(rows), 3, self.size, self.size), np.uint8)
        which = np.searchsorted(self._ends, rows, side='right')
        for number in np.unique(which):  # a source, not a frame
            mine = which == number
            first = self._ends[number] - len(self.pixels[number])
            out[mine] = self.pixels[number][rows[mine] - first]
        return torch.from_numpy(out)

    def frame_id(self, row: int) -> str:
        """Clip and place of a frame."""
        return f'{self.names[self.clip[row]]}:{self.place[row]}'

    def brief(self, row: int, keypoints: np.ndarray) -> PoseDataSample:
        """What training may log about one frame; the model never reads it.

        Args:
            row (int): The frame.
            keypoints (np.ndarray): (K, 2) pixels of the crop.
        """
        out = PoseDataSample(metainfo=dict(
            id=self.frame_id(row), clip=self.names[self.clip[row]],
            group=self.groups[self.clip[row]]))
        out.gt_instances = InstanceData(
            keypoints=keypoints[None],
            keypoints_visible=self.visible[row][None].astype(np.float32))
        return out

    def sample(self, row: int, role: str = 'test') -> PoseDataSample:
        """What mmpose wants to know about one frame.

        Keypoints are pixels of the crop, and the crop is mmpose's image:
        ``input_center`` and ``input_scale`` make ``predict``'s map from the
        input to the image the identity.

        Args:
            row (int): The frame.
            role (str): Kept for the metrics. Defaults to ``'test'``.
        """
        size, clip = self.size, self.clip[row]
        points, visible = self.keypoints[row], self.visible[row]
        side = np.array([size, size], np.float32)
        return PoseDataSample(
            gt_instances=InstanceData(
                keypoints=(points * visible[:, None])[None].astype(
                    np.float32),
                keypoints_visible=visible[None].astype(np.float32),
                bboxes=np.array([[0, 0, size, size]], np.float32),
                bbox_scores=np.ones(1, np.float32)),
            metainfo=dict(
                id=self.frame_id(row), img_id=int(row),
                img_path=self.frames[row], clip=self.names[clip],
                group=self.groups[clip], action=self.actions[clip],
                frame=int(self.place[row]), role=role,
                ori_shape=(size, size), img_shape=(size, size),
                input_size=(size, size), input_center=side / 2,
                input_scale=side, pixel_scale=float(self.scale[row]),
                flip_indices=self.skeleton.flip_indices,
                dataset_name=self.skeleton.name))
