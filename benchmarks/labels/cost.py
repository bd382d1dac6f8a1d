"""What a step of every row costs, in processor time of one thread."""
from __future__ import annotations

import copy
import itertools
import platform
import statistics
import time
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS, OPTIM_WRAPPERS

from mirrorpose.datasets.keyed import sample_keys
from mirrorpose.engine.runner import PoseRunner, resolve

from .plan import MIDDLE, preparations
from .rows import ROWS
from .runs import Name, settings

__all__ = ['measure']


class Stepper:
    """A run without its runner: batches, model, optimizer.

    Args:
        name (Name): Of the run; nothing of it has to be trained.
    """

    def __init__(self, name: Name) -> None:
        init_default_scope('mmpose')
        cfg = resolve(settings(name, started=False))
        self.name = name
        dataset: Any = PoseRunner.build_dataloader(
            dict(cfg.train_dataloader), seed=0)
        self.data, self.batches = dataset.dataset, itertools.cycle(
            list(dataset.batch_sampler))
        torch.manual_seed(0)
        self.model = MODELS.build(copy.deepcopy(cfg.model)).train()
        if cfg.get('channels_last'):
            self.model.to(memory_format=torch.channels_last)
        self.wrapper = OPTIM_WRAPPERS.build(dict(
            type=cfg.optim_wrapper.type,
            optimizer=torch.optim.Adam(self.model.parameters(), lr=1e-4)))
        self.count = 0

    def batch(self) -> Any:
        """The next batch, as the loader makes it."""
        rows = next(self.batches)
        self.count += 1
        if not hasattr(self.data, 'get_batch'):
            return pseudo_collate([self.data[i] for i in rows])
        return self.data.get_batch(rows, sample_keys(
            0, 0, rows, [self.count] * len(rows)))

    def __call__(self) -> float:
        """One step; its seconds, reading the batch included."""
        begun = time.process_time()
        self.model.train_step(self.batch(), self.wrapper)
        return time.process_time() - begun


def measure(rounds: int = 12, warm: int = 3) -> dict[str, Any]:
    """Median seconds of a step of every row; rows take turns.

    Args:
        rounds (int): Steps that count.
        warm (int): Steps before them.
    """
    names = [Name('lsp', row, False, MIDDLE, 0)
             for row in (*preparations(), *ROWS)]
    found = {}
    for name in names:  # one at a time: 30 models would not fit the caches
        stepper = Stepper(name)
        for _ in range(warm):
            stepper()
        times = [stepper() for _ in range(rounds)]
        found[name.row] = dict(
            seconds=round(statistics.median(times), 4),
            slowest=round(max(times), 4), images=sum(name.counts),
            parameters=sum(p.numel() for p in stepper.model.parameters()))
        print(f'{name.row:24s} {found[name.row]["seconds"]:.3f} s',
              flush=True)
    return dict(rows=found, rounds=rounds, torch=torch.__version__,
                machine=platform.processor() or platform.machine())


