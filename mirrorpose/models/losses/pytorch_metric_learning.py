"""The losses of pytorch-metric-learning, where it is installed."""
from __future__ import annotations

import importlib
from typing import Any

import torch
from mmpose.registry import MODELS
from torch import Tensor

from ..pose.gathering import gather_rows
from ..pose.views import ViewLabels
from .hardnet import HardNetLoss, all_distances, pose_distances

PACKAGE = 'pytorch_metric_learning'


@MODELS.register_module()
class PytorchMetricLearningLoss(HardNetLoss):
    """A loss of pytorch-metric-learning in the place of HardNetLoss.

    It is given the pairs of views of one instant, and those pairs that the
    masks of :class:`HardNetLoss` leave as negatives (subject, time,
    duplicates, similar poses). Losses that have classes to learn (ArcFace
    and its like) have no use here. With several processes each computes the
    joint loss, with the gradient of one process.

    Args:
        loss (dict): ``type``, a name in ``pytorch_metric_learning.losses``,
            and its arguments, e.g. ``dict(type='NTXentLoss',
            temperature=0.1)``.
        near_seconds, within_subject, within_sequence, duplicate_floor,
            pose_floor, all_ranks, loss_weight: As in :class:`HardNetLoss`.

    Raises:
        ImportError: The package is not installed.
        ValueError: It has no such loss.
    """

    def __init__(self, loss: dict, near_seconds: float = 1.,
                 within_subject: bool = True,
                 within_sequence: bool = False,
                 duplicate_floor: float = 0.008,
                 pose_floor: float | None = None, all_ranks: bool = True,
                 loss_weight: float = 1.) -> None:
        super().__init__(
            near_seconds=near_seconds, within_subject=within_subject,
            within_sequence=within_sequence,
            duplicate_floor=duplicate_floor, pose_floor=pose_floor,
            all_ranks=all_ranks, loss_weight=loss_weight)
        try:
            losses: Any = importlib.import_module(f'{PACKAGE}.losses')
        except ImportError as error:
            raise ImportError(
                'PytorchMetricLearningLoss wraps a package that is not '
                'installed: pip install pytorch-metric-learning, or take '
                'HardNetLoss') from error
        options = dict(loss)
        name = options.pop('type', None)
        if not isinstance(name, str) or not hasattr(losses, name):
            raise ValueError(f'{PACKAGE}.losses has no {name!r}: loss is a '
                             "dict with the class's name as its type")
        self.loss = getattr(losses, name)(**options)

    def forward(self, embedding: Tensor, views: ViewLabels,
                pose: Tensor | None = None,
                annotated: Tensor | None = None) -> dict[str, Tensor]:
        """As :meth:`HardNetLoss.forward`; only ``mon_spread`` beside it."""
        if self.pose_floor is not None and (pose is None
                                            or annotated is None):
            raise ValueError('pose_floor compares poses: give pose and '
                             'annotated, or set pose_floor=None')
        with torch.autocast(embedding.device.type, enabled=False):
            own = embedding.float()
            rows = own
            if self.all_ranks:
                rows, views = gather_rows(own), views.gather()
                if self.pose_floor is not None:
                    assert pose is not None and annotated is not None
                    pose = gather_rows(pose.detach())
                    annotated = gather_rows(annotated.long()) > 0
            with torch.no_grad():
                similarity = None
                if self.pose_floor is not None:
                    assert pose is not None and annotated is not None
                    similarity = pose_distances(pose, annotated)
                allowed = self.eligible(all_distances(rows), views,
                                        similarity)
            _, labels = views.group.unique(return_inverse=True)
            pairs = (*views.positives().nonzero(as_tuple=True),
                     *allowed.nonzero(as_tuple=True))
            # Without any pair the package gives a constant.
            value = self.loss(rows, labels, pairs) + 0. * rows.sum()
        centred = (own - own.mean(0)).detach()
        return dict(loss_metric=self.loss_weight * value,
                    mon_spread=centred.square().sum(1).mean().sqrt())
