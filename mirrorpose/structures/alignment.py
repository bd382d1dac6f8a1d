"""Alignment of 3D poses: rotation, scale and translation in closed form.

For each pair of poses the best rotation comes from Horn's quaternion (Horn,
1987, "Closed-form solution of absolute orientation using unit quaternions"):
the eigenvector of the largest eigenvalue of a symmetric 4 x 4 matrix. That
eigenvalue is ``s1 + s2 + sign(det) s3`` of the singular values of the 3 x 3
covariance, which is analytic, and the eigenvector a column of an adjugate. So
nothing iterates, and a million poses are a few hundred element-wise
operations. Where the best rotation is (almost) not unique the few poses
concerned go through an SVD (Umeyama, 1991).

A reflection is never a rotation here: ``det R = +1`` always. Poses whose
joints all lie in one point, on a line or in a plane give finite results.

These are for measuring. They are not differentiable: an SVD's gradient is
unstable where singular values meet.
"""
from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

#: Below this share of the cube of the covariance's size the eigenvalue is too
#: close to the next one (gap below about 1e-4) for the adjugate: the
#: quaternion's error is about 1e-16 over the square of the gap.
_CLEAR = 1e-3
#: Poses at a time.
_CHUNK = 4096


class Alignment(NamedTuple):
    """``target ~ scale * rotation @ source + translation``.

    Attributes:
        scale (Tensor): (...), 1 where none was asked for.
        rotation (Tensor): (..., 3, 3), determinant +1.
        translation (Tensor): (..., 3).
    """

    scale: Tensor
    rotation: Tensor
    translation: Tensor

    def apply(self, points: Tensor) -> Tensor:
        """Transforms points.

        Args:
            points (Tensor): (..., K, 3).

        Returns:
            Tensor: (..., K, 3).
        """
        turned = points.to(self.rotation.dtype) @ self.rotation.mT
        return (self.scale[..., None, None] * turned
                + self.translation[..., None, :])


def _singular(h: list[list[Tensor]]) -> tuple[Tensor, Tensor]:
    """Largest ``tr(R H)`` over rotations, and the size of H.

    Args:
        h (list[list[Tensor]]): The nine entries of H, each (...).

    Returns:
        tuple: ``s1 + s2 + sign(det H) s3`` and the Frobenius norm, (...).
    """
    (a, b, c), (d, e, f), (g, i, j) = h
    # S = H^T H, whose eigenvalues are analytic
    xx, yy, zz = a*a + d*d + g*g, b*b + e*e + i*i, c*c + f*f + j*j
    xy, xz, yz = a*b + d*e + g*i, a*c + d*f + g*j, b*c + e*f + i*j
    total = xx + yy + zz
    mean = total / 3
    xx, yy, zz = xx - mean, yy - mean, zz - mean
    spread = ((xx*xx + yy*yy + zz*zz + 2*(xy*xy + xz*xz + yz*yz)) / 6).sqrt()
    det = (xx*(yy*zz - yz*yz) - xy*(xy*zz - yz*xz) + xz*(xy*yz - yy*xz))
    tiny = torch.finfo(total.dtype).tiny
    ratio = (det / (2 * spread**3).clamp_min(tiny)).clamp(-1, 1)
    angle = ratio.acos() / 3
    first = mean + 2 * spread * angle.cos()
    last = mean + 2 * spread * (angle + 2 * math.pi / 3).cos()
    second = (3 * mean - first - last).clamp_min(0)
    s1, s2 = first.clamp_min(0).sqrt(), second.sqrt()
    det = a*(e*j - f*i) - b*(d*j - f*g) + c*(d*i - e*g)
    # |s3| from the determinant is more accurate than from its square
    s3 = torch.minimum(det.abs() / (s1 * s2).clamp_min(tiny), s2)
    return s1 + s2 + torch.copysign(s3, det), total.sqrt()


