"""Gradient norms and spreads against numpy and scipy."""
from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import DefaultScope, init_default_scope
from mmpose.registry import HOOKS
from scipy.spatial.distance import pdist
from torch import nn

from mirrorpose.engine import PoseRunner
from mirrorpose.engine.adversarial_monitor import (
    AdversarialMonitor,
    mean_pairwise_distance,
)
from mirrorpose.testing import toy_gan_cfg

if DefaultScope.get_current_instance() is None:
    init_default_scope('mmpose')


class TestDistance:

    def test_against_scipy(self):
        x = torch.randn(20, 3, 4, generator=torch.Generator().manual_seed(0))
        assert float(mean_pairwise_distance(x)) == pytest.approx(
            pdist(x.flatten(1).numpy()).mean(), rel=1e-5)
        assert float(mean_pairwise_distance(x, 5)) == pytest.approx(
            pdist(x[:5].flatten(1).numpy()).mean(), rel=1e-5)

    @pytest.mark.parametrize('x', [torch.ones(6, 3), torch.randn(1, 3),
                                   torch.zeros(0, 3)])
    def test_none(self, x):
        assert float(mean_pairwise_distance(x)) == 0

    def test_half_precision(self):
        x = torch.tensor([[0., 0.], [3., 4.]], dtype=torch.bfloat16,
                         requires_grad=True)
        got = mean_pairwise_distance(x)
        assert float(got) == 5 and not got.requires_grad


class Stage:
    """A model with two optimizers, and the hook around it."""

    def __init__(self, **kwargs):
        torch.manual_seed(0)
        self.parts = dict(critic=nn.Linear(2, 3), maker=nn.Linear(3, 2))
        self.left = {}
        self.runner = SimpleNamespace(
            iter=0, model=SimpleNamespace(cached=self.left.get),
            optim_wrapper=OptimWrapperDict(**{
                k: OptimWrapper(torch.optim.SGD(m.parameters(), lr=.1))
                for k, m in self.parts.items()}))
        self.hook = AdversarialMonitor(**kwargs)
        self.hook.before_train(self.runner)

    def iteration(self, *names):
        """Steps the named optimizers; what is logged, and true norms."""
        self.hook.before_train_iter(self.runner, self.runner.iter)
        true = {}
        for name in names:
            part = self.parts[name]
            loss = part(torch.randn(4, part.in_features)).square().sum()
            loss.backward()
            true[f'mon_grad_norm_{name}'] = np.linalg.norm(np.concatenate(
                [p.grad.flatten().numpy() for p in part.parameters()]))
            wrapper = self.runner.optim_wrapper[name]
            wrapper.step()
            wrapper.zero_grad()
        logs = {}
        self.hook.after_train_iter(self.runner, self.runner.iter,
                                   outputs=logs)
        self.runner.iter += 1
        return logs, true


class TestHook:

    def test_gradient_norms(self):
        stage = Stage(interval=1)
        logs, true = stage.iteration('critic', 'maker')
        assert {k: float(v) for k, v in logs.items()} == pytest.approx(true)
        assert all(isinstance(v, torch.Tensor) for v in logs.values())

    def test_interval(self):
        stage = Stage(interval=3)
        seen = [set(stage.iteration('critic')[0]) for _ in range(6)]
        assert seen == [set(), set(), {'mon_grad_norm_critic'}] * 2

    def test_step_that_was_not_due_is_looked_at_later(self):
        stage = Stage(interval=2)
        seen = []
        for i in range(4):
            stage.left.clear()
            if i == 2:
                stage.left.update(generated=torch.randn(4, 2))
            names = ['critic'] + ['maker'] * (i == 2)
            seen.append(set(stage.iteration(*names)[0]))
        assert seen == [
            set(), {'mon_grad_norm_critic'},
            {'mon_grad_norm_maker', 'mon_spread'}, {'mon_grad_norm_critic'}]

    def test_spread(self):
        stage = Stage(interval=1, generated='poses', real='truth', samples=8)
        g = torch.Generator().manual_seed(0)
        made = .1 * torch.randn(16, 5, 2, generator=g)
        real = torch.randn(16, 5, 2, generator=g)
        stage.left.update(poses=made, truth=real)
        logs, _ = stage.iteration()
        one, two = (pdist(x[:8].flatten(1).numpy()).mean()
                    for x in (made, real))
        assert float(logs['mon_spread']) == pytest.approx(one, rel=1e-5)
        assert float(logs['mon_spread_ratio']) == pytest.approx(one / two,
                                                                rel=1e-5)

    def test_collapse(self):
        stage = Stage(interval=1)
        stage.left.update(generated=torch.ones(8, 2), real=torch.ones(8, 2))
        logs, _ = stage.iteration()
        assert logs['mon_spread'] == 0 and logs['mon_spread_ratio'] == 0

    def test_model_that_leaves_nothing(self):
        stage = Stage(interval=1)
        stage.runner.model = nn.Linear(1, 1)
        logs, true = stage.iteration('critic')
        assert set(logs) == set(true)

    def test_one_optimizer(self):
        layer = nn.Linear(2, 1)
        wrapper = OptimWrapper(torch.optim.SGD(layer.parameters(), lr=.1))
        runner = SimpleNamespace(iter=0, model=layer, optim_wrapper=wrapper)
        hook = AdversarialMonitor(interval=1)
        hook.before_train(runner)
        hook.before_train_iter(runner, 0)
        wrapper.update_params(layer(torch.ones(1, 2)).sum())
        hook.after_train_iter(runner, 0, outputs=(logs := {}))
        # d/dw = (1, 1), d/db = 1
        assert float(logs['mon_grad_norm_all']) == pytest.approx(3**.5)

    def test_leaves_the_optimizers_alone_afterwards(self):
        stage = Stage(interval=1)
        stage.hook.after_train(stage.runner)
        assert stage.iteration('critic')[0] == {}

    @pytest.mark.parametrize('wrong', [dict(interval=0), dict(samples=1)])
    def test_arguments(self, wrong):
        with pytest.raises(ValueError, match='at least'):
            AdversarialMonitor(**wrong)


@HOOKS.register_module(force=True)
class KeepLogs(Hook):
    """Keeps what the log would get."""

    logs: list = []
    priority = 'VERY_HIGH'

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None):
        self.logs.append(dict(outputs))


def test_in_a_run_changes_no_weight(tmp_path, monkeypatch):
    monkeypatch.setattr('mmengine.config.config.FormatCode',
                        lambda text, **_: (text, True))
    states = []
    for hooks in ([], [dict(type='AdversarialMonitor', interval=4),
                       dict(type='KeepLogs')]):
        KeepLogs.logs.clear()
        cfg = toy_gan_cfg(tmp_path / str(len(hooks)), custom_hooks=hooks,
                          model=dict(critic_steps=3), val_cfg=None,
                          val_dataloader=None, val_evaluator=None)
        cfg.experiment_name = f'{tmp_path.name}-{len(hooks)}'
        runner = PoseRunner.from_cfg(cfg)
        runner.train()
        states.append(runner.model.state_dict())
    for key, value in states[0].items():
        assert torch.equal(states[1][key], value)
    with_spread = [i for i, logs in enumerate(KeepLogs.logs)
                   if 'mon_spread_ratio' in logs]
    # Due after iterations 4, 8, 12, 16; the generator steps every third.
    assert with_spread == [5, 8, 11]
    assert [i for i, logs in enumerate(KeepLogs.logs)
            if 'mon_grad_norm_critic' in logs] == [3, 7, 11, 15]
    assert runner.message_hub.get_scalar(
        'train/mon_spread_ratio').current() > 0
