"""A Gaussian with low-rank structure, conditioned on any part of it."""
from __future__ import annotations

import math
from collections.abc import Iterator
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
    out = torch.empty_like(values)
    spread = torch.empty_like(values) if with_variance else None
    for part in _posteriors(gaussian, trust, noise):
        variance = _variance(components, residual, part.gain, part.factor) \
            if spread is not None else None
        for rows, mine in part.samples:
            out[rows] = _mean(mean, components, values[rows], part, mine
                              ).to(out)
            if spread is not None and variance is not None:
                spread[rows] = variance[mine].to(spread)
    return out, spread


@torch.no_grad()
def draw(gaussian: LowRankGaussian, values: Tensor, trust: Tensor,
         noise: float, normals: Tensor) -> Tensor:
    """Samples of everything given what is observed, by their components.

    What the components leave out takes its mean: its own noise is
    independent from element to element, and would only tremble.

    Args:
        gaussian (LowRankGaussian): Of D dimensions and R components.
        values (Tensor): (N, D), as of :func:`condition`.
        trust (Tensor): (N, D), not negative; 0 is not observed.
        noise (float): Standard deviation of an observation of trust 1.
        normals (Tensor): (S, R) standard normal numbers: equal ones for
            every sample, so that a result does not depend on the batch.

    Returns:
        Tensor: (N, S, D), of covariance (1 - g) W A^-1 W^T (1 - g); A is
        the precision of the components, g what is believed of an
        observation's own part.
    """
    mean, components, _ = (t.to(values.device) for t in gaussian)
    out = values.new_empty(len(values), len(normals), values.shape[1])
    for part in _posteriors(gaussian, trust, noise):
        moved = torch.linalg.solve_triangular(
            part.factor.mT, normals.to(mean).T.expand(
                len(part.factor), -1, -1), upper=True)
        offset = (1 - part.gain)[:, None] * (moved.mT @ components.T)
        for rows, mine in part.samples:
            middle = _mean(mean, components, values[rows], part, mine)
            out[rows] = (middle[:, None] + offset[mine]).to(out)
    return out


class _Posterior(NamedTuple):
    """Some patterns of what is observed, and who has them.

    Attributes:
        trust (Tensor): (U, D).
        precision (Tensor): (U, D) of observations about the components.
        gain (Tensor): (U, D).
        factor (Tensor): (U, R, R), A = factor factor^T.
        samples (list): Pairs of rows (n,) of the values, and (n,) which of
            the U patterns is theirs.
    """

    trust: Tensor
    precision: Tensor
    gain: Tensor
    factor: Tensor
    samples: list[tuple[Tensor, Tensor]]


def _posteriors(gaussian: LowRankGaussian, trust: Tensor,
                noise: float) -> Iterator[_Posterior]:
    """Factorises each pattern once, some at a time."""
    mean, components, residual = (t.to(trust.device) for t in gaussian)
    kinds, which = torch.unique(trust, dim=0, return_inverse=True)
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
        held = (which[order] >= first) & (which[order] < first + many)
        yield _Posterior(
            kind, precision, gain, torch.linalg.cholesky(system),
            [(rows, which[rows] - first) for rows in order[held].split(
                max(CHUNK // (rank * (rank + size)), 1))])


def _mean(mean: Tensor, components: Tensor, values: Tensor,
          part: _Posterior, mine: Tensor) -> Tensor:
    """(n, D) given what is observed."""
    offset = torch.where(part.trust[mine] > 0, values.double() - mean, 0.)
    right = (offset * part.precision[mine]) @ components
    latent = torch.cholesky_solve(right[..., None], part.factor[mine])
    guess = latent[..., 0] @ components.T
    return mean + guess + part.gain[mine] * (offset - guess)


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
