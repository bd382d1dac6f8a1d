"""Parts of the pipeline, by the clock."""
from __future__ import annotations

import time

import pytest
import torch
from mmengine.dataset import Compose
from torch.utils.data import DataLoader, Dataset

from mirrorpose.doctor import loading


class Sleep:
    """A transform that takes a known time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, results):
        time.sleep(self.seconds)
        return results


class LoadImage(Sleep):
    pass


class LoadOther(LoadImage):
    pass


class TopdownAffine(Sleep):
    pass


class OfAUser(Sleep):
    pass


class Slow(Dataset):
    def __init__(self, *steps):
        self.pipeline = Compose(list(steps))

    def __len__(self):
        return 8

    def __getitem__(self, index):
        time.sleep(.002)
        return self.pipeline(dict(index=index))


def collate(items):
    time.sleep(.008)
    return items


def test_parts_are_those_of_the_clock():
    steps = [LoadOther(.004), TopdownAffine(.003), OfAUser(.001)]
    data = Slow(*steps)
    loader = DataLoader(data, batch_size=4, collate_fn=collate)
    batches = loading.take_batches(loader, 3)
    assert batches == [[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 2, 3]]
    parts = loading.profile_parts(loader, batches)
    assert list(parts) == ['data set', 'read and decode', 'geometry',
                           'OfAUser', 'collate']
    for name, seconds in zip(parts, (.002, .004, .003, .001, .002)):
        # others share the cores: late, but never early
        assert seconds <= parts[name] < seconds + .02, name
    assert data.pipeline.transforms == steps


def test_transforms_come_back_after_an_error():
    def broken(results):
        raise RuntimeError('broken')

    data = Slow(broken)
    with pytest.raises(RuntimeError, match='broken'), \
            loading.timed(data):
        data[0]
    assert data.pipeline.transforms == [broken]


def test_data_sets_that_make_whole_batches():
    class Batches(Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            raise AssertionError('not asked for single samples')

        def get_batch(self, indices, keys):
            time.sleep(.01)
            return dict(inputs=torch.zeros(len(indices)))

    from mirrorpose.datasets.keyed import make_keyed
    loader = DataLoader(Batches(), batch_size=2)
    make_keyed(loader, seed=0)
    batches = loading.take_batches(loader, 3)
    assert loading.whole_batches(loader, batches)
    parts = loading.profile_parts(loader, batches)
    assert list(parts) == ['batch from the data set', 'collate']
    assert .005 <= parts['batch from the data set'] < .04
    assert loading.profile_loader(loader, batches) < 2 / .01


def test_workers_are_counted():
    """Two workers that sleep give more samples than one could."""
    rates = []
    for workers in (1, 2):
        loader = DataLoader(Slow(LoadImage(.2)), batch_size=1,
                            num_workers=workers, collate_fn=list)
        rates.append(loading.profile_loader(
            loader, loading.take_batches(loader, 8)))
    # One sleeping worker cannot give more, however idle the machine is.
    assert rates[0] <= 1.05 / .2
    assert rates[1] > 1.05 * rates[0]


def test_a_loader_without_batches():
    loader = DataLoader(Slow(), batch_size=16, drop_last=True)
    with pytest.raises(ValueError, match='drop_last'):
        loading.take_batches(loader, 2)
