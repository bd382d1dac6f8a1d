"""Alignment in the plane against scipy, SVD and numerical gradients."""
from __future__ import annotations

import pytest
import torch
from scipy.spatial import procrustes

from mirrorpose.models.jumps.procrustes import align, fit_similarity


def points(n=4, seed=0, shape=(6, 5)):
    source = torch.Generator().manual_seed(seed)
    return [torch.randn(n, *shape, 2, generator=source, dtype=torch.float64)
            for _ in range(2)]


def umeyama(a, b, w, scaled=True):
    """Least-squares similarity without reflection, by an SVD."""
    w = w / w.sum()
    ma, mb = (w[:, None] * a).sum(0), (w[:, None] * b).sum(0)
    u, s, vt = torch.linalg.svd((b - mb).T @ (w[:, None] * (a - ma)))
    d = torch.ones(2, dtype=a.dtype)
    d[1] = torch.sign(torch.det(u) * torch.det(vt))
    turn = u @ torch.diag(d) @ vt
    size = (s * d).sum() / (w * (a - ma).square().sum(1)).sum()
    return (size if scaled else 1.) * (a - ma) @ turn.T + mb


def test_against_scipy():
    """Up to a reflection, which scipy allows: take pairs without."""
    a, b = points(20)
    b = a + .4 * b
    out = align(a, b)
    for n in range(20):
        u, v = a[n].reshape(-1, 2), b[n].reshape(-1, 2)
        first, second, disparity = procrustes(v.numpy(), u.numpy())
        ours = out[n].reshape(-1, 2)
        size = (v - v.mean(0)).norm()
        assert float((ours - v).square().sum() / size**2) == pytest.approx(
            disparity)
        assert torch.allclose((ours - v.mean(0)) / size,
                              torch.from_numpy(second))


@pytest.mark.parametrize('alignment', ['similarity', 'rigid'])
def test_against_svd_with_weights(alignment):
    a, b = points(8)
    w = torch.rand(8, 6, 5, dtype=torch.float64)
    w[w < .3] = 0
    out = align(a, b, w, alignment)
    for n in range(8):
        expected = umeyama(a[n].reshape(-1, 2), b[n].reshape(-1, 2),
                           w[n].flatten(), alignment == 'similarity')
        assert torch.allclose(out[n].reshape(-1, 2), expected)


def test_mirrored_points_are_not_reflected():
    a, _ = points(1)
    b = a * torch.tensor([-1., 1.])
    fit = fit_similarity(a, b)
    moved = fit.apply(torch.eye(2, dtype=torch.float64)[None]) - fit.apply(
        torch.zeros(1, 1, 2, dtype=torch.float64))
    assert torch.det(moved[0]) >= 0


@pytest.mark.parametrize('alignment', ['similarity', 'rigid', 'scaling',
                                       'translation'])
def test_best_of_its_kind(alignment):
    """No small change of the parameters that it may choose is better."""
    a, b = points(3)
    fit = fit_similarity(a, b, None, alignment)

    def error(real, imaginary, shift):
        out = fit._replace(real=real, imaginary=imaginary,
                           target=fit.target + shift).apply(a)
        return (out - b).square().sum((1, 2, 3))

    best = error(fit.real, fit.imaginary, 0.)
    turn = torch.tensor(1e-3).double()
    rotated = (fit.real * turn.cos() - fit.imaginary * turn.sin(),
               fit.real * turn.sin() + fit.imaginary * turn.cos())
    trials = [error(fit.real, fit.imaginary, torch.tensor([s, -s / 2]))
              for s in (1e-3, -1e-3)]
    if alignment in ('similarity', 'rigid'):
        trials.append(error(*rotated, 0.))
    if alignment in ('similarity', 'scaling'):
        trials += [error(fit.real * s, fit.imaginary * s, 0.)
                   for s in (.999, 1.001)]
    for trial in trials:
        assert (trial > best).all()


def test_exact_recovery_and_unweighted_points_move_along():
    a, _ = points(4)
    turn = torch.tensor([[.6, -.8], [.8, .6]], dtype=torch.float64)
    b = 2.5 * a @ turn.T + torch.tensor([3., -1.])
    w = torch.zeros(4, 6, 5)
    w[:, 1:3] = 1
    spoilt = b.clone()
    spoilt[:, 4] += 100
    assert torch.allclose(align(a, spoilt, w), b)


@pytest.mark.parametrize('alignment', ['similarity', 'rigid', 'scaling'])
def test_full_gradient(alignment):
    a, b = points(2, shape=(3, 2))
    w = torch.rand(2, 3, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x, y: align(x, y, w, alignment),
        (a.requires_grad_(), b.requires_grad_()))


@pytest.mark.parametrize('alignment', ['similarity', 'rigid', 'scaling'])
def test_guard(alignment):
    """A point, two equal points, nothing: a shift, or nothing at all."""
    a, b = points(4)
    a[2] = 1.5
    a.requires_grad_()
    w = torch.zeros(4, 6, 5)
    w[1, 2, 3] = 1
    w[2:] = 1
    out = align(a, b, w, alignment)
    assert torch.equal(out[0], a[0] - 0.) or torch.allclose(out[0], a[0])
    assert torch.allclose(out[1], a[1] - a[1, 2, 3] + b[1, 2, 3])
    assert torch.allclose(out[2], b[2].mean((0, 1)).expand(6, 5, 2))
    out.square().sum().backward()
    assert a.grad.isfinite().all()


@pytest.mark.parametrize('alignment', ['similarity', 'scaling'])
def test_a_target_in_one_place_shrinks_nothing(alignment):
    """A joint that stands still, seen in all frames: only a shift."""
    a, b = points(2)
    b[0] = b[0, 0, 0].clone()
    a.requires_grad_()
    out = align(a, b, None, alignment)
    assert torch.allclose(out[0], a[0] - a[0].mean((0, 1)) + b[0, 0, 0])
    out.square().sum().backward()
    assert a.grad.isfinite().all()


def test_none_and_unknown():
    a, b = points(2)
    assert torch.equal(align(a, b, None, 'none'), a)
    with pytest.raises(ValueError, match='rigid'):
        align(a, b, None, 'affine')
