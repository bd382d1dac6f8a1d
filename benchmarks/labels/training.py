"""The trainings behind the tables, each resumed where it stopped.

    python -m benchmarks.labels.training plain_20_0 synthetic:semi_5_1
    python -m benchmarks.labels.training --group main --seeds 0

What a run begins at is trained before it. When a run is done, the people
of the validation side are recognized (``validation.npz`` in its folder), so
the tables cost nothing; ``run.json`` holds its processor time. Two processes
side by side should have seeds of their own. ``--minutes`` begins no further
run after so many; a run that is interrupted goes on at its last checkpoint
(every 250 steps).
"""
from __future__ import annotations

import argparse

import torch

from mirrorpose.engine import checkpoint as checkpoints
from mirrorpose.engine.runner import PoseRunner
from mirrorpose.utils.files import write_atomically

from ..run_folders import timed, train_in_turn
from .evaluation import recognize
from .plan import GROUPS, planned
from .rows import ROWS
from .runs import Name, settings


def train(name: Name) -> None:
    """Trains a run or what is left of it, and what it begins at."""
    for before in name.needs():
        if before.checkpoint() is None:
            train(before)
    if name.checkpoint() is None:
        print(f'{name}: {name.steps} steps', flush=True)
        with timed(name.folder, steps=name.steps):
            PoseRunner.from_cfg(settings(name)).train()
    if name.row in ROWS or name.row == 'start':
        recognize(name, 'validation')
    if name.row in ROWS:
        slim(name)


def slim(name: Name) -> None:
    """Takes the optimizer out of a finished run's checkpoint.

    Two thirds of its size; nothing goes on from it.
    """
    path = name.checkpoint()
    held = checkpoints.load(path)
    if path is None or 'optimizer' not in held:
        return
    kept = {k: v for k, v in held.items()
            if k not in ('optimizer', 'param_schedulers')}
    write_atomically(path, lambda part: torch.save(kept, part))


def main() -> None:
    """Trains the named runs, one after the other."""
    parser = argparse.ArgumentParser(description='Train rows')
    parser.add_argument('runs', nargs='*', type=Name.parse)
    parser.add_argument('--group', nargs='+', choices=list(GROUPS),
                        default=[])
    parser.add_argument('--seeds', nargs='+', type=int)
    parser.add_argument('--percent', nargs='+', type=int)
    parser.add_argument('--minutes', type=float, default=float('inf'))
    args = parser.parse_args()
    runs = [*args.runs, *(n for n in planned(args.group) if (
        args.seeds is None or n.seed in args.seeds) and (
        args.percent is None or n.percent in args.percent))]
    train_in_turn(runs, train, args.minutes)


if __name__ == '__main__':
    main()
