"""Data whose order and augmentation are functions of the seed alone.

A stock data loader seeds each worker once: what a sample looks like depends
on the number of workers, and without persistent workers every epoch repeats
the draws of the first. Here every sample carries a key, a hash of (seed,
epoch, index, how often it has come this epoch), and all of its random
numbers are drawn from it.
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from mmengine.dataset import InfiniteSampler
from mmpose.datasets.samplers import MultiSourceSampler
from torch.utils.data import DataLoader, Dataset, get_worker_info

from ..utils.random_state import mix, seeded

#: Samplers that go on where they were when iterated again, whatever
#: ``set_epoch`` says: their position is the number of batches drawn so far.
STREAMS = (InfiniteSampler, MultiSourceSampler)


def sample_keys(seed: int, epoch: int, indices: Sequence[int],
                times: Sequence[int]) -> np.ndarray:
    """One uint64 a sample.

    Args:
        seed (int): Seed of the run.
        epoch (int): Epoch.
        indices (Sequence[int]): (N,) indices into the data set.
        times (Sequence[int]): (N,) how often each has come before in this
            epoch.

    Returns:
        np.ndarray: (N,) uint64.
    """
    with np.errstate(over='ignore'):
        key = mix(np.array([seed], dtype=np.int64).view(np.uint64))
        for part in (np.array([epoch]), np.asarray(indices),
                     np.asarray(times)):
            key = mix(key + part.astype(np.int64).view(np.uint64))
    return key


class KeyedBatchSampler:
    """Gives every index of a batch its key, and can start anywhere.

    Args:
        batches (Iterable[list[int]]): The batch sampler around ``sampler``.
        sampler: The sampler below it; ``set_epoch`` is called where it has
            one.
        seed (int): Seed of the run.
    """

    def __init__(self, batches: Iterable[list[int]], sampler: Any,
                 seed: int) -> None:
        self.batches, self.sampler, self.seed = batches, sampler, seed
        self.is_stream = isinstance(sampler, STREAMS)
        self.batch_size = getattr(batches, 'batch_size', None)
        self.drop_last = getattr(batches, 'drop_last', False)
        self._epoch = self._skip = self._drawn = 0
        self._open: Iterator[list[int]] | None = None

    def start(self, epoch: int, skip: int = 0) -> None:
        """Says where the next pass begins.

        Args:
            epoch (int): Of the pass.
            skip (int): Batches of it that are trained already. No data is
                read for them.
        """
        self._epoch, self._skip = epoch, skip
        if hasattr(self.sampler, 'set_epoch'):
            self.sampler.set_epoch(epoch)

    def start_stream(self, batches: int) -> None:
        """Lets a stream go on after so many batches since its beginning.

        Nothing is done by a stream that has drawn them already.

        Raises:
            ValueError: The sampler gives no batch.
        """
        self._epoch = self._skip = 0
        while self._drawn < batches:
            if self._open is None:
                self._open = iter(self.batches)
                first = next(self._open, None)
                if first is None:
                    raise ValueError('the sampler gives no batch: is the '
                                     'data set smaller than one batch, and '
                                     'drop_last on?')
            elif next(self._open, None) is None:
                self._open = None
                continue
            self._drawn += 1
        if self._open is not None:  # at the end of a pass, or inside one?
            following = next(self._open, None)
            self._open = None if following is None else chain(
                [following], self._open)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, skip = self._epoch, self._skip
        source = self._open or self.batches
        self._open, self._skip = None, 0
        seen: defaultdict[int, int] = defaultdict(int)
        for number, batch in enumerate(source):
            indices = [int(i) for i in batch]
            if self.is_stream:
                # A stream knows no epochs: every batch has its own number.
                times = [self._drawn] * len(indices)
                self._drawn += 1
            else:
                times = []
                for index in indices:
                    times.append(seen[index])
                    seen[index] += 1
            if number < skip:
                continue
            keys = sample_keys(self.seed, epoch, indices, times)
            yield list(zip(indices, keys.tolist()))

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]


class _Collated(dict):
    """A batch that its data set has put together itself."""


class KeyedDataset(Dataset):
    """Draws everything random about a sample from its key.

    A data set with ``get_batch(indices, keys)`` is asked for whole batches;
    for any other, python's, numpy's and torch's generators are seeded with
    the key around ``dataset[index]``.

    Args:
        dataset: The data set. Its attributes are those of this one.
        fetch (Callable, optional): ``fetch(dataset, index, key)`` reads one
            sample; ``dataset[index]`` by default.
    """

    def __init__(self, dataset: Any,
                 fetch: Callable[[Any, int, int], Any] | None = None) -> None:
        self.dataset, self.fetch = dataset, fetch

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__') or name == 'dataset':  # while unpickling
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __getitem__(self, pair: int | tuple[int, int]) -> Any:
        """One sample, by ``(index, key)``, or by index alone: unkeyed."""
        if isinstance(pair, (int, np.integer)):
            return self.dataset[int(pair)]
        index, key = pair
        with seeded(key, restores=get_worker_info() is None):
            if self.fetch is not None:
                return self.fetch(self.dataset, index, key)
            return self.dataset[index]

    def __getitems__(self, pairs: Sequence[Any]) -> Any:
        """A batch: what torch's loader calls with what the sampler gave."""
        if hasattr(self.dataset, 'get_batch') and not isinstance(
                pairs[0], (int, np.integer)):
            indices, keys = zip(*pairs)
            return _Collated(self.dataset.get_batch(
                list(indices), np.array(keys, dtype=np.uint64)))
        return [self[pair] for pair in pairs]


class _Collate:
    """Passes on what is put together already."""

    def __init__(self, collate: Callable) -> None:
        self.collate = collate

    def __call__(self, samples: Any) -> Any:
        if isinstance(samples, _Collated):
            return dict(samples)
        return self.collate(samples)


def make_keyed(loader: DataLoader, seed: int,
               fetch: Callable[[Any, int, int], Any] | None = None
               ) -> KeyedBatchSampler:
    """Turns a data loader into a keyed one, in place.

    torch forbids to assign these attributes, so that nobody forgets one of
    them; here all of them change together, and the loader keeps its batch
    size, which others read.

    Args:
        loader (DataLoader): With automatic batching.
        seed (int): Seed of the run, the same in all processes.
        fetch (Callable, optional): See :class:`KeyedDataset`.

    Returns:
        KeyedBatchSampler: Says where the next pass begins.

    Raises:
        ValueError: The loader does not batch, or has started already.
    """
    if loader.batch_sampler is None:
        raise ValueError('a training loader without batches '
                         '(batch_size=None) is not supported')
    if getattr(loader, '_iterator', None) is not None:
        raise ValueError('the loader has started already')
    held = loader.batch_sampler
    if isinstance(held, KeyedBatchSampler):
        return held
    # With batch_sampler in the config, the sampler below it counts.
    sampler = getattr(held, 'sampler', loader.sampler)
    keyed = KeyedBatchSampler(held, sampler, seed)
    vars(loader).update(
        dataset=KeyedDataset(loader.dataset, fetch), batch_sampler=keyed,
        collate_fn=_Collate(loader.collate_fn))
    # Its own generator: starting workers must not move the model's noise.
    loader.generator = torch.Generator().manual_seed(seed)
    return keyed
