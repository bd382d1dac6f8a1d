"""Chunked top-k against sorting all distances."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mirrorpose.utils.nearest import nearest


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def slowly(q, g, k, forbidden=None):
    distances = np.linalg.norm(q[:, None].numpy() - g[None].numpy(), axis=2)
    if forbidden is not None:
        distances = np.where(forbidden, np.inf, distances)
    order = np.argsort(distances, axis=1, kind='stable')[:, :k]
    return np.take_along_axis(distances, order, 1), order


@pytest.mark.parametrize('chunk', [None, 1, 7, 1000])
def test_against_sorting(chunk):
    q, g = 5 * randn(40, 16), 5 * randn(300, 16, seed=1) + 1
    (distances, indices), = nearest(q, g, 9, chunk=chunk)
    expected, order = slowly(q, g, 9)
    np.testing.assert_allclose(distances, expected, rtol=1e-5)
    assert (indices.numpy() == order).all()


@pytest.mark.parametrize('width', [3, 150])
def test_ranges_add_up(width):
    """Narrow and wide ranges take different ways."""
    q, g = randn(40, 4), randn(300, 4, seed=1)
    low = torch.randint(0, 250, (40, ),
                        generator=torch.Generator().manual_seed(0))
    first = torch.stack([low, low + torch.arange(40) % 5], 1)
    second = torch.stack([low, (low + width).clamp_max(300)], 1)
    found = nearest(q, g, 6, [first, second], chunk=11)
    column = np.arange(300)
    mask = np.zeros((40, 300), bool)
    for (distances, indices), ranges in zip(found, (None, first, second)):
        if ranges is not None:
            lo, hi = ranges.numpy().T
            mask |= (column >= lo[:, None]) & (column < hi[:, None])
        expected, order = slowly(q, g, 6, mask)
        np.testing.assert_allclose(distances, expected, rtol=1e-4, atol=1e-6)
        assert (indices.numpy() == order).all()


def test_fewer_than_k():
    q, g = randn(4, 3), randn(5, 3, seed=1)
    everything = torch.tensor([[0, 5], [0, 4], [2, 2], [5, 0]])
    plain, without = nearest(q, g, 8, [everything])
    assert plain[1].ge(0).sum(1).tolist() == [5] * 4
    assert without[1].ge(0).sum(1).tolist() == [0, 1, 5, 5]
    assert (without[0].isinf() == (without[1] < 0)).all()
    (distances, indices), = nearest(q, g[:0], 2)
    assert distances.isinf().all() and (indices == -1).all()
    assert nearest(q[:0], g, 2)[0][0].shape == (0, 2)


def test_an_item_finds_itself_exactly():
    g = 1000 + randn(50, 64)
    (distances, indices), = nearest(g, g, 1)
    assert (distances == 0).all()
    assert indices[:, 0].tolist() == list(range(50))


def test_wrong_input():
    with pytest.raises(ValueError, match='D'):
        nearest(randn(2, 3), randn(2, 4), 1)
    with pytest.raises(ValueError, match='k must'):
        nearest(randn(2, 3), randn(2, 3), 0)
    with pytest.raises(ValueError, match='ranges'):
        nearest(randn(2, 3), randn(2, 3), 1, [torch.zeros(3, 2)])
