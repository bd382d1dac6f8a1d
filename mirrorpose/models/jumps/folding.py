"""The generator as a search wants it: the same function, in fewer steps."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .body_grid import from_grid
from .networks import PoseSequenceGenerator


class FoldedGenerator(nn.Module):
    """A generator in evaluation mode with its normalisation folded away.

    Batch normalisation by running statistics is part of the convolution
    before it, and the two layers on maps of one cell are matrix products.
    Weights are copies without a gradient.

    Args:
        generator (PoseSequenceGenerator): With batch normalisation or none;
            its statistics as they are now.

    Raises:
        ValueError: It normalises by the sample (``'in'``, ``'ln'``), which
            cannot be folded.
    """

    weight0: Tensor
    bias0: Tensor
    weight1: Tensor
    bias1: Tensor

    def __init__(self, generator: PoseSequenceGenerator) -> None:
        super().__init__()
        self.latent = generator.latent
        weights: list[Tensor] = []
        biases: list[Tensor] = []
        self.places: list[tuple] = []
        with torch.no_grad():
            for layer in generator.layers:
                if isinstance(layer, nn.ConvTranspose2d):
                    weights.append(layer.weight.double())
                    biases.append(layer.weight.new_zeros(
                        layer.out_channels, dtype=torch.float64))
                    self.places.append((layer.stride, layer.padding))
                elif isinstance(layer, nn.BatchNorm2d):
                    mean, variance = layer.running_mean, layer.running_var
                    assert mean is not None and variance is not None
                    size = layer.weight.double() / (
                        variance.double() + layer.eps).sqrt()
                    weights[-1] = weights[-1] * size[None, :, None, None]
                    biases[-1] = size * (
                        biases[-1] - mean.double()) + layer.bias.double()
                elif not isinstance(layer, nn.ReLU):
                    raise ValueError(
                        f'{type(layer).__name__} cannot be folded: search '
                        'with the generator itself')
            like = next(generator.parameters())
            self.cells = tuple(weights[1].shape[2:])
            # Products whose result lies as channels last: (in, t * j * out).
            products = [weights[0].flatten(1),
                        weights[1].permute(0, 2, 3, 1).flatten(1)]
            biases[1] = biases[1].repeat(self.cells[0] * self.cells[1])
            for i, (w, b) in enumerate(zip([*products, *weights[2:]],
                                           biases)):
                w = w.to(like)
                if w.ndim == 4:
                    w = w.to(memory_format=torch.channels_last)
                self.register_buffer(f'weight{i}', w)
                self.register_buffer(f'bias{i}', b.to(like))

    def forward(self, latents: Tensor) -> Tensor:
        """(N, latent) to (N, 24, 28, 2) in the canonical frame."""
        x = F.relu(torch.addmm(self.bias0, latents, self.weight0))
        x = F.relu(torch.addmm(self.bias1, x, self.weight1))
        x = x.view(len(x), *self.cells, -1).permute(0, 3, 1, 2)
        last = len(self.places) - 1
        for i in range(2, last + 1):
            stride, padding = self.places[i]
            x = F.conv_transpose2d(
                x, getattr(self, f'weight{i}'), getattr(self, f'bias{i}'),
                stride, padding)
            if i < last:
                x = F.relu(x)
        return from_grid(x)
