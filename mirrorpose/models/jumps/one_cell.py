"""Convolutions between a map and a single cell, as matrix products.

DCGANs end in a convolution whose kernel covers the whole map, and begin with
its transpose. The libraries treat these as any other convolution and turn
their weights around in every pass; half of JUMPS' training went there.
"""
from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def _rows(maps: Tensor) -> Tensor:
    """(N, C, H, W) to (N, H * W * C), without a copy of channels-last maps."""
    return maps.permute(0, 2, 3, 1).flatten(1)


class CollapsingConv2d(nn.Conv2d):
    """A convolution whose kernel covers the map: (N, C, H, W) to one cell.

    Parameters and results are those of ``nn.Conv2d``; maps of another size
    than the kernel's go through it.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) to (N, out_channels, 1, 1)."""
        if input.shape[2:] != self.kernel_size or self.padding != (0, 0) or \
                self.groups != 1:
            return super().forward(input)
        return F.linear(_rows(input), _rows(self.weight),
                        self.bias)[..., None, None]


class ExpandingConvTranspose2d(nn.ConvTranspose2d):
    """The transpose: one cell to a map of the kernel's size.

    Parameters and results are those of ``nn.ConvTranspose2d``; other inputs
    go through it. Without a bias.
    """

    def forward(self, input: Tensor,
                output_size: list[int] | None = None) -> Tensor:
        """(N, C, 1, 1) to (N, out_channels, H, W)."""
        if input.shape[2:] != (1, 1) or self.padding != (0, 0) or \
                self.groups != 1 or self.bias is not None:
            return super().forward(input, output_size)
        made = input.flatten(1) @ _rows(self.weight)
        return made.view(-1, *self.kernel_size, self.out_channels).permute(
            0, 3, 1, 2)
