"""Encoder, translator, decoder and discriminator of KeypointGAN.

Layers and widths are those of the published code (spec 2.2). Skeleton images
come and go in the house's range, [0, 1]; images are in [-1, 1]; inside, the
networks see both in [-1, 1].
"""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..precision import always_float32


def signed(skeleton: Tensor) -> Tensor:
    """[0, 1] to [-1, 1], where the networks work."""
    return 2 * skeleton - 1


def unsigned(skeleton: Tensor) -> Tensor:
    """[-1, 1] to [0, 1], the house's range; not clamped."""
    return (skeleton + 1) / 2


def initialise(network: nn.Module) -> None:
    """N(0, 0.02) for convolutions, N(1, 0.02) for norms, biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0., .02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1., .02)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def conv_block(inputs: int, outputs: int, kernel: int = 3, stride: int = 1,
               norm: str = 'bn') -> nn.Sequential:
    """Convolution, norm and ReLU; a bias only where the norm has none."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2,
                  bias=norm == 'in'),
        nn.BatchNorm2d(outputs) if norm == 'bn' else
        nn.InstanceNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class Encoder(nn.Module):
    """Enc of the paper's code: an image to features at an eighth.

    Args:
        inputs (int): Channels of the image.
        outputs (int): Channels of the features.
        width (int): Of the first layers; 8 times as many at the end.
            Defaults to 32.
        norm (str): ``'bn'``, or ``'in'``: instance norm without weights.
            Defaults to ``'bn'``.

    Raises:
        ValueError: A number is not positive, or the norm unknown.
    """

    def __init__(self, inputs: int, outputs: int, width: int = 32,
                 norm: str = 'bn') -> None:
        super().__init__()
        if min(inputs, outputs, width) < 1 or norm not in ('bn', 'in'):
            raise ValueError(
                'an Encoder has positive channels and norm bn or in, got '
                f'inputs={inputs}, outputs={outputs}, width={width}, '
                f'norm={norm!r}')
        w = [width * 2**i for i in range(4)]
        self.widths = w
        self.levels = nn.ModuleList([nn.Sequential(
            conv_block(inputs, w[0], 7, norm=norm),
            conv_block(w[0], w[0], norm=norm))])
        for low, high in zip(w, w[1:]):
            self.levels.append(nn.Sequential(
                conv_block(low, high, stride=2, norm=norm),
                conv_block(high, high, norm=norm)))
        self.last = nn.Conv2d(w[3], outputs, 1, bias=norm == 'in')

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(N, C, h, w) to (N, outputs, h / 8, w / 8), and all levels.

        Raises:
            ValueError: The image's sides are no multiples of 8.
        """
        if x.shape[-1] % 8 or x.shape[-2] % 8:
            raise ValueError('images are halved three times: their sides '
                             'have to be multiples of 8, got '
                             f'{tuple(x.shape[-2:])}')
        found = []
        for level in self.levels:
            x = level(x)
            found.append(x)
        return self.last(x), found


class _Up(nn.Module):
    """The way up from an eighth: two blocks a level, bilinear between.

    Args:
        inputs, outputs (int): Channels.
        width (int): As of :class:`Encoder`.
        skips (bool): Merge the encoder's levels on the way.
    """

    def __init__(self, inputs: int, outputs: int, width: int,
                 skips: bool) -> None:
        super().__init__()
        w = [width * 2**i for i in range(4)]
        self.blocks = nn.ModuleList([nn.Sequential(
            conv_block(inputs, w[3]), conv_block(w[3], w[3]))])
        self.mergers = nn.ModuleList()
        for level in (2, 1, 0):
            if skips:
                self.mergers.append(nn.Conv2d(
                    w[level + 1] + w[level], w[level + 1], 1, bias=False))
            blocks = [conv_block(w[level + 1], w[level])]
            if level:
                blocks.append(conv_block(w[level], w[level]))
            self.blocks.append(nn.Sequential(*blocks))
        self.last = nn.Conv2d(w[0], outputs, 3, padding=1)

    def forward(self, x: Tensor, levels: Sequence[Tensor] = ()) -> Tensor:
        x = self.blocks[0](x)
        for number, block in enumerate(list(self.blocks)[1:]):
            x = F.interpolate(x, scale_factor=2, mode='bilinear',
                              align_corners=False)
            if self.mergers:
                x = self.mergers[number](
                    torch.cat([x, levels[2 - number]], 1))
            x = block(x)
        return self.last(x)


@MODELS.register_module()
class SkeletonTranslator(BaseModule):
    """Phi: an image to a skeleton image, with skips between levels.

    A backbone for ``TopdownPoseEstimator``: it returns a tuple of one.

    Args:
        in_channels (int): Of the image. Defaults to 3.
        out_channels (int): Of the skeleton image. Defaults to 1.
        width (int): 32 in the paper (3,124,801 parameters). Defaults to 32.
        init_cfg (dict, optional): As in mmengine's ``BaseModule``.
    """

    def __init__(self, in_channels: int = 3, out_channels: int = 1,
                 width: int = 32,
                 init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)
        self.out_channels = out_channels
        self.encoder = Encoder(in_channels, 8 * width, width)
        self.decoder = _Up(8 * width, out_channels, width, True)
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """(N, 3, h, w) in [-1, 1] to (N, L, h, w), linear, about [0, 1]."""
        features, levels = self.encoder(x)
        return unsigned(self.decoder(features, levels)),


@MODELS.register_module()
class ConditionalDecoder(BaseModule):
    """Psi: a skeleton image and an appearance frame to an image.

    Args:
        in_channels (int): Of the skeleton image. Defaults to 1.
        out_channels (int): Of the image. Defaults to 3.
        width (int): 32 in the paper (4,825,635 parameters). Defaults to 32.
        conditional (bool): There is an appearance frame; without, this is
            CycleGAN's generator. Defaults to True.
        pooled (bool): The appearance is averaged over its image, so that it
            can hold no pose. Defaults to False.
        init_cfg (dict, optional): As in mmengine's ``BaseModule``.
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 3,
                 width: int = 32, conditional: bool = True,
                 pooled: bool = False,
                 init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)
        self.in_channels, self.conditional = in_channels, conditional
        self.pooled = pooled
        self.pose = Encoder(in_channels, 8 * width, width)
        if conditional:
            self.appearance = Encoder(out_channels, 8 * width, width)
        self.decoder = _Up((16 if conditional else 8) * width, out_channels,
                           width, False)
        initialise(self)

    def forward(self, skeleton: Tensor,
                condition: Tensor | None = None) -> Tensor:
        """Makes images.

        Args:
            skeleton (Tensor): (N, L, h, w), [0, 1].
            condition (Tensor, optional): (N, 3, h, w), [-1, 1]; not read
                where the decoder is not conditional.

        Returns:
            Tensor: (N, 3, h, w), linear, about [-1, 1].

        Raises:
            ValueError: A conditional decoder was given no condition.
        """
        features = self.pose(signed(skeleton))[0]
        if self.conditional:
            if condition is None:
                raise ValueError('a conditional decoder needs the '
                                 'appearance frame')
            seen = self.appearance(condition)[0]
            if self.pooled:
                seen = seen.mean((2, 3), keepdim=True).expand_as(seen)
            features = torch.cat([features, seen], 1)
        return self.decoder(features)


