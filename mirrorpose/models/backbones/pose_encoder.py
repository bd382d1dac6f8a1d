"""A backbone whose image is a 2D pose."""
from __future__ import annotations

import torch
from mmpose.models.backbones import TCN
from mmpose.models.backbones.base_backbone import BaseBackbone
from mmpose.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class PoseEncoder(BaseBackbone):
    """2D joints to a feature, by the residual network of Martinez et al.

    "A simple yet effective baseline for 3d human pose estimation", 2017:
    mmpose's ``TCN`` with kernels of one frame. It gives what an image
    backbone gives, one feature map (N, C, 1, 1), so that image heads work on
    anybody's detections. A joint that is not seen enters as zeros, with
    confidence 0.

    Args:
        num_keypoints (int): K.
        channels (int): C. Defaults to 1024.
        num_blocks (int): Residual blocks of two layers. Defaults to 2.
        dropout (float): Defaults to 0.25.
        confidence (bool): The input's third entry is read. Defaults to
            True.
        keypoint_drop (float): Chance in training that a joint is not seen.
            Defaults to 0.
        norm_cfg (dict): Defaults to ``dict(type='BN1d')``.
        max_norm (float, optional): Of weights. Defaults to None (1 in the
            paper).

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(self, num_keypoints: int, channels: int = 1024,
                 num_blocks: int = 2, dropout: float = .25,
                 confidence: bool = True, keypoint_drop: float = 0.,
                 norm_cfg: dict | None = None,
                 max_norm: float | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if min(num_keypoints, channels, num_blocks) < 1 or not (
                0 <= keypoint_drop < 1 and 0 <= dropout < 1):
            raise ValueError(
                'num_keypoints, channels and num_blocks must be positive, '
                'keypoint_drop and dropout in [0, 1), got '
                f'{num_keypoints}, {channels}, {num_blocks}, {keypoint_drop} '
                f'and {dropout}')
        self.num_keypoints, self.confidence = num_keypoints, confidence
        self.keypoint_drop = keypoint_drop
        self.network = TCN(
            num_keypoints * (3 if confidence else 2), stem_channels=channels,
            num_blocks=num_blocks, kernel_sizes=(1, ) * (num_blocks + 1),
            dropout=dropout, norm_cfg=norm_cfg or dict(type='BN1d'),
            max_norm=max_norm)

    def train(self, mode: bool = True) -> PoseEncoder:
        """Returns itself, as networks do; mmpose's backbones do not."""
        super().train(mode)
        return self

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """A feature map (N, C, 1, 1).

        Args:
            x (Tensor): (N, K, 2) or (N, K, 3) float: x, y in about [-1, 1],
                and confidence in [0, 1] (1 where not given). Coordinates
                that are not finite count as not seen.

        Raises:
            ValueError: Another shape.
        """
        if x.ndim != 3 or x.shape[1] != self.num_keypoints \
                or x.shape[2] not in (2, 3):
            raise ValueError(
                f'a PoseEncoder reads (N, {self.num_keypoints}, 2 or 3), got '
                f'{tuple(x.shape)}')
        points = x[..., :2]
        trust = x[..., 2] if x.shape[2] == 3 else torch.ones_like(x[..., 0])
        seen = points.isfinite().all(-1) & (trust > 0)
        if self.training and self.keypoint_drop:
            seen = seen & (torch.rand_like(trust) >= self.keypoint_drop)
        points = points.masked_fill(~seen[..., None], 0.)
        parts = [points]
        if self.confidence:
            parts.append(trust.masked_fill(~seen, 0.)[..., None])
        flat = torch.cat(parts, -1).flatten(1)[..., None]
        return (self.network(flat)[-1][..., None], )
