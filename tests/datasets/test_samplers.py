"""Annotated and un-annotated samples in every batch, in exact numbers."""
from __future__ import annotations

from collections import Counter

import pytest
from mmpose.datasets import CombinedDataset
from mmpose.registry import DATA_SAMPLERS

from mirrorpose.datasets import samplers
from mirrorpose.datasets.samplers import SemiSupervisedSampler


class Two(CombinedDataset):
    """Data sets of given lengths, without anything in them."""

    def __init__(self, *lengths: int) -> None:
        self.datasets = [range(n) for n in lengths]


@pytest.fixture
def make(monkeypatch):
    def build(lengths=(20, 33), batch=8, ratio=(3, 1), rank=0, world=1,
              epoch=0, seed=5, **kwargs):
        monkeypatch.setattr(samplers, 'get_dist_info', lambda: (rank, world))
        sampler = SemiSupervisedSampler(Two(*lengths), batch, ratio,
                                        seed=seed, **kwargs)
        sampler.set_epoch(epoch)
        return sampler
    return build


def batches(sampler, size):
    items = list(sampler)
    assert len(items) == len(sampler)
    assert len(items) % size == 0
    return [items[i:i + size] for i in range(0, len(items), size)]


@pytest.mark.parametrize('ratio,batch', [
    ((3, 1), 8), ((96, 32), 8), ((1, 3), 8), ((1, 1), 2)])
@pytest.mark.parametrize('world', [1, 2])
def test_exact_ratio_in_every_batch_of_every_rank(make, ratio, batch, world):
    annotated = batch * ratio[0] // sum(ratio)
    for rank in range(world):
        for epoch in range(3):
            sampler = make(batch=batch, ratio=ratio, rank=rank, world=world,
                           epoch=epoch)
            for part in batches(sampler, batch):
                assert sum(i < 20 for i in part) == annotated
                assert all(0 <= i < 53 for i in part)


@pytest.mark.parametrize('world', [1, 2, 3])
def test_an_epoch_is_one_pass_over_the_annotated(make, world):
    for epoch in range(4):
        count = Counter()
        lengths = set()
        for rank in range(world):
            sampler = make(rank=rank, world=world, epoch=epoch)
            items = list(sampler)
            lengths.add(len(items))
            count.update(i for i in items if i < 20)
        assert len(lengths) == 1
        assert set(count) == set(range(20))
        # What fills the last batch is seen twice, and nothing else is.
        iterations = -(-20 // (6 * world))
        assert sum(count.values()) == iterations * 6 * world
        assert max(count.values()) <= 2


def test_ranks_share_nothing_within_a_pass(make):
    seen = [list(make(lengths=(24, 40), rank=r, world=2)) for r in (0, 1)]
    annotated = [{i for i in s if i < 24} for s in seen]
    assert not annotated[0] & annotated[1]
    other = [[i for i in s if i >= 24] for s in seen]
    assert not set(other[0]) & set(other[1])


def test_order_changes_with_the_epoch(make):
    orders = [[i for i in make(epoch=e) if i < 20] for e in range(5)]
    for i, one in enumerate(orders):
        for other in orders[:i]:
            assert one != other


def test_is_a_function_of_seed_and_epoch(make):
    assert list(make(epoch=3)) == list(make(epoch=3))
    assert list(make(epoch=3)) != list(make(epoch=3, seed=6))
    walked = make()  # whatever was iterated before
    for epoch in range(4):
        walked.set_epoch(epoch)
        last = list(walked)
    assert last == list(make(epoch=3))


@pytest.mark.parametrize('world', [1, 2])
def test_unannotated_are_all_seen_before_any_repeats(make, world):
    stream = []
    for epoch in range(40):
        ranks = [[i for i in make(rank=r, world=world, epoch=epoch)
                  if i >= 20] for r in range(world)]
        # one after the other, as the steps take them
        stream += [i for step in zip(*ranks) for i in step]
    for lap in range(len(stream) // 33):
        part = stream[lap * 33:(lap + 1) * 33]
        assert sorted(part) == list(range(20, 53)), lap
    assert stream[:33] != stream[33:66]


def test_small_unannotated_set_goes_round_within_an_epoch(make):
    sampler = make(lengths=(20, 3), ratio=(1, 1))
    count = Counter(i for i in sampler if i >= 20)
    assert set(count) == {20, 21, 22}
    assert max(count.values()) - min(count.values()) <= 1


def test_without_shuffle(make):
    items = [i for i in make(shuffle=False) if i < 20]
    assert items[:20] == list(range(20))


def test_is_registered(make):
    make()
    sampler = DATA_SAMPLERS.build(dict(
        type='SemiSupervisedSampler', dataset=Two(4, 4), batch_size=4,
        source_ratio=(1, 1), seed=0))
    assert len(sampler) == 8


class TestErrors:

    def test_other_data_set(self):
        with pytest.raises(TypeError, match='CombinedDataset .*got range'):
            SemiSupervisedSampler(range(4), 4, (1, 1))

    @pytest.mark.parametrize('batch,ratio', [
        (8, (5, 2)), (6, (3, 1)), (2, (3, 1)), (8, (1, 0)), (8, (0, 1))])
    def test_batch_that_cannot_be_split(self, make, batch, ratio):
        with pytest.raises(ValueError, match=f'batch of {batch} a process'):
            make(batch=batch, ratio=ratio)

    def test_ratio_of_another_length(self, make):
        with pytest.raises(ValueError, match='2 data sets'):
            make(ratio=(1, 1, 1))

    def test_empty_set(self, make):
        with pytest.raises(ValueError, match='label_fraction 1'):
            make(lengths=(20, 0))
