"""Whatever passes here is a pose: a neck for any image-to-image network."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor

from mirrorpose.structures import Skeleton


@MODELS.register_module()
class SkeletonBottleneck(BaseModule):
    """Reads keypoints from an image and draws them: beta after eta.

    What leaves is a function of the K keypoints alone, so nothing else of
    the input gets through (KeypointGAN, Eq. 3). A neck in an mmpose config
    (features in, a tuple of one skeleton image out), or a layer between two
    halves of any network (a tensor in, a tensor out).

    Args:
        skeleton (Skeleton | str): The joints, and the limbs that are drawn.
        in_channels (int): Of what is read. Defaults to 1.
        size (int | tuple[int, int]): (h, w) of what is drawn. Defaults to
            128.
        width (int): Of the regressor. Defaults to 32.
        renderer (dict, optional): More arguments of the
            ``SkeletonRenderer``.
        regressor (dict, optional): Config of another module that maps
            (N, C, h, w) to (N, K, 2) in [-1, 1], in place of the
            ``SkeletonRegressor``.
        init_cfg (dict, optional): As in mmengine's ``BaseModule``.
    """

    def __init__(self, skeleton: Skeleton | str, in_channels: int = 1,
                 size: int | Sequence[int] = 128, width: int = 32,
                 renderer: Mapping[str, Any] | None = None,
                 regressor: Mapping[str, Any] | None = None,
                 init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)
        self.skeleton = Skeleton.from_name(skeleton) if isinstance(
            skeleton, str) else skeleton
        self.regressor = MODELS.build(dict(regressor or dict(
            type='SkeletonRegressor', skeleton=self.skeleton,
            in_channels=in_channels, width=width)))
        self.renderer = MODELS.build(dict(
            dict(type='SkeletonRenderer', skeleton=self.skeleton, size=size),
            **(renderer or {})))
        self.out_channels = self.renderer.channels

    def keypoints(self, inputs: Tensor | Sequence[Tensor]) -> Tensor:
        """(N, C, h, w), or features that end with it, to (N, K, 2)."""
        return self.regressor(inputs if isinstance(inputs, Tensor)
                              else inputs[-1])

    def forward(self, inputs: Tensor | Sequence[Tensor]
                ) -> Tensor | tuple[Tensor]:
        """Skeleton images (N, L, H, W) in [0, 1], in the form of the input.

        Args:
            inputs (Tensor | Sequence[Tensor]): (N, C, h, w), or features of
                which this is the last.

        Returns:
            Tensor | tuple[Tensor]: A tensor, or a tuple of one.
        """
        drawn = self.renderer(self.keypoints(inputs))
        return drawn if isinstance(inputs, Tensor) else (drawn, )
