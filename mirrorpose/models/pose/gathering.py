"""Batches of several processes, as if one process had them all.

Every function is a collective: all processes call it, in the same order.
With one process they do nothing.
"""
from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ['gather_rows', 'joint_mean', 'process_count', 'rows_before']


def process_count() -> int:
    """How many processes train together."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_world_size()
    return 1


def _counts(number: int, device: torch.device) -> list[int]:
    mine = torch.tensor([number], device=device)
    every = [torch.empty_like(mine) for _ in range(process_count())]
    dist.all_gather(every, mine)
    return [int(n) for n in torch.cat(every).tolist()]


def rows_before(number: int, device: torch.device) -> int:
    """At which row of :func:`gather_rows` this process's own begin."""
    if process_count() == 1:
        return 0
    return sum(_counts(number, device)[:dist.get_rank()])


class _GatherRows(torch.autograd.Function):
    """All processes' rows; the gradient is summed over the processes."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        counts = _counts(len(rows), rows.device)
        ctx.start = sum(counts[:dist.get_rank()])
        ctx.number = len(rows)
        most = max(counts)
        padded = rows.new_zeros((most, *rows.shape[1:]))
        padded[:len(rows)] = rows
        every = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(every, padded)
        return torch.cat([part[:n] for part, n in zip(every, counts)])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        grad = grads[0].contiguous().clone()
        dist.all_reduce(grad)
        return grad[ctx.start:ctx.start + ctx.number]


def gather_rows(rows: Tensor) -> Tensor:
    """The rows of all processes, in the order of their ranks.

    The gradient is the true one: what every process's loss says about this
    process's rows, summed. (A gather that gives back only the own loss's
    share is 1 / processes of it.) Processes may have different numbers of
    rows. Every process has to run its backward pass through the result, if
    only with zeros, or the others wait for it.

    Args:
        rows (Tensor): (N, ...), alike but for N.

    Returns:
        Tensor: (sum of N, ...); ``rows`` itself with one process.
    """
    if process_count() == 1:
        return rows
    return _GatherRows.apply(rows)


def joint_mean(values: Tensor, keep: Tensor | None = None) -> Tensor:
    """A mean whose gradient, averaged over processes, is the joint batch's.

    Sums are divided by the mean number over processes of what is kept, so
    that a process with nothing to keep contributes zero and no branch is
    needed.

    Args:
        values (Tensor): Any shape; where ``keep`` is false anything may
            stand, NaN included.
        keep (Tensor, optional): bool, the shape of ``values``. Defaults to
            all.

    Returns:
        Tensor: A scalar; 0 where no process keeps anything.
    """
    if keep is None:
        keep = torch.ones_like(values, dtype=torch.bool)
    count = keep.sum().to(values.dtype)
    processes = process_count()
    if processes > 1:
        dist.all_reduce(count)
        count = count / processes
    # Without values that are kept the count may be a fraction of 1.
    total = values.masked_fill(~keep, 0.).sum()
    return total / torch.where(count > 0, count, torch.ones_like(count))
