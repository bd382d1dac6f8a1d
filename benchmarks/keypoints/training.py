"""The trainings behind KeypointGAN's tables, each resumed where it stopped.

    python -m benchmarks.keypoints.training keypointgan_all_0 supervised_all_0
    python -m benchmarks.keypoints.training --group table4 --seeds 0
    python -m benchmarks.keypoints.training --plan

Names are those of ``benchmarks/keypoints/runs.py``. The regressor that a run
begins at is trained before it, once for all rows and seeds: so processes side
by side should not begin with runs of one set of poses unless its
``regressor_POSES`` is done. ``--minutes`` begins no further run after so
many; a run that is interrupted goes on at its last checkpoint (every 250
iterations). ``run.json`` in a run's folder holds its processor time.
"""
from __future__ import annotations

import argparse
from typing import Any

import torch
from mmpose.registry import DATASETS

from mirrorpose.engine.runner import PoseRunner
from mirrorpose.utils.files import locked

from ..run_folders import timed, train_in_turn
from .plan import GROUPS, facts, plan
from .runs import (
    CHANNELS_LAST,
    FEATURES,
    FOLDER,
    SUPERVISED,
    checkpoint,
    done,
    iterations,
    needs,
    parts,
    settings,
)
from .supervised import check_disjoint

__all__ = ['lay_out', 'main', 'train']


def lay_out(model: Any) -> None:
    """Brings the networks that gain by it to channels-last weights."""
    for name, child in model.named_children():
        if name in CHANNELS_LAST:
            child.to(memory_format=torch.channels_last)


def train(name: str) -> None:
    """Trains a run, or what is left of it, and what it begins at."""
    if done(name):
        return
    for before in needs(name):
        train(before)
    cfg = settings(name)
    for before in needs(name):
        cfg.model.head.init_cfg = dict(
            type='Pretrained', prefix='head.',
            checkpoint=str(checkpoint(before)))
    perceptual = cfg.model.get('perceptual')
    if perceptual and perceptual.features == 'auto':
        perceptual.features = FEATURES
    print(f'{name}: {iterations(name)} iterations', flush=True)
    # Two processes may both need a regressor: the second waits, and finds it.
    (FOLDER / name).mkdir(parents=True, exist_ok=True)
    with locked(FOLDER / name / 'training'):
        if done(name):
            return
        with timed(FOLDER / name, iterations=iterations(name)):
            runner = PoseRunner.from_cfg(cfg)
            lay_out(runner.model)
            if parts(name)[0] == SUPERVISED:
                check_disjoint(*(DATASETS.build(d) for d in (
                    cfg.train_dataloader.dataset,
                    cfg.test_dataloader.dataset.datasets[-1])))
            runner.train()
    held = facts(name)
    print(f'{name}: {held["cpu_seconds"] / 60:.1f} minutes of processor time,'
          f' {held["cpu_seconds"] / iterations(name):.3f} s an iteration, '
          'reading, checkpoints and validation in it', flush=True)


def main() -> None:
    """Trains the named runs, one after the other."""
    parser = argparse.ArgumentParser(description='Train KeypointGAN rows')
    parser.add_argument('runs', nargs='*')
    parser.add_argument('--group', nargs='+', choices=list(GROUPS),
                        default=[])
    parser.add_argument('--seeds', nargs='+', type=int)
    parser.add_argument('--minutes', type=float, default=float('inf'))
    parser.add_argument('--plan', action='store_true',
                        help='print the runs and their cost, train nothing')
    args = parser.parse_args()
    if args.plan:
        print(plan(args.group or GROUPS))
        return
    names = [*args.runs, *(n for g in args.group for n in GROUPS[g]
                           if args.seeds is None
                           or parts(n)[2] in args.seeds)]
    for name in names:
        parts(name)  # before anything long begins
    if not names:
        parser.error('name runs, or a --group')
    train_in_turn(names, train, args.minutes)


if __name__ == '__main__':
    main()
