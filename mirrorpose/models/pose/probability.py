"""Diagonal Gaussians: likelihood, entropy, divergence, sampling.

All reductions are sums over everything but the first axis, so that the
terms of a bound keep their true proportions (a mean over 65,536 heatmap
cells beside a sum over latents would weigh the latter 1e5 times too much).
Values are in nats, one a sample.
"""
from __future__ import annotations

import math

import torch
from torch import Tensor

LOG_2PI = math.log(2 * math.pi)

#: Log-variances outside this range are clamped before use.
LOG_VARIANCE_RANGE = (-10., 10.)


def _sum(x: Tensor) -> Tensor:
    return x.flatten(1).sum(1)


def log_likelihood(x: Tensor,
                   mean: Tensor,
                   log_variance: Tensor | float,
                   mask: Tensor | None = None) -> Tensor:
    """log N(x | mean, variance), summed over elements.

    Args:
        x (Tensor): (N, ...).
        mean (Tensor): Same shape.
        log_variance (Tensor | float): Same shape, or one number.
        mask (Tensor, optional): Broadcasts against x; elements at 0 are
            left out, whatever x holds there (NaN included).

    Returns:
        Tensor: (N,) nats.
    """
    if mask is not None:
        keep = mask.bool().expand_as(mean)
        x = torch.where(keep, x, mean.detach())
    squared = (x - mean)**2
    if isinstance(log_variance, Tensor):
        terms = -0.5 * (LOG_2PI + log_variance
                        + squared * torch.exp(-log_variance))
    else:
        terms = -0.5 * (LOG_2PI + log_variance
                        + squared * math.exp(-log_variance))
    if mask is not None:
        terms = torch.where(keep, terms, 0.)
    return _sum(terms)


def expected_log_likelihood(mean_q: Tensor,
                            variance_q: float,
                            mean: Tensor,
                            log_variance: Tensor | float,
                            mask: Tensor | None = None) -> Tensor:
    """E_{x ~ N(mean_q, variance_q)} log N(x | mean, variance), exactly.

    The closed form of a Monte Carlo term whose noise would drown one-hot
    maps: 65,536 cells of variance 0.01 hold 655 units of squared noise
    against 16 units of signal.

    Returns:
        Tensor: (N,) nats.
    """
    base = log_likelihood(mean_q, mean, log_variance, mask)
    if isinstance(log_variance, Tensor):
        inverse = torch.exp(-log_variance).expand_as(mean)
    else:
        inverse = torch.full_like(mean, math.exp(-log_variance))
    extra = 0.5 * variance_q * inverse
    if mask is not None:
        extra = extra * mask
    return base - _sum(extra)


def entropy(log_variance: Tensor | float, like: Tensor,
            mask: Tensor | None = None) -> Tensor:
    """Entropy of a diagonal Gaussian, 0.5 sum log(2 pi e variance).

    Args:
        log_variance (Tensor | float): (N, ...) or one number.
        like (Tensor): (N, ...), gives shape, device and type.
        mask (Tensor, optional): Broadcasts; elements at 0 are left out.

    Returns:
        Tensor: (N,) nats.
    """
    terms = 0.5 * (LOG_2PI + 1 + log_variance) * torch.ones_like(like)
    return _sum(terms if mask is None else terms * mask)


def kl_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, I)), summed over elements.

    Returns:
        Tensor: (N,) nats, never negative.
    """
    return _sum(0.5 * (mean**2 + log_variance.exp() - 1 - log_variance))


def sample(mean: Tensor,
           log_variance: Tensor | float,
           noise: Tensor | None = None) -> Tensor:
    """Reparametrised sample, mean + standard deviation * noise.

    Args:
        mean (Tensor): (N, ...).
        log_variance (Tensor | float): Same shape, or one number.
        noise (Tensor, optional): Standard normal, same shape as mean.
            Drawn when not given.
    """
    noise = torch.randn_like(mean) if noise is None else noise
    if isinstance(log_variance, Tensor):
        return mean + torch.exp(0.5 * log_variance) * noise
    return mean + math.exp(0.5 * log_variance) * noise


def clamp_log_variance(raw: Tensor) -> Tensor:
    """Keeps a log-variance head within :data:`LOG_VARIANCE_RANGE`."""
    return raw.clamp(*LOG_VARIANCE_RANGE)


class SampleNoise:
    """Standard normal noise that belongs to a sample, not to a batch.

    The noise of a sample is a function of (seed, step, sample id, draw), so
    it is the same in whatever batch, process or position the sample stands:
    two processes then compute what one would with the joint batch.

    Args:
        keys (list[int]): One integer a sample.
        step (int): Training step.
        seed (int): Seed of the run.
    """

    def __init__(self, keys: list[int], step: int, seed: int = 0) -> None:
        self.keys, self.step, self.seed, self.draws = keys, step, seed, 0

    def __call__(self, mean: Tensor) -> Tensor:
        """Noise of the shape of mean, (N, ...)."""
        if len(self.keys) != len(mean):
            raise ValueError(f'noise for {len(self.keys)} samples was asked '
                             f'for {len(mean)}')
        self.draws += 1
        generator, out = torch.Generator(), []
        for key in self.keys:
            # Mixed with odd constants: neighbours share no stream.
            mixed = (key * 0x9E3779B97F4A7C15 + self.step * 0xC2B2AE3D27D4EB4F
                     + self.seed * 0x165667B19E3779F9 + self.draws)
            generator.manual_seed(mixed & 0x7FFF_FFFF_FFFF_FFFF)
            out.append(torch.randn(mean.shape[1:], generator=generator))
        return torch.stack(out).to(mean)
