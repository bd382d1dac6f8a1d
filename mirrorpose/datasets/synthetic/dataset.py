"""Images of the synthetic world as an mmpose data set."""
from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import force_full_init
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS

from ...structures import Skeleton
from ..splits import PARTS, select_part, split_digest
from .world import SPLIT_SIZE, SPLIT_START, SyntheticWorld

_COUNTS = {'mpii_16': 16, 'h36m_17': 17, 'mpi_inf_3dhp_28': 28}


#: What was rendered in this process, by what it shows.
_CACHES: dict[str, _SharedArrays] = {}


class _SharedArrays:
    """Named arrays in anonymous memory that forked processes share.

    Not in ``/dev/shm``, which containers keep small; pages are taken when
    first written. A process that is not forked but spawned gets empty ones.
    """

    def __init__(self, **specs: tuple[tuple[int, ...], str]) -> None:
        self._specs = specs
        self.arrays = {}
        for name, (shape, dtype) in specs.items():
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            self.arrays[name] = np.frombuffer(
                mmap.mmap(-1, max(size, 1)), dtype,
                int(np.prod(shape))).reshape(shape)

    def __reduce__(self) -> tuple:
        return _restore, (self._specs, )

    def __deepcopy__(self, memo: dict) -> _SharedArrays:
        return self


def _restore(specs: dict) -> _SharedArrays:
    return _SharedArrays(**specs)


