"""Hooks that look at a few samples of the batch, log, and warn."""
from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from torch import Tensor

from ..models.adversarial import unwrap
from .thresholds import Limit, Watch

__all__ = ['WatchingHook']


class WatchingHook(Hook):
    """Looks every so often, adds to what the step logs, and warns.

    Warnings name what is wrong and what to change; training goes on. Stages
    that train another model than ``watched`` are passed over.

    Args:
        limits (Sequence[Limit]): What is warned of.
        interval (int): Look every so many iterations.
        samples (int): Of the batch; at least 2.
        begin (int): What was seen before this iteration is not judged.
        window (int): Looks whose mean is judged.
        repeat (int): The same warning comes once in so many iterations at
            most.

    Raises:
        ValueError: An argument is out of range.
    """

    # After AdversarialMonitor (5), before RuntimeInfoHook (10), which hands
    # the outputs to the log.
    priority = 6
    #: The model that it knows how to look at.
    watched: type

    def __init__(self, limits: Sequence[Limit], interval: int, samples: int,
                 begin: int, window: int, repeat: int) -> None:
        if interval < 1 or samples < 2:
            raise ValueError('interval must be at least 1 and samples at '
                             f'least 2, got {interval} and {samples}')
        self.interval, self.samples = interval, samples
        self.limits = list(limits)
        self.watch = Watch(self.limits, begin, window, repeat)
        self._model: Any = None

    def look(self, data_batch: Any, outputs: Mapping[str, Any]
             ) -> dict[str, Tensor]:
        """What there is to log, by name: scalars; NaN where nothing applies.

        Args:
            data_batch (Any): Of the loader.
            outputs (Mapping[str, Any]): What the step logs.
        """
        raise NotImplementedError

    def judged(self, limit: Limit) -> bool:
        """Whether a limit means anything for the model as it is set."""
        return True

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on with."""
        return self.watch.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes what :meth:`state_dict` gave."""
        self.watch.load_state_dict(state)

    def before_train(self, runner: Any) -> None:
        """Finds the model."""
        model: Any = unwrap(runner.model)
        self._model = model if isinstance(model, self.watched) else None

    def after_train(self, runner: Any) -> None:
        """Lets the model go."""
        self._model = None

    def after_train_iter(self, runner: Any, batch_idx: int,
                         data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        """Adds to what the step logs, and warns."""
        if self._model is None or outputs is None or (
                runner.iter + 1) % self.interval:
            return
        found = self.look(data_batch, outputs)
        # Another hook may have looked at the same thing before.
        keys = {x.key for x in self.limits if self.judged(x)}
        values = {**{k: outputs[k] for k in sorted(keys) if k in outputs},
                  **found}
        if not values:
            return
        # One wait for the device.
        numbers = dict(zip(values, torch.stack(
            [v.detach().float() for v in values.values()]).tolist()))
        outputs.update({k: v for k, v in found.items()
                        if numbers[k] == numbers[k]})
        for text in self.watch.see(runner.iter, {
                k: v for k, v in numbers.items() if k in keys}):
            print_log(f'{type(self).__name__}: {text}', logger='current',
                      level=logging.WARNING)
