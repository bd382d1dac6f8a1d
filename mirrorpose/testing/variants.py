"""Every kind of run that changes where randomness and state come from."""
from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from ..models.mirrornet.pretraining import PoseAutoencoding
from .adversarial import toy_gan_cfg
from .toys import toy_cfg


@MODELS.register_module()
class NoisyPoseAutoencoding(PoseAutoencoding):
    """Draws from all generators in every step, and in validation."""

    def loss(self, inputs: Any, data_samples: Any) -> dict[str, torch.Tensor]:
        """The loss, times a random factor."""
        losses = super().loss(inputs, data_samples)
        dropped = torch.nn.functional.dropout(torch.ones(50), .5).mean()
        factor = 1 + .1 * (float(np.random.rand()) + float(dropped))
        return {k: v * factor for k, v in losses.items()}

    def val_step(self, data: Any) -> list:
        """Validation that draws, too."""
        np.random.rand(), torch.rand(3)
        return super().val_step(data)


JITTER = [dict(type='GetBBoxCenterScale', padding=1.),
          dict(type='RandomFlip', direction='horizontal'),
          dict(type='RandomBBoxTransform', shift_prob=.5)]
EMA = dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=.3)
ADAM = dict(type='Adam', lr=3e-3)

#: Name of a variant to what it changes: of the loader (``workers``,
#: ``persistent``, ``sampler``), the loop (``by_epoch``), the saving
#: (``saves_by_epoch``), or entries of the config.
VARIANTS: dict[str, dict[str, Any]] = dict(
    epoch=dict(),
    epoch_2_workers=dict(workers=2),
    epoch_2_persistent_workers=dict(workers=2, persistent=True),
    iteration=dict(by_epoch=False),
    iteration_2_workers=dict(by_epoch=False, workers=2),
    iteration_stream=dict(by_epoch=False,
                          sampler=dict(type='InfiniteSampler')),
    inside_an_epoch=dict(saves_by_epoch=False),
    averaged_weights=dict(hooks=[EMA]),
    accumulation=dict(optim_wrapper=dict(
        type='OptimWrapper', optimizer=ADAM, accumulative_counts=2)),
    bfloat16=dict(optim_wrapper=dict(type='AutocastOptimWrapper',
                                     optimizer=ADAM)),
    schedulers=dict(param_scheduler=[
        dict(type='LinearLR', start_factor=.1, begin=0, end=4,
             by_epoch=False),
        dict(type='CosineAnnealingLR', T_max=3, by_epoch=True)]),
    early_stopping=dict(hooks=[dict(
        type='EarlyStoppingHook', monitor='bound/explained', rule='greater',
        patience=50)]),
    two_optimizers=dict(gan=True),
    curriculum=dict(curriculum=True))


def make(name: str, work_dir: str | Path, epochs: int = 3,
         people: int = 12) -> Config:
    """The config of a variant, for ``PoseRunner`` or ``CurriculumRunner``.

    Args:
        name (str): A key of :data:`VARIANTS`.
        work_dir (str | Path): Its work dir.
        epochs (int): Defaults to 3.
        people (int): Training samples, 4 a batch. Defaults to 12.
    """
    from ..engine.curriculum import CurriculumRunner
    changes = copy.deepcopy(VARIANTS[name])
    if changes.pop('gan', False):
        return toy_gan_cfg(work_dir, model=dict(critic_steps=3, dropout=.1))
    cfg = toy_cfg(work_dir)
    entry = cfg.stage_data.poses.train_dataloader
    entry.dataset.pipeline = JITTER + entry.dataset.pipeline[1:]
    entry.dataset.number = people
    if changes.pop('curriculum', False):
        return cfg
    cfg.stages[0].model.type = 'NoisyPoseAutoencoding'
    cfg.stages[0].epochs = epochs
    cfg.custom_hooks = [*cfg.custom_hooks, *changes.pop('hooks', ())]
    entry.num_workers = changes.pop('workers', 0)
    if changes.pop('persistent', False):
        entry.persistent_workers = True
    entry.sampler = changes.pop('sampler', entry.sampler)
    by_epoch = changes.pop('by_epoch', True)
    saves_by_epoch = changes.pop('saves_by_epoch', by_epoch)
    for key, value in changes.items():
        cfg[key] = value
    cfg = CurriculumRunner(cfg).stage_config('pose_vae')
    cfg.work_dir, cfg.runner_type = str(work_dir), 'PoseRunner'
    cfg.experiment_name = None
    if not by_epoch:
        iterations = epochs * (people // 4)
        cfg.train_cfg = dict(by_epoch=False, max_iters=iterations,
                             val_interval=4)
    cfg.default_hooks.checkpoint.by_epoch = saves_by_epoch
    return cfg
