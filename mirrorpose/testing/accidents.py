"""Hooks that break a run on purpose."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmpose.registry import HOOKS


@HOOKS.register_module()
class PowerCutAt(Hook):
    """Breaks the run before an iteration.

    Args:
        iteration (int): Which one.

    Raises:
        KeyboardInterrupt: In training.
    """

    priority = 'VERY_HIGH'

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def before_train_iter(self, runner: Any, batch_idx: int,
                          data_batch: Any = None) -> None:
        """Cuts."""
        if runner.iter == self.iteration:
            raise KeyboardInterrupt('power cut')


@HOOKS.register_module()
class DieOnce(Hook):
    """One process dies before an iteration, the first time it gets there.

    Args:
        rank (int): Which process.
        iteration (int): Before which iteration.
        marker (str): A file that says that it has happened.

    Raises:
        RuntimeError: In training.
    """

    priority = 'VERY_HIGH'

    def __init__(self, rank: int, iteration: int, marker: str) -> None:
        self.rank, self.iteration = rank, iteration
        self.marker = Path(marker)

    def before_train_iter(self, runner: Any, batch_idx: int,
                          data_batch: Any = None) -> None:
        """Dies."""
        if get_rank() == self.rank and runner.iter == self.iteration \
                and not self.marker.exists():
            self.marker.touch()
            raise RuntimeError(f'process {self.rank} dies on purpose')
