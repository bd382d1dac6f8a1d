"""Completers from their configs, through the runner, to a checkpoint."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

import mirrorpose.datasets.sequences
import mirrorpose.evaluation.sequences  # noqa: F401  (registers)
from mirrorpose.apis.completers import load_completer
from mirrorpose.apis.completion import complete
from mirrorpose.engine import PoseRunner
from mirrorpose.models.completion import RegressorCompleter, RidgeCompleter

ROOT = Path(__file__).resolve().parents[3]
# The embedded world in the place of motion capture.
WORLD = [dict(type='SyntheticMotions', clips=16, people=4, seconds=3.,
              held_out=dict(val=.25, test=.25))]


def _config(name: str, work_dir: Path) -> Config:
    cfg = Config.fromfile(ROOT / 'configs' / f'{name}.py')
    cfg.work_dir = str(work_dir)
    cfg.train_dataloader.update(batch_size=8)
    for loader in (cfg.train_dataloader, cfg.val_dataloader,
                   cfg.test_dataloader):
        loader.dataset.sources = WORLD
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
    return cfg


@pytest.mark.parametrize('name,kind,small', [
    ('regressor_mocap', RegressorCompleter,
     dict(width=8, dilations=[1])),
    ('ridge_mocap', RidgeCompleter, dict(rank=12))])
def test_trains_tests_and_completes(name, kind, small, tmp_path):
    cfg = _config(name, tmp_path)
    cfg.model.update(small)
    runner = PoseRunner.from_cfg(cfg)
    runner.train()
    scores = runner.test()
    assert 0 < scores['pckh/unseen/AUC'] < 1
    assert scores['pckh/observed/AUC'] == pytest.approx(1, abs=1e-3)
    assert np.isfinite(scores['sequence/unseen/MPJVE'])
    completer = load_completer(tmp_path / 'epoch_1.pth')
    assert isinstance(completer, kind) and not completer.training
    frames = runner.test_dataloader.dataset.get_clip(0)
    done = complete(frames['inputs'][0].numpy(),
                    visible=frames['observed'][0].numpy(),
                    joints='mpi_inf_3dhp_28', completer=completer)
    seen = frames['observed'][0].numpy()
    assert np.isfinite(done.keypoints).all()
    np.testing.assert_allclose(done.keypoints[seen],
                               frames['inputs'][0].numpy()[seen], atol=1e-3)


def test_ridge_of_the_runner_is_that_of_fit(tmp_path):
    cfg = _config('ridge_mocap', tmp_path)
    cfg.model.update(rank=12)
    runner = PoseRunner.from_cfg(cfg)
    runner.train()
    through = runner.model
    # 2 mirrored windows for each that was seen
    seen = 8 * len(runner.train_dataloader)
    assert float(through.count) == 2 * seen
    values = torch.linalg.eigvalsh(through.second)
    assert values.min() > -1e-6 and (values > 1e-3).sum() > 10


def test_configs_are_complete():
    for name in ('regressor_mocap', 'ridge_mocap'):
        cfg = Config.fromfile(ROOT / 'configs' / f'{name}.py')
        sources = cfg.test_dataloader.dataset.sources
        assert all(s.held_out.test for s in sources)
        assert cfg.test_dataloader.dataset.part == 'test'
        assert cfg.train_dataloader.dataset.part == 'train'
