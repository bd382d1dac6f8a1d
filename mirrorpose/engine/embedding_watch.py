"""Warns of embeddings that metric learning has driven to one point."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mmpose.registry import HOOKS
from torch import Tensor, nn

from ..models.losses.hardnet import HardNetLoss
from .thresholds import Limit
from .watching_hook import WatchingHook

__all__ = ['EmbeddingWatch']

_SPREAD = Limit(
    'mon_spread', 'Root mean square distance of embeddings from their mean',
    'below', .3,
    'the embeddings of all images are nearly alike, so that the metric loss '
    'has nothing to tell apart and stays near its margin',
    "Set form='infonce' of HardNetLoss (model.head.loss of "
    'MetricPoseRegressor), lower loss_weight, or raise warm_up: the hardest '
    'negatives of a network that has not learnt yet drive all to one point.'
    ' Of another loss, take another or less of it.')


@HOOKS.register_module()
class EmbeddingWatch(WatchingHook):
    """Judges ``mon_spread`` of a metric loss, which logs it itself.

    ``HardNetLoss`` and ``PytorchMetricLearningLoss`` log it: 1 where unit
    embeddings point every way, 0 where they are alike. Training goes on, and
    its weights are the same without this hook. Of a loss without weight
    nothing is said.

    Args:
        interval (int): Look every so many iterations. Defaults to 10.
        begin (int): What was seen before this iteration is not judged; a
            new network's embeddings are alike. Defaults to 500.
        window (int): Looks whose mean is judged. Defaults to 10.
        repeat (int): The warning comes once in so many iterations at most.
            Defaults to 1000.
        spread (float): Least ``mon_spread``. Defaults to 0.3: trainings
            whose retrieval failed ended at 0.1, others at 0.98.

    Raises:
        ValueError: An argument is out of range.
    """

    watched = nn.Module

    def __init__(self, interval: int = 10, begin: int = 500,
                 window: int = 10, repeat: int = 1000,
                 spread: float = _SPREAD.value) -> None:
        super().__init__([replace(_SPREAD, value=float(spread))], interval,
                         2, begin, window, repeat)

    def judged(self, limit: Limit) -> bool:
        """Not where no loss asks for a spread."""
        return any(isinstance(m, HardNetLoss) and m.loss_weight > 0
                   for m in self._model.modules())

    def look(self, data_batch: Any, outputs: Mapping[str, Any]
             ) -> dict[str, Tensor]:
        """Nothing: the loss has logged what there is to judge."""
        return {}
