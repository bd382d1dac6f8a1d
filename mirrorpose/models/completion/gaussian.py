"""A Gaussian with low-rank structure, conditioned on any part of it."""
from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

#: Numbers of one temporary; bounds the memory (128 MiB in float64).
CHUNK = 2**24


class LowRankGaussian(NamedTuple):
    """N(mean, components components^T + diag(residual)).

    Attributes:
        mean (Tensor): (D,).
        components (Tensor): (D, R).
        residual (Tensor): (D,), not negative.
    """

    mean: Tensor
    components: Tensor
    residual: Tensor


def fit_gaussian(mean: Tensor, covariance: Tensor,
                 rank: int) -> LowRankGaussian:
    """The R leading principal components, and the variance they leave out.

    Args:
        mean (Tensor): (D,).
        covariance (Tensor): (D, D), symmetric.
        rank (int): R; D or more keeps everything.
    """
    values, vectors = torch.linalg.eigh(covariance.double())
    values, vectors = values.clamp(min=0).flip(0), vectors.flip(1)
    rank = min(rank, len(values))
    components = vectors[:, :rank] * values[:rank].sqrt()
    left = covariance.diagonal().double() - components.square().sum(1)
    if rank == len(values):
        left = torch.zeros_like(left)
    return LowRankGaussian(mean.double(), components, left.clamp(min=0))


def condition(gaussian: LowRankGaussian, values: Tensor, trust: Tensor,
              noise: float, with_variance: bool = True
              ) -> tuple[Tensor, Tensor | None]:
    """Mean and variance of everything given what is observed.

    Observation d is the Gaussian's value plus independent noise of variance
    ``noise**2 / trust[d]``. With full rank and trust 1 the mean is the
    ridge regression of the rest on the observed values, with the penalty
    ``noise**2`` times the number of samples. Elements with equal trust
    share one factorisation.

    Args:
        gaussian (LowRankGaussian): Of D dimensions.
        values (Tensor): (N, D), finite; those with trust 0 do not matter.
        trust (Tensor): (N, D), not negative; 0 is not observed.
        noise (float): Standard deviation of an observation of trust 1,
            positive.
        with_variance (bool): Defaults to True.

    Returns:
        tuple: (N, D) mean, and (N, D) variance of the noise-free values or
        None; dtype of the values.
    """
    mean, components, residual = (t.to(values.device) for t in gaussian)
    kinds, which = torch.unique(trust, dim=0, return_inverse=True)
    out = torch.empty_like(values)
    spread = torch.empty_like(values) if with_variance else None
    size, rank = components.shape
    order = which.argsort(stable=True)
    many = max(CHUNK // (size * rank), 1)
    for first in range(0, len(kinds), many):
        kind = kinds[first:first + many].double()
        # precision of an observation about the components' part: its own
        # noise and the variance that the components leave out
        own = noise**2 / kind.clamp(min=1e-12)
        precision = torch.where(kind > 0, 1 / (residual + own), 0.)
        gain = torch.where(kind > 0, residual / (residual + own), 0.)
        # What none of them observes takes no part. They come sorted, so
        # that neighbours lack the same joints.
        part = (kind > 0).any(0)
        seen = components[part]
        system = seen.T @ (seen * precision[:, part, None]) + \
            torch.eye(rank, dtype=mean.dtype, device=mean.device)
        factor = torch.linalg.cholesky(system)
        if spread is not None:
            variance = _variance(components, residual, gain, factor)
        held = (which[order] >= first) & (which[order] < first + many)
        for rows in order[held].split(max(CHUNK // (rank * (rank + size)),
                                          1)):
            mine = which[rows] - first
            offset = torch.where(kind[mine] > 0,
                                 values[rows].double() - mean, 0.)
            right = (offset * precision[mine]) @ components
            latent = torch.cholesky_solve(right[..., None], factor[mine])
            guess = latent[..., 0] @ components.T
            out[rows] = (mean + guess + gain[mine] * (offset - guess)).to(out)
            if spread is not None:
                spread[rows] = variance[mine].to(spread)
    return out, spread


def _variance(components: Tensor, residual: Tensor, gain: Tensor,
              factor: Tensor) -> Tensor:
    """Diagonals of the conditional covariances, (U, D).

    The value is m + W z + e with z given the observations of covariance
    A^-1, and e given z and the observations of variance (1 - gain)
    residual, its mean gain (x - m - W z): so the part of z enters with
    (1 - gain) W.
    """
    rest = 1 - gain
    half = torch.linalg.solve_triangular(
        factor, (components * rest[..., None]).mT, upper=False)
    return half.square().sum(1) + rest * residual


def log_density(gaussian: LowRankGaussian, values: Tensor, trust: Tensor,
                noise: float) -> Tensor:
    """Log density of what is observed, all else integrated out.

    Differentiable in the values. Observations carry the noise of
    :func:`condition`.

    Args:
        gaussian (LowRankGaussian): Of D dimensions.
        values (Tensor): (N, D), finite; those with trust 0 do not matter.
        trust (Tensor): (N, D), not negative; 0 is not observed.
        noise (float): Standard deviation of an observation of trust 1,
            positive.

    Returns:
        Tensor: (N,) float64, in nats.
    """
    mean, components, residual = (t.to(values.device) for t in gaussian)
    kinds, which = torch.unique(trust, dim=0, return_inverse=True)
    own = residual + noise**2 / kinds.double().clamp(min=1e-12)
    there = kinds > 0
    precision = torch.where(there, 1 / own, 0.)
    unit = torch.eye(components.shape[1], dtype=mean.dtype,
                     device=mean.device)
    # Woodbury, and the determinant lemma.
    many = max(CHUNK // components.numel(), 1)
    factor = torch.cat([torch.linalg.cholesky(
        components.T @ (components * part[..., None]) + unit)
        for part in precision.split(many)])
    logdet = torch.where(there, own, 1.).log().sum(1) + 2 * factor.diagonal(
        dim1=1, dim2=2).log().sum(1)
    known = there[which]
    offset = torch.where(known, values.double() - mean, 0.)
    right = (offset * precision[which]) @ components
    half = torch.linalg.solve_triangular(
        factor[which], right[..., None], upper=False)[..., 0]
    distance = (offset.square() * precision[which]).sum(1) - \
        half.square().sum(1)
    return -.5 * (distance + logdet[which]
                  + known.sum(1) * math.log(2 * math.pi))
