"""Matrix products in the place of convolutions give the same."""
import pytest
import torch
from torch import nn

from mirrorpose.models.jumps.one_cell import (
    CollapsingConv2d,
    ExpandingConvTranspose2d,
)

LAYERS = [
    (CollapsingConv2d, nn.Conv2d, dict(bias=False), (3, 8, 6, 5)),
    (CollapsingConv2d, nn.Conv2d, dict(bias=True), (3, 8, 6, 5)),
    (CollapsingConv2d, nn.Conv2d, dict(bias=True), (3, 8, 7, 5)),
    (ExpandingConvTranspose2d, nn.ConvTranspose2d, dict(bias=False),
     (3, 8, 1, 1)),
    (ExpandingConvTranspose2d, nn.ConvTranspose2d, dict(bias=True),
     (3, 8, 1, 1)),
    (ExpandingConvTranspose2d, nn.ConvTranspose2d, dict(bias=False),
     (3, 8, 2, 1)),
]


@pytest.mark.parametrize('last', [False, True])
@pytest.mark.parametrize('ours, plain, kwargs, shape', LAYERS)
def test_equals_the_convolution(ours, plain, kwargs, shape, last):
    torch.manual_seed(0)
    a = plain(8, 4, (6, 5), **kwargs).double()
    b = ours(8, 4, (6, 5), **kwargs).double()
    b.load_state_dict(a.state_dict())
    x = torch.randn(shape, dtype=torch.float64)
    if last:
        a, b = (m.to(memory_format=torch.channels_last) for m in (a, b))
        x = x.to(memory_format=torch.channels_last)
    results = []
    for layer in (a, b):
        held = x.clone().requires_grad_()
        out = layer(held)
        slope, = torch.autograd.grad(out.square().sum(), held,
                                     create_graph=True)
        # A gradient penalty, which goes through the backward pass.
        slope.square().sum().backward()
        results.append((out, slope, held.grad, layer.weight.grad))
    for one, other in zip(*results):
        torch.testing.assert_close(one, other)
