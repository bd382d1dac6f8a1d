"""One step: its losses, its part of a batch, what is frozen meanwhile."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mirrorpose.models.steps import (
    TrainingStep,
    detached,
    only_trains,
    read_losses,
    split_batch,
    unwrap,
)

STEP = TrainingStep('critic', ['critic'])


class TestStep:

    def test_defaults(self):
        assert STEP.optimizer == 'critic' and STEP.trains == ('critic', )
        assert STEP.loss == 'critic_losses' and not STEP.float32

    @pytest.mark.parametrize('every, start, due', [
        (1, 0, [0, 1, 2, 3, 4, 5, 6, 7]), (1, 5, [5, 6, 7]), (5, 0, [4]),
        (3, 1, [3, 6])])
    def test_is_due(self, every, start, due):
        step = TrainingStep('a', ['a'], every=every, start=start)
        assert [i for i in range(8) if step.is_due(i)] == due


class TestLosses:

    def test_sum_and_names(self):
        x = torch.tensor([1., 3.], requires_grad=True)
        total, log = read_losses(dict(
            loss_x=x, loss_y=[x.sum(), 2 * x], mon_z=x[0], acc_z=x[1],
            kl_z=x, other=x), STEP, 'Toy')
        assert float(total.detach()) == 2 + (4 + 4)
        assert {k: float(v) for k, v in log.items()} == dict(
            loss_critic=10, loss_critic_x=2, loss_critic_y=8,
            mon_critic_z=1, acc_critic_z=3, kl_critic_z=2,
            mon_critic_other=2)
        total.backward()
        np.testing.assert_array_equal(x.grad, [.5 + 1 + 1, .5 + 1 + 1])
        assert not any(v.requires_grad for v in log.values())

    @pytest.mark.parametrize('name', ['elbo_loss', 'mon_loss_ratio', 'loss',
                                      'total_loss'])
    def test_name_that_mmengine_would_sum(self, name):
        x = torch.ones((), requires_grad=True)
        with pytest.raises(ValueError, match=f"'critic' of Toy: '{name}' "
                           'holds "loss".*mon_'):
            read_losses({'loss_x': x, name: x}, STEP, 'Toy')

    @pytest.mark.parametrize('losses', [{}, dict(mon_x=torch.ones(()))])
    def test_nothing_to_minimise(self, losses):
        with pytest.raises(ValueError, match="'critic_losses' returned no "
                           r'entry loss_\*'):
            read_losses(losses, STEP, 'Toy')

    @pytest.mark.parametrize('value, kind', [(1., 'float'), ([], 'list'),
                                             ([1.], 'list')])
    def test_no_tensor(self, value, kind):
        with pytest.raises(TypeError, match=f'loss_x is a {kind}'):
            read_losses(dict(loss_x=value), STEP, 'Toy')

    def test_cut_graph(self):
        with pytest.raises(RuntimeError, match='does not depend on any'):
            read_losses(dict(loss_x=torch.ones(3)), STEP, 'Toy')


class TestSplit:

    def test_dict(self):
        whole = dict(inputs=torch.arange(5), data_samples=list('abcde'),
                     more=dict(x=torch.zeros(5, 2), seed=3), none=None)
        parts = split_batch(whole, 2)
        assert [s for s, _ in parts] == [.4, .6]
        assert parts[0][1]['data_samples'] == ['a', 'b']
        assert parts[1][1]['inputs'].tolist() == [2, 3, 4]
        assert parts[1][1]['more']['x'].shape == (3, 2)
        assert parts[1][1]['more']['seed'] == 3
        assert parts[1][1]['none'] is None
        assert split_batch(whole, 1) == [(1., whole)]

    def test_arguments_in_order(self):
        share, (x, names) = split_batch([torch.arange(4), list('abcd')],
                                        2)[1]
        assert share == .5 and x.tolist() == [2, 3] and names == ['c', 'd']
        assert split_batch(torch.arange(4), 2)[0][1].tolist() == [0, 1]

    @pytest.mark.parametrize('number', [1, 2, 7, 30])
    @pytest.mark.parametrize('parts', [2, 3, 9])
    def test_nothing_is_lost(self, number, parts):
        got = split_batch(dict(x=torch.arange(number)), parts)
        assert torch.cat([p['x'] for _, p in got]).tolist() == list(
            range(number))
        assert [s * number for s, _ in got] == pytest.approx(
            [len(p['x']) for _, p in got])
        assert len(got) == min(parts, number)

    def test_unequal_entries(self):
        with pytest.raises(ValueError, match="'x': 4, 'more.poses': 6"):
            split_batch(dict(x=torch.zeros(4), more=dict(
                poses=torch.zeros(6))), 2)


def test_detached():
    x = torch.ones(2, requires_grad=True)
    got = detached(dict(a=x, b=[x, (x, 'word')], c=3))
    assert not got['a'].requires_grad and not got['b'][0].requires_grad
    assert not got['b'][1][0].requires_grad and got['b'][1][1] == 'word'
    assert got['c'] == 3 and x.requires_grad


def test_shared_tensor_of_a_trained_child_stays_trainable():
    model = nn.ModuleDict(dict(a=nn.Linear(2, 2), b=nn.Linear(2, 2)))
    model.b.weight = model.a.weight
    with only_trains(model, ['a']):
        assert model.b.weight.requires_grad
        assert not model.b.bias.requires_grad
    assert all(p.requires_grad for p in model.parameters())


def test_unwrap_bare():
    layer = nn.Linear(1, 1)
    assert unwrap(layer) is layer
