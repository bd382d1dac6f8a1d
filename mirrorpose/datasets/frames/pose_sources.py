"""Where poses without images come from."""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zipfile import BadZipFile

import numpy as np
from mmpose.registry import DATASETS

from mirrorpose.structures.skeleton import Skeleton

from ..joint_names import nothing_shared
from ..keyed import sample_keys
from ..lsp import LabelSplitDataset, default_data_root
from ..sequences import MotionSource, VirtualCameras
from ..sequences.parts import in_part
from .squares import to_crop
from .store import build_source


@dataclass(frozen=True)
class Poses:
    """Poses of one source.

    Attributes:
        points (np.ndarray): (N, K, 2) float32; pixels of a crop of ``size``
            where the source has its own crops, any unit otherwise.
        present (np.ndarray): (N, K) bool.
        ids (list[str]): N distinct names.
        clips (list[str]): N names of what each pose was taken from.
        size (int): 0 where the poses have no crop of their own.
    """

    points: np.ndarray
    present: np.ndarray
    ids: list[str]
    clips: list[str]
    size: int = 0

    def converted(self, source: Skeleton, target: Skeleton,
                  where: str) -> Poses:
        """The poses in another joint set.

        Raises:
            ValueError: It shares no joint with the source's.
        """
        if not source.matrix(target).any():
            raise ValueError(
                f'{where} has poses of another joint set: '
                f'{nothing_shared(source, target)}')
        points, present = source.convert(
            self.points, self.present.astype(np.float32), target,
            allow_missing=True)
        return Poses(points.astype(np.float32), present > 0, self.ids,
                     self.clips, self.size)


