"""A toy data set and a toy two-stage curriculum."""
from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.runner import Runner
from mmpose.registry import HOOKS

import mirrorpose  # noqa: F401
from mirrorpose import testing
from mirrorpose.engine import PoseRunner

if DefaultScope.get_current_instance() is None:
    init_default_scope('mmpose')


@HOOKS.register_module(force=True)
class PowerCut(Hook):
    """Breaks the run at the start of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def before_train_epoch(self, runner) -> None:
        if runner.epoch == self.epoch:
            raise KeyboardInterrupt('power cut')


@HOOKS.register_module(force=True)
class Diary(Hook):
    """Writes down every epoch that is trained, and what it starts from."""

    epochs: list[tuple[str, int]] = []
    weights: dict[str, dict] = {}

    def before_train(self, runner) -> None:
        stage = runner.work_dir.rstrip('/').split('/')[-1]
        model = getattr(runner.model, 'module', runner.model)
        self.weights[stage] = {k: v.clone() for k, v in
                               model.state_dict().items()}

    def after_train_epoch(self, runner) -> None:
        stage = runner.work_dir.rstrip('/').split('/')[-1]
        self.epochs.append((stage, runner.epoch))


def toy_cfg(work_dir, **changes) -> Config:
    """The toy curriculum, with a diary."""
    cfg = testing.toy_cfg(work_dir, **changes)
    if 'custom_hooks' not in changes:
        cfg.custom_hooks = [*cfg.custom_hooks, dict(type='Diary')]
    return cfg


def stage_only(work_dir, kind=PoseRunner, **changes) -> Runner:
    """A runner of the pose VAE's stage alone, the cheapest."""
    from mirrorpose.engine.curriculum import CurriculumRunner
    cfg = toy_cfg(work_dir, **changes)
    stage = CurriculumRunner(cfg).stage_config('pose_vae')
    stage.work_dir = str(work_dir)
    stage.experiment_name = f'toy_{time.monotonic_ns()}'
    return kind.from_cfg(stage)


@pytest.fixture
def toy(monkeypatch):
    """The functions of this file, with an empty diary."""
    # mmengine lays a config out with yapf at every save: 1 s each time.
    monkeypatch.setattr('mmengine.config.config.FormatCode',
                        lambda text, **_: (text, True))
    Diary.epochs.clear()
    Diary.weights.clear()
    return SimpleNamespace(cfg=toy_cfg, runner=stage_only, Diary=Diary)
