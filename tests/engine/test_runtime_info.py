"""Logged terms: the same numbers as mmengine's, fetched together."""
from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import LoggerHook
from mmengine.logging import MessageHub

from mirrorpose.engine import LazyRuntimeInfoHook
from mirrorpose.engine import runner as runners


def logged(folder):
    path, = folder.rglob('scalars.json')
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in row.items() if k.startswith(('loss', 'lr',
                                                          'mon', 'step'))}
            for row in rows]


@pytest.mark.parametrize('interval', [1, 2, 50])
def test_the_log_is_mmengines(toy, tmp_path, monkeypatch, interval):
    logs = []
    for name in ('ours', 'stock'):
        if name == 'stock':
            monkeypatch.setattr(runners, 'REPLACED_HOOKS', {})
        hooks = toy.cfg(tmp_path).default_hooks.to_dict()
        hooks['logger']['interval'] = interval
        toy.runner(tmp_path / name, default_hooks=hooks).train()
        logs.append(logged(tmp_path / name))
    assert logs[0] == logs[1]
    assert any('loss' in row for row in logs[0])


def test_nothing_is_fetched_before_the_log_is_written(monkeypatch):
    hook = LazyRuntimeInfoHook()
    hub = MessageHub.get_instance('lazy_runtime_info')
    made = SimpleNamespace(
        hooks=[LoggerHook(interval=3)], message_hub=hub, epoch=0, iter=0,
        max_epochs=1, max_iters=9, train_dataloader=range(9),
        train_loop=SimpleNamespace())
    made.train_dataloader = SimpleNamespace(
        dataset=None, __len__=lambda: 9)
    hook._interval = 3
    monkeypatch.setattr(hook, 'end_of_epoch', lambda *_: False)
    monkeypatch.setattr(hook, 'is_last_train_iter', lambda *_: False)
    fetched = []
    real = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, 'tolist', lambda self: (
        fetched.append(self.shape), real(self))[1])
    monkeypatch.setattr(torch.Tensor, 'item', lambda self: pytest.fail(
        'a term was fetched alone'))
    for step in range(3):
        assert not fetched
        hook.after_train_iter(made, step, outputs=dict(
            loss=torch.tensor(float(step)), mon_a=torch.tensor(2.),
            constant=.5))
    assert fetched == [(6, )]
    history = hub.get_scalar('train/loss').data[0]
    assert list(history) == [0., 1., 2.]
