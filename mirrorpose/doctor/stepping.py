"""Where the time of a training step goes, and how much is computed."""
from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader
from torch.utils.flop_counter import flop_registry

from .limits import synchronize
from .loading import endless

STEP_PARTS = ('transfer and preparation', 'forward', 'backward', 'optimizer')


class _Operations(TorchDispatchMode):
    """Counts as ``FlopCounterMode`` does, but never looks at modules.

    Its hooks for that refuse a gradient inside of a forward pass (the
    penalty of a critic).
    """

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (),
                           kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


def count_operations(run: Callable[[], Any]) -> float:
    """Operations of the convolutions and products that a call makes.

    A multiply-add is two.
    """
    with _Operations() as counter:
        run()
    return float(counter.total)


class StepProfiler:
    """Runs the training step of a model, whole or part by part.

    Args:
        model: mmengine's model.
        wrapper: Its optimizer wrapper.
        device (torch.device): Where the model is.
    """

    def __init__(self, model: Any, wrapper: Any,
                 device: torch.device) -> None:
        self.model, self.wrapper, self.device = model, wrapper, device

    @property
    def splits(self) -> bool:
        """Whether the step is mmengine's plain one, and can be split."""
        return (isinstance(self.wrapper, OptimWrapper)
                and type(self.model).train_step is BaseModel.train_step)

    def prepare(self, batch: Any) -> Any:
        """Brings a batch to the device, as training does."""
        with self.wrapper.optim_context(self.model):
            return self.model.data_preprocessor(batch, True)

    def loss(self, data: Any) -> torch.Tensor:
        """The loss of a prepared batch."""
        with self.wrapper.optim_context(self.model):
            losses = self.model(**data, mode='loss')
        return self.model.parse_losses(losses)[0]

    def update(self) -> None:
        """The optimizer's part of ``OptimWrapper.update_params``."""
        if self.wrapper.should_update():
            self.wrapper.step()
            self.wrapper.zero_grad()

    def parts(self, batch: Any) -> dict[str, float]:
        """Seconds of every part of one step; the device waits in between."""
        marks = [self._now()]
        data = self.prepare(batch)
        marks.append(self._now())
        loss = self.loss(data)
        marks.append(self._now())
        self.wrapper.backward(self.wrapper.scale_loss(loss))
        marks.append(self._now())
        self.update()
        marks.append(self._now())
        return dict(zip(STEP_PARTS, np.diff(marks).tolist()))

    def whole(self, batch: Any) -> float:
        """Seconds of one step as training runs it."""
        start = self._now()
        self.model.train_step(batch, self.wrapper)
        return self._now() - start

    def _now(self) -> float:
        synchronize(self.device)
        return time.perf_counter()

    def operations(self, batch: Any) -> float:
        """Operations of one step's convolutions and products, counted."""
        return count_operations(
            lambda: self.model.train_step(batch, self.wrapper))

    def profile(self, batches: list[Any],
                iterations: int) -> dict[str, Any]:
        """Times the step.

        Args:
            batches (list): Batches as a loader gives them; copied, so that
                they can be used again.
            iterations (int): Steps that are measured, after two to warm up.

        Returns:
            dict: ``seconds`` of a whole step (median), ``parts`` (medians;
            empty where the model has a step of its own), ``operations``.
        """
        feed = _Feed(batches)
        for _ in range(2):
            self.whole(feed())
        seconds = float(np.median([self.whole(feed())
                                   for _ in range(iterations)]))
        parts: dict[str, float] = {}
        if self.splits:
            rows = [self.parts(feed()) for _ in range(iterations)]
            parts = {k: float(np.median([r[k] for r in rows]))
                     for k in STEP_PARTS}
        return dict(seconds=seconds, parts=parts,
                    operations=self.operations(feed()))

    def train(self, loader: DataLoader, batches: list[list]) -> float:
        """Images a second of loader and step together, as in training.

        The batches go by twice; the second pass counts.
        """
        count, first = len(batches), 0.
        twice = [*batches, *batches]
        for number, batch in enumerate(endless(loader, twice), 1):
            self.model.train_step(batch, self.wrapper)
            if number == count:
                first = self._now()
        return sum(len(b) for b in batches) / max(self._now() - first, 1e-9)

    def trace(self, batches: list[Any], path: str | Path,
              steps: int = 3) -> None:
        """Writes a trace for chrome://tracing or ui.perfetto.dev."""
        feed = _Feed(batches)
        kinds = [torch.profiler.ProfilerActivity.CPU]
        if self.device.type == 'cuda':
            kinds.append(torch.profiler.ProfilerActivity.CUDA)
        self.whole(feed())
        with torch.profiler.profile(activities=kinds,
                                    record_shapes=True) as profiler:
            for _ in range(steps):
                with torch.profiler.record_function('training step'):
                    self.whole(feed())
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        profiler.export_chrome_trace(str(target))


class _Feed:
    """Batches without end; a step may change what it is given."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches, self.next = batches, 0

    def __call__(self) -> Any:
        batch = self.batches[self.next % len(self.batches)]
        self.next += 1
        return copied(batch)


def copied(value: Any) -> Any:
    """A batch whose containers and samples are new; tensors are shared."""
    if isinstance(value, dict):
        return {k: copied(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        items = [copied(v) for v in value]
        return items if isinstance(value, list) else tuple(items)
    clone: Callable[[], Any] | None = getattr(value, 'new', None) if type(
        value).__name__ == 'PoseDataSample' else None
    return clone() if clone is not None else value
