"""The trainings behind the tables, each resumed where it stopped.

    python -m benchmarks.completion.training regressor_both_1 jumps_cmu_0

A run is named config, motion and seed: ``regressor_both_0`` is
``configs/regressor_mocap.py`` as it stands, and lies in the work dir that
``tools/train.py`` gives it; others lie in ``work_dirs/completion``.
"""
from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mmengine.config import Config

import mirrorpose  # noqa: F401  (registers everything)
from mirrorpose.engine.checkpoint_hook import last_good_checkpoint
from mirrorpose.engine.runner import PoseRunner

ROOT = Path(__file__).resolve().parents[2]
SYNTHETIC = ROOT / 'configs' / '_base_' / 'datasets' / 'synthetic_sequences.py'
#: Which motion is learnt from.
MOTION = ('both', 'cmu', 'bandai', 'synthetic')
#: Rows of the ablation: what differs from the config, 12 epochs each. The
#: mean of the weights is shorter than the config's, as the training is.
SHORT = dict(
    train_cfg=dict(max_epochs=12),
    param_scheduler=[dict(type='LinearLR', start_factor=1., end_factor=.05,
                          begin=6, end=12, by_epoch=True)])
MEAN = dict(type='EMAHook', momentum=5e-3)
VARIANTS: dict[str, dict[str, Any]] = {
    'jumps-short': SHORT,
    'jumps-paper': dict(SHORT, model=dict(prior_weight=0., masked_share=0.)),
    'jumps-prior': dict(SHORT, model=dict(masked_share=0.)),
    'jumps-masked': dict(SHORT, model=dict(prior_weight=0.)),
    # The paper's row was trained without it, too.
    'jumps-noencoder': dict(SHORT, model=dict(
        position_weight=0., velocity_weight=0., latent_weight=0.,
        mixed_weight=0., prior_weight=0., masked_share=0.)),
    'jumps-R1': dict(SHORT, model=dict(
        encoder=dict(design='R1'), generator=dict(design='R1'),
        critic=dict(design='R1'))),
}


def settings(name: str) -> tuple[Config, Path]:
    """The config of a run, and its folder.

    Raises:
        ValueError: An unknown name.
    """
    try:
        kind, motion, seed = name.rsplit('_', 2)
        number = int(seed)
    except ValueError:
        kind, motion, number = name, '', -1
    file = ROOT / 'configs' / f'{kind.split("-")[0]}_mocap.py'
    if kind == 'regressor-detector':
        file = ROOT / 'configs' / 'regressor_mocap_detector.py'
    if motion not in MOTION or number < 0 or not file.is_file():
        raise ValueError(f'a run is named like regressor_{MOTION[0]}_0 '
                         f'(motion one of {MOTION}), got {name!r}')
    cfg = Config.fromfile(file)
    folder = ROOT / 'work_dirs' / 'completion' / name
    if kind in VARIANTS:
        cfg.merge_from_dict(VARIANTS[kind])
        for hook in cfg.get('custom_hooks', []):
            if hook.type == MEAN['type']:
                hook.update(MEAN)
    elif motion == 'both' and number == 0:
        folder = ROOT / 'work_dirs' / file.stem
    if motion != 'both':
        data = cfg.train_dataloader.dataset
        data.sources = Config.fromfile(SYNTHETIC).sources if (
            motion == 'synthetic') else [cfg[motion]]
        # Few windows are seen more often: as many steps as the others.
        data.views = data.get('views', 1) * dict(
            cmu=6, bandai=1, synthetic=2)[motion]
    if number:
        cfg.randomness = dict(seed=number)
    cfg.work_dir, cfg.resume = str(folder), True
    cfg.experiment_name = name
    return cfg, folder


def checkpoint(name: str) -> Path:
    """The last good checkpoint of a run.

    Raises:
        FileNotFoundError: There is none; says which command makes it.
    """
    _, folder = settings(name)
    found = last_good_checkpoint(folder) if folder.is_dir() else None
    if not found:
        raise FileNotFoundError(
            f'no checkpoint of {name} in {folder}; make it by '
            f'python -m benchmarks.completion.training {name}')
    return Path(found)


def train(name: str) -> None:
    """Trains a run, or what is left of it."""
    cfg, folder = settings(name)
    end = folder / f'epoch_{cfg.train_cfg.max_epochs}.pth'
    if end.is_file():
        print(f'{name}: done')
        return
    PoseRunner.from_cfg(cfg).train()


def main() -> None:
    """Trains the named runs, one after the other."""
    parser = argparse.ArgumentParser(description='Train completers')
    parser.add_argument('runs', nargs='+')
    for name in parser.parse_args().runs:
        train(name)


if __name__ == '__main__':
    main()
