"""What completers read of a batch of windows, and give to metrics."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor


class SequenceBatch(NamedTuple):
    """A batch of windows.

    Attributes:
        truth (Tensor): (N, F, 28, 2).
        seen (Tensor): (N, F, 28, 2) what a completer sees: the truth, or
            that with a detector's errors.
        observed (Tensor): (N, F, 28) bool, where it may look.
        present (Tensor): (N, F, 28) bool, where the truth is known.
        confidence (Tensor, optional): (N, F, 28) in [0, 1].
        ids (list[str]): N.
    """

    truth: Tensor
    seen: Tensor
    observed: Tensor
    present: Tensor
    confidence: Tensor | None
    ids: list[str]


def read_batch(batch: Mapping[str, Any] | SequenceBatch) -> SequenceBatch:
    """Reads what a ``PoseSequenceDataset`` or a preprocessor gives.

    Args:
        batch (Mapping): ``inputs`` (N, F, 28, 2), the truth; ``detected``
            alike, what a detector sees of it (the truth by default);
            ``present`` and ``observed`` (N, F, 28; all by default),
            ``confidence`` alike, ``ids``. Tensors, arrays or lists of N of
            them. Other keys are left alone.

    Raises:
        KeyError: There are no inputs.
        ValueError: Shapes do not fit.
    """
    if isinstance(batch, SequenceBatch):
        return batch
    if 'inputs' not in batch:
        raise KeyError('a batch of windows needs "inputs", got '
                       f'{sorted(batch)}')
    truth = _stack(batch['inputs'])
    seen = _stack(batch.get('detected'), truth)
    if seen.shape != truth.shape:
        raise ValueError(f'detected is {tuple(seen.shape)}, inputs are '
                         f'{tuple(truth.shape)}')
    everywhere = torch.ones(truth.shape[:-1], dtype=torch.bool,
                            device=truth.device)
    masks = {name: _stack(batch.get(name), everywhere) for name in (
        'observed', 'present', 'confidence')}
    for name, mask in masks.items():
        if mask.shape != everywhere.shape:
            raise ValueError(f'{name} is {tuple(mask.shape)}, inputs want '
                             f'{tuple(everywhere.shape)}')
    confidence = None if batch.get('confidence') is None else masks[
        'confidence'].to(truth)
    ids = batch.get('ids')
    return SequenceBatch(
        truth, seen, masks['observed'] > 0, masks['present'] > 0, confidence,
        [str(i) for i in (range(len(truth)) if ids is None else ids)])


def _stack(value: Any, default: Tensor | None = None) -> Tensor:
    if value is None:
        assert default is not None
        return default
    if isinstance(value, (list, tuple)):
        return torch.stack([torch.as_tensor(v) for v in value])
    return torch.as_tensor(value)


def as_samples(completed: Tensor, batch: SequenceBatch) -> list[dict]:
    """One dict a window, as the metrics of sequences read them.

    Args:
        completed (Tensor): (N, F, 28, 2), in the frame of the batch.
        batch (SequenceBatch): The batch.
    """
    return [
        dict(id=name, pred_sequence=pred.detach().cpu(), gt_sequence=gt.cpu(),
             observed=observed.cpu(), present=present.cpu())
        for name, pred, gt, observed, present in zip(
            batch.ids, completed, batch.truth, batch.observed,
            batch.present)]
