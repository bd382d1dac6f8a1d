"""Hooks: averaged scores, and the progress of a curriculum."""
from __future__ import annotations

import datetime
import json
import time
from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmpose.registry import HOOKS

from ..utils.files import write_text


@HOOKS.register_module()
class AverageScores(Hook):
    """Averages the validation scores of the last epochs.

    MirrorNet reports the mean over the last 10 epochs (Section 5.2). Writes
    ``scores.json`` to the work dir after every validation: the scores of
    each validated epoch, and their mean over the last ``last`` epochs. A
    resumed run goes on in the same file.

    Args:
        last (int): Defaults to 10.
        file (str): Defaults to ``'scores.json'``.
    """

    priority = 'LOW'

    def __init__(self, last: int = 10, file: str = 'scores.json') -> None:
        if last < 1:
            raise ValueError(f'last must be positive, got {last}')
        self.last, self.file = last, file

    @staticmethod
    def average(scores: dict[int, dict[str, float]], epochs: int,
                last: int) -> dict[str, float]:
        """Mean of each score over epochs > ``epochs - last``.

        Args:
            scores (dict): {epoch: {name: value}}.
            epochs (int): Number of the last epoch.
            last (int): How many epochs count.
        """
        rows = [v for k, v in scores.items() if k > epochs - last]
        names = rows[0] if rows else {}
        return {n: sum(r[n] for r in rows) / len(rows) for n in names
                if all(n in r for r in rows)}

    @master_only
    def after_val_epoch(self, runner: Any,
                        metrics: dict[str, float] | None = None) -> None:
        """Adds the scores of this epoch."""
        path = Path(runner.work_dir) / self.file
        scores: dict[int, dict[str, float]] = {}
        if path.is_file():
            held = json.loads(path.read_text())['epochs']
            scores = {int(k): v for k, v in held.items()
                      if int(k) < runner.epoch}
        scores[runner.epoch] = {k: float(v)
                                for k, v in (metrics or {}).items()}
        mean = self.average(scores, runner.epoch, self.last)
        used = [k for k in scores if k > runner.epoch - self.last]
        text = json.dumps(dict(mean=mean, averaged_epochs=used,
                               epochs=scores), indent=1)
        write_text(path, text)


@HOOKS.register_module()
class CurriculumProgress(Hook):
    """Says after each epoch how far the whole curriculum is.

    Args:
        stages (list[tuple[str, int]]): Name and epochs of every stage that
            this run still has to do, this one first.
        spent (dict[str, float]): Seconds an epoch took in the stages before.
    """

    priority = 'VERY_LOW'

    def __init__(self, stages: list[tuple[str, int]],
                 spent: dict[str, float] | None = None) -> None:
        self.stages, self.spent = list(stages), dict(spent or {})
        self.started = time.monotonic()
        self.first: int | None = None

    def before_train(self, runner: Any) -> None:
        """A resumed stage begins later."""
        self.first, self.started = runner.epoch, time.monotonic()

    @staticmethod
    def remaining(epoch_seconds: float, epochs_left: int,
                  later: list[tuple[str, int]],
                  spent: dict[str, float]) -> float:
        """Seconds left: this stage by its own pace, others by the mean's."""
        known = [*spent.values(), epoch_seconds]
        typical = sum(known) / len(known)
        return epoch_seconds * epochs_left + sum(
            n * spent.get(name, typical) for name, n in later)

    @master_only
    def after_train_epoch(self, runner: Any) -> None:
        """Prints one line."""
        done = runner.epoch + 1
        pace = (time.monotonic() - self.started) / max(
            done - (self.first or 0), 1)
        name, epochs = self.stages[0]
        left = self.remaining(pace, epochs - done, self.stages[1:],
                              self.spent)
        print(f'{name}: epoch {done} of {epochs}; '  # noqa: T201
              f'{len(self.stages) - 1} stages after it, about '
              f'{datetime.timedelta(seconds=int(left))} left', flush=True)
