"""Logging that does not wait for the device.

mmengine's ``RuntimeInfoHook`` moves every logged term to the host after
every iteration, one by one, and each waits until the device is done. Here
they stay on the device until the log is written.
"""
from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmpose.registry import HOOKS
from torch import Tensor


@HOOKS.register_module()
class LazyRuntimeInfoHook(RuntimeInfoHook):
    """mmengine's RuntimeInfoHook; terms are fetched together.

    ``PoseRunner`` puts it in the place of mmengine's. Values and their order
    are the same; they are fetched when the ``LoggerHook`` is about to write,
    and at the end of the epoch.
    """

    def __init__(self) -> None:
        self._held: list[tuple[str, Any]] = []
        self._interval: int | None = None

    def before_train(self, runner: Any) -> None:
        """Learns how often the log is written."""
        super().before_train(runner)
        self._held = []
        loggers = [h for h in runner.hooks if isinstance(h, LoggerHook)]
        self._interval = min((h.interval for h in loggers), default=1)

    def after_train_iter(self, runner: Any, batch_idx: int,
                         data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        """Keeps what the step gave."""
        for key, value in (outputs or {}).items():
            if isinstance(value, Tensor):
                value = value.detach()
            self._held.append((f'train/{key}', value))
        if (batch_idx + 1) % (self._interval or 1) == 0 or self.end_of_epoch(
                runner.train_dataloader, batch_idx) or self.is_last_train_iter(
                    runner):
            self.flush(runner)

    def after_train_epoch(self, runner: Any) -> None:
        """Fetches the rest."""
        self.flush(runner)

    def flush(self, runner: Any) -> None:
        """Hands everything that is kept to the message hub."""
        held, self._held = self._held, []
        places = [i for i, (_, v) in enumerate(held)
                  if isinstance(v, Tensor) and v.numel() == 1]
        if places:
            stacked = torch.stack(
                [held[i][1].reshape(()).double() for i in places]).tolist()
            for i, number in zip(places, stacked):
                held[i] = (held[i][0], number)
        for key, value in held:
            runner.message_hub.update_scalar(key, value)
