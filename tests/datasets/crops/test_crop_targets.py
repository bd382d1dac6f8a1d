"""Batched targets against the codecs, joint by joint."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from mmpose.registry import KEYPOINT_CODECS

from mirrorpose.datasets.crops.memory import TensorPool
from mirrorpose.datasets.crops.targets import batched_encoder

SIZE = dict(input_size=(48, 64), heatmap_size=(12, 16))
CODECS = [
    dict(type='MSRAHeatmap', sigma=2., **SIZE),
    dict(type='MSRAHeatmap', sigma=1, **SIZE),
    dict(type='MSRAHeatmap', sigma=1.5, **SIZE),  # 3 sigma is no integer
    dict(type='MSRAHeatmap', sigma=2., unbiased=True, **SIZE),
    dict(type='UDPHeatmap', sigma=2., **SIZE),
    dict(type='OneHotHeatmap', **SIZE),
]


def name(codec):
    return f'{codec["type"]}-{codec.get("sigma")}{codec.get("unbiased", "")}'


def poses(n=64, k=9, seed=0):
    """Inside, at the borders, outside; a fifth of the joints absent."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-30, 95, (n, k, 2)).astype(np.float32)
    points[:8] = rng.integers(-3, 18, (8, k, 2)) * 4 - 2  # halves of cells
    visible = (rng.random((n, k)) > .2).astype(np.float32)
    return points, visible


@pytest.mark.parametrize('config', CODECS, ids=name)
def test_equals_the_codec(config):
    codec = KEYPOINT_CODECS.build(dict(config))
    points, visible = poses()
    maps, weights = batched_encoder(config)(torch.from_numpy(points),
                                            torch.from_numpy(visible))
    assert maps.dtype == weights.dtype == torch.float32
    empty = 0
    for i in range(len(points)):
        truth = codec.encode(points[i:i + 1], visible[i:i + 1])
        np.testing.assert_allclose(maps[i], truth['heatmaps'], atol=2e-7)
        np.testing.assert_array_equal(weights[i],
                                      truth['keypoint_weights'][0])
        empty += int((truth['keypoint_weights'] == 0).sum())
    assert empty > 100  # absent ones, and those out of sight


@pytest.mark.parametrize('config', CODECS, ids=name)
def test_what_stands_at_absent_joints_cannot_matter(config):
    points, visible = poses()
    encode = batched_encoder(config)
    for value in (np.nan, np.inf, -np.inf, 1e30):
        spoiled = np.where(visible[..., None] > 0, points, np.float32(value))
        for x, y in zip(encode(torch.from_numpy(points),
                               torch.from_numpy(visible)),
                        encode(torch.from_numpy(spoiled),
                               torch.from_numpy(visible))):
            assert torch.equal(x, y)


def test_far_away_joints_have_no_target():
    points = torch.tensor([[[1e12, 5.], [5., -1e20]]])
    for config in CODECS:
        maps, weights = batched_encoder(config)(points, torch.ones(1, 2))
        assert not maps.any() and not weights.any()


def test_maps_lie_in_given_memory():
    points, visible = map(torch.from_numpy, poses())
    pool = TensorPool()
    for config in (CODECS[0], CODECS[-1]):
        with_pool = batched_encoder(config)(points, visible, pool)
        without = batched_encoder(config)(points, visible)
        assert torch.equal(with_pool[0], without[0])
        assert len(pool._kept) == 1
        del with_pool


@pytest.mark.parametrize('config', [
    dict(type='UDPHeatmap', heatmap_type='combined', **SIZE),
    dict(type='RegressionLabel', input_size=(48, 64)),
])
def test_other_codecs_are_named(config):
    with pytest.raises(ValueError, match=config['type']):
        batched_encoder(config)


def test_memory_is_used_again_only_when_nobody_holds_it():
    pool = TensorPool()
    first = pool.empty((4, 5))
    first.fill_(1)
    part = first[1:, 2]
    where = first.data_ptr()
    del first
    second = pool.empty((4, 5))
    assert second.data_ptr() != where
    second.fill_(2)
    third = pool.empty((4, 5))  # both are held: memory of its own
    third.fill_(3)
    assert part.eq(1).all() and second.eq(2).all()
    del part
    again = pool.empty((2, 3))
    assert again.data_ptr() == where
    kept = again.numpy()[0]
    del again
    assert pool.empty((2, 3)).data_ptr() != where
    assert kept.shape == (3, )
    larger = pool.empty((100, 100))
    assert larger.shape == (100, 100)
    assert len(pool._kept) <= 2


def test_memory_held_by_autograd_is_left_alone():
    pool = TensorPool()
    x = pool.empty((3, 3))
    x.fill_(2)
    weight = torch.ones(3, 3, requires_grad=True)
    y = (x * weight).sum()
    del x
    for _ in range(3):
        pool.empty((3, 3)).fill_(9)
    y.backward()
    assert weight.grad.eq(2).all()
