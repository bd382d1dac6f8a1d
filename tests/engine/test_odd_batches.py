"""Odd batches, counted by running the samplers."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.registry import DefaultScope, init_default_scope
from mmpose.registry import MODELS
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, Dataset

import mirrorpose  # noqa: F401
from mirrorpose.datasets.keyed import make_keyed
from mirrorpose.engine.odd_batches import (
    BatchPlan,
    check_loader,
    trained_batch_norms,
)

if DefaultScope.get_current_instance() is None:
    init_default_scope('mmpose')


class Numbers(Dataset):
    """So many numbers."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, index: int) -> int:
        return index


def loader(number, batch=4, drop_last=False, sampler=DefaultSampler,
           **options) -> DataLoader:
    data = Numbers(number)
    return DataLoader(data, batch_size=batch, drop_last=drop_last,
                      sampler=sampler(data, shuffle=False, **options))


def with_norm(norm='BN') -> nn.Module:
    layers = dict(BN=nn.BatchNorm2d(3), SyncBN=nn.SyncBatchNorm(3),
                  GN=nn.GroupNorm(1, 3), IN=nn.InstanceNorm2d(3))
    return nn.Sequential(nn.Conv2d(3, 3, 1), layers[norm])


class TestOneProcess:

    @pytest.mark.parametrize('number', [1, 3, 4, 5, 8, 11])
    @pytest.mark.parametrize('drop_last', [False, True])
    def test_plan_is_what_comes(self, number, drop_last):
        held = loader(number, drop_last=drop_last)
        sizes = [len(batch) for batch in held]
        if not sizes:
            with pytest.raises(ValueError, match='would train nothing'):
                check_loader(held, with_norm('GN'))
            return
        assert check_loader(held, with_norm('GN')) == BatchPlan(
            number, len(sizes), sizes[-1])

    def test_empty_data_set(self):
        with pytest.raises(ValueError, match=r'\(Numbers\) is empty'):
            check_loader(loader(0), with_norm())

    def test_fewer_samples_than_a_batch(self):
        with pytest.raises(ValueError, match='has 3 samples, fewer than a '
                                             'batch of 4.*drop_last=False'):
            check_loader(loader(3, drop_last=True), with_norm())
        assert check_loader(loader(3), with_norm()).batches == 1

    def test_config(self):
        from mmpose.registry import DATASETS
        DATASETS.register_module(module=Numbers, force=True, name='Numbers')
        cfg = dict(batch_size=4, num_workers=0, drop_last=True,
                   dataset=dict(type='Numbers', number=3),
                   sampler=dict(type='DefaultSampler', shuffle=True))
        with pytest.raises(ValueError, match='would train nothing'):
            check_loader(cfg, with_norm())

    @pytest.mark.parametrize('number, batch, what', [
        (9, 4, 'the last batch of an epoch has'), (1, 4, 'the last batch'),
        (5, 1, 'every batch has')])
    def test_one_sample_with_batch_norm(self, number, batch, what):
        with pytest.raises(ValueError,
                           match=f'{what}.*one sample.*layer .1. norm'):
            check_loader(loader(number, batch), with_norm())
        for norm in ('GN', 'IN'):
            check_loader(loader(number, batch), with_norm(norm))
        check_loader(loader(9, 4, drop_last=True), with_norm())

    def test_the_last_batch_breaks_torch_indeed(self):
        """Where nothing but the batch is left to average over."""
        model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(3)).train()
        with pytest.raises(ValueError, match='more than 1 value'):
            model(torch.zeros(1, 3, 1, 1))

    def test_streams_have_no_end(self):
        held = loader(9, sampler=InfiniteSampler)
        assert check_loader(held, with_norm()) == BatchPlan(9, None, 4)
        held = loader(2, drop_last=True, sampler=InfiniteSampler)
        assert check_loader(held, with_norm()).batches is None

    def test_batch_sampler_and_keys(self):
        data = Numbers(9)
        held = DataLoader(data, batch_sampler=BatchSampler(
            DefaultSampler(data), 4, False))
        with pytest.raises(ValueError, match='one sample'):
            check_loader(held, with_norm())
        held = loader(9)
        make_keyed(held, 0)
        with pytest.raises(ValueError, match='one sample'):
            check_loader(held, with_norm())
        assert check_loader(held, with_norm('GN')) == BatchPlan(9, 3, 1)

    def test_own_batch_sampler_without_size(self):
        class Two:
            def __iter__(self):
                return iter([[0, 1], [2]])

            def __len__(self):
                return 2
        held = DataLoader(Numbers(3), batch_sampler=Two())
        assert check_loader(held, with_norm()).batches == 2


