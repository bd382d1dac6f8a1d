"""A backbone over 2D joints."""
from __future__ import annotations

import pytest
import torch

from mirrorpose.models.backbones import PoseEncoder


def encoder(**kwargs):
    torch.manual_seed(0)
    return PoseEncoder(17, **dict(dict(channels=32), **kwargs))


def by_hand(net, flat):
    """Martinez et al., Figure 2, from the weights: linear, norm, ReLU."""
    def layer(module, x):
        conv, norm = module.conv, module.norm
        x = x @ conv.weight[..., 0].T
        x = (x - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
        return (x * norm.weight + norm.bias).relu()

    x = layer(net.network.expand_conv, flat)
    for block in net.network.tcn_blocks:
        x = x + layer(block.conv2[0], layer(block.conv1[0], x))
    return x


@pytest.mark.parametrize('blocks', [1, 2])
def test_the_network_of_martinez(blocks):
    net = encoder(num_blocks=blocks).eval()
    x = torch.rand(5, 17, 3)
    out = net(x)
    assert isinstance(out, tuple) and out[-1].shape == (5, 32, 1, 1)
    torch.testing.assert_close(out[-1][:, :, 0, 0],
                               by_hand(net, x.flatten(1)))


def test_size_of_the_paper_s():
    """2 blocks of 2 x 1024 over 16 joints: 4.2 to 4.3 million."""
    net = PoseEncoder(16, confidence=False, norm_cfg=dict(type='BN1d'))
    count = sum(p.numel() for p in net.parameters())
    assert count == 32 * 1024 + 4 * 1024**2 + 5 * 2 * 1024


def test_unseen_joints():
    """NaN, confidence 0, and whatever coordinates: the same."""
    net = encoder().eval()
    x = torch.rand(2, 17, 3)
    x[:, 4, 2] = 0
    nan, far = x.clone(), x.clone()
    nan[:, 4] = float('nan')
    far[:, 4, :2] = 1e6
    assert torch.equal(net(x)[0], net(far)[0])
    nan[:, 4, 2] = 1.
    assert torch.equal(net(x)[0], net(nan)[0])


def test_two_columns_are_trusted():
    net, x = encoder().eval(), torch.rand(2, 17, 3)
    x[..., 2] = 1
    assert torch.equal(net(x)[0], net(x[..., :2])[0])


def test_joints_are_dropped_in_training_alone():
    net, x = encoder(keypoint_drop=.5, dropout=0.), torch.rand(4, 17, 3)
    assert not torch.equal(net(x)[0], net(x)[0])
    net.eval()
    assert torch.equal(net(x)[0], net(x)[0])


@pytest.mark.parametrize('shape', [(2, 16, 3), (2, 17, 4), (2, 51)])
def test_bad_shapes(shape):
    with pytest.raises(ValueError, match='17, 2 or 3'):
        encoder()(torch.zeros(shape))


@pytest.mark.parametrize('options', [
    dict(channels=0), dict(keypoint_drop=1.), dict(dropout=-.1)])
def test_bad_options(options):
    with pytest.raises(ValueError, match='must be positive'):
        encoder(**options)
