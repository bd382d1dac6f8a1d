"""The hourglass of bottlenecks."""
from __future__ import annotations

import pytest
import torch
from mmpose.registry import MODELS


def build(**kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(dict(
        type='BottleneckHourglass', num_stacks=2, channels=16, depth=2),
        **kwargs))


@pytest.mark.parametrize('size', [(64, 64), (64, 48)])
def test_shapes(size):
    out = build(num_stacks=3)(torch.randn(2, 3, *size))
    assert len(out) == 3
    assert all(o.shape == (2, 16, size[0] // 4, size[1] // 4) for o in out)


def test_every_parameter_serves_the_last_stack():
    net = build()
    net(torch.randn(2, 3, 32, 32))[-1].square().sum().backward()
    unused = [k for k, p in net.named_parameters() if p.grad is None]
    assert unused == []


def test_later_stacks_read_earlier_ones():
    net = build(num_stacks=2)
    net.eval()
    x = torch.randn(1, 3, 32, 32)
    before = net(x)
    net.stacks[0][2].weight.data.mul_(2)
    after = net(x)
    assert not torch.allclose(before[1], after[1])
    net.stacks[1][2].weight.data.mul_(2)
    assert torch.equal(after[0], net(x)[0])


def test_sizes_that_cannot_be_halved():
    with pytest.raises(ValueError, match=r'multiples of 16, got \(40, 32\)'):
        build()(torch.randn(1, 3, 40, 32))


def test_halves_as_often_as_asked():
    net = build(depth=1)
    net.eval()
    assert net(torch.randn(1, 3, 8, 8))[0].shape[-1] == 2


def test_with_mmposes_multi_stage_head():
    net = build()
    head = MODELS.build(dict(
        type='CPMHead', in_channels=16, out_channels=16, num_stages=2,
        deconv_out_channels=None, loss=dict(type='HeatmapNLLLoss')))
    out = head(net(torch.randn(2, 3, 64, 64)))
    assert [o.shape for o in out] == [(2, 16, 16, 16)] * 2