class TestBatchNorms:

    def test_modes_are_left(self):
        model = with_norm()
        model[1].eval()
        assert trained_batch_norms(model) == ['1']
        assert model.training and not model[1].training

    def test_layers_in_eval_mode_do_not_count(self):
        cfg = dict(type='ResNet', depth=18, num_stages=1, strides=(1, ),
                   dilations=(1, ), out_indices=(0, ), base_channels=4,
                   stem_channels=4)
        assert trained_batch_norms(MODELS.build(cfg))
        frozen = MODELS.build(dict(cfg, norm_eval=True))
        assert trained_batch_norms(frozen) == []
        check_loader(loader(9), frozen)

    def test_shared_statistics(self):
        assert trained_batch_norms(with_norm('SyncBN')) == ['1']
        assert trained_batch_norms(with_norm('SyncBN'), 2) == []


class TestRanks:

    def plans(self, number, world, batch=4, **options) -> list[list[int]]:
        """Batch sizes that each rank really draws."""
        out = []
        for rank in range(world):
            held = loader(number, batch, **options)
            sampler = held.sampler
            sampler.rank, sampler.world_size = rank, world
            if sampler.round_up:
                sampler.num_samples = -(-number // world)
                sampler.total_size = sampler.num_samples * world
            else:
                sampler.num_samples = -(-(number - rank) // world)
            out.append([len(batch) for batch in held])
        return out

    @pytest.mark.parametrize('number', range(1, 26))
    @pytest.mark.parametrize('round_up', [False, True])
    @pytest.mark.parametrize('world', [2, 3])
    def test_against_the_samplers(self, number, round_up, world):
        held = loader(number, round_up=round_up)
        drawn = self.plans(number, world, round_up=round_up)
        if len({len(sizes) for sizes in drawn}) > 1:
            text = 'would train nothing' if min(map(len, drawn)) == 0 else \
                'unequal numbers of batches.*round_up=True'
            with pytest.raises(ValueError, match=text):
                check_loader(held, with_norm('GN'), world)
        else:
            check_loader(held, with_norm('GN'), world)
            if any(sizes[-1] == 1 for sizes in drawn):
                with pytest.raises(ValueError, match='one sample'):
                    check_loader(held, with_norm(), world)
                check_loader(held, with_norm('SyncBN'), world)
            else:
                check_loader(held, with_norm(), world)

    def test_two_processes_raise_together(self, tmp_path):
        from mirrorpose.testing import run_processes
        said = run_processes(f'{Path(__file__)}:in_two_processes', 2,
                             tmp_path, 120)
        assert said[0] == said[1]
        unequal, fine = said[0]
        assert 'unequal numbers of batches [3, 2]' in unequal
        assert fine == '3 batches'


def in_two_processes(rank: int, folder: Path) -> list[str]:
    """What the processes run: 17 samples are 9 and 8."""
    out = []
    for round_up in (False, True):
        held = loader(17, round_up=round_up)
        assert len(held.sampler) == 9 - (rank and not round_up)
        try:
            plan = check_loader(held, with_norm('GN'))
            out.append(f'{plan.batches} batches')
        except ValueError as error:
            out.append(str(error))
    return out
