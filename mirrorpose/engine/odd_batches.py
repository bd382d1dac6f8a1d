"""Batches that a training run must not meet, told before it starts.

================================= ========================================
what                              rule
================================= ========================================
an empty data set                 error
no batch in an epoch (a data set  error: the run would train nothing and
smaller than a batch, drop_last)  say nothing
a batch of one sample, and batch  error: its statistics are the sample's
normalisation that is trained     own, or cannot be computed at all
unequal numbers of batches on the error: the ranks that have one more
ranks                             would wait for ever
unequal sizes of the last batch   allowed
on the ranks
no labelled sample in a batch     MirrorNet: error in the step, with the id
                                  of the first; a plain recognizer's loss is
                                  0 then, and it stays as it is
no unlabelled sample in a batch   the step is that of supervised training
================================= ========================================

Validation and test may have any batches: nothing is learnt there, and
results are gathered once.
"""
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

import torch
from mmengine.dataset import DefaultSampler
from mmengine.dist import all_gather_object, get_world_size
from mmengine.runner import Runner
from torch.nn.modules.batchnorm import SyncBatchNorm, _BatchNorm
from torch.utils.data import DataLoader

from ..datasets.keyed import STREAMS


@dataclass(frozen=True)
class BatchPlan:
    """What one process trains in an epoch.

    Attributes:
        samples (int): Samples, of the data set for a stream.
        batches (int | None): Batches; None for a stream, which has no end.
        last (int | None): Samples of the last batch; None where unknown.
    """

    samples: int
    batches: int | None
    last: int | None


def check_loader(loader: DataLoader | Mapping[str, Any],
                 model: torch.nn.Module,
                 world_size: int | None = None) -> BatchPlan:
    """Checks the batches of a training loader against the table above.

    Where several processes train, each has to call it: they tell each other
    what they have, and raise together.

    Args:
        loader (DataLoader | Mapping): Of training, built or its config.
        model (nn.Module): What is trained.
        world_size (int, optional): Number of processes. Defaults to those
            that there are; another number is computed, for mmengine's
            ``DefaultSampler`` alone.

    Returns:
        BatchPlan: Of this process.

    Raises:
        ValueError: The run would meet an odd batch; says which and the fix.
    """
    built: Any = Runner.build_dataloader(loader) if isinstance(
        loader, Mapping) else loader
    world = get_world_size() if world_size is None else world_size
    total = len(built.dataset)
    name = type(built.dataset).__name__
    if total == 0:
        raise ValueError(
            f'the training data set ({name}) is empty; check ann_file, '
            'data_root, part and label_fraction, and the filters')
    size = _batch_size(built)
    plans = _plans(built, size, world)
    few = min(plans, key=lambda p: math.inf if p.batches is None
              else p.batches)
    if few.batches == 0:
        share = f', {few.samples} a process' if world > 1 else ''
        raise ValueError(
            f'an epoch would train nothing: the data set ({name}) has '
            f'{total} samples{share}, fewer than a batch of {size}, and '
            'drop_last=True drops what does not fill one. Lower batch_size, '
            'or set drop_last=False')
    counts = [p.batches for p in plans]
    if len(set(counts)) > 1:
        raise ValueError(
            f'the ranks would train unequal numbers of batches {counts} in '
            f'an epoch ({total} samples, processes={world}), and those with '
            'more would wait for ever. Set round_up=True in the sampler, or '
            'drop_last=True in the loader with a batch_size that gives all '
            'ranks as many')
    norms = trained_batch_norms(model, world)
    if norms and (size == 1 or any(p.last == 1 for p in plans)):
        what = 'every batch has' if size == 1 else \
            'the last batch of an epoch has'
        layers = f'layer {norms[0]!r}' if len(norms) == 1 else \
            f'{norms[0]!r} and {len(norms) - 1} other layers'
        verb = 'normalises' if len(norms) == 1 else 'normalise'
        raise ValueError(
            f'{what} one sample ({total} samples, batch_size={size}, '
            f'processes={world}), but {layers} {verb} over the batch. '
            + ('Choose a larger batch_size' if size == 1 else
               'Set drop_last=True, or another batch_size')
            + ", or norm_cfg=dict(type='GN', ...), or norm_eval=True for "
            'pretrained layers')
    return plans[0] if world_size is not None or world == 1 else _own(
        built, size)


def trained_batch_norms(model: torch.nn.Module,
                        world_size: int = 1) -> list[str]:
    """Layers whose output in training depends on the other samples.

    Args:
        model (nn.Module): As it is trained: layers that stay in eval mode
            (``norm_eval``, frozen stages) do not count.
        world_size (int): Several processes share SyncBN's statistics, which
            then does not count. Defaults to 1.

    Returns:
        list[str]: Names of the modules. The model's modes are left as they
        were.
    """
    modes = [(m, m.training) for m in model.modules()]
    model.train()
    try:
        return [n for n, m in model.named_modules()
                if isinstance(m, _BatchNorm) and m.training
                and not (isinstance(m, SyncBatchNorm) and world_size > 1)]
    finally:
        for module, mode in modes:
            module.training = mode


def _sampler(loader: DataLoader) -> Any:
    # With batch_sampler in the config, the sampler below it counts.
    return getattr(loader.batch_sampler, 'sampler', loader.sampler)


def _batch_size(loader: DataLoader) -> int | None:
    return getattr(loader.batch_sampler, 'batch_size', loader.batch_size)


def _drop_last(loader: DataLoader) -> bool:
    return bool(getattr(loader.batch_sampler, 'drop_last',
                        loader.drop_last))


def _plan(samples: int, size: int, drop_last: bool) -> BatchPlan:
    full, rest = divmod(samples, size)
    if drop_last or not rest:
        return BatchPlan(samples, full, size if full else None)
    return BatchPlan(samples, full + 1, rest)


def _own(loader: DataLoader, size: int | None) -> BatchPlan:
    """The plan of this process."""
    sampler = _sampler(loader)
    if isinstance(sampler, STREAMS):
        return BatchPlan(len(loader.dataset),  # type: ignore[arg-type]
                         None, size)
    if size is None or not hasattr(sampler, '__len__'):
        return BatchPlan(0, len(loader), None)
    return _plan(len(sampler), size, _drop_last(loader))


def _plans(loader: DataLoader, size: int | None,
           world: int) -> list[BatchPlan]:
    """The plans of all processes, the same list in each of them."""
    own = _own(loader, size)
    if world == 1:
        return [own]
    if world == get_world_size():
        return [BatchPlan(*p) for p in all_gather_object(astuple(own))]
    sampler = _sampler(loader)
    if not isinstance(sampler, DefaultSampler) or size is None:
        return [own]
    total = len(loader.dataset)  # type: ignore[arg-type]
    counts = [math.ceil((total - (0 if sampler.round_up else r)) / world)
              for r in range(world)]
    return [_plan(n, size, _drop_last(loader)) for n in counts]
