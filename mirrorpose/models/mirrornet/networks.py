"""MirrorNet's five auxiliary networks (Section 4, Table 8).

The paper prints their sizes, not their layers; `docs/mirrornet.md` says which
layer follows from a printed number and which is reconstructed. With
``base_channels=64`` and ``latent_channels=256`` their parameter counts are
those of Table 8 within 2 %. Smaller numbers scale every network down.

Shapes: N samples, K joints, (h, w) the heatmap size, (h/8, w/8) the latents.
"""
from __future__ import annotations

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmpose.models.backbones.resnet import BasicBlock, ResLayer
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..pose.probability import clamp_log_variance

NormCfg = dict
_BN = dict(type='BN')


def _conv(inputs: int, outputs: int, norm_cfg: NormCfg) -> ConvModule:
    return ConvModule(inputs, outputs, 3, padding=1, norm_cfg=norm_cfg)


def _up(inputs: int, outputs: int, norm_cfg: NormCfg,
        kernel: int = 4) -> ConvModule:
    """Transposed convolution that doubles the resolution."""
    return ConvModule(inputs, outputs, kernel, stride=2,
                      padding=(kernel - 2) // 2, norm_cfg=norm_cfg,
                      conv_cfg=dict(type='deconv'))


def check_size(size: tuple[int, ...], multiple: int, what: str) -> None:
    """Raises ValueError when maps of this size cannot be halved evenly."""
    if size[0] % multiple or size[1] % multiple:
        raise ValueError(
            f'{what} halves its maps {multiple.bit_length() - 1} times, so '
            f'their height and width must be multiples of {multiple}; got '
            f'{tuple(size)}. Choose an input size that is a multiple of '
            f'{4 * multiple}, or fewer levels')


@MODELS.register_module()
class LatentRecognizer(BaseModule):
    """Maps to a diagonal Gaussian over a latent (appearance, scene, pose).

    Two stem convolutions, four residual blocks, and a last layer that
    branches into mean and log-variance (Eqs. 12-14).

    Args:
        in_channels (int): 3 for an image, K for heatmaps.
        base_channels (int): Width of the first block; the blocks have 1, 2,
            4 and 8 times as many. Defaults to 64.
        latent_channels (int): Defaults to 256.
        vector_size (tuple[int, int], optional): (h/8, w/8) of the maps when
            the latent is to be one vector (N, C, 1, 1), read from all places
            at once. (An average over places would lose where joints are.)
            Defaults to None, the paper's maps.
        norm_cfg (dict): Defaults to ``dict(type='BN')``; GroupNorm
            where samples must not see their batch.
    """

    def __init__(self,
                 in_channels: int,
                 base_channels: int = 64,
                 latent_channels: int = 256,
                 vector_size: tuple[int, int] | None = None,
                 norm_cfg: NormCfg = _BN,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        c = base_channels
        self.stem = nn.Sequential(_conv(in_channels, c, norm_cfg),
                                  _conv(c, c, norm_cfg))
        self.blocks = nn.Sequential(*[
            ResLayer(BasicBlock, 1, inputs, outputs, stride=stride,
                     norm_cfg=norm_cfg)
            for inputs, outputs, stride in ((c, c, 1), (c, 2 * c, 2),
                                            (2 * c, 4 * c, 2),
                                            (4 * c, 8 * c, 2))])
        kernel = (1, 1) if vector_size is None else (vector_size[0],
                                                     vector_size[1])
        self.vector_size = None if vector_size is None else kernel
        self.mean = nn.Conv2d(8 * c, latent_channels, kernel)
        self.log_variance = nn.Conv2d(8 * c, latent_channels, kernel)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latent, each (N, C, h/8, w/8)."""
        check_size(tuple(x.shape[-2:]), 8, 'the latent recognizer')
        features = self.blocks(self.stem(x))
        if self.vector_size not in (None, tuple(features.shape[-2:])):
            h, w = self.vector_size
            raise ValueError(f'vector_size=({h}, {w}) is for maps of {8 * h} '
                             f'x {8 * w}, got {tuple(x.shape[-2:])}')
        # float32 whatever the autocast: the bounds sum thousands of terms.
        return self.mean(features).float(), clamp_log_variance(
            self.log_variance(features).float())


class _GaussianHead(BaseModule):
    """Two-branch output. The variance branch is frozen where it is fixed."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int,
                 learn_variance: bool) -> None:
        super().__init__()
        pad = kernel // 2
        self.mean = nn.Conv2d(in_channels, out_channels, kernel, padding=pad)
        self.log_variance = nn.Conv2d(in_channels, out_channels, kernel,
                                      padding=pad)
        self.learn_variance = learn_variance
        if not learn_variance:
            # Unused parameters would stall DistributedDataParallel.
            self.log_variance.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        mean = self.mean(x).float()
        if not self.learn_variance:
            return mean, None
        return mean, clamp_log_variance(self.log_variance(x).float())


