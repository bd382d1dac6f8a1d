"""All pairs against a loop over them."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial import procrustes

from mirrorpose.structures.pairwise import (
    paired_distances,
    pairwise_distances,
)


def randn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64,
                       generator=torch.Generator().manual_seed(seed))


def slowly(a, b, keep, turn, unit_size, least):
    """One pair, an SVD, as written in a textbook."""
    if keep.sum() < least:
        return np.inf
    a, b = a[keep].numpy(), b[keep].numpy()
    a, b = a - a.mean(0), b - b.mean(0)
    if unit_size:
        a, b = (p / np.sqrt(np.square(p).sum(1).mean()) for p in (a, b))
    if turn == 'rotation':
        u, _, vt = np.linalg.svd(a.T @ b)
        fix = np.eye(a.shape[1])
        fix[-1, -1] = np.sign(np.linalg.det(u @ vt))
        a = a @ u @ fix @ vt
    return np.sqrt(np.square(a - b).sum(1).mean())


@pytest.mark.parametrize('dims', [2, 3])
@pytest.mark.parametrize('turn', ['none', 'rotation'])
@pytest.mark.parametrize('unit_size', [True, False])
@pytest.mark.parametrize('masked', [True, False])
def test_against_a_loop(dims, turn, unit_size, masked):
    a, b = 200 * randn(9, 13, dims) + 50, 90 * randn(7, 13, dims, seed=1)
    mask_a, mask_b = (randn(n, 13, seed=s) > .2 for n, s in ((9, 2), (7, 3)))
    mask_a[0] = False
    mask_a[1, 4:] = False
    if masked:
        a, b = (torch.where(m[..., None], p, torch.nan) for p, m in (
            (a, mask_a), (b, mask_b)))
    made = pairwise_distances(
        a, b, *((mask_a, mask_b) if masked else (None, None)), turn=turn,
        unit_size=unit_size, least=4)
    assert made.shape == (9, 7)
    for i, j in itertools.product(range(9), range(7)):
        keep = mask_a[i] & mask_b[j] if masked else torch.ones(13).bool()
        assert float(made[i, j]) == pytest.approx(
            slowly(a[i], b[j], keep, turn, unit_size, 4), rel=1e-6)
    assert masked == bool(made.isinf().any())


def test_against_scipy():
    a = randn(6, 13, 3)
    b = a + .1 * randn(6, 13, 3, seed=1)  # so near that none is reflected
    made = pairwise_distances(a, b, unit_size=True)
    for i in range(6):
        _, _, disparity = procrustes(a[i], b[i])
        # the best scale leaves 1 - c^2, equal sizes 2 - 2 c
        assert 1 - (1 - float(made[i, i])**2 / 2)**2 == pytest.approx(
            disparity, rel=1e-6)


def test_a_mirrored_pose_is_another():
    a = randn(5, 13, 3)
    assert pairwise_distances(a, a).diagonal().max() < 1e-5
    mirrored = a * torch.tensor([-1., 1, 1])
    assert pairwise_distances(a, mirrored).diagonal().min() > .05


def test_single_precision():
    a, b = 300 * randn(20, 17, 3), 300 * randn(30, 17, 3, seed=1)
    b[:20] = a + 20 * randn(20, 17, 3, seed=2)
    np.testing.assert_allclose(pairwise_distances(a.float(), b.float()),
                               pairwise_distances(a, b), atol=.3)
    assert pairwise_distances(a.float(), b.float()).dtype == torch.float32


def test_degenerate():
    point = torch.ones(2, 13, 3).double()
    pose = randn(3, 13, 3)
    assert pairwise_distances(point, pose).isfinite().all()
    assert (pairwise_distances(point, point) == 0).all()
    assert pairwise_distances(point, pose, unit_size=True).isinf().all()
    assert pairwise_distances(pose[:0], pose).shape == (0, 3)


def test_wrong_input():
    with pytest.raises(ValueError, match='joint sets'):
        pairwise_distances(randn(2, 13, 3), randn(2, 17, 3))
    with pytest.raises(ValueError, match='turn'):
        pairwise_distances(randn(2, 13, 3), randn(2, 13, 3), turn='scale')
    with pytest.raises(ValueError, match='mask'):
        pairwise_distances(randn(2, 13, 3), randn(2, 13, 3), torch.ones(2, 9))


@pytest.mark.parametrize('dims', [2, 3])
@pytest.mark.parametrize('turn', ['none', 'rotation'])
@pytest.mark.parametrize('unit_size', [True, False])
def test_pairs_side_by_side(dims, turn, unit_size):
    a, b = 200 * randn(9, 13, dims) + 50, 90 * randn(7, 13, dims, seed=1)
    mask_a, mask_b = (randn(n, 13, seed=s) > -.5 for n, s in ((9, 2), (7, 3)))
    made = paired_distances(
        *torch.broadcast_tensors(a[:, None], b), mask_a[:, None] & mask_b,
        turn, unit_size)
    np.testing.assert_allclose(made, pairwise_distances(
        a, b, mask_a, mask_b, turn, unit_size), rtol=1e-6)
    assert (paired_distances(a, a, mask_a, turn, unit_size) < 1e-6).all()
