"""Training by an ordered list of steps, each with its own optimizer.

What a critic and a generator, or a translator, a discriminator and a
regressor, have in common: JUMPS and KeypointGAN train so. The config of such
a model names an optimizer for every step, and the wrapper that keeps several
processes together child by child::

    optim_wrapper = dict(
        constructor='PerChildOptimWrapperConstructor',
        critic=dict(optimizer=dict(type='Adam', lr=1e-4)),
        generator=dict(optimizer=dict(type='Adam', lr=1e-4),
                       children=['generator', 'encoder']))
    model_wrapper_cfg = dict(type='PerChildDistributedDataParallel')
"""
from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.logging import MessageHub
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from .pose.probability import SampleNoise
from .precision import always_float32
from .steps import (
    TrainingStep,
    detached,
    only_trains,
    read_losses,
    split_batch,
    unwrap,
)

__all__ = ['AdversarialMixin', 'TrainingStep', 'unwrap']

class AdversarialMixin:
    """Trains an mmengine ``BaseModel`` by several steps an iteration.

    To be inherited from before the model's class. ``__init__`` ends with
    :meth:`set_steps`; each step's method takes what the model's ``forward``
    takes besides the mode, and returns a dict. Its entries ``loss_*`` are
    summed and minimised, entries ``mon_*``, ``acc_*`` and ``kl_*`` are
    logged, and any other name that holds "loss" is refused, since mmengine
    would sum it too. Logged names tell the step: ``loss_fake`` of step
    ``critic`` becomes ``loss_critic_fake``, and ``loss_critic`` is the sum.

    Steps of one iteration hand tensors on in the dict ``self.step_cache``
    (fakes of a generator's step to the critic's after it); they come out
    detached.

    Runs bare and inside ``PerChildDistributedDataParallel``. What has to
    be known there: gradients are averaged only where they pass through a
    child's ``forward``, and every parameter of a trained child has to take
    part in the step's loss.
    """

    steps: tuple[TrainingStep, ...] = ()
    micro_batches: int = 1
    data_preprocessor: Any

    def set_steps(self, steps: Sequence[Mapping[str, Any] | TrainingStep],
                  micro_batches: int = 1) -> None:
        """Defines an iteration.

        Args:
            steps (Sequence[dict | TrainingStep]): In the order in which they
                run, as :class:`TrainingStep` takes them.
            micro_batches (int): Cuts the batch into so many parts, and adds
                up their gradients before each step's update: the update of
                the whole batch with the memory of a part (where no batch
                statistics are involved). It stands in for
                ``accumulative_counts``, with which critic and generator
                would see each other half-way between updates. Defaults to
                1.

        Raises:
            ValueError: Names are not unique or unknown, a step has nothing
                to train, a child belongs to two optimizers, or parameters
                that can be trained are in no step.
            TypeError: A step has an unknown key.
        """
        assert isinstance(self, nn.Module)
        known = [f.name for f in dataclasses.fields(TrainingStep)]
        built = []
        for step in steps:
            if not isinstance(step, TrainingStep):
                wrong = set(step) - set(known)
                if wrong or not {'name', 'trains'} <= set(step):
                    raise TypeError(
                        'a training step has the keys '
                        f'{known} (name and trains are required), got '
                        f'{dict(step)}')
                step = TrainingStep(**step)
            built.append(step)
        names = [s.name for s in built]
        if not built or len(set(names)) < len(names):
            raise ValueError('the steps of an iteration need a name each, '
                             f'got {names}')
        if micro_batches < 1:
            raise ValueError('micro_batches must be at least 1, got '
                             f'{micro_batches}')
        owners: dict[str, str] = {}
        for step in built:
            self._check_step(step)
            for child in step.trains:
                if owners.setdefault(child, step.optimizer) != step.optimizer:
                    raise ValueError(
                        f'child {child!r} is trained by two optimizers, '
                        f'{owners[child]!r} and {step.optimizer!r}: give it '
                        'one, by `optimizer` of its steps')
        idle = [n for n, child in self.named_children() if n not in owners
                and any(p.requires_grad for p in child.parameters())]
        idle += [n for n, p in self.named_parameters(recurse=False)
                 if p.requires_grad]
        if idle:
            raise ValueError(
                f'no step trains {idle}: put each into `trains` of a step, '
                'or freeze it (requires_grad_(False)) before set_steps; '
                'parameters of the model itself have to move into a child')
        self.steps, self.micro_batches = tuple(built), micro_batches
        for step in built:
            if step.float32:
                for child in step.trains:
                    always_float32(self.get_submodule(child))
        self._caches: list[dict[str, Any]] = [{}]
        self.step_cache = self._caches[0]
        self._told: int | None = None
        self._iteration, self._running = -1, 0

    def _check_step(self, step: TrainingStep) -> None:
        assert isinstance(self, nn.Module)
        where = f'step {step.name!r} of {type(self).__name__}'
        children = dict(self.named_children())
        for child in step.trains:
            if child not in children:
                raise ValueError(f'{where} trains {child!r}, but the model '
                                 f'has the children {sorted(children)}')
        if not any(p.requires_grad for child in step.trains
                   for p in children[child].parameters()):
            raise ValueError(f'{where} trains {list(step.trains)}, which '
                             'have no parameter that can be trained')
        if not callable(getattr(self, step.loss, None)):
            raise ValueError(f'{where} takes its losses from the method '
                             f'{step.loss!r}, which the model has not')

    def check_optimizers(
            self, children: Mapping[str, Collection[str]]) -> None:
        """Compares the steps with what each optimizer holds.

        Args:
            children (Mapping[str, Collection[str]]): Names of the children
                of each optimizer; the constructor of the optimizers calls
                this.

        Raises:
            ValueError: A step names an optimizer that is not there, or that
                does not hold what the step trains.
        """
        for step in self.steps:
            if step.optimizer not in children:
                raise ValueError(
                    f'step {step.name!r} of {type(self).__name__} uses the '
                    f'optimizer {step.optimizer!r}, but optim_wrapper '
                    f'defines {sorted(children)}')
            absent = set(step.trains) - set(children[step.optimizer])
            if absent:
                raise ValueError(
                    f'step {step.name!r} of {type(self).__name__} trains '
                    f'{sorted(absent)}, which optimizer {step.optimizer!r} '
                    'does not hold: set optim_wrapper.'
                    f'{step.optimizer}.children={list(step.trains)}')

    def _check_training(self, optim_wrapper: Any) -> None:
        assert isinstance(self, nn.Module)
        name = type(self).__name__
        if not self.steps:
            raise RuntimeError(f'{name}.__init__ has to end with set_steps')
        if not hasattr(optim_wrapper, 'optim_wrappers'):
            raise ValueError(
                f'{name} trains by several optimizers, but optim_wrapper is '
                f'one {type(optim_wrapper).__name__}: set optim_wrapper=dict('
                "constructor='PerChildOptimWrapperConstructor', "
                + ', '.join(f'{n}=dict(...)' for n in dict.fromkeys(
                    s.optimizer for s in self.steps)) + ')')
        several = get_world_size() > 1
        for step in self.steps:
            if step.optimizer not in optim_wrapper:
                raise ValueError(
                    f'step {step.name!r} of {name} uses the optimizer '
                    f'{step.optimizer!r}, but optim_wrapper defines '
                    f'{sorted(optim_wrapper.keys())}')
            if optim_wrapper[step.optimizer]._accumulative_counts != 1:
                raise ValueError(
                    f'optimizer {step.optimizer!r} of {name} has '
                    'accumulative_counts: critic and generator would see '
                    'each other half-way between updates. Set the model\'s '
                    'micro_batches instead, which cuts each batch')
            for child in step.trains if several else ():
                if not is_model_wrapper(self.get_submodule(child)):
                    raise RuntimeError(
                        f'{get_world_size()} processes train {name}, but '
                        f'its child {child!r} is not wrapped, so that '
                        'their weights would drift apart: set '
                        'model_wrapper_cfg=dict(type='
                        "'PerChildDistributedDataParallel')")

    def _count(self) -> int:
        """Iterations so far: the runner's, or the calls where there is none.

        So a resumed run goes on in the phase in which it stopped.
        """
        told = MessageHub.get_current_instance().get_info('iter')
        if told is not None and told != self._told:
            self._told = self._iteration = int(told)
        else:
            self._iteration += 1
        return self._iteration

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        """Runs the steps that are due on one batch.

        Args:
            data (dict | list | tuple): From the data loader.
            optim_wrapper (OptimWrapperDict): One wrapper an optimizer.

        Returns:
            dict[str, Tensor]: What is logged.

        Raises:
            ValueError: The optimizers do not fit the steps, or a step's
                losses are misnamed.
            RuntimeError: A step's loss does not depend on what it trains,
                or several processes train without the wrapper.
        """
        assert isinstance(self, nn.Module)
        self._check_training(optim_wrapper)
        parts = split_batch(self.data_preprocessor(data, True),
                            self.micro_batches)
        self._caches = [{} for _ in parts]
        iteration = self._count()
        logs: dict[str, Tensor] = {}
        for number, step in enumerate(self.steps):
            if step.is_due(iteration):
                self._running = number
                logs.update(self._run(step, parts,
                                      optim_wrapper[step.optimizer]))
        return logs

    def _run(self, step: TrainingStep, parts: list[tuple[float, Any]],
             wrapper: Any) -> dict[str, Tensor]:
        assert isinstance(self, nn.Module)
        children: dict[str, Any] = dict(self.named_children())
        logs: dict[str, Tensor] = {}
        with only_trains(self, step.trains), ExitStack() as frozen:
            for name, child in children.items():
                # Nothing to average: their reducers shall not wait for it.
                if name not in step.trains and is_model_wrapper(child):
                    frozen.enter_context(child.no_sync())
            for number, (share, part) in enumerate(parts):
                self.step_cache = self._caches[number]
                with ExitStack() as stack:
                    for name in step.trains:
                        child = children[name]
                        if number < len(parts) - 1 and \
                                is_model_wrapper(child):
                            stack.enter_context(child.no_sync())
                        stack.enter_context(wrapper.optim_context(child))
                    losses = self._losses(step, part)
                total, log = read_losses(losses, step, type(self).__name__)
                if len(parts) == 1:
                    wrapper.update_params(total)
                    logs = log
                else:
                    wrapper.backward(share * total)
                    for key, value in log.items():
                        logs[key] = logs.get(key, 0) + share * value
                for key, value in self.step_cache.items():
                    self.step_cache[key] = detached(value)
            if len(parts) > 1:
                wrapper.step()
                wrapper.zero_grad()
        return logs

    def _losses(self, step: TrainingStep, batch: Any) -> dict[str, Tensor]:
        method = getattr(self, step.loss)
        if isinstance(batch, dict):
            return method(**batch)
        if isinstance(batch, (list, tuple)):
            return method(*batch)
        return method(batch)

    def sample_noise(self, keys: Sequence[int]) -> SampleNoise:
        """Noise that is a function of seed, iteration, step and sample.

        Two processes then draw what one would with the joint batch.

        Args:
            keys (Sequence[int]): One integer a sample of the batch.
        """
        seed = MessageHub.get_current_instance().get_info('seed', 0)
        noise = SampleNoise(list(keys), max(self._iteration, 0), seed)
        noise.draws = 1000 * self._running  # steps do not share latents
        return noise

    def cached(self, name: str) -> Tensor | None:
        """What the last iteration left in ``step_cache``, all parts of it.

        Returns:
            Tensor | None: (N, ...), or None where nothing was left.
        """
        found = [c[name] for c in self._caches if name in c]
        return torch.cat(found) if found else None

    def loss(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """There is no single loss.

        Raises:
            RuntimeError: Always; a wrapper that knows nothing of steps
                calls it.
        """
        raise RuntimeError(
            f'{type(self).__name__} trains by the steps '
            f'{[s.name for s in self.steps]} and has no single loss. Several '
            'processes need model_wrapper_cfg=dict(type='
            "'PerChildDistributedDataParallel')")
