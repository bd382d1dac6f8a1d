"""The trainings behind the tables, each resumed where it stopped.

    python -m benchmarks.labels.training plain_20_0 synthetic:semi_5_1
    python -m benchmarks.labels.training --group main --seeds 0

What a run begins at is trained before it. When a run is done, held-out people
are recognized and it gets its line in the ledger (ledger.py), by which it
counts as done from then on, whether or not its weights are kept. Two
processes side by side should have seeds of their own. ``--minutes`` begins no
further run after so many; a run that is interrupted goes on at its last
checkpoint (every 250 steps).
"""
from __future__ import annotations

import argparse

import torch

from mirrorpose.engine import checkpoint as checkpoints
from mirrorpose.engine.amp import cpu_has_bfloat16
from mirrorpose.engine.runner import PoseRunner
from mirrorpose.utils.files import write_atomically

from ..run_folders import facts, timed, train_in_turn
from . import ledger
from .comparison import curve
from .evaluation import measured
from .plan import GROUPS, planned
from .rows import ROWS
from .runs import Name, settings


def train(name: Name, weights: bool = False) -> None:
    """Trains a run or what is left of it, and what it begins at.

    Args:
        name (Name): Of the run.
        weights (bool): Although the ledger has it: others begin at it.
    """
    if not weights and ledger.entry(name):
        return
    if name.checkpoint() is None:
        for before in name.needs():
            if before.checkpoint() is None:
                train(before, weights=True)
        print(f'{name}: {name.steps} steps', flush=True)
        with timed(name.folder, steps=name.steps):
            PoseRunner.from_cfg(settings(name)).train()
    if (name.row in ROWS or name.row == 'start') and not ledger.entry(name):
        ledger.enter(name, {side: measured(name, side)
                            for side in ('validation', 'test')},
                     cpu_seconds=facts(name.folder).get('cpu_seconds', 0.),
                     precision=precision(name), curve=curve(name),
                     start=ledger.start_digest(name))
    if name.row in ROWS:
        slim(name)


def precision(name: Name) -> str:
    """In which a run's forward pass runs on this machine."""
    cast = settings(name, started=False).optim_wrapper.type == \
        'AutocastOptimWrapper'
    return 'bfloat16' if cast and cpu_has_bfloat16() else 'float32'


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
