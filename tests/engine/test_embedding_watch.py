"""EmbeddingWatch: it warns of a collapse, and of nothing else."""
from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmpose.registry import HOOKS

from mirrorpose.engine import EmbeddingWatch, watching_hook
from mirrorpose.models.losses.hardnet import HardNetLoss
from mirrorpose.models.pose.views import ViewLabels

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def said(monkeypatch):
    out = []
    monkeypatch.setattr(watching_hook, 'print_log',
                        lambda text, logger, level: out.append((level, text)))
    return out


class Model(torch.nn.Module):
    """As far as the hook looks into one."""

    def __init__(self, **loss):
        super().__init__()
        self.loss = HardNetLoss(**loss)


def labels():
    """Two views each of eight instants of one person."""
    group = torch.arange(8).repeat_interleave(2)
    one = torch.zeros(16, dtype=torch.int64)
    return ViewLabels(group, one, one, torch.arange(2).repeat(8),
                      10. * group.double())


def watched(spread, said, **loss):
    """What is said of embeddings that lie around one point."""
    hook = EmbeddingWatch(interval=2, begin=4, window=2, repeat=1000)
    model = Model(**loss)
    runner = SimpleNamespace(iter=0, model=model)
    hook.before_train(runner)
    noise = torch.Generator().manual_seed(0)
    for runner.iter in range(12):
        rows = torch.randn(16, 8, generator=noise) * spread
        rows[:, 0] += 1
        outputs = model.loss(rows / rows.norm(dim=1, keepdim=True), labels())
        hook.after_train_iter(runner, runner.iter, None, outputs)
    return [text for level, text in said if level == logging.WARNING]


def test_a_collapse_is_told_of_once(said):
    told, = watched(.01, said)
    assert told.startswith('EmbeddingWatch: iteration 7: mon_spread is 0.0')
    assert "form='infonce'" in told


@pytest.mark.parametrize(('spread', 'loss'), [
    (1., {}), (.01, dict(loss_weight=0.))])
def test_nothing_is_said(said, spread, loss):
    """Of embeddings that differ, and of a loss without weight."""
    assert not watched(spread, said, **loss)


def test_models_without_such_a_loss(said):
    hook = EmbeddingWatch(interval=1, begin=0, window=1)
    runner = SimpleNamespace(iter=0, model=torch.nn.Linear(1, 1))
    hook.before_train(runner)
    hook.after_train_iter(runner, 0, None, dict(mon_spread=torch.zeros(())))
    assert not said


@pytest.mark.parametrize('name', [
    'metric_pose_synthetic', 'metric_pose_lifting_mocap', 'metric_pose_h36m',
    'embedding_res18_synthetic'])
def test_configs_have_it(name):
    cfg = Config.fromfile(ROOT / 'configs' / f'{name}.py')
    made = [HOOKS.build(h) for h in cfg.custom_hooks
            if h.type == 'EmbeddingWatch']
    assert len(made) == 1
