"""From an embedding to poses, canonical and of the camera's frame."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor, nn

from mirrorpose.structures import Skeleton
from mirrorpose.structures.canonical import (
    ANGLES,
    decode_rotation,
    encode_rotation,
    to_camera,
)

from ..heads.embedding_head import Embedding, EmbeddingHead
from ..pose.gathering import joint_mean
from .batch import MetricPoseLabels, read_labels
from .uncertainty import EmbeddingUncertainty

POSE_FORMS = ('standardised', 'millimetres')
#: Millimetres that count as 1 in the loss of the second form.
_UNIT = 100.
#: Joints that hardly move are not standardised beyond this, in mm.
_LEAST = 1.


class MetricPoseOutput(NamedTuple):
    """What a metric pose head gives for N images.

    Attributes:
        canonical (Tensor): (N, K, 3) mm, root-relative, canonical frame.
        camera (Tensor): (N, K, 3) mm, root-relative, camera frame.
        rotation (Tensor): (N, 3, 3), canonical to camera.
        embedding (Tensor): (N, D) of unit length.
        variance (Tensor | None): (N,) of the embedding, per dimension.
    """

    canonical: Tensor
    camera: Tensor
    rotation: Tensor
    embedding: Tensor
    variance: Tensor | None


class PoseRegressor(BaseModule):
    """d -> hidden, norm, ReLU, ... -> K * 3 (M2), in units of the data.

    Targets are standardised by the mean and the standard deviation of the
    training poses, which are buffers (see ``PoseStatistics``); before they
    are known: 0 and ``pose_std``.

    Args:
        in_channels (int): d.
        joints (int): K.
        hidden (int): Defaults to 1024.
        layers (int): Hidden ones. Defaults to 1.
        norm_cfg (dict): Defaults to ``dict(type='BN1d')``.
        pose_std (float): mm. Defaults to 250.
    """

    mean: Tensor
    std: Tensor
    fitted: Tensor

    def __init__(self, in_channels: int, joints: int, hidden: int = 1024,
                 layers: int = 1, norm_cfg: dict | None = None,
                 pose_std: float = 250.,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if min(hidden, layers) < 1 or pose_std <= 0:
            raise ValueError('hidden, layers and pose_std must be positive, '
                             f'got {hidden}, {layers} and {pose_std}')
        parts: list[nn.Module] = []
        width = in_channels
        for _ in range(layers):
            parts += [nn.Linear(width, hidden), build_norm_layer(
                norm_cfg or dict(type='BN1d'), hidden)[1], nn.ReLU()]
            width = hidden
        self.network = nn.Sequential(*parts, nn.Linear(width, 3 * joints))
        self.joints = joints
        self.register_buffer('mean', torch.zeros(joints, 3))
        self.register_buffer('std', torch.full((joints, 3), pose_std))
        self.register_buffer('fitted', torch.zeros(()))

    def fit(self, mean: Any, std: Any) -> None:
        """Takes the statistics of the training poses.

        Args:
            mean (Tensor): (K, 3) mm, canonical.
            std (Tensor): (K, 3) mm.

        Raises:
            ValueError: Another shape, or a joint whose statistics are not
                known at all.
        """
        mean, std = torch.as_tensor(mean), torch.as_tensor(std)
        if mean.shape != self.mean.shape or std.shape != self.std.shape \
                or not bool((mean.isfinite() & std.isfinite()).all()):
            raise ValueError(
                f'statistics of poses are finite, ({self.joints}, 3) each, '
                f'got {tuple(mean.shape)} and {tuple(std.shape)}: is a joint '
                'never annotated?')
        self.mean.copy_(mean)
        self.std.copy_(std.clamp(min=_LEAST))
        self.fitted.fill_(1.)

    def forward(self, raw: Tensor) -> Tensor:
        """Standardised poses (N, K, 3) of embeddings (N, d)."""
        return self.network(raw).view(-1, self.joints, 3)

    def millimetres(self, standardised: Tensor) -> Tensor:
        """Poses in mm."""
        return self.mean + self.std * standardised.float()


@MODELS.register_module()
class MetricPoseHead(EmbeddingHead):
    """Embedding, canonical pose from it, rotation from before it.

    The pose is made of the embedding before it is normalised (T4.7), and
    the rotation of the pooled feature, as a view-invariant embedding holds
    none (T4.1).

    Args:
        in_channels (int): C of the last feature map.
        embedding_dim (int): D. Defaults to 128.
        joints (str): Joint set. Defaults to ``'h36m_17'``.
        loss (dict): Of the embedding. Defaults to
            ``dict(type='HardNetLoss')``.
        pose (dict, optional): Arguments of :class:`PoseRegressor`.
        pose_form (str): The loss M4 is the mean distance of joints,
            ``'standardised'`` by axis, or in ``'millimetres'`` / 100.
            Defaults to ``'standardised'``.
        pose_weight (float): Defaults to 1.
        angles (int): How many of azimuth, elevation and roll are learnt;
            1 is enough for level cameras. Defaults to 3.
        rotation_hidden (int): Of the rotation's network; 0 for a linear
            one. Defaults to 256.
        rotation_weight (float): Defaults to 1.
        uncertainty (dict, optional): Arguments of
            :class:`EmbeddingUncertainty`; an empty dict for its defaults.
            Defaults to None: none is learnt.
        feature_index (int): As in :class:`EmbeddingHead`.

    Raises:
        ValueError: An unknown joint set or form, or a wrong number.
    """

    def __init__(self, in_channels: int, embedding_dim: int = 128,
                 joints: str = 'h36m_17', loss: dict | None = None,
                 pose: dict | None = None,
                 pose_form: str = 'standardised', pose_weight: float = 1.,
                 angles: int = 3, rotation_hidden: int = 256,
                 rotation_weight: float = 1.,
                 uncertainty: dict | None = None, feature_index: int = -1,
                 init_cfg: dict | None = None) -> None:
        super().__init__(in_channels, embedding_dim, loss,
                         feature_index=feature_index, init_cfg=init_cfg)
        if pose_form not in POSE_FORMS:
            raise ValueError(f'pose_form is one of {POSE_FORMS}, got '
                             f'{pose_form!r}')
        if not 1 <= angles <= len(ANGLES) or rotation_hidden < 0 \
                or min(pose_weight, rotation_weight) < 0:
            raise ValueError(
                f'angles are 1 to {len(ANGLES)}, rotation_hidden and weights '
                f'not negative, got {angles}, {rotation_hidden}, '
                f'{pose_weight} and {rotation_weight}')
        self.skeleton = Skeleton.from_name(joints)
        self.pose_form, self.pose_weight = pose_form, pose_weight
        self.angles, self.rotation_weight = angles, rotation_weight
        self.pose = PoseRegressor(embedding_dim, len(self.skeleton),
                                  **(pose or {}))
        self.rotation: nn.Module = nn.Linear(in_channels, 2 * angles) \
            if not rotation_hidden else nn.Sequential(
                nn.Linear(in_channels, rotation_hidden), nn.ReLU(),
                nn.Linear(rotation_hidden, 2 * angles))
        self.uncertainty = None if uncertainty is None else \
            EmbeddingUncertainty(in_channels, **uncertainty)

    # -- what it gives ----------------------------------------------------
    def output(self, embedding: Embedding) -> MetricPoseOutput:
        """Poses of an embedding, in float32."""
        canonical = self.pose.millimetres(self.pose(embedding.raw))
        rotation = decode_rotation(self.code(embedding).float())
        variance = None if self.uncertainty is None else \
            self.uncertainty(embedding.feature).exp()
        return MetricPoseOutput(canonical, to_camera(canonical, rotation),
                                rotation, embedding.unit, variance)

    def code(self, embedding: Embedding) -> Tensor:
        """Sines and cosines (N, angles, 2) of the rotation."""
        return self.rotation(embedding.feature).view(-1, self.angles, 2)

    def forward(self, feats: Tensor | Sequence[Tensor]) -> MetricPoseOutput:
        """Everything, of a backbone's features."""
        return self.output(self.embedding(feats))

    # -- training ---------------------------------------------------------
    def loss(self, feats: Any, batch_data_samples: Any,
             train_cfg: Any = None) -> dict[str, Tensor]:
        """All losses of the head, see :meth:`losses`."""
        embedding = self.embedding(feats)
        return self.losses(embedding, read_labels(
            batch_data_samples, len(self.skeleton), embedding.raw.device))

    def losses(self, embedding: Embedding,
               labels: MetricPoseLabels) -> dict[str, Tensor]:
        """Metric loss of all pairs, pose and rotation of annotated ones.

        Sums over annotated samples are divided by their number in the joint
        batch; without any they are zero, and no process takes another path.

        Returns:
            dict[str, Tensor]: ``loss_metric``, ``loss_pose``,
            ``loss_rotation`` and, with uncertainty, ``loss_uncertainty``;
            ``mon_mpjpe_canonical`` in mm of annotated samples, ``mon_*``.
        """
        present = labels.present
        losses = self.loss_module(embedding.unit, labels.views,
                                  labels.canonical, present.all(1))
        flat = self.pose(embedding.raw).float()
        apart = self.pose.millimetres(flat) - labels.canonical
        measured = apart / (self.pose.std if self.pose_form ==
                            'standardised' else _UNIT)
        # The root is at the origin in every pose.
        each = (measured.square().sum(-1) + 1e-12).sqrt()
        losses['loss_pose'] = self.pose_weight * joint_mean(each, present)
        truth = encode_rotation(labels.rotation)[:, :self.angles]
        miss = (self.code(embedding).float() - truth).square().sum((1, 2))
        losses['loss_rotation'] = self.rotation_weight * joint_mean(
            miss, labels.annotated)
        if self.uncertainty is not None:
            losses.update(self.uncertainty.loss(
                embedding.feature, embedding.unit, labels.views))
        with torch.no_grad():
            error = torch.linalg.vector_norm(apart, dim=-1)
            losses['mon_mpjpe_canonical'] = (
                error * present).sum() / present.sum().clamp(min=1)
        return losses

    # -- use --------------------------------------------------------------
    def predict(self, feats: Any, batch_data_samples: Any,
                test_cfg: Any = None) -> list[InstanceData]:
        """One instance an image.

        Returns:
            list[InstanceData]: ``keypoints_3d_canonical`` and
            ``keypoints_3d_camera`` (1, K, 3) mm, root-relative, each in the
            frame of its name; ``keypoints``, the latter again, for mmpose's
            tools; ``keypoint_scores`` (1, K) of 1; ``camera_rotation`` (1,
            3, 3), canonical to camera; ``embedding`` (1, D); and, with
            uncertainty, ``embedding_variance`` (1,). float32 arrays.
        """
        own = feats[0] if (test_cfg or {}).get('flip_test', False) else feats
        out = self(own)
        rows = {key: to_numpy(value.float()) for key, value in
                zip(out._fields, out) if value is not None}
        found = []
        for i in range(len(rows['canonical'])):
            one = InstanceData(
                keypoints=rows['camera'][i:i + 1].copy(),
                keypoint_scores=np.ones((1, len(self.skeleton)), np.float32),
                keypoints_3d_canonical=rows['canonical'][i:i + 1],
                keypoints_3d_camera=rows['camera'][i:i + 1],
                camera_rotation=rows['rotation'][i:i + 1],
                embedding=rows['embedding'][i:i + 1])
            if 'variance' in rows:
                one.embedding_variance = rows['variance'][i:i + 1]
            found.append(one)
        return found
