"""Samplers."""
from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from mmengine.dist import get_dist_info, sync_random_seed
from mmpose.datasets import CombinedDataset
from mmpose.registry import DATA_SAMPLERS
from torch.utils.data import Sampler


@DATA_SAMPLERS.register_module()
class SemiSupervisedSampler(Sampler):
    """Annotated and un-annotated samples in every batch, in exact numbers.

    An epoch is one pass over the annotated set (the first data set); the
    un-annotated one goes round at its own pace. mmpose's
    ``MultiSourceSampler`` counts both sets as one epoch and has no
    ``set_epoch``. The order is a function of (seed, epoch) alone.

    Args:
        dataset (CombinedDataset): Annotated data set first.
        batch_size (int): Of one process.
        source_ratio (Sequence[int]): Parts of the batch, e.g. (3, 1) or
            (96, 32).
        shuffle (bool): Defaults to True.
        seed (int, optional): Defaults to a seed shared by all processes.

    Raises:
        TypeError: The data set is not a CombinedDataset.
        ValueError: The batch cannot be split in this ratio, a source would
            have no sample in it, or a data set is empty.
    """

    def __init__(self,
                 dataset: CombinedDataset,
                 batch_size: int,
                 source_ratio: Sequence[int],
                 shuffle: bool = True,
                 seed: int | None = None) -> None:
        members = getattr(dataset, 'datasets', None)
        if members is None:
            raise TypeError('SemiSupervisedSampler wants a CombinedDataset '
                            '(or a CachedCropDataset around one), got '
                            f'{type(dataset).__name__}')
        lengths = [len(d) for d in members]
        if len(source_ratio) != len(lengths):
            raise ValueError(f'source_ratio {tuple(source_ratio)} has not '
                             f'one part for each of {len(lengths)} data sets')
        if not all(lengths):
            raise ValueError(f'a data set is empty (lengths {lengths}); is '
                             'label_fraction 1? Then there are no '
                             'un-annotated samples: train the supervised '
                             'stage instead')
        shares = [batch_size * r / sum(source_ratio) for r in source_ratio]
        self.counts = [round(s) for s in shares]
        if any(abs(s - c) > 1e-9 for s, c in zip(shares, self.counts)) \
                or not all(self.counts):
            raise ValueError(
                f'a batch of {batch_size} a process cannot be split as '
                f'{tuple(source_ratio)} ({shares}); change the batch size or '
                'the number of processes')
        self.rank, self.world_size = get_dist_info()
        self.lengths, self.shuffle, self.epoch = lengths, shuffle, 0
        self.seed = sync_random_seed() if seed is None else seed
        self.offsets = [sum(lengths[:i]) for i in range(len(lengths))]
        self.batch_size = batch_size
        self.iterations = math.ceil(
            lengths[0] / (self.counts[0] * self.world_size))

    def _stream(self, source: int, start: int, number: int) -> list[int]:
        """Items [start, start + number) of an endless shuffled stream."""
        length, out = self.lengths[source], []
        for lap in range(start // length, (start + number - 1) // length + 1):
            if self.shuffle:
                generator = torch.Generator().manual_seed(
                    self.seed + 7919 * lap + 104729 * source)
                order = torch.randperm(length, generator=generator).tolist()
            else:
                order = list(range(length))
            first = max(start - lap * length, 0)
            out += order[first:start + number - lap * length]
        return [i + self.offsets[source] for i in out]

    def __iter__(self) -> Iterator[int]:
        """Indices of one epoch, batch by batch, annotated ones first."""
        streams = []
        for source, count in enumerate(self.counts):
            total = self.iterations * count * self.world_size
            # The annotated pass begins anew each epoch; the other goes on.
            start = self.epoch * (self.lengths[0] * (
                -(-total // self.lengths[0])) if source == 0 else total)
            stream = self._stream(source, start, total)
            streams.append(stream[self.rank::self.world_size])
        for step in range(self.iterations):
            for stream, count in zip(streams, self.counts):
                yield from stream[step * count:(step + 1) * count]

    def __len__(self) -> int:
        return self.iterations * self.batch_size

    def set_epoch(self, epoch: int) -> None:
        """Called by mmengine before each epoch."""
        self.epoch = epoch
