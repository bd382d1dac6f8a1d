"""Order and augmentation are functions of the seed alone."""
from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmpose.datasets.samplers import MultiSourceSampler
from torch.utils.data import DataLoader

from mirrorpose.datasets.keyed import (
    KeyedBatchSampler,
    KeyedDataset,
    make_keyed,
    sample_keys,
)
from mirrorpose.utils.random_state import mix


class Draws(torch.utils.data.Dataset):
    """Gives its index and what the three generators drew."""

    metainfo = dict(name='draws')

    def __init__(self, number=10):
        self.number = number

    def __len__(self):
        return self.number

    def __getitem__(self, index):
        return (index, random.random(), float(np.random.rand()),
                float(torch.rand(())))


class Batches(Draws):
    """Makes its batches itself."""

    def get_batch(self, indices, keys):
        assert keys.dtype == np.uint64
        return dict(index=indices, number=keys % np.uint64(1000))


def loader(dataset=None, sampler=None, workers=0, persistent=False,
           batch=3, drop_last=False):
    dataset = dataset or Draws()
    made = DataLoader(
        dataset, batch_size=batch, num_workers=workers, drop_last=drop_last,
        sampler=sampler or DefaultSampler(dataset, True, seed=5),
        collate_fn=list, persistent_workers=persistent)
    return made, make_keyed(made, 5)


def digest(batches):
    return hashlib.sha256(repr(batches).encode()).hexdigest()


def passes(number, **kwargs):
    made, keyed = loader(**kwargs)
    out = []
    for epoch in range(number):
        keyed.start(epoch)
        out.append(list(made))
    if kwargs.get('persistent'):
        made._iterator = None
    return out


def test_mix_is_splitmix64():
    """The first outputs of the published generator with state 0."""
    state = np.arange(3, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert [f'{v:x}' for v in mix(state)] == [
        'e220a8397b1dcdaf', '6e789e6aa1b965f4', '6c45d188009454f']


def test_keys_differ_in_everything():
    keys = {int(k) for seed in range(3) for epoch in range(3)
            for times in range(2)
            for k in sample_keys(seed, epoch, range(50), [times] * 50)}
    assert len(keys) == 3 * 3 * 2 * 50
    bits = np.unpackbits(np.array(sorted(keys), dtype='<u8').view(np.uint8))
    assert abs(bits.mean() - .5) < .01


def test_the_same_batches_for_any_number_of_workers():
    wanted = passes(2)
    for workers, persistent in ((1, False), (2, False), (2, True)):
        assert digest(passes(2, workers=workers, persistent=persistent)) \
            == digest(wanted)


def test_epochs_differ_in_order_and_draws():
    one, two = passes(2)
    assert one != two
    first = {s[0]: s[1:] for b in one for s in b}
    second = {s[0]: s[1:] for b in two for s in b}
    assert first.keys() == second.keys() == set(range(10))
    assert all(first[i] != second[i] for i in first)


def test_the_stream_of_the_model_is_left_alone():
    made, keyed = loader()
    torch.manual_seed(3), np.random.seed(3), random.seed(3)
    wanted = torch.rand(3).tolist(), np.random.rand(), random.random()
    torch.manual_seed(3), np.random.seed(3), random.seed(3)
    keyed.start(0)
    list(made)
    assert wanted == (torch.rand(3).tolist(), np.random.rand(),
                      random.random())


@pytest.mark.parametrize('skip', [0, 1, 3, 4])
def test_skipping_ahead(skip):
    whole, = passes(1)
    made, keyed = loader()
    keyed.start(0, skip)
    assert list(made) == whole[skip:]


@pytest.mark.parametrize('done', [0, 1, 3, 4, 7])
@pytest.mark.parametrize('kind', ['infinite', 'sources'])
def test_a_stream_goes_on(kind, done):
    def make():
        if kind == 'infinite':
            dataset = Draws()
            return loader(dataset, InfiniteSampler(dataset, True, 5))
        from mmpose.datasets import CombinedDataset
        dataset = CombinedDataset.__new__(CombinedDataset)
        dataset.datasets = [Draws(7), Draws(5)]
        dataset._lens, dataset._len = [7, 5], 12
        sampler = MultiSourceSampler(dataset, 3, [2, 1], True, seed=5)
        return loader(Draws(12), sampler)

    def take(made, number):
        out = []
        while len(out) < number:
            out += [b for b, _ in zip(made, range(number - len(out)))]
        return out

    made, keyed = make()
    keyed.start_stream(0)
    whole = take(made, 12)
    made, keyed = make()
    keyed.start_stream(done)
    rest = []
    while len(rest) < 12 - done:
        for batch in made:  # pass by pass, as an epoch loop does
            rest.append(batch)
            if len(rest) == 12 - done:
                break
    assert rest == whole[done:]


def test_a_sample_twice_in_an_epoch_is_drawn_twice():
    sampler = KeyedBatchSampler([[1, 1], [1, 2]], None, 0)
    pairs = [p for b in sampler for p in b]
    assert [i for i, _ in pairs] == [1, 1, 1, 2]
    assert len({k for _, k in pairs}) == 4


def test_ranks_draw_what_one_process_would():
    """The key of a sample does not know who reads it."""
    dataset = Draws(12)
    one = {s[0]: s for b in passes(1, dataset=dataset)[0] for s in b}
    for rank in (0, 1):
        sampler = DefaultSampler(dataset, True, seed=5)
        sampler.rank, sampler.world_size = rank, 2
        sampler.num_samples, sampler.total_size = 6, 12
        made, keyed = loader(dataset, sampler)
        keyed.start(0)
        mine = [s for b in made for s in b]
        assert len(mine) == 6
        assert all(one[s[0]] == s for s in mine)


def test_a_data_set_that_makes_its_batches():
    for workers in (0, 2):
        made, keyed = loader(Batches(), workers=workers)
        keyed.start(0)
        batches = list(made)
        assert sorted(i for b in batches for i in b['index']) == list(
            range(10))
        assert len({int(n) for b in batches for n in b['number']}) > 5
    # ... and whoever indexes it without a key gets the plain sample.
    assert made.dataset[3][0] == 3


def test_attributes_are_the_data_sets():
    keyed = KeyedDataset(Draws(4))
    assert keyed.metainfo == dict(name='draws') and len(keyed) == 4
    with pytest.raises(AttributeError):
        keyed.nothing  # noqa: B018


def test_fetch_reads_each_sample():
    made = DataLoader(Draws(), batch_size=5, collate_fn=list)
    keyed = make_keyed(made, 0, fetch=lambda dataset, index, key: (
        index, key % 7))
    keyed.start(0)
    assert [s[0] for b in made for s in b] == list(range(10))
    assert make_keyed(made, 0) is keyed


def test_loaders_that_cannot_be_keyed():
    with pytest.raises(ValueError, match='without batches'):
        make_keyed(DataLoader(Draws(), batch_size=None), 0)