@MODELS.register_module()
class PoseGenerator(BaseModule):
    """Primitive latent to heatmaps (Eq. 3): three transposed convolutions.

    Args:
        out_channels (int): K joints. Defaults to 16.
        base_channels (int): The layers have 3, 2 and 1 times as many.
            Defaults to 64.
        latent_channels (int): Defaults to 256.
        vector_size (tuple[int, int], optional): (h/8, w/8) when the latent
            is a vector that has to be spread first. Defaults to None.
        learn_variance (bool): Train the variance branch; otherwise the
            variance is fixed by the objective. Defaults to False.
    """

    def __init__(self,
                 out_channels: int = 16,
                 base_channels: int = 64,
                 latent_channels: int = 256,
                 vector_size: tuple[int, int] | None = None,
                 learn_variance: bool = False,
                 norm_cfg: NormCfg = _BN,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        c, inputs = base_channels, latent_channels
        self.spread = nn.Identity() if vector_size is None else \
            nn.ConvTranspose2d(latent_channels, 4 * c,
                               (vector_size[0], vector_size[1]))
        if vector_size is not None:
            inputs = 4 * c
        self.layers = nn.Sequential(_up(inputs, 3 * c, norm_cfg),
                                    _up(3 * c, 2 * c, norm_cfg),
                                    _up(2 * c, c, norm_cfg))
        self.head = _GaussianHead(c, out_channels, 3, learn_variance)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mean (N, K, h, w) and log-variance (or None) of the heatmaps."""
        return self.head(self.layers(self.spread(z)))


@MODELS.register_module()
class ImageGenerator(BaseModule):
    """Heatmaps, appearance and scene to the reduced image (Eq. 2): a U-Net.

    Args:
        in_channels (int): K joints. Defaults to 16.
        base_channels (int): Defaults to 64.
        appearance_channels (int): Defaults to 256.
        scene_channels (int): Defaults to 256.
        learn_variance (bool): As in :class:`PoseGenerator`.
    """

    def __init__(self,
                 in_channels: int = 16,
                 base_channels: int = 64,
                 appearance_channels: int = 256,
                 scene_channels: int = 256,
                 learn_variance: bool = False,
                 norm_cfg: NormCfg = _BN,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        c = base_channels
        widths = (c, 2 * c, 4 * c)
        self.encoder = nn.ModuleList(
            _conv(i, o, norm_cfg)
            for i, o in zip((in_channels, *widths), widths))
        self.pool = nn.MaxPool2d(2)
        self.bottom = nn.Sequential(_conv(4 * c, 8 * c, norm_cfg),
                                    _conv(8 * c, 8 * c, norm_cfg),
                                    _conv(8 * c, 8 * c, norm_cfg))
        inputs = 8 * c + appearance_channels + scene_channels
        self.ups, self.decoder = nn.ModuleList(), nn.ModuleList()
        for width in reversed(widths):
            self.ups.append(_up(inputs, width, norm_cfg))
            self.decoder.append(_conv(2 * width, width, norm_cfg))
            inputs = width
        self.head = _GaussianHead(c, 3, 1, learn_variance)

    def forward(self, pose: Tensor, appearance: Tensor,
                scene: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mean (N, 3, h, w) and log-variance (or None) of the image.

        Args:
            pose (Tensor): (N, K, h, w) heatmaps.
            appearance (Tensor): (N, A, h/8, w/8), or (N, A, 1, 1).
            scene (Tensor): (N, S, h/8, w/8), or (N, S, 1, 1).
        """
        check_size(tuple(pose.shape[-2:]), 8, 'the image generator')
        x, skips = pose, []
        for layer in self.encoder:
            x = layer(x)
            skips.append(x)
            x = self.pool(x)
        x = self.bottom(x)
        size = x.shape[-2:]
        x = torch.cat([x, appearance.expand(-1, -1, *size),
                       scene.expand(-1, -1, *size)], 1)
        for up, layer in zip(self.ups, self.decoder):
            x = layer(torch.cat([up(x), skips.pop()], 1))
        return self.head(x)


@MODELS.register_module()
class MaskEstimator(BaseModule):
    """Reduced image and heatmaps to the person's silhouette: a U-Net.

    Trained with a mean squared error on {0, 1} masks, so its raw output
    already lies near [0, 1]. ``sharpen`` is the paper's sigmoid, with the
    gain and the shift that it needs to sharpen at all.

    Args:
        in_channels (int): 3 + K. Defaults to 19.
        widths (tuple[int]): Channels of the levels, halved between.
            Defaults to (64, 64, 128, 256, 512).
        gain (float): Slope of the sigmoid. Defaults to 10.
    """

    def __init__(self,
                 in_channels: int = 19,
                 widths: tuple[int, ...] = (64, 64, 128, 256, 512),
                 gain: float = 10.,
                 norm_cfg: NormCfg = _BN,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.gain, self.levels = gain, len(widths) - 1

        def double(inputs: int, outputs: int, depth: int = 2) -> nn.Module:
            return nn.Sequential(*[
                _conv(inputs if i == 0 else outputs, outputs, norm_cfg)
                for i in range(depth)])

        self.encoder = nn.ModuleList(
            double(i, o) for i, o in zip((in_channels, *widths[:-2]),
                                         widths[:-1]))
        self.pool = nn.MaxPool2d(2)
        self.bottom = double(widths[-2], widths[-1], 3)
        self.ups, self.decoder = nn.ModuleList(), nn.ModuleList()
        for wide, narrow in zip(widths[:0:-1], widths[-2::-1]):
            self.ups.append(nn.ConvTranspose2d(wide, narrow, 2, stride=2))
            self.decoder.append(double(2 * narrow, narrow))
        self.head = nn.Conv2d(widths[0], 1, 1)

    def forward(self, image: Tensor, pose: Tensor) -> Tensor:
        """Raw silhouette (N, 1, h, w), near [0, 1] but unbounded.

        Args:
            image (Tensor): (N, 3, h, w) reduced image.
            pose (Tensor): (N, K, h, w) heatmaps.
        """
        check_size(tuple(image.shape[-2:]), 2**self.levels,
                   'the mask estimator')
        x, skips = torch.cat([image, pose], 1), []
        for layer in self.encoder:
            x = layer(x)
            skips.append(x)
            x = self.pool(x)
        x = self.bottom(x)
        for up, layer in zip(self.ups, self.decoder):
            x = layer(torch.cat([up(x), skips.pop()], 1))
        return self.head(x)

    def sharpen(self, raw: Tensor) -> Tensor:
        """sigmoid(gain * (raw - 0.5)), in (0, 1)."""
        return torch.sigmoid(self.gain * (raw - 0.5))