class PoseSource(ABC):
    """Gives poses of one kind; subclasses write :meth:`load`.

    Args:
        name (str): What the names of its clips begin with.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def load(self, data_root: str | None, size: int,
             skeleton: Skeleton) -> Poses:
        """Reads the poses.

        Args:
            data_root (str, optional): See ``default_data_root``.
            size (int): Side of the crops, where poses come with crops.
            skeleton (Skeleton): The joint set to give.
        """


@DATASETS.register_module()
class FramePoses(PoseSource):
    """The annotation of a frame source, framed as its images are.

    No image is read. This is what the paper trains with where images and
    poses are of one data set, from its two halves, or from other people.

    Args:
        source (dict): Config of a frame source with annotations.
    """

    def __init__(self, source: Mapping) -> None:
        self.source = build_source(source)
        super().__init__(self.source.name)

    def load(self, data_root: str | None, size: int,
             skeleton: Skeleton) -> Poses:
        """Scans the source."""
        source, points, flags, ids, clips = self.source, [], [], [], []
        for clip in source.select(data_root):
            found = source.annotate(clip)
            if found.keypoints is None or found.visible is None or (
                    source.skeleton is None):
                raise ValueError(
                    f'{source.name}/{clip.name} has no keypoints, so it '
                    'gives no poses; pass annotated data')
            shape = ((0, 0) if source.crop in ('clip', 'frame') else
                     source.shape(clip))
            squares = source.squares(found, shape)
            points.append(to_crop(found.keypoints, squares, size))
            flags.append(np.asarray(found.visible) > 0)
            name = f'{source.name}/{clip.name}'
            ids += [f'{name}:{i}' for i in range(len(clip))]
            clips += [name] * len(clip)
        assert source.skeleton is not None
        return Poses(np.concatenate(points), np.concatenate(flags), ids,
                     clips, size).converted(source.skeleton, skeleton,
                                            source.name)


@DATASETS.register_module()
class DatasetPoses(PoseSource):
    """The keypoints of any top-down data set; no image is read.

    LSP, COCO files, and ``PoseCollectionDataset`` for any npz of 2D poses.

    Args:
        dataset (dict): Its config, without pipeline. Where it gives joints
            by ``metainfo`` it is asked for those that are wanted.
        name (str, optional): What ids begin with; by default the data
            set's own ids, which name their file.
    """

    def __init__(self, dataset: Mapping, name: str | None = None) -> None:
        super().__init__(name or '')
        self.config = dict(dataset)

    def load(self, data_root: str | None, size: int,
             skeleton: Skeleton) -> Poses:
        """Builds the data set."""
        config = dict(self.config, pipeline=[])
        if data_root is not None:
            config.setdefault('data_root', data_root)
        if config.get('type') in ('PoseCollectionDataset',
                                  'CocoPoseDataset'):
            config.setdefault('metainfo', skeleton.metainfo())
        kind = DATASETS.get(str(config.get('type')))
        if isinstance(kind, type) and issubclass(kind, LabelSplitDataset):
            # Packing thousands of dicts takes seconds and is not needed.
            config.setdefault('serialize_data', False)
        try:
            dataset: Any = DATASETS.build(config)
        except (EOFError, BadZipFile) as error:
            raise ValueError(
                f'{config.get("ann_file")} below {config.get("data_root")} '
                f'is empty or damaged; write it anew ({error})') from error
        own = Skeleton.from_metainfo(dataset.metainfo)
        # Nothing is changed here, so people need not be copied one by one.
        people = (dataset.data_list
                  if not config.get('serialize_data', True) else
                  [dataset.get_data_info(i) for i in range(len(dataset))])
        ids = [(f'{self.name}/' if self.name else '') + str(p['id'])
               for p in people]
        return Poses(
            np.concatenate([p['keypoints'] for p in people]).astype(
                np.float32),
            np.concatenate([p['keypoints_visible'] for p in people]) > 0,
            ids, ids).converted(own, skeleton, str(config.get('type')))


@DATASETS.register_module()
class MotionPoses(PoseSource):
    """Frames of motion capture, each seen by virtual cameras.

    Args:
        sources (Sequence[dict]): Motion sources: ``MocapArchive``,
            ``SyntheticMotions``, ``MotionFiles``.
        part (str): ``'train'``, ``'val'``, ``'test'`` or ``'all'``, by each
            source's ``held_out``. Defaults to ``'train'``.
        split_seed (int): Defaults to 0.
        stride (int): Every so many-th frame. Defaults to 10.
        views (int): Cameras a frame. Defaults to 1.
        cameras (dict, optional): Of :class:`VirtualCameras`.
        seed (int): Of the cameras. Defaults to 0.
    """

    def __init__(self, sources: Sequence[Mapping], part: str = 'train',
                 split_seed: int = 0, stride: int = 10, views: int = 1,
                 cameras: Mapping[str, Any] | None = None,
                 seed: int = 0) -> None:
        super().__init__('motion')
        if stride < 1 or views < 1:
            raise ValueError('stride and views must be at least 1, got '
                             f'{stride} and {views}')
        self.sources = list(sources)
        self.part, self.split_seed = part, split_seed
        self.stride, self.views, self.seed = stride, views, seed
        self.cameras = VirtualCameras(**dict(cameras or {}))

    def load(self, data_root: str | None, size: int,
             skeleton: Skeleton) -> Poses:
        """Projects the frames."""
        root = default_data_root() if data_root is None else data_root
        points, present, ids, clips = [], [], [], []
        for number, config in enumerate(self.sources):
            source = DATASETS.build(dict(config))
            if not isinstance(source, MotionSource):
                raise TypeError(f'{config.get("type")} is no MotionSource')
            motion = source.load(root)
            motion = motion.select(in_part(
                motion.groups, self.part, source.held_out, self.split_seed,
                source.name))
            clip, frame = motion.windows(1, self.stride).T
            clip, frame = (np.repeat(v, self.views) for v in (clip, frame))
            rows = motion.start[clip] + frame
            there = motion.present[rows]
            bodies = motion.positions[rows]
            # The middle of what is present; absent joints stand there.
            middle = (bodies * there[..., None]).sum(1) / np.maximum(
                there.sum(1), 1)[:, None]
            bodies = np.where(there[..., None], bodies, middle[:, None])
            keys = sample_keys(self.seed, number, range(len(rows)),
                               [0] * len(rows))
            seen = self.cameras.project(bodies[:, None], middle,
                                        self.cameras.draw(keys))[:, 0]
            points.append(seen)
            present.append(there)
            names = [motion.names[c] for c in clip]
            clips += names
            ids += [f'{n}:{f}/{v % self.views}' for v, (n, f) in enumerate(
                zip(names, frame))]
        return Poses(np.concatenate(points), np.concatenate(present), ids,
                     clips).converted(
                         Skeleton.from_name('mpi_inf_3dhp_28'), skeleton,
                         'motion capture')
