"""Training loops that go on exactly where a run was stopped.

mmengine's loops replay the data of a resumed run batch by batch, restart the
random stream at the seed, sleep between epochs, and let a validation move
the noise of the training after it.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from mmengine.runner.base_loop import BaseLoop
from mmengine.runner.utils import calc_dynamic_intervals
from mmpose.registry import LOOPS
from torch.utils.data import DataLoader

from ..datasets.guarded import guard, open_broken_samples
from ..datasets.keyed import KeyedBatchSampler, make_keyed
from ..utils import random_state
from .odd_batches import check_loader

__all__ = ['EpochTrainLoop', 'IterTrainLoop']


class _Resumable:
    """What both loops share."""

    runner: Any
    dataloader: DataLoader
    batches: KeyedBatchSampler
    _resumed: dict | None = None
    _epoch: int
    _iter: int

    def _key(self) -> None:
        runner = self.runner
        check_loader(self.dataloader, runner.model)
        broken = open_broken_samples(
            self.dataloader.dataset, runner.work_dir,
            **(runner.cfg.get('broken_samples') or {}))
        dataset: Any = self.dataloader.dataset
        if hasattr(dataset, 'prepare'):  # a cache is built once, here
            dataset.prepare(broken)
        self.batches = make_keyed(self.dataloader, int(runner.seed),
                                  guard(broken))

    def resume_from(self, state: dict | None) -> None:
        """Takes what a checkpoint holds of this rank.

        The generators are put back right before the first step, so that
        nothing in between moves them.
        """
        self._resumed = state or {}

    def _restore(self) -> None:
        """Puts this rank back to where the checkpoint was saved."""
        state, self._resumed = self._resumed, None
        if not state:
            return
        model = getattr(self.runner.model, 'module', self.runner.model)
        if state.get('buffers'):
            mine = dict(model.named_buffers())
            for name, value in state['buffers'].items():
                mine[name].copy_(value)
        for name, value in (state.get('gradients') or {}).items():
            parameter = model.get_parameter(name)
            parameter.grad = value.to(parameter)
        if state.get('random'):
            random_state.restore(state['random'])

    def _validate(self) -> None:
        """Validates; the training after it draws as if it had not."""
        with random_state.preserved():
            # Each validation draws alike, whenever it comes.
            torch.manual_seed(int(self.runner.seed))
            self.runner.val_loop.run()

    @property
    def _validates(self) -> bool:
        """Whether a validation is due now."""
        raise NotImplementedError

    def _repeat_validation(self) -> None:
        """A kill may have come before or in the last validation.

        The checkpoint is older than it, so it is done again: scores and best
        checkpoint are then those of a run that was not stopped.
        """
        if self._resumed is not None and self._iter and self._validates:
            self._validate()


@LOOPS.register_module()
class EpochTrainLoop(_Resumable, EpochBasedTrainLoop):
    """mmengine's epoch-based loop, exact when resumed.

    A checkpoint that was saved inside an epoch (``by_epoch=False`` in the
    checkpoint hook) goes on inside it.

    Args:
        others: As in mmengine's ``EpochBasedTrainLoop``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._key()

    @property
    def _validates(self) -> bool:
        done = self._iter - self._epoch * len(self.dataloader)
        if done or self.runner.val_loop is None:
            return False
        self._decide_current_val_interval()
        return self._epoch >= self.val_begin and (
            self._epoch % self.val_interval == 0
            or self._epoch == self._max_epochs)

    def run(self) -> torch.nn.Module:
        """Trains."""
        self.runner.call_hook('before_train')
        self._repeat_validation()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            if self._validates:
                self._validate()
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        """Trains one epoch, or what is left of it."""
        length = len(self.dataloader)
        done = self._iter - self._epoch * length
        if not 0 <= done <= length:
            raise RuntimeError(
                f'the checkpoint is at epoch {self._epoch}, iteration '
                f'{self._iter}, but an epoch has {length} iterations now: '
                'the data set, the batch size or the number of processes '
                'has changed. Go on from its weights instead: load_from='
                'CHECKPOINT, without resume')
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        if self.batches.is_stream:
            self.batches.start_stream(self._iter)
        else:
            self.batches.start(self._epoch, done)
        self._restore()
        if done < length:
            for idx, data_batch in enumerate(self.dataloader, done):
                self.run_iter(idx, data_batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


@LOOPS.register_module()
class IterTrainLoop(_Resumable, IterBasedTrainLoop):
    """mmengine's iteration-based loop, exact when resumed.

    It skips ahead in the sampler: no data is read for what is trained.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict): Its data.
        max_iters (int): Total training iterations.
        val_begin (int): First iteration to validate at. Defaults to 1.
        val_interval (int): Defaults to 1000.
        dynamic_intervals (list[tuple[int, int]], optional): Milestones, and
            the interval after each.

    Raises:
        ValueError: ``max_iters`` is no positive integer.
    """

    def __init__(self, runner: Any, dataloader: DataLoader | dict,
                 max_iters: int, val_begin: int = 1, val_interval: int = 1000,
                 dynamic_intervals: list[tuple[int, int]] | None = None
                 ) -> None:
        # Not IterBasedTrainLoop's: it starts the workers at once.
        BaseLoop.__init__(self, runner, dataloader)
        if int(max_iters) != max_iters or max_iters < 1:
            raise ValueError('max_iters must be a positive integer, got '
                             f'{max_iters}')
        self._max_iters, self._max_epochs = int(max_iters), 1
        self._epoch = self._iter = 0
        self.val_begin, self.val_interval = val_begin, val_interval
        self.stop_training = False
        self.runner.visualizer.dataset_meta = getattr(
            self.dataloader.dataset, 'metainfo', None)
        self.dynamic_milestones, self.dynamic_intervals = \
            calc_dynamic_intervals(val_interval, dynamic_intervals)
        self._key()

    @property
    def _validates(self) -> bool:
        if self.runner.val_loop is None:
            return False
        self._decide_current_val_interval()
        return self._iter >= self.val_begin and (
            self._iter % self.val_interval == 0
            or self._iter == self._max_iters)

    def _stream(self) -> Iterator[Any]:
        """Batches without end, from where the run is."""
        if self.batches.is_stream:
            self.batches.start_stream(self._iter)
            while True:
                yield from self.dataloader
        lap, skip = divmod(self._iter, len(self.dataloader))
        while True:
            self.batches.start(lap, skip)
            yield from self.dataloader
            lap, skip = lap + 1, 0

    def run(self) -> torch.nn.Module:
        """Trains."""
        self.runner.call_hook('before_train')
        self._repeat_validation()
        self.runner.call_hook('before_train_epoch')
        stream = self._stream()
        self._restore()
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(stream))
            self._decide_current_val_interval()
            if self._validates:
                self._validate()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model


#: What a stock ``train_cfg`` becomes in our runner.
TRAIN_LOOPS = {True: 'EpochTrainLoop', False: 'IterTrainLoop'}
