"""The stacked hourglass of bottleneck residuals (Newell et al. 2016)."""
from __future__ import annotations

import torch.nn.functional as F
from mmpose.models.backbones.base_backbone import BaseBackbone
from mmpose.registry import MODELS
from torch import Tensor, nn


class PreActBottleneck(nn.Module):
    """BN-ReLU-conv three times, 1x1, 3x3, 1x1, around a shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        mid = outputs // 2
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, mid, 1),
            nn.BatchNorm2d(mid), nn.ReLU(),
            nn.Conv2d(mid, mid, 3, padding=1),
            nn.BatchNorm2d(mid), nn.ReLU(), nn.Conv2d(mid, outputs, 1))
        self.shortcut = nn.Identity() if inputs == outputs else \
            nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, h, w)."""
        return self.shortcut(x) + self.body(x)


class _Hourglass(nn.Module):
    """One encoder-decoder with a skip at every resolution."""

    def __init__(self, depth: int, channels: int) -> None:
        super().__init__()
        self.skip = PreActBottleneck(channels, channels)
        self.down = PreActBottleneck(channels, channels)
        self.inner = _Hourglass(depth - 1, channels) if depth > 1 else \
            PreActBottleneck(channels, channels)
        self.up = PreActBottleneck(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        low = self.up(self.inner(self.down(F.max_pool2d(x, 2))))
        return self.skip(x) + F.interpolate(low, size=x.shape[-2:])


@MODELS.register_module()
class BottleneckHourglass(BaseBackbone):
    """Stacked hourglasses with bottleneck residuals.

    mmpose's ``HourglassNet`` is made of basic blocks, which is about five
    times as large at this width; the one of MirrorNet's Table 8 (25.59 M
    with its heads) has bottlenecks. Use mmpose's ``CPMHead`` with as many
    stages for a loss on every stack. The stacks pass features on, not
    heatmaps (the heads are not part of a backbone), which leaves out
    30,464 of the original's parameters.

    Args:
        num_stacks (int): Defaults to 8.
        channels (int): Defaults to 256.
        depth (int): Halvings inside an hourglass. Defaults to 4.

    Raises:
        ValueError: At forward, when the input cannot be halved evenly.
    """

    def __init__(self,
                 num_stacks: int = 8,
                 channels: int = 256,
                 depth: int = 4,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        c, self.depth = channels, depth
        self.stem = nn.Sequential(
            nn.Conv2d(3, c // 4, 7, stride=2, padding=3),
            nn.BatchNorm2d(c // 4), nn.ReLU(),
            PreActBottleneck(c // 4, c // 2), nn.MaxPool2d(2),
            PreActBottleneck(c // 2, c), PreActBottleneck(c, c))
        self.stacks = nn.ModuleList(
            nn.Sequential(_Hourglass(depth, c), PreActBottleneck(c, c),
                          nn.Conv2d(c, c, 1), nn.BatchNorm2d(c), nn.ReLU())
            for _ in range(num_stacks))
        self.merges = nn.ModuleList(
            nn.Conv2d(c, c, 1) for _ in range(num_stacks - 1))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) to ``num_stacks`` maps (N, channels, H/4, W/4)."""
        multiple = 4 * 2**self.depth
        if x.shape[-1] % multiple or x.shape[-2] % multiple:
            raise ValueError('BottleneckHourglass takes images whose height '
                             f'and width are multiples of {multiple}, got '
                             f'{tuple(x.shape[-2:])}')
        x, out = self.stem(x), []
        for i, stack in enumerate(self.stacks):
            features = stack(x)
            out.append(features)
            if i < len(self.merges):
                x = x + self.merges[i](features)
        return tuple(out)
