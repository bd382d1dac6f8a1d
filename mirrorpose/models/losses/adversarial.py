"""Adversarial losses: Wasserstein with gradient penalty, least squares.

Both classes judge through a critic that they are handed, so that a model can
take either from its config. Every mean is over the samples of a batch, so
the mean of the gradients of equal parts of a batch is that of the whole.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

#: What a critic returns: one tensor, or one a scale.
Scores = Tensor | Sequence[Tensor]
Critic = Callable[[Tensor], Scores]


def _wide(x: Tensor) -> Tensor:
    """Half precision as float32."""
    return x if x.dtype == torch.float64 else x.float()


def sample_means(scores: Scores) -> Tensor:
    """Mean score of each sample, in float32 or better.

    Args:
        scores (Tensor | Sequence[Tensor]): (N, ...) each; several scales
            weigh the same, whatever their size.

    Returns:
        Tensor: (N,).
    """
    if isinstance(scores, Tensor):
        scores = [scores]
    means = [_wide(s).reshape(len(s), -1).mean(1) for s in scores]
    return torch.stack(means).mean(0)


def gradient_norms(critic: Critic, x: Tensor,
                   create_graph: bool = True) -> Tensor:
    """Norm of the critic's gradient at each sample.

    Args:
        critic (Callable): Maps (N, ...) to scores of each sample alone. With
            batch statistics in it the gradient would be that of the batch.
        x (Tensor): (N, ...); the norm is over all entries of a sample.
        create_graph (bool): The result can be differentiated.

    Returns:
        Tensor: (N,), never negative.
    """
    # Autocast must not round what is differentiated twice.
    with torch.enable_grad(), torch.autocast(x.device.type, enabled=False):
        x = _wide(x.detach()).requires_grad_()
        score = sample_means(critic(x)).sum()
        slope, = torch.autograd.grad(score, x, create_graph=create_graph)
    # Exact zeros (a dead critic) would have an infinite slope.
    squared = slope.flatten(1).square().sum(1)
    return squared.clamp(min=1e-24).sqrt()


def interpolate(real: Tensor, fake: Tensor, mix: Tensor | None) -> Tensor:
    """mix * real + (1 - mix) * fake, one share a sample.

    Args:
        real (Tensor): (N, ...).
        fake (Tensor): Same shape.
        mix (Tensor, optional): (N,) in [0, 1]; uniform draws by default.

    Raises:
        ValueError: The shapes do not fit.
    """
    if real.shape != fake.shape:
        raise ValueError(f'real samples are {tuple(real.shape)}, generated '
                         f'ones {tuple(fake.shape)}: the gradient penalty '
                         'needs as many of each')
    if mix is None:
        mix = torch.rand(len(real), device=real.device)
    if mix.numel() != len(real):
        raise ValueError(f'{tuple(mix.shape)} shares were given for '
                         f'{len(real)} samples')
    mix = mix.to(real).view(-1, *(1, ) * (real.ndim - 1))
    return mix * real + (1 - mix) * fake


def uniform_from_normal(noise: Tensor) -> Tensor:
    """Standard normal noise as uniform noise in (0, 1).

    So :class:`mirrorpose.models.pose.probability.SampleNoise` gives every
    sample its share of the interpolation, a function of its id.
    """
    return torch.special.ndtr(noise)


@MODELS.register_module()
class WGANGPLoss(nn.Module):
    """Wasserstein loss with gradient penalty (Gulrajani et al. 2017).

    critic:     E[D(fake)] - E[D(real)] + penalty_weight E[(|grad D| - 1)^2]
    generator:  -loss_weight E[D(fake)]

    Args:
        penalty_weight (float): lambda. Defaults to 10 (their Section 4, and
            JUMPS).
        loss_weight (float): Of the generator's term. Defaults to 1.

    Raises:
        ValueError: A weight is negative.
    """

    def __init__(self, penalty_weight: float = 10.,
                 loss_weight: float = 1.) -> None:
        super().__init__()
        for name, value in (('penalty_weight', penalty_weight),
                            ('loss_weight', loss_weight)):
            if value < 0:
                raise ValueError(f'{name} must not be negative, got {value}')
        self.penalty_weight, self.loss_weight = penalty_weight, loss_weight

    def critic_losses(self, critic: Critic, real: Tensor, fake: Tensor,
                      mix: Tensor | None = None) -> dict[str, Tensor]:
        """What the critic minimises.

        Args:
            critic (Callable): Maps (N, ...) to scores.
            real (Tensor): (N, ...).
            fake (Tensor): (N, ...); no gradient flows back to it.
            mix (Tensor, optional): (N,) in [0, 1], the real share of the
                points where the penalty is taken; drawn by default.

        Returns:
            dict[str, Tensor]: ``loss_wasserstein``, ``loss_penalty``;
            logged: ``mon_gap``, E[D(real)] - E[D(fake)], an estimate of the
            distance, and ``mon_slope``, the mean gradient norm, near 1 where
            the penalty does its work.
        """
        fake = fake.detach()
        gap = (sample_means(critic(real))
               - sample_means(critic(fake))).mean()
        norms = gradient_norms(critic, interpolate(real, fake, mix))
        return dict(
            loss_wasserstein=-gap,
            loss_penalty=self.penalty_weight * (norms - 1).square().mean(),
            mon_gap=gap.detach(), mon_slope=norms.detach().mean())

    def generator_losses(self, critic: Critic,
                         fake: Tensor) -> dict[str, Tensor]:
        """What the generator minimises, ``loss_adversarial``.

        Args:
            critic (Callable): Maps (N, ...) to scores.
            fake (Tensor): (N, ...).
        """
        score = sample_means(critic(fake)).mean()
        return dict(loss_adversarial=-self.loss_weight * score)


@MODELS.register_module()
class LeastSquaresGANLoss(nn.Module):
    """Squared-difference adversarial loss (Mao et al. 2017).

    critic:     (E[(D(real) - 1)^2] + E[D(fake)^2]) / 2
    generator:  loss_weight E[(D(fake) - 1)^2]

    The signs are those of KeypointGAN's code (spec 2.1, Eq. 5).

    Args:
        loss_weight (float): Of the generator's term (KeypointGAN's
            lambda_gan is 10). Defaults to 1.

    Raises:
        ValueError: The weight is negative.
    """

    def __init__(self, loss_weight: float = 1.) -> None:
        super().__init__()
        if loss_weight < 0:
            raise ValueError(f'loss_weight must not be negative, got '
                             f'{loss_weight}')
        self.loss_weight = loss_weight

    @staticmethod
    def distance(scores: Scores, target: float) -> Tensor:
        """Mean squared difference to the target, (N,); scales weigh alike."""
        if isinstance(scores, Tensor):
            scores = [scores]
        return sample_means([(_wide(s) - target).square() for s in scores])

    def critic_losses(self, critic: Critic, real: Tensor, fake: Tensor,
                      mix: Tensor | None = None) -> dict[str, Tensor]:
        """What the critic minimises.

        Args:
            critic (Callable): Maps (N, ...) to scores (N, ...), one tensor
                or one a scale.
            real (Tensor): (M, ...).
            fake (Tensor): (N, ...); no gradient flows back to it.
            mix (Tensor, optional): Not used; as in :class:`WGANGPLoss`.

        Returns:
            dict[str, Tensor]: ``loss_real``, ``loss_fake``; logged: the
            mean scores ``mon_real`` and ``mon_fake``, which are 1 and 0
            where the critic is saturated.
        """
        on_real, on_fake = critic(real), critic(fake.detach())
        return dict(
            loss_real=.5 * self.distance(on_real, 1.).mean(),
            loss_fake=.5 * self.distance(on_fake, 0.).mean(),
            mon_real=sample_means(on_real).detach().mean(),
            mon_fake=sample_means(on_fake).detach().mean())

    def generator_losses(self, critic: Critic,
                         fake: Tensor) -> dict[str, Tensor]:
        """What the generator minimises, ``loss_adversarial``.

        Args:
            critic (Callable): Maps (N, ...) to scores.
            fake (Tensor): (N, ...).
        """
        return dict(loss_adversarial=self.loss_weight * self.distance(
            critic(fake), 1.).mean())