def _quaternion_rotation(h: list[list[Tensor]], best: Tensor, size: Tensor
                         ) -> tuple[Tensor, Tensor]:
    """Rotation with ``tr(R H) = best``, and where it can be trusted.

    Returns:
        tuple: (3, 3, ...) and (...) bool.
    """
    (sxx, sxy, sxz), (syx, syy, syz), (szx, szy, szz) = h
    # Horn's matrix less the eigenvalue, symmetric
    n00, n11 = sxx + syy + szz - best, sxx - syy - szz - best
    n22, n33 = syy - sxx - szz - best, szz - sxx - syy - best
    n01, n02, n03 = syz - szy, szx - sxz, sxy - syx
    n12, n13, n23 = sxy + syx, szx + sxz, syz + szy
    # 2 x 2 minors of the upper and the lower two rows
    u0, u1 = n00*n11 - n01*n01, n00*n12 - n01*n02
    u2, u3 = n00*n13 - n01*n03, n01*n12 - n11*n02
    u4, u5 = n01*n13 - n11*n03, n02*n13 - n12*n03
    l1, l2 = n02*n23 - n03*n22, n02*n33 - n03*n23
    l3, l4 = n12*n23 - n13*n22, n12*n33 - n13*n23
    l5 = n22*n33 - n23*n23
    # the adjugate is a multiple of q q^T
    a00, a11 = n11*l5 - n12*l4 + n13*l3, n00*l5 - n02*l2 + n03*l1
    a22, a33 = n03*u4 - n13*u2 + n33*u0, n02*u3 - n12*u1 + n22*u0
    a01, a02 = -(n01*l5 - n02*l4 + n03*l3), n13*u5 - n23*u4 + n33*u3
    a03, a12 = -(n12*u5 - n22*u4 + n23*u3), -(n03*u5 - n23*u2 + n33*u1)
    a13, a23 = n02*u5 - n22*u2 + n23*u1, -(n03*u3 - n13*u1 + n23*u0)
    diagonal = torch.stack([a00, a11, a22, a33])
    # its trace is the product of the distances to the other eigenvalues
    clear = diagonal.sum(0).abs() > _CLEAR * size**3
    columns = torch.stack([torch.stack(c) for c in (
        (a00, a01, a02, a03), (a01, a11, a12, a13),
        (a02, a12, a22, a23), (a03, a13, a23, a33))])
    best_column = diagonal.abs().argmax(0)
    q = columns.gather(0, best_column.expand(1, 4, *best_column.shape))[0]
    norm = q.square().sum(0).sqrt()
    w, x, y, z = torch.where(norm > 0, q / norm, 0.)
    rotation = torch.stack([
        1 - 2*(y*y + z*z), 2*(x*y - w*z), 2*(x*z + w*y),
        2*(x*y + w*z), 1 - 2*(x*x + z*z), 2*(y*z - w*x),
        2*(x*z - w*y), 2*(y*z + w*x), 1 - 2*(x*x + y*y)])
    return rotation.unflatten(0, (3, 3)), clear


def _svd_rotation(h: Tensor) -> Tensor:
    """Umeyama's rotation of (N, 3, 3)."""
    u, _, vt = torch.linalg.svd(h)
    sign = torch.linalg.det(u @ vt).sign()
    u = torch.cat([u[..., :2], u[..., 2:] * sign[..., None, None]], -1)
    return (u @ vt).mT


