"""Poses as maps and back, against loops over cells."""
from __future__ import annotations

import math

import pytest
import torch

from mirrorpose.models.pose import (
    cells_from_normalised,
    draw_gaussians,
    draw_one_hot,
    normalised_from_cells,
    peaks,
    soft_argmax,
)

SIZE = (5, 7)


@pytest.fixture
def cells():
    torch.manual_seed(0)
    return torch.rand(2, 3, 2, dtype=torch.float64) * torch.tensor(
        [6., 4.], dtype=torch.float64)


@pytest.mark.parametrize('sigma', [.7, 2.])
def test_draw_gaussians(cells, sigma):
    got = draw_gaussians(cells, SIZE, sigma)
    assert got.shape == (2, 3, *SIZE)
    for n in range(2):
        for k in range(3):
            x, y = cells[n, k].tolist()
            for row in range(5):
                for column in range(7):
                    want = math.exp(-((row - y)**2 + (column - x)**2)
                                    / (2 * sigma**2))
                    assert abs(float(got[n, k, row, column]) - want) < 1e-12


def test_draw_gaussians_has_peak_one_at_a_cell():
    got = draw_gaussians(torch.tensor([[3., 2.]]), SIZE, 1.)
    assert got[0, 2, 3] == 1
    assert got.max() == 1


def test_draw_gaussians_gradient(cells):
    x = cells[:1].clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda k: draw_gaussians(k, SIZE, 1.3), (x, ))


def test_draw_gaussians_any_leading_axes(cells):
    flat = draw_gaussians(cells, SIZE, 1.)
    deep = draw_gaussians(cells.view(2, 1, 3, 2), SIZE, 1.)
    assert torch.equal(flat, deep[:, 0])


def test_draw_gaussians_errors():
    with pytest.raises(ValueError, match=r'2D keypoints, got \(1, 16, 3\)'):
        draw_gaussians(torch.zeros(1, 16, 3), SIZE)
    with pytest.raises(ValueError, match='sigma must be positive, got 0'):
        draw_gaussians(torch.zeros(1, 16, 2), SIZE, 0)


def test_draw_one_hot():
    points = torch.tensor([[0., 0.], [6., 4.], [2.4, 3.4], [2.6, 1.6],
                           [-0.6, 1.], [6.6, 1.], [1., -.6], [1., 4.6]])
    got = draw_one_hot(points[None], SIZE)[0]
    where = [(0, 0), (4, 6), (3, 2), (2, 3), None, None, None, None]
    for k, cell in enumerate(where):
        want = torch.zeros(SIZE)
        if cell:
            want[cell] = 1
        assert torch.equal(got[k], want), k


def test_peaks_against_loops():
    torch.manual_seed(1)
    maps = torch.randn(4, 3, *SIZE)
    xy, value = peaks(maps)
    for n in range(4):
        for k in range(3):
            best = max((float(maps[n, k, r, c]), c, r) for r in range(5)
                        for c in range(7))
            assert (float(value[n, k]), *xy[n, k].tolist()) == best


def test_peaks_undo_one_hot():
    points = torch.tensor([[[0., 0.], [6., 4.], [3., 1.]]])
    xy, value = peaks(draw_one_hot(points, SIZE))
    assert torch.equal(xy, points)
    assert (value == 1).all()


@pytest.mark.parametrize('temperature', [1., .3])
def test_soft_argmax(temperature):
    torch.manual_seed(2)
    maps = torch.randn(2, 3, *SIZE, dtype=torch.float64)
    got = soft_argmax(maps, temperature)
    for n in range(2):
        for k in range(3):
            total = x = y = 0.
            for r in range(5):
                for c in range(7):
                    p = math.exp(float(maps[n, k, r, c]) / temperature)
                    total, x, y = total + p, x + p * c, y + p * r
            assert abs(float(got[n, k, 0]) - x / total) < 1e-9
            assert abs(float(got[n, k, 1]) - y / total) < 1e-9


def test_soft_argmax_gradient():
    torch.manual_seed(3)
    maps = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda m: soft_argmax(m, .5), (maps, ))


def test_soft_argmax_undoes_gaussians():
    size = (32, 24)
    points = torch.tensor([[[10.3, 20.7], [12., 8.], [15.5, 16.25]]],
                          dtype=torch.float64)
    got = soft_argmax(draw_gaussians(points, size, 2.), .05)
    # The softmax is narrower than a cell: a bias of a twentieth remains.
    torch.testing.assert_close(got, points, rtol=0, atol=5e-2)


def test_soft_argmax_moves_with_the_map():
    torch.manual_seed(4)
    blob = torch.zeros(1, 1, 20, 20, dtype=torch.float64)
    blob[..., 5:9, 4:9] = 3 + torch.rand(4, 5, dtype=torch.float64)
    moved = blob.roll((6, 3), (2, 3))
    step = soft_argmax(moved, .05) - soft_argmax(blob, .05)
    torch.testing.assert_close(step, torch.tensor(
        [[[3., 6.]]], dtype=torch.float64), rtol=0, atol=1e-6)


def test_soft_argmax_survives_large_values():
    maps = torch.full((1, 1, 4, 4), 1e4)
    maps[0, 0, 2, 1] = 2e4
    assert soft_argmax(maps, .05)[0, 0].tolist() == [1, 2]


def test_normalised_round_trip(cells):
    there = normalised_from_cells(cells, SIZE)
    torch.testing.assert_close(cells_from_normalised(there, SIZE), cells)


def test_normalised_corners():
    corners = torch.tensor([[-1., -1.], [1., 1.], [0., 0.], [1., -1.]])
    want = torch.tensor([[0., 0.], [6., 4.], [3., 2.], [6., 0.]])
    torch.testing.assert_close(cells_from_normalised(corners, SIZE), want)
    torch.testing.assert_close(normalised_from_cells(want, SIZE), corners)


class TestSoftArgmaxAroundThePeak:

    def test_weak_maps_keep_their_place(self):
        """A faint blob on a large map, where the whole map goes astray."""
        true = torch.tensor([[[4.3, 17.6], [20.1, 3.2]]])
        maps = .3 * draw_gaussians(true, (24, 24), 1.)
        near = soft_argmax(maps, .1, radius=3)
        assert (near - true).abs().max() < .5
        assert (soft_argmax(maps, .1) - true).abs().max() > 4

    def test_equals_the_brute_force_softmax_of_the_window(self):
        torch.manual_seed(0)
        maps = torch.rand(1, 2, 7, 9, dtype=torch.float64)
        got = soft_argmax(maps, .3, radius=2)
        for k in range(2):
            top = int(maps[0, k].argmax())
            py, px = divmod(top, 9)
            total, x_sum, y_sum = 0., 0., 0.
            for y in range(max(0, py - 2), min(7, py + 3)):
                for x in range(max(0, px - 2), min(9, px + 3)):
                    weight = torch.exp(maps[0, k, y, x] / .3).item()
                    total += weight
                    x_sum += weight * x
                    y_sum += weight * y
            assert got[0, k].tolist() == pytest.approx(
                [x_sum / total, y_sum / total])

    def test_gradient_is_finite_and_points_along_the_map(self):
        maps = draw_gaussians(torch.tensor([[[5., 5.]]]), (12, 12), 1.)
        maps.requires_grad_(True)
        soft_argmax(maps, .1, radius=3)[..., 0].sum().backward()
        assert maps.grad.isfinite().all()
        assert maps.grad[0, 0, 5, 6] > 0 > maps.grad[0, 0, 5, 4]
        assert maps.grad[0, 0, 0].abs().max() == 0
