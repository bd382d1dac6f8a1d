"""JUMPS through the engine: broken and resumed, it ends where it would."""
from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

import mirrorpose.testing  # noqa: F401  (registers PowerCutAt)
from mirrorpose.engine import PoseRunner
from mirrorpose.engine.checkpoint_hook import last_checkpoint
from mirrorpose.testing.kills import first_difference

ROOT = Path(__file__).resolve().parents[3]


def go(folder: Path, cut: int | None = None, resume: bool = False) -> None:
    cfg = Config.fromfile(ROOT / 'configs' / 'jumps_synthetic.py')
    for loader in (cfg.train_dataloader, cfg.val_dataloader,
                   cfg.test_dataloader):
        loader.dataset.sources[0].update(clips=30, people=10, seconds=3.)
        loader.batch_size = 8
    cfg.train_cfg.update(max_epochs=2, val_interval=1)
    cfg.default_hooks.checkpoint.interval = 1
    cfg.work_dir, cfg.log_level, cfg.resume = str(folder), 'WARNING', resume
    cfg.experiment_name = f'{folder.name}_{cut}_{resume}'
    if cut is not None:
        cfg.custom_hooks = [*cfg.custom_hooks,
                            dict(type='PowerCutAt', iteration=cut)]
    with contextlib.suppress(KeyboardInterrupt):
        PoseRunner.from_cfg(cfg).train()


def state(folder: Path) -> dict:
    held = torch.load(last_checkpoint(folder), weights_only=True)
    return {k: held[k] for k in ('state_dict', 'optimizer')}


@pytest.mark.filterwarnings('ignore')
def test_bit_for_bit(tmp_path):
    whole, broken = tmp_path / 'whole', tmp_path / 'broken'
    go(whole)
    torch.manual_seed(5)
    iterations = torch.load(last_checkpoint(whole),
                            weights_only=True)['meta']['iter']
    go(broken, cut=iterations // 2 + 1)
    assert last_checkpoint(broken).name == 'epoch_1.pth'
    go(broken, resume=True)
    assert last_checkpoint(broken).name == 'epoch_2.pth'
    found = first_difference(state(whole), state(broken))
    assert found is None, found