@torch.no_grad()
def best_rotation(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """The rotation R (determinant +1) that maximises ``tr(R H)``.

    Args:
        covariance (Tensor): H, (..., 3, 3), the sum of ``source target^T``.

    Returns:
        tuple: R (..., 3, 3) and ``tr(R H)`` (...), float64. NaN where H is
        not finite; where more than one rotation is best, one of them.

    Raises:
        ValueError: The last axes are not 3 x 3.
    """
    if covariance.shape[-2:] != (3, 3):
        raise ValueError('expected covariances (..., 3, 3), got '
                         f'{tuple(covariance.shape)}')
    entries = covariance.double().movedim((-2, -1), (0, 1)).contiguous()
    rotation, best = _rotation(entries)
    return rotation.movedim((0, 1), (-2, -1)).contiguous(), best


def _rotation(h: Tensor) -> tuple[Tensor, Tensor]:
    """As :func:`best_rotation`, of (3, 3, ...) to (3, 3, ...)."""
    # units do not matter, powers of them would overflow
    size = h.abs().amax((0, 1))
    finite = size.isfinite()
    size = torch.where(finite, size, 1.).clamp_min(
        torch.finfo(h.dtype).tiny)
    unit = torch.where(finite, h / size, 0.)
    entries = [list(row) for row in unit]
    best, norm = _singular(entries)
    rotation, clear = _quaternion_rotation(entries, best, norm)
    if not bool(clear.all()):
        few = unit[:, :, ~clear].movedim(-1, 0)
        turned = _svd_rotation(few)
        rotation[:, :, ~clear] = turned.movedim(0, -1)
        best[~clear] = (turned.mT * few).sum((-2, -1))
    nan = torch.where(finite, 1., math.nan)
    return rotation * nan, best * size * nan


def _check(source: Tensor, target: Tensor, mask: Tensor | None) -> None:
    if source.shape[-1] != 3 or target.shape[-1] != 3 or source.ndim < 2 or (
            source.shape[-2] != target.shape[-2]):
        raise ValueError(
            'poses to align are (..., K, 3) with the same K; got '
            f'{tuple(source.shape)} and {tuple(target.shape)}. Poses of '
            'different joint sets have to be converted first '
            '(Skeleton.convert)')
    if mask is not None and mask.shape[-1] != source.shape[-2]:
        raise ValueError(f'mask {tuple(mask.shape)} does not fit poses '
                         f'{tuple(source.shape)}: (..., K) is wanted')


@torch.no_grad()
def align(source: Tensor,
          target: Tensor,
          mask: Tensor | None = None,
          scale: bool = True,
          translate: bool = True) -> Alignment:
    """The least-squares transform of poses onto others (Umeyama, 1991).

    Args:
        source (Tensor): (..., K, 3), broadcastable with ``target``.
        target (Tensor): (..., K, 3).
        mask (Tensor, optional): (..., K), positive where a joint counts;
            coordinates elsewhere may be NaN. Defaults to all.
        scale (bool): Similarity; False: rigid. Defaults to True.
        translate (bool): False: rotate (and scale) about the origin, for
            root-relative poses. Defaults to True.

    Returns:
        Alignment: In float64. Without any counted joint, the identity. NaN
        where a counted coordinate is not finite.

    Raises:
        ValueError: Shapes do not fit.
    """
    _check(source, target, mask)
    source, target = torch.broadcast_tensors(source.double(),
                                             target.double())
    centre_s = centre_t = source.new_zeros(())
    if mask is None:
        if translate:
            centre_s, centre_t = (p.mean(-2, keepdim=True)
                                  for p in (source, target))
        a, b = source - centre_s, target - centre_t
    else:
        seen = (mask > 0)[..., None].expand(source.shape)
        source, target = (torch.where(seen, p, 0.) for p in (source, target))
        if translate:
            count = seen.sum(-2, keepdim=True).clamp_min(1)
            centre_s, centre_t = (p.sum(-2, keepdim=True) / count
                                  for p in (source, target))
        a, b = ((p - c) * seen for p, c in ((source, centre_s),
                                            (target, centre_t)))
    rotation, best = best_rotation(a.mT @ b)
    factor = torch.ones_like(best)
    if scale:
        extent = a.square().sum((-2, -1))
        factor = torch.where(extent > 0, best / extent, 1.)
    moved = torch.zeros_like(rotation[..., 0])
    if translate:
        moved = (centre_t - factor[..., None, None]
                 * (centre_s @ rotation.mT)).squeeze(-2)
    return Alignment(factor, rotation, moved)


@torch.no_grad()
def aligned_distances(source: Tensor,
                      target: Tensor,
                      mask: Tensor | None = None,
                      scale: bool = True,
                      translate: bool = True) -> Tensor:
    """Distance of each joint after :func:`align`.

    Returns:
        Tensor: (..., K) float64 in the unit of ``target``, 0 where the mask
        is.
    """
    _check(source, target, mask)
    shape = torch.broadcast_shapes(source.shape, target.shape)
    a, b = (p.expand(shape).reshape(-1, *shape[-2:])
            for p in (source, target))
    seen = None if mask is None else (mask > 0).expand(
        shape[:-1]).reshape(-1, shape[-2])
    out = a.new_empty(a.shape[:2], dtype=torch.float64)
    # Few poses at a time, and these in the last axis: temporaries stay in
    # the processor's cache, and every operation runs over long rows.
    for start in range(0, len(a), _CHUNK):
        part = slice(start, start + _CHUNK)
        one, other = (p[part].permute(2, 1, 0).double().contiguous()
                      for p in (a, b))
        out[part] = _distances(
            one, other, None if seen is None else seen[part].T, scale,
            translate).T
    return out.reshape(shape[:-1])


def _distances(a: Tensor, b: Tensor, seen: Tensor | None, scale: bool,
               translate: bool) -> Tensor:
    """(K, N) distances of (3, K, N) onto (3, K, N)."""
    if seen is not None:
        a, b = torch.where(seen, a, 0.), torch.where(seen, b, 0.)
    if translate:
        if seen is None:
            a, b = (p - p.mean(1, keepdim=True) for p in (a, b))
        else:
            count = seen.sum(0).clamp_min(1)
            a, b = ((p - p.sum(1, keepdim=True) / count) * seen
                    for p in (a, b))
    h = torch.stack([torch.stack([(s * t).sum(0) for t in b]) for s in a])
    rotation, best = _rotation(h)
    if scale:
        extent = a.square().sum((0, 1))
        rotation = rotation * torch.where(extent > 0, best / extent, 1.)
    total = torch.zeros_like(a[0])
    for row, t in zip(rotation, b):
        off = row[0] * a[0]
        off.addcmul_(row[1], a[1]).addcmul_(row[2], a[2]).sub_(t)
        total.addcmul_(off, off)
    return total.sqrt_()
