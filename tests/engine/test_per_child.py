"""The wrapper of children through the runner, in two processes.

The function ``work`` of this file is what the processes run.
"""
from __future__ import annotations

import pytest
import torch
from mmengine.registry import DefaultScope, init_default_scope

from mirrorpose.engine import PoseRunner
from mirrorpose.engine.dist import setup_distributed
from mirrorpose.testing import run_processes, toy_gan_cfg

if DefaultScope.get_current_instance() is None:
    init_default_scope('mmpose')


def train(folder, distributed, **changes):
    cfg = toy_gan_cfg(
        folder, model=dict(noise='sample', critic_steps=3),
        custom_hooks=[dict(type='EMAHook')], **changes)
    # Adam would amplify the rounding of gradients that are 0.
    for name in ('critic', 'generator'):
        cfg.optim_wrapper[name].optimizer = dict(type='SGD', lr=.02,
                                                 momentum=.5)
    cfg.train_dataloader.dataset.jitter = 0.
    cfg.experiment_name = f'{folder.parent.name}-{folder.name}'
    if distributed:
        setup_distributed(cfg, 'pytorch')
    runner = PoseRunner.from_cfg(cfg)
    runner.train()
    return {k: v.clone() for k, v in runner.model.state_dict().items()}


def work(rank, folder):
    """One of the processes."""
    whole = train(folder / 'whole', True)
    again = train(folder / 'again', True, resume=True,
                  load_from=str(folder / 'whole/epoch_1.pth'))
    return dict(whole=whole, again=again)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The folder, and the weights at each rank."""
    folder = tmp_path_factory.mktemp('per_child')
    return folder, run_processes(f'{__file__}:work', 2, folder)


def load(folder, name):
    return torch.load(folder / name / 'epoch_2.pth', weights_only=True)


def test_ranks_are_equal(trained):
    for key, value in trained[1][0]['whole'].items():
        assert torch.equal(trained[1][1]['whole'][key], value)


def test_resumed_run_is_the_unbroken_one(trained):
    """Averaged weights too, which the stock wrapper would lose."""
    folder, ranks = trained
    for rank in ranks:
        for key, value in rank['whole'].items():
            assert torch.equal(rank['again'][key], value), key
    one, two = (load(folder, name) for name in ('whole', 'again'))
    for part in ('state_dict', 'ema_state_dict'):
        assert one[part].keys() == two[part].keys() and one[part]
        for key, value in one[part].items():
            assert torch.equal(two[part][key], value), (part, key)
    assert any(not torch.equal(v, one['ema_state_dict'][f'module.{k}'])
               for k, v in one['state_dict'].items())


def test_names_are_those_of_a_bare_model(trained, tmp_path, monkeypatch):
    """One process reads the file, and would have written the same."""
    monkeypatch.setattr('mmengine.config.config.FormatCode',
                        lambda text, **_: (text, True))
    train(tmp_path / 'alone', False)
    mine, got = load(tmp_path, 'alone'), load(trained[0], 'whole')
    for part in ('state_dict', 'ema_state_dict'):
        assert list(mine[part]) == list(got[part])
        for key, value in mine[part].items():
            torch.testing.assert_close(got[part][key], value, rtol=1e-4,
                                       atol=1e-5, msg=key)
