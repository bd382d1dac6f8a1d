"""One step of an iteration: what it trains, on what, and what it logs."""
from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.model import is_model_wrapper
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ['TrainingStep', 'detached', 'evaluating', 'only_trains',
           'read_losses', 'split_batch', 'statistics_kept', 'unwrap']

#: Kinds of logged values that keep their place at the front of a name.
KINDS = ('loss', 'mon', 'acc', 'kl')


@dataclasses.dataclass(frozen=True)
class TrainingStep:
    """One step of an iteration: which children learn, from which loss.

    Args:
        name (str): Names the step in logs and errors.
        trains (Sequence[str]): The model's children that learn in it; all
            others are frozen meanwhile.
        optimizer (str): Key of the optimizer. Defaults to ``name``.
        loss (str): The model's method that gives the losses. Defaults to
            ``{name}_losses``.
        every (int): Runs in every so many iterations, last of them: with a
            critic at 1 and a generator at 5, five critic steps come before
            each generator step. Defaults to 1.
        start (int): Iterations before it begins. Defaults to 0.
        float32 (bool): The children it trains compute in float32 even where
            autocast is on, whoever calls them. Meant for critics: a gradient
            penalty is differentiated twice. Defaults to False.

    Raises:
        ValueError: A value is out of range.
    """

    name: str
    trains: tuple[str, ...]
    optimizer: str = ''
    loss: str = ''
    every: int = 1
    start: int = 0
    float32: bool = False

    def __post_init__(self) -> None:
        where = f'step {self.name!r}'
        trains = self.trains
        if isinstance(trains, str) or not trains:
            raise ValueError(f'{where}: trains lists the children that '
                             f'learn in it, got {trains!r}')
        if self.every < 1 or self.start < 0:
            raise ValueError(f'{where}: every must be at least 1 and start '
                             f'at least 0, got {self.every}, {self.start}')
        object.__setattr__(self, 'trains', tuple(trains))
        object.__setattr__(self, 'optimizer', self.optimizer or self.name)
        object.__setattr__(self, 'loss', self.loss or f'{self.name}_losses')

    def is_due(self, iteration: int) -> bool:
        """Whether it runs in this iteration (counted from 0)."""
        done = iteration - self.start
        return done >= 0 and (done + 1) % self.every == 0


def unwrap(module: nn.Module) -> nn.Module:
    """The module inside of any number of distributed wrappers.

    A wrapped child exposes ``forward`` alone. What is reached through this
    function is not kept equal between processes: use it for inference.
    """
    inner: Any = module
    while is_model_wrapper(inner):
        inner = inner.module
    return inner


@contextmanager
def only_trains(model: nn.Module, children: Collection[str]) -> Iterator[None]:
    """Freezes all parameters but those of some children.

    Gradients still pass through what is frozen. The flags come back however
    the block ends; parameters that were frozen before stay so.

    Args:
        model (nn.Module): Its direct children are meant.
        children (Collection[str]): Names of those that keep their flags.
    """
    kept = {id(p) for name in children
            for p in model.get_submodule(name).parameters()}
    held = [p for p in model.parameters()
            if p.requires_grad and id(p) not in kept]
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(True)


@contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """All modules in eval mode, afterwards each as it was."""
    held = [(m, m.training) for module in modules for m in module.modules()]
    for module, _ in held:
        module.training = False
    try:
        yield
    finally:
        for module, mode in held:
            module.training = mode


@contextmanager
def statistics_kept(*modules: nn.Module) -> Iterator[None]:
    """Batch normalisation inside leaves its running statistics alone.

    They shall describe one distribution, that of the pass which is made
    again at test time; the batches are normalised as ever.
    """
    norms = [m for module in modules for m in module.modules()
             if isinstance(m, _BatchNorm)]
    momenta = [m.momentum for m in norms]
    for norm in norms:
        norm.momentum = 0.
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum


