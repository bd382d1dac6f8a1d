"""Where the time of a data pipeline goes: parts, one process, all workers."""
from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from typing import Any

import mmengine.fileio as fileio
import numpy as np
from torch.utils.data import DataLoader

from mirrorpose.datasets.members import leaves, raw_infos

#: Part of the pipeline to the transforms that belong to it.
PARTS: dict[str, tuple[str, ...]] = {
    'read and decode': ('LoadImage', 'LoadImageFromFile', 'LoadBlankImage',
                        'LoadSilhouette'),
    'geometry': ('GetBBoxCenterScale', 'RandomFlip', 'RandomHalfBody',
                 'RandomBBoxTransform', 'TopdownAffine', 'BottomupResize',
                 'BottomupRandomAffine', 'BottomupRandomCrop',
                 'BottomupRandomChoiceResize', 'HandRandomFlip',
                 'RandomFlipAroundRoot'),
    'colour': ('Albumentation', 'PhotometricDistortion',
               'YOLOXHSVRandomAug'),
    'targets': ('GenerateTarget', 'SplitSilhouette',
                'BottomupGetHeatmapMask', 'DropLabels'),
    'packing': ('PackPoseInputs', ),
}
OTHER, WHOLE_BATCH, COLLATE = ('data set', 'batch from the data set',
                               'collate')
_PART_OF = {name: part for part, names in PARTS.items() for name in names}


class _Timed:
    """A transform that tells how long it took."""

    def __init__(self, transform: Any, spent: dict[str, float]) -> None:
        self.transform, self.spent = transform, spent
        kinds = [c.__name__ for c in type(transform).__mro__]
        self.part = next((_PART_OF[k] for k in kinds if k in _PART_OF),
                         kinds[0])

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__') or name == 'transform':
            raise AttributeError(name)
        return getattr(self.transform, name)

    def __call__(self, results: Any) -> Any:
        start = time.perf_counter()
        out = self.transform(results)
        self.spent[self.part] += time.perf_counter() - start
        return out


def _pipelines(dataset: Any) -> list[Any]:
    """Every list of transforms below a data set."""
    found = []
    pipeline = getattr(dataset, 'pipeline', None)
    if isinstance(getattr(pipeline, 'transforms', None), list):
        found.append(pipeline)
    inner = [*(vars(dataset).get('datasets') or ()),
             vars(dataset).get('dataset')]
    for one in inner:
        if one is not None and hasattr(one, '__len__') \
                and hasattr(one, '__dict__'):
            found += _pipelines(one)
    return list({id(p): p for p in found}.values())


@contextmanager
def timed(dataset: Any) -> Iterator[dict[str, float]]:
    """Gives the seconds of each part while samples are read."""
    spent: dict[str, float] = defaultdict(float)
    held = [(p, list(p.transforms)) for p in _pipelines(dataset)]
    try:
        for pipeline, transforms in held:
            pipeline.transforms[:] = [_Timed(t, spent) for t in transforms]
        yield spent
    finally:
        for pipeline, transforms in held:
            pipeline.transforms[:] = transforms


def take_batches(loader: DataLoader, count: int) -> list[list]:
    """What the loader's sampler gives, from the beginning if it ends."""
    sampler: Any = loader.batch_sampler
    batches = list(islice(iter(sampler), count))
    if not batches:
        raise ValueError('the training loader gives no batch: is the data '
                         'set smaller than one batch, and drop_last on?')
    return list(islice(cycle(batches), count))


def whole_batches(loader: DataLoader, batches: list[list]) -> bool:
    """Whether the data set makes a batch at a call (``get_batch``)."""
    inner = getattr(loader.dataset, 'dataset', loader.dataset)
    return hasattr(inner, 'get_batch') and hasattr(
        loader.dataset, '__getitems__') and isinstance(batches[0][0], tuple)


def profile_parts(loader: DataLoader,
                  batches: list[list]) -> dict[str, float]:
    """Seconds a sample of every part, in this process.

    Every batch is read twice, and the second time counts: as after the first
    epoch, with files in memory and caches filled.

    Args:
        loader (DataLoader): Gives data set and collation; not iterated.
        batches (list[list]): What its sampler gives.

    Returns:
        dict[str, float]: By part, in the order of the pipeline.
    """
    samples = sum(len(b) for b in batches)
    dataset: Any = loader.dataset
    together = whole_batches(loader, batches)

    def read() -> Iterator[Any]:
        for batch in batches:
            yield dataset.__getitems__(batch) if together else [
                dataset[i] for i in batch]

    for _ in read():
        pass
    collating, total = 0., time.perf_counter()
    with timed(dataset) as spent:
        for items in read():
            start = time.perf_counter()
            loader.collate_fn(items)  # type: ignore[misc]
            collating += time.perf_counter() - start
    total = time.perf_counter() - total
    if together:
        parts = {WHOLE_BATCH: total - collating}
    else:
        parts = {OTHER: total - collating - sum(spent.values())}
        order = [*PARTS, *(p for p in spent if p not in PARTS)]
        parts |= {p: spent[p] for p in order if p in spent}
    parts[COLLATE] = collating
    return {k: max(v, 0.) / samples for k, v in parts.items()}


def endless(loader: DataLoader, batches: list[list],
            workers: int | None = None) -> DataLoader:
    """A loader like this one, over these batches."""
    count = loader.num_workers if workers is None else workers
    extra: dict[str, Any] = {}
    if count:
        extra = dict(prefetch_factor=loader.prefetch_factor or 2,
                     persistent_workers=False,
                     multiprocessing_context=loader.multiprocessing_context)
    return DataLoader(
        loader.dataset, batch_sampler=batches,  # type: ignore[arg-type]
        num_workers=count, collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory, worker_init_fn=loader.worker_init_fn,
        **extra)


def profile_loader(loader: DataLoader, batches: list[list]) -> float:
    """Images a second of the loader alone, with its workers.

    All batches are read twice without a pause; the second pass counts.
    """
    count, first = len(batches), 0.
    for number, _ in enumerate(endless(loader, [*batches, *batches]), 1):
        if number == count:
            first = time.perf_counter()
    seconds = time.perf_counter() - first
    return sum(len(b) for b in batches) / max(seconds, 1e-9)


def some_files(dataset: Any, count: int = 16) -> list[bytes]:
    """Files of some images of a data set; none where it has no files."""
    paths: list[str] = []
    for leaf in leaves(getattr(dataset, 'dataset', dataset)):
        try:
            infos: Iterable = raw_infos(leaf.dataset)
        except Exception:
            continue
        paths += [str(i['img_path']) for i in infos if isinstance(
            i.get('img_path'), str) and i['img_path'] and not isinstance(
            i.get('img'), np.ndarray)]
    chosen = [paths[i] for i in np.linspace(
        0, len(paths) - 1, min(count, len(paths))).round().astype(int)]
    files = []
    for path in chosen:
        try:
            files.append(fileio.get(path))
        except (OSError, ValueError):
            continue
    return files
