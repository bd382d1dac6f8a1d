"""A head that embeds poses, alone or beside any other head."""
from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.structures import InstanceData
from mmpose.models.heads.base_head import BaseHead
from mmpose.registry import MODELS
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor, nn
from torch.nn import functional

from ..pose.views import read_views


class Embedding(NamedTuple):
    """What an embedding head gives.

    Attributes:
        unit (Tensor): (N, D) of unit length, for distances.
        raw (Tensor): (N, D) before it is normalised, for regression: the
            unit-length one has lost its length (spec T4.7).
        feature (Tensor): (N, C) what it is made of, which still knows the
            view.
    """

    unit: Tensor
    raw: Tensor
    feature: Tensor


@MODELS.register_module()
class EmbeddingHead(BaseHead):
    """Pooled features, embedded on the unit sphere (M1).

    In any top-down config it takes the place of the head, which goes on
    beside it: ``head=dict(type='EmbeddingHead', in_channels=512,
    beside=dict(<the head that was there>))``. The data have to show
    synchronised views, see :func:`mirrorpose.models.pose.views.read_views`.
    Alone it predicts an embedding and no keypoints. An ``IdentityAdversary``
    on the embedding is asked for by ``adversary``.

    Args:
        in_channels (int): C of the last feature map.
        embedding_dim (int): D. Defaults to 128.
        loss (dict): Defaults to ``dict(type='HardNetLoss')``.
        beside (dict, optional): Config of a head for the same features.
        feature_index (int): Which of the backbone's outputs. Defaults to
            -1.
        detach (bool): Keeps the embedding's loss from the backbone. Defaults
            to False.
        adversary (dict, optional): Config of an ``IdentityAdversary``, which
            reads the embedding before it is normalised, and the metainfo
            ``subject_index``. Defaults to None.

    Raises:
        ValueError: A size that is not positive.
    """

    def __init__(self, in_channels: int, embedding_dim: int = 128,
                 loss: dict | None = None, beside: dict | None = None,
                 feature_index: int = -1, detach: bool = False,
                 adversary: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if in_channels < 1 or embedding_dim < 1:
            raise ValueError('in_channels and embedding_dim must be positive,'
                             f' got {in_channels} and {embedding_dim}')
        self.in_channels, self.embedding_dim = in_channels, embedding_dim
        self.feature_index, self.detach = feature_index, detach
        self.embed = nn.Linear(in_channels, embedding_dim)
        self.loss_module = MODELS.build(loss or dict(type='HardNetLoss'))
        self.beside = MODELS.build(beside) if beside else None
        self.adversary = None if adversary is None else MODELS.build(
            dict(dict(in_channels=embedding_dim), **adversary))

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        # mmpose hands its test_cfg to the head; the one beside reads it too.
        beside: Any = getattr(self, 'beside', None)
        if name == 'test_cfg' and beside is not None:
            beside.test_cfg = copy.deepcopy(value)

    @property
    def decoder(self) -> Any:
        """The codec of the head beside, which mmpose's tools ask for."""
        return getattr(self.beside, 'decoder', None)

    def pool(self, feats: Tensor | Sequence[Tensor]) -> Tensor:
        """Means over space or time, (N, C).

        Args:
            feats (Tensor | Sequence[Tensor]): (N, C, ...) or several.

        Raises:
            ValueError: Another number of channels.
        """
        x = feats if isinstance(feats, Tensor) else feats[self.feature_index]
        if x.ndim < 2 or x.shape[1] != self.in_channels:
            raise ValueError(
                f'the backbone gives {tuple(x.shape)}, the embedding head '
                f'wants {self.in_channels} channels: set its in_channels to '
                f'{x.shape[1] if x.ndim > 1 else "the number of channels"}')
        return x.flatten(2).mean(2) if x.ndim > 2 else x

    def embedding(self, feats: Tensor | Sequence[Tensor]) -> Embedding:
        """Embeds features, see :meth:`pool`."""
        feature = self.pool(feats)
        raw = self.embed(feature.detach() if self.detach else feature)
        return Embedding(unit_length(raw), raw, feature)

    def forward(self, feats: Tensor | Sequence[Tensor]) -> Any:
        """What the head beside gives; alone, unit embeddings (N, D)."""
        if self.beside is not None:
            return self.beside(feats)
        return self.embedding(feats).unit

    def loss(self, feats: Any, batch_data_samples: Any,
             train_cfg: Any = None) -> dict[str, Tensor]:
        """The metric loss, the adversary's, those of the head beside.

        Raises:
            ValueError: Samples that do not say what they show.
        """
        unit, raw, _ = self.embedding(feats)
        losses = self.loss_module(
            unit, read_views(batch_data_samples, unit.device))
        if self.adversary is not None:
            losses.update(self.adversary.loss(
                raw, read_subjects(batch_data_samples, raw.device)))
        if self.beside is not None:
            losses.update(self.beside.loss(feats, batch_data_samples,
                                           train_cfg=train_cfg or {}))
        return losses

    def predict(self, feats: Any, batch_data_samples: Any,
                test_cfg: Any = None) -> Any:
        """Instances with ``embedding`` (1, D) float32.

        With a flip test the embedding is that of the image itself: a
        mirrored pose is another pose.
        """
        test_cfg = test_cfg or {}
        own = feats[0] if test_cfg.get('flip_test', False) else feats
        units = to_numpy(self.embedding(own).unit.float())
        if self.beside is None:
            return [InstanceData(
                embedding=u[None], keypoints=np.zeros((1, 0, 2), np.float32),
                keypoint_scores=np.zeros((1, 0), np.float32)) for u in units]
        found = self.beside.predict(feats, batch_data_samples,
                                    test_cfg=test_cfg)
        instances = found[0] if isinstance(found, tuple) else found
        for instance, u in zip(instances, units):
            instance.set_field(
                np.repeat(u[None], len(instance), 0), 'embedding')
        return found


def read_subjects(data_samples: Sequence[Any],
                  device: torch.device | str = 'cpu') -> Tensor:
    """Numbers of the people in images, (N,) int64.

    Args:
        data_samples (Sequence[PoseDataSample]): With the metainfo
            ``subject_index``, negative where nobody knows it.
        device (torch.device | str): Where the numbers go.

    Raises:
        ValueError: A sample has none.
    """
    for sample in data_samples:
        if 'subject_index' not in sample.metainfo:
            raise ValueError(
                f'sample {sample.metainfo.get("id", "?")} does not say its '
                'subject_index, the number of the person among those of the '
                'training data, which an identity adversary reads; list it '
                'in the meta_keys of PackPoseInputs')
    return torch.tensor([int(s.metainfo['subject_index'])
                         for s in data_samples], device=device)


def unit_length(raw: Tensor) -> Tensor:
    """Rows of unit length; in float32 under autocast, finite at 0."""
    with torch.autocast(raw.device.type, enabled=False):
        wide = raw if raw.dtype == torch.float64 else raw.float()
        return functional.normalize(wide, dim=-1, eps=1e-6)