class _Patches(nn.Sequential):
    """PatchGAN: overlapping patches judged one by one."""

    def __init__(self, inputs: int, width: int) -> None:
        layers: list[nn.Module] = [nn.Conv2d(inputs, width, 4, 2, 1),
                                   nn.LeakyReLU(.2, True)]
        for i, stride in enumerate((2, 2, 1)):
            layers += [nn.Conv2d(width * 2**i, width * 2**(i + 1), 4,
                                 stride, 1),
                       nn.InstanceNorm2d(width * 2**(i + 1)),
                       nn.LeakyReLU(.2, True)]
        layers.append(nn.Conv2d(width * 8, 1, 4, 1, 1))
        super().__init__(*layers)


@MODELS.register_module()
class MultiScaleDiscriminator(BaseModule):
    """D: independent PatchGANs at the full size, a half, a quarter.

    Computes in float32 whatever the autocast: instance norms divide by the
    tiny variances of nearly empty images (trap T2.8).

    Args:
        in_channels (int): 1 for skeleton images, 3 for images. Defaults to
            1.
        width (int): Of the first layer; 64 in the paper (8,288,067
            parameters at three scales). Defaults to 64.
        scales (int): How many; the smallest has to measure 24 pixels.
            Defaults to 3.
        unit_range (bool): What is judged lies in [0, 1]. Defaults to True.
        init_cfg (dict, optional): As in mmengine's ``BaseModule``.

    Raises:
        ValueError: A number is not positive.
    """

    #: Side of the smallest image that three halvings leave something of.
    SMALLEST = 24

    def __init__(self, in_channels: int = 1, width: int = 64,
                 scales: int = 3, unit_range: bool = True,
                 init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)
        if min(in_channels, width, scales) < 1:
            raise ValueError('in_channels, width and scales are positive, '
                             f'got {in_channels}, {width} and {scales}')
        self.in_channels, self.unit_range = in_channels, unit_range
        self.scales = nn.ModuleList(
            _Patches(in_channels, width) for _ in range(scales))
        initialise(self)
        always_float32(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, C, h, w) to a map (N, 1, ., .) of scores a scale.

        Raises:
            ValueError: The smallest scale is too small.
        """
        least = min(x.shape[-2:]) // 2**(len(self.scales) - 1)
        if least < self.SMALLEST:
            raise ValueError(
                f'{len(self.scales)} scales of {tuple(x.shape[-2:])} end at '
                f'{least} pixels, fewer than {self.SMALLEST}: set scales='
                f'{max(1, len(self.scales) - 1)} in the discriminator')
        x = signed(x) if self.unit_range else x
        out = []
        for number, patches in enumerate(self.scales):
            if number:
                x = F.interpolate(x, scale_factor=.5, mode='bilinear',
                                  align_corners=False)
            out.append(patches(x))
        return out
