"""The regressor on its own: the first stage of the curriculum."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmpose.registry import MODELS
from torch import Tensor

from .keypointgan import SIGNED
from .sides import nearer_sides


@MODELS.register_module()
class SkeletonRegressorPretraining(BaseModel):
    """Trains eta on poses alone (spec 2.1): MSE(eta(beta(p)), p).

    Reads batches of ``UnpairedPoseDataset``. Its child is called as
    KeypointGAN's, so that a checkpoint's prefix is the interface.

    Args:
        head (dict): Config of a ``SkeletonRegressor``.
        renderer (dict): Config of a ``SkeletonRenderer``.
        image_weight (float): Of MSE(beta(eta(beta(p))), beta(p)), over
            images in [-1, 1]. Defaults to 0 (the published code's).
        data_preprocessor, init_cfg: As in mmengine's ``BaseModel``; a
            ``FramePairPreprocessor`` by default.
        metainfo, train_cfg, test_cfg: Accepted so that the configs of the
            stages can share what they give to every model; not used.

    Raises:
        ValueError: The weight is negative, or head and renderer do not fit.
    """

    def __init__(self, head: dict, renderer: dict, image_weight: float = 0.,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | list | None = None,
                 metainfo: dict | None = None,
                 train_cfg: dict | None = None,
                 test_cfg: dict | None = None) -> None:
        super().__init__(MODELS.build(data_preprocessor or dict(
            type='FramePairPreprocessor')), init_cfg)
        if image_weight < 0:
            raise ValueError('image_weight must not be negative, got '
                             f'{image_weight}')
        self.image_weight = image_weight
        self.head = MODELS.build(head)
        self.renderer = MODELS.build(renderer)
        if (self.renderer.joints, self.renderer.channels) != (
                len(self.head.skeleton), self.head.in_channels):
            raise ValueError(
                f'the renderer draws {self.renderer.joints} joints in '
                f'{self.renderer.channels} channels, the head reads '
                f'{len(self.head.skeleton)} from {self.head.in_channels}')

    def loss(self, poses: Tensor, pose_present: Tensor) -> dict[str, Tensor]:
        """Squared error of the coordinates, and of the drawn images."""
        drawn = self.renderer(poses, pose_present)
        keypoints = self.head(drawn)
        losses = dict(loss_keypoints=self.head.error(keypoints, poses,
                                                     pose_present))
        if self.image_weight:
            losses['loss_image'] = self.image_weight * SIGNED * F.mse_loss(
                self.renderer(keypoints, pose_present), drawn)
        return losses

    def figures(self, poses: Tensor,
                pose_present: Tensor) -> dict[str, Tensor]:
        """Held-out figures, each (N,).

        ``error``: mean distance in % of the image's side; ``oracle``: under
        the better labelling of sides; ``sides_right``: share of poses that
        an exchange of sides would not bring nearer.
        """
        keypoints = self.head(self.renderer(poses, pose_present))
        best, swapped = nearer_sides(keypoints, poses,
                                     self.head.skeleton.flip_indices,
                                     pose_present)

        def error(pose: Tensor) -> Tensor:
            apart = (pose - poses).norm(dim=-1) * pose_present
            return 50 * apart.sum(1) / pose_present.sum(1).clamp(min=1)

        return dict(error=error(keypoints), oracle=error(best),
                    sides_right=(~swapped).float())

    def forward(self, poses: Tensor, pose_present: Tensor | None = None,
                mode: str = 'tensor', ids: Sequence[str] = (),
                **others: Any) -> Any:
        """mmengine's entry: ``loss``, ``predict`` or ``tensor``.

        ``predict`` gives a dict a pose, with ``keypoints`` (K, 2) in
        [-1, 1] and the dict ``bound`` of figures that ``MeanBound``
        averages.

        Raises:
            ValueError: The mode is unknown.
        """
        if pose_present is None:
            pose_present = torch.ones_like(poses[..., 0], dtype=torch.bool)
        if mode == 'loss':
            return self.loss(poses, pose_present)
        keypoints = self.head(self.renderer(poses, pose_present))
        if mode == 'tensor':
            return keypoints
        if mode != 'predict':
            raise ValueError('mode is loss, predict or tensor, got '
                             f'{mode!r}')
        figures = {k: v.tolist() for k, v in self.figures(
            poses, pose_present).items()}
        return [dict(keypoints=keypoints[i],
                     bound={k: v[i] for k, v in figures.items()})
                for i in range(len(poses))]
