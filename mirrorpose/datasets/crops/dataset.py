"""A data set that reads crops instead of images, a batch at a time."""
from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmpose.registry import DATASETS
from torch.utils.data import Dataset

from ..broken import BrokenSamples
from ..members import leaves
from .augment import seen_squares
from .cache import CropCache, cache_key
from .people import People, constants_of, read_people, wanted_keys
from .pipeline import find_leaves, read_pipeline, same_plan
from .reader import CropReader
from .source import Source
from .targets import batched_encoder

WARPS = ('auto', 'loader', 'device')
#: Smaller crops would save little.
MIN_SIZE = 256


def default_cache_dir() -> Path:
    """``MIRRORPOSE_CACHE``, or ``work_dirs/crops`` where it is unset."""
    return Path(os.environ.get('MIRRORPOSE_CACHE') or 'work_dirs/crops')


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@DATASETS.register_module()
class CachedCropDataset(Dataset):
    """Any top-down data set, from a cache of crops, in whole batches.

    Around a stock data set with its stock pipeline. ``dataset[i]`` is the
    stock data set's item, for tools that know nothing of this one;
    :meth:`get_batch` gives the same samples, a batch at a call: each person
    is decoded and cropped once (:class:`CropCache`), and what is random
    follows from a key a sample. The model then needs
    :class:`CropPreprocessor`.

    **Size.** A crop shows the square that no draw looks beyond: the padded
    box times ``margin``, which follows from the pipeline as the largest
    scale times the extent of the turned box (sqrt(2) for turns beyond 45
    degrees), plus twice the shift. Only what lies inside the image is kept.
    Crops with a side of more than ``size`` pixels are reduced to it; the
    default is the input's size times the margin, and 256 at least: a box that
    is drawn at scale 1 then has a pixel for each pixel of the input. On disk
    a person takes 3 bytes a pixel: at most ``size ** 2 * 3`` (615 KB for
    inputs of 256 pixels, scales up to 1.25 and all turns), and as much as
    its image where that is smaller (LSP: 58 KB, LSPET: 77 KB).

    **Equality.** Boxes, keypoints and targets equal mmpose's. So do, bit for
    bit, the inputs of people whose crop is not reduced, when the loader
    warps: a position may only be rounded otherwise to its 1/32 pixel where it
    lies in the middle (less than one pixel in 10,000). The device
    interpolates without such rounding, mmpose's integers are within 1.5
    levels of it (99.9 %). Crops that are reduced are averaged over areas,
    where mmpose's warp looks at four pixels only: equal up to its aliasing.

    Args:
        dataset (dict): Config of the stock data set, pipelines and all.
            ``CombinedPoseDataset`` may be nested in it.
        size (int, optional): Longest side of a crop in pixels. See above for
            the default.
        margin (float, optional): Side of the square over the longer side of
            the padded box. Defaults to what the pipeline needs; with less,
            corners are black.
        cache_dir (str, optional): Folder of all caches; each data set has
            its own in it, named after what made it. Old ones are not
            removed. Defaults to the environment variable
            ``MIRRORPOSE_CACHE``, then ``work_dirs/crops``.
        warp (str): Where crops become inputs: ``'loader'`` (by OpenCV, in
            the loader's processes), ``'device'`` (by the preprocessor), or
            ``'auto'``: the device where there is CUDA. Defaults to
            ``'auto'``.
        broken (dict, optional): ``policy``, ``max_share`` and ``csv`` of
            :class:`BrokenSamples`. Under ``'skip'``, another sample of the
            same data set takes the place of a broken one, chosen by its key.
            Defaults to ``policy='error'``.
        threads (int, optional): Images that are decoded at once when the
            cache is built. Defaults to the cores at hand, 8 at most.

    Raises:
        ValueError: A transform, data set or option that the fast pipeline
            cannot do, by name.
    """

    def __init__(self,
                 dataset: dict,
                 size: int | None = None,
                 margin: float | None = None,
                 cache_dir: str | Path | None = None,
                 warp: str = 'auto',
                 broken: dict | None = None,
                 threads: int | None = None) -> None:
        if warp not in WARPS:
            raise ValueError(f'warp is one of {WARPS}, got {warp!r}')
        if margin is not None and not margin > 0:
            raise ValueError(f'margin must be positive, got {margin}')
        if size is not None and size < 8:
            raise ValueError(f'size is a side in pixels, got {size}')
        self.config = copy.deepcopy(dataset)
        self.dataset: Any = DATASETS.build(copy.deepcopy(dataset))
        found = find_leaves(self.dataset, self.config)
        names = [type(leaf).__name__ for leaf, _, _ in found]
        read = [read_pipeline(steps, name)
                for (_, _, steps), name in zip(found, names)]
        self._loading = [loading for loading, _ in read]
        self.plan = same_plan([plan for _, plan in read], names)
        if len({x.blank for x in self._loading}) > 1:
            raise ValueError('either all data sets have LoadBlankImage or '
                             f'none; {names} differ')
        self._blank = self._loading[0].blank
        wanted_keys(self.plan)
        target = self.plan.target
        if target is not None:
            batched_encoder(target.encoder_cfg)
        self.margin = self.plan.margin() if margin is None else float(margin)
        most = max(self.plan.input_size) * self.margin
        self.size = size or max(MIN_SIZE, int(np.ceil(most)))
        self.cache_dir = Path(cache_dir or default_cache_dir()).absolute()
        if warp == 'auto':
            warp = 'device' if torch.cuda.is_available() else 'loader'
        self.warp = warp
        self.broken = dict(broken or {})
        self.threads = threads or min(8, _cores())
        BrokenSamples(**dict(self.broken, total=1, csv=None))  # checks
        self._metainfo = copy.deepcopy(dict(self.dataset.metainfo))
        self._length = len(self.dataset)
        self._reader: CropReader | None = None

    # -- a stock data set to whoever wants one ------------------------------
    @property
    def stock(self) -> Any:
        """The stock data set; built anew in a process that got this one."""
        if self.dataset is None:
            self.dataset = DATASETS.build(copy.deepcopy(self.config))
        return self.dataset

    @property
    def metainfo(self) -> dict:
        """mmpose's metainfo."""
        return copy.deepcopy(self._metainfo)

    @property
    def datasets(self) -> list:
        """The members of a combined data set, for samplers."""
        return self.stock.datasets

    def full_init(self) -> None:
        """Reads the annotations; called by mmengine."""
        self.stock.full_init()

    def get_data_info(self, idx: int) -> dict:
        """The stock data set's."""
        return self.stock.get_data_info(idx)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> dict:
        return self.stock[index]

    def __getstate__(self) -> dict:
        # Workers need columns and file names, not thousands of dicts.
        return dict(self.__dict__, dataset=None if self._reader is not None
                    else self.dataset)

    # -- the fast path --------------------------------------------------------
    def prepare(self, broken: BrokenSamples | None = None) -> CropReader:
        """Reads annotations and opens the caches, after building them.

        Done once; best called before the loader starts its processes, which
        then need not each do it.

        Args:
            broken (BrokenSamples, optional): What happens to broken samples;
                under ``'skip'`` those on its list are left out too. Defaults
                to the option of that name.

        Raises:
            OSError: There is no space for a cache.
            BrokenSampleError, RuntimeError: See :class:`BrokenSamples`.
            ValueError: Samples that the fast pipeline cannot do.
        """
        if self._reader is None:
            top = self.stock
            top.full_init()
            broken = broken or BrokenSamples(**dict(self.broken,
                                                    total=len(self)))
            sources = [Source(leaf, config, loading)
                       for leaf, (_, config, _), loading in zip(
                           leaves(top), find_leaves(top, self.config),
                           self._loading)]
            parts = [self._prepare_leaf(
                source, constants_of(top, source.dataset), broken)
                for source in sources]
            good = [np.ones(len(source), bool) for source in sources]
            if broken.policy == 'skip' and len(broken):
                good = [np.array([source.sample(i) not in broken
                                  for i in range(len(source))])
                        for source in sources]
            self._reader = CropReader(self.plan, self._metainfo, self.warp,
                                      parts, good)
        return self._reader

    def get_batch(self, indices: Sequence[int],
                  keys: np.ndarray | None = None) -> dict:
        """A collated batch; see :meth:`CropReader.get_batch`."""
        return self.prepare().get_batch(indices, keys)

    def _prepare_leaf(self, source: Source, constants: dict,
                      broken: BrokenSamples
                      ) -> tuple[People, CropCache | None]:
        plan, loading, name = self.plan, source.loading, source.name

        def seen(people: People) -> tuple[np.ndarray, np.ndarray]:
            return seen_squares(plan, people.boxes(), self.margin,
                                self._metainfo)

        def everyone(extra: dict[str, np.ndarray]) -> People:
            return read_people(
                ({**source.info(i), **{k: v[i] for k, v in extra.items()}}
                 for i in range(len(source))),
                plan, loading, constants, name)

        if source.embedded:
            depends: list[Any] = [plan.input_size, self.margin,
                                  plan.box.padding, repr(plan.half_body)]
            sides = np.full(len(source), float(max(source.first_shape)))
        else:
            people = everyone({})
            if loading.blank:
                return people, None
            centers, sides = seen(people)
            depends = [centers, sides]

        def square(index: int, info: dict) -> tuple[np.ndarray, float]:
            if not source.embedded:
                return centers[index], float(sides[index])
            center, side = seen(read_people([info], plan, loading, constants,
                                            name))
            return center[0], float(side[0])

        # With the pixels beyond that interpolation looks at.
        most = np.minimum(np.nan_to_num(sides), self.size) + 5
        cache = CropCache.open(
            self.cache_dir, cache_key(source, self.size, depends), source,
            self.size, square, int((most**2).sum()) * loading.channels,
            broken, self.threads)
        if source.embedded:
            people = everyone(cache.extra)
        people.shape = cache.shape
        return people, cache