@DATASETS.register_module()
class SyntheticPoseDataset(BaseCocoStyleDataset):
    """People of the synthetic world, each image another person.

    A ``data_info`` brings its image with it (``img``), so a pipeline has no
    ``LoadImage``. A joint counts as annotated (``keypoints_visible`` 1) when
    it lies inside the image, also where it is hidden; joints outside have
    visibility 0 and coordinates 0. ``bbox`` is tight around the joints and
    clipped to the image, as LSP's boxes are.

    Args:
        num_samples (int): How many images.
        seed (int): Names the world. Defaults to 0.
        split (str): ``'train'``, ``'val'`` or ``'test'``: disjoint people,
            places and motions. Defaults to ``'train'``.
        start (int): First image within the split. Defaults to 0.
        image_size (int): Side of the images in pixels. Defaults to 128.
        label_fraction (float): Share of labelled samples, in [0, 1]. Who is
            labelled is decided by a hash of the id, so fractions are
            nested. Defaults to 1.
        part (str): ``'all'``, ``'labelled'`` or ``'unlabelled'``. Samples of
            the unlabelled part still come with labels, for ``DropLabels`` to
            remove. Defaults to ``'all'``.
        split_seed (int): Seed of the label split. Defaults to 0.
        joints (str): ``'mpii_16'``, ``'h36m_17'`` or ``'mpi_inf_3dhp_28'``.
            Defaults to ``'mpii_16'``.
        with_silhouette (bool): Give ``silhouette_img`` (H, W) uint8, 0 or
            255. Defaults to False.
        cache (bool): Keep what was rendered: ``image_size ** 2 * 4`` bytes
            an image, 328 MB for 5,000 of 128 pixels, shared by data sets of
            the same images in this process and by forked data loader
            workers, until the process ends. Defaults to True.
        world (dict, optional): Further arguments of
            :class:`SyntheticWorld`. Defaults to None.
        metainfo (dict, optional): Replaces the joint set's metainfo.
            Defaults to None.
        indices (int | Sequence[int], optional): As in mmengine. Defaults to
            None.
        pipeline (Sequence[dict | Callable]): Transforms. Defaults to ().
        test_mode (bool): Defaults to False.
        lazy_init (bool): Defaults to False.

    Raises:
        ValueError: An argument is out of range.
    """

    METAINFO: dict = Skeleton.from_name('mpii_16').metainfo()

    def __init__(self,
                 num_samples: int,
                 seed: int = 0,
                 split: str = 'train',
                 start: int = 0,
                 image_size: int = 128,
                 label_fraction: float = 1.,
                 part: str = 'all',
                 split_seed: int = 0,
                 joints: str = 'mpii_16',
                 with_silhouette: bool = False,
                 cache: bool = True,
                 world: dict[str, Any] | None = None,
                 metainfo: dict | None = None,
                 indices: int | Sequence[int] | None = None,
                 pipeline: Sequence[dict | Callable] = (),
                 test_mode: bool = False,
                 lazy_init: bool = False) -> None:
        if split not in SPLIT_START:
            raise ValueError(f'split must be one of {list(SPLIT_START)}, got '
                             f'{split!r}')
        if num_samples < 1 or start < 0 or start + num_samples > SPLIT_SIZE:
            raise ValueError(
                'num_samples must be at least 1, start at least 0 and their '
                f'sum at most {SPLIT_SIZE}; got num_samples={num_samples}, '
                f'start={start}')
        if part not in PARTS:
            raise ValueError(f'part must be one of {PARTS}, got {part!r}')
        if joints not in _COUNTS:
            raise ValueError(f'joints must be one of {list(_COUNTS)}, got '
                             f'{joints!r}')
        self.world = SyntheticWorld(seed, image_size, **(world or {}))
        self.num_samples = num_samples
        self.first = SPLIT_START[split] + start
        self.label_fraction = label_fraction
        self.part = part
        self.split_seed = split_seed
        self.joints = joints
        self.with_silhouette = with_silhouette
        self._cache: _SharedArrays | None = None
        if cache:
            count = _COUNTS[joints]
            key = repr((seed, self.first, num_samples, image_size, joints,
                        sorted((world or {}).items())))
            self._cache = _CACHES.get(key) or _SharedArrays(
                image=((num_samples, image_size, image_size, 3), 'uint8'),
                silhouette=((num_samples, image_size, image_size), 'uint8'),
                joints=((num_samples, count, 2), 'float32'),
                visible=((num_samples, count), 'int8'),
                bbox=((num_samples, 4), 'float32'),
                filled=((num_samples, ), 'int8'))
            _CACHES[key] = self._cache
        super().__init__(
            metainfo=metainfo or Skeleton.from_name(joints).metainfo(),
            indices=indices, pipeline=list(pipeline), test_mode=test_mode,
            lazy_init=lazy_init)

    def load_data_list(self) -> list[dict]:
        """Names the samples; images and joints are made when asked for."""
        ids = [self.first + i for i in range(self.num_samples)]
        chosen = select_part(ids, self.label_fraction, self.part,
                             self.split_seed)
        people = [dict(id=i, img_id=i, img_path='', is_labeled=True)
                  for i, keep in zip(ids, chosen) if keep]
        self.split_digest = split_digest(
            [i for i, keep in zip(ids, chosen) if keep])
        return people

    def _rendered(self, index: int) -> dict[str, np.ndarray]:
        """Image (and silhouette), joints, visibility and box of an id."""
        row = index - self.first
        if self._cache is not None and self._cache.arrays['filled'][row]:
            return {k: a[row] for k, a in self._cache.arrays.items()}
        sample, count = self.world.sample(index), _COUNTS[self.joints]
        made = dict(image=sample['image'], silhouette=sample['silhouette'],
                    joints=sample[f'joints_{count}'].astype(np.float32),
                    visible=sample[f'visible_{count}'].astype(np.int8),
                    bbox=sample['bbox'].astype(np.float32))
        if self._cache is not None:
            for name, value in made.items():
                self._cache.arrays[name][row] = value
            # Last: a process that sees the flag sees whole arrays.
            self._cache.arrays['filled'][row] = 1
        return made

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """One person as mmpose's top-down pipeline wants it.

        Args:
            idx (int): Position in the data set.

        Returns:
            dict: Keys img, img_path, img_id, id, ori_shape, img_shape, bbox,
            bbox_score, keypoints, keypoints_visible, is_labeled,
            keypoints_occluded (1, K) float32, 1 where a joint inside the
            image is hidden, and the metainfo of mmpose; silhouette_img
            where asked for.
        """
        info = super().get_data_info(idx)
        made = self._rendered(info['id'])
        visible = made['visible'][None]
        present = (visible > 0).astype(np.float32)
        image = made['image']
        info.update(
            img=image.copy(), ori_shape=image.shape[:2],
            img_shape=image.shape[:2], bbox=made['bbox'][None].copy(),
            bbox_score=np.ones(1, np.float32),
            keypoints=made['joints'][None] * present[..., None],
            keypoints_visible=present,
            keypoints_occluded=(visible == 1).astype(np.float32))
        if self.with_silhouette:
            info['silhouette_img'] = made['silhouette'].copy()
        return info