def split_batch(batch: Any, parts: int) -> list[tuple[float, Any]]:
    """Cuts a batch into parts along its samples.

    Args:
        batch (dict | list | tuple): As a data preprocessor returns it:
            tensors (N, ...) and lists of N, in dicts or in the order of the
            arguments. Numbers, strings and None go to every part.
        parts (int): How many; N if it has fewer samples.

    Returns:
        list[tuple[float, Any]]: Each part's share of the samples, and the
        part.

    Raises:
        ValueError: Not everything in the batch has as many samples.
    """
    if parts == 1:
        return [(1., batch)]
    top = list(batch.items()) if isinstance(batch, dict) else \
        list(enumerate(batch)) if isinstance(batch, (list, tuple)) else \
        [('inputs', batch)]
    lengths: dict[str, int] = {}

    def measure(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                measure(f'{name}.{key}', inner)
        elif isinstance(value, (list, tuple)) or (
                isinstance(value, Tensor) and value.ndim):
            lengths[name] = len(value)

    for key, value in top:
        measure(str(key), value)
    if len(set(lengths.values())) != 1:
        raise ValueError('micro_batches needs a batch whose entries all have '
                         f'the same number of samples, got {lengths}')
    number = next(iter(lengths.values()))
    parts = min(parts, number)
    edges = [number * i // parts for i in range(parts + 1)]

    def cut(value: Any, rows: slice) -> Any:
        if isinstance(value, dict):
            return {k: cut(v, rows) for k, v in value.items()}
        if isinstance(value, (list, tuple)) or (
                isinstance(value, Tensor) and value.ndim):
            return value[rows]
        return value

    out = []
    for low, high in zip(edges, edges[1:]):
        cuts = [(key, cut(value, slice(low, high))) for key, value in top]
        part = dict(cuts) if isinstance(batch, dict) else \
            [v for _, v in cuts] if isinstance(batch, (list, tuple)) else \
            cuts[0][1]
        out.append(((high - low) / number, part))
    return out


def detached(value: Any) -> Any:
    """Tensors, also in lists and dicts, cut off from their graph."""
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, dict):
        return {k: detached(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [detached(v) for v in value]
    return value


def read_losses(losses: Mapping[str, Any], step: TrainingStep, model: str
                ) -> tuple[Tensor, dict[str, Tensor]]:
    """The sum of a step's losses, and what is logged of it.

    Args:
        losses (dict): What the step's method returned: tensors, or lists of
            tensors whose means are added up.
        step (TrainingStep): The step.
        model (str): The model's name, for errors.

    Returns:
        tuple[Tensor, dict[str, Tensor]]: The scalar to minimise; detached
        scalars by name, of which ``loss_{step}`` is the sum.

    Raises:
        TypeError: An entry is no tensor.
        ValueError: No entry is to be minimised, or a name holds "loss"
            elsewhere than in front.
        RuntimeError: The sum has no graph.
    """
    where = f'step {step.name!r} of {model}'
    terms, log = [], {}
    for key, value in losses.items():
        if isinstance(value, Tensor):
            value = value.mean()
        elif isinstance(value, (list, tuple)) and value and all(
                isinstance(v, Tensor) for v in value):
            value = torch.stack([v.mean() for v in value]).sum()
        else:
            raise TypeError(f'{where}: {key} is a {type(value).__name__}, '
                            'not a tensor or a list of tensors')
        kind, _, rest = key.partition('_')
        if kind == 'loss' and rest:
            terms.append(value)
        elif 'loss' in key:
            raise ValueError(
                f'{where}: {key!r} holds "loss" but does not begin with '
                '"loss_": name what is minimised loss_*, and what is only '
                'logged mon_*, acc_* or kl_*')
        if kind not in KINDS or not rest:
            kind, rest = 'mon', key
        log[f'{kind}_{step.name}_{rest}'] = value.detach()
    if not terms:
        raise ValueError(f'{where}: the method {step.loss!r} returned no '
                         f'entry loss_*, only {sorted(losses)}')
    total = torch.stack(terms).sum()
    if not total.requires_grad:
        raise RuntimeError(
            f'{where}: its loss does not depend on any parameter of '
            f'{list(step.trains)}: was the graph cut by detach() or '
            'no_grad()?')
    return total, {f'loss_{step.name}': total.detach(), **log}
