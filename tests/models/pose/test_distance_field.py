"""The distance field against all pixels with all segments, by autograd."""
from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mirrorpose.models.pose import distance_field
from mirrorpose.models.pose.distance_field import nearest_segment_field


def brute_force(a: Tensor, b: Tensor, size: tuple[int, int]) -> Tensor:
    """The published formula, every pixel with every segment."""
    h, w = size
    y, x = torch.meshgrid(torch.linspace(-1, 1, h, dtype=a.dtype),
                          torch.linspace(-1, 1, w, dtype=a.dtype),
                          indexing='ij')
    u = torch.stack([x, y], -1).view(1, 1, -1, 2)
    a, v = a[:, :, None], (b - a)[:, :, None]
    t = ((u - a) * v).sum(-1) / v.square().sum(-1).clamp(min=1e-6)
    d = u - a - t.clamp(0, 1)[..., None] * v
    return d.square().sum(-1).amin(1).view(-1, h, w)


def compare(a: Tensor, b: Tensor, size: tuple[int, int],
            tolerance: float = 1e-9) -> None:
    """Values and gradients under a random weight of every pixel."""
    a, b = a.double().requires_grad_(), b.double().requires_grad_()
    weight = torch.randn(len(a), *size, dtype=torch.float64)
    mine, truth = nearest_segment_field(a, b, size), brute_force(a, b, size)
    torch.testing.assert_close(mine, truth, rtol=1e-12, atol=1e-12)
    for got, want in zip(
            torch.autograd.grad((mine * weight).sum(), (a, b)),
            torch.autograd.grad((truth * weight).sum(), (a, b))):
        torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('segments', [1, 2, 7, 40])
@pytest.mark.parametrize('size', [(8, 8), (13, 22), (40, 2), (33, 64)])
@pytest.mark.parametrize('length', [.02, .3, 2.])
def test_equals_brute_force(segments: int, size: tuple[int, int],
                            length: float) -> None:
    torch.manual_seed(segments)
    a = torch.randn(3, segments, 2) * .7
    compare(a, a + length * torch.randn(3, segments, 2), size)


def test_segments_far_outside_of_the_image() -> None:
    torch.manual_seed(0)
    a = torch.randn(4, 6, 2) * 5
    compare(a, a + torch.randn(4, 6, 2), (24, 24))


def test_lengths_about_the_floor() -> None:
    # Squared lengths from 1e-9 to 1e-3, the floor is 1e-6: there the
    # projection falls short, and its own slope counts.
    torch.manual_seed(1)
    a = torch.rand(5, 7, 2) - .5
    length = 10**torch.linspace(-4.5, -1.5, 7)[:, None]
    compare(a, a + length * torch.randn(5, 7, 2), (16, 16))


@pytest.mark.parametrize('segments', [1, 3])
def test_gradcheck(segments: int) -> None:
    torch.manual_seed(2)
    a = (torch.randn(2, segments, 2).double() * .5).requires_grad_()
    b = (torch.randn(2, segments, 2).double() * .5).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda *x: nearest_segment_field(*x, (9, 11)), (a, b))


def test_dense_and_tiled_forms_agree() -> None:
    torch.manual_seed(3)
    a = torch.randn(3, 9, 2).double()
    p = distance_field._parameters(a, a + .4 * torch.randn(3, 9, 2).double())
    tiled, by = distance_field._tiled(p, (37, 50))
    for most in (1, 1 << 20):
        dense, by_dense = distance_field._dense(p, (37, 50), most)
        torch.testing.assert_close(tiled, dense, rtol=1e-12, atol=1e-12)
        assert bool((by == by_dense).all())


def test_sums_of_devices_agree() -> None:
    torch.manual_seed(4)
    values = [torch.randn(2, 5, 6) for _ in range(4)]
    winner = torch.randint(0, 3, (2, 5, 6))
    sums = distance_field._sums(values, winner, 3)
    for i, v in enumerate(values):
        for n in range(2):
            for e in range(3):
                torch.testing.assert_close(
                    sums[i, n, e].float(), v[n][winner[n] == e].sum())


def test_nan_is_seen() -> None:
    a = torch.zeros(2, 3, 2)
    a[1, 1] = torch.nan
    field = nearest_segment_field(a, a + .5, (16, 16))
    assert bool(field[0].isfinite().all())
    assert bool(field[1].isnan().all())


def test_refuses_what_is_no_segment() -> None:
    with pytest.raises(ValueError, match='two tensors'):
        nearest_segment_field(torch.zeros(2, 0, 2), torch.zeros(2, 0, 2),
                              (8, 8))
    with pytest.raises(ValueError, match='two tensors'):
        nearest_segment_field(torch.zeros(2, 3, 2), torch.zeros(2, 4, 2),
                              (8, 8))
    with pytest.raises(ValueError, match='2 x 2'):
        nearest_segment_field(torch.zeros(2, 3, 2), torch.zeros(2, 3, 2),
                              (1, 8))
