"""The losses of JUMPS, Eqs. 1 to 8, each a function.

Windows are (N, F, J, 2) in the canonical frame. Every function gives means
over samples, so equal parts of a batch average to the whole.
"""
from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..losses.adversarial import gradient_norms, interpolate

#: Under the roots, whose slope at 0 has no bound (trap T3.4); a distance of
#: 0 reads as 1e-6.
EPSILON = 1e-12


def distances(points: Tensor, others: Tensor) -> Tensor:
    """Euclidean distances (..., 2) to (...), with a slope everywhere."""
    return ((points - others).square().sum(-1) + EPSILON).sqrt()


def _mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """Weighted mean of each sample, (N, ...) to (N,); 0 without weight."""
    if weights is None:
        return values.flatten(1).mean(1)
    weights = weights.to(values).expand_as(values).flatten(1)
    total = weights.sum(1)
    # Weights below 1 shall not make a window count less, nor an empty one
    # divide by 0.
    return (values.flatten(1) * weights).sum(1) / torch.where(
        total > 0, total, torch.ones_like(total))


def mpjpe(keypoints: Tensor, others: Tensor,
          weights: Tensor | None = None) -> Tensor:
    """Eq. 4: mean distance over joints and frames, for each window.

    Args:
        keypoints (Tensor): (N, F, J, 2).
        others (Tensor): (N, F, J, 2).
        weights (Tensor, optional): (N, F, J), 0 where not to be compared;
            coordinates there have to be finite. All 1 by default.

    Returns:
        Tensor: (N,), in the unit of the keypoints.
    """
    return _mean(distances(keypoints, others), weights)


def step_weights(weights: Tensor) -> Tensor:
    """Weights (N, F, J) of positions to those (N, F - 1, J) of steps.

    A step is as sure as the less sure of its ends.
    """
    weights = weights.float() if weights.dtype == torch.bool else weights
    return torch.minimum(weights[:, 1:], weights[:, :-1])


def mpjve(keypoints: Tensor, others: Tensor,
          weights: Tensor | None = None) -> Tensor:
    """Eq. 5: mean distance of velocities, for each window.

    The first frame, whose velocity is 0 by definition, adds nothing to the
    sum and counts in the divisor 1 / (J F).

    Args:
        keypoints (Tensor): (N, F, J, 2).
        others (Tensor): (N, F, J, 2).
        weights (Tensor, optional): (N, F, J), of the positions.

    Returns:
        Tensor: (N,), a frame's unit; 0 for windows of one frame.
    """
    frames = keypoints.shape[1]
    if frames < 2:
        return (0 * keypoints).flatten(1).sum(1)
    steps = _mean(distances(keypoints.diff(dim=1), others.diff(dim=1)),
                  None if weights is None else step_weights(weights))
    return steps * ((frames - 1) / frames)


def generator_adversarial(scores: Tensor) -> Tensor:
    """Eq. 1: -E[D(G(z))].

    Args:
        scores (Tensor): (N,) D(G(z)).
    """
    return -scores.mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor,
                     fake: Tensor, mix: Tensor | None = None
                     ) -> tuple[Tensor, Tensor]:
    """E[(|grad D| - 1)^2] between real and generated windows, of Eq. 2.

    The norm is over all coordinates of a window's joints (trap T3.2); the
    critic makes velocities of the interpolated positions (T3.3).

    Args:
        critic (Callable): (N, F, J, 2) to (N,).
        real (Tensor): (N, F, J, 2).
        fake (Tensor): (N, F, J, 2).
        mix (Tensor, optional): (N,) share of the real; drawn by default.

    Returns:
        tuple[Tensor, Tensor]: The penalty without its weight, and the mean
        norm for the log.
    """
    norms = gradient_norms(critic, interpolate(real, fake.detach(), mix))
    return (norms - 1).square().mean(), norms.detach().mean()


def critic_adversarial(on_real: Tensor, on_fake: Tensor, penalty: Tensor,
                       penalty_weight: float = 10.) -> Tensor:
    """Eq. 2: E[D(G(z))] - E[D(x)] + lambda E[(|grad D| - 1)^2].

    Args:
        on_real (Tensor): (N,) D(x).
        on_fake (Tensor): (N,) D(G(z)).
        penalty (Tensor): Of :func:`gradient_penalty`.
        penalty_weight (float): lambda_gp. Defaults to 10.
    """
    return on_fake.mean() - on_real.mean() + penalty_weight * penalty


def autoencoding(reconstruction_term: Tensor, backward_term: Tensor
                 ) -> Tensor:
    """Eq. 3: L_AE = L_Rec + L_Rec_backward."""
    return reconstruction_term + backward_term


def reconstruction(keypoints: Tensor, reconstructed: Tensor,
                   position_weight: float = 200.,
                   velocity_weight: float = 100.,
                   weights: Tensor | None = None) -> Tensor:
    """Eq. 6: lambda_p E[MPJPE(x, G(E(x)))] + lambda_s E[MPJVE(...)].

    Args:
        keypoints (Tensor): (N, F, J, 2) x.
        reconstructed (Tensor): (N, F, J, 2) G(E(x)).
        position_weight (float): lambda_p. Defaults to 200.
        velocity_weight (float): lambda_s. Defaults to 100.
        weights (Tensor, optional): (N, F, J), 0 where x is not known.
    """
    return (position_weight * mpjpe(keypoints, reconstructed, weights)
            + velocity_weight * mpjve(keypoints, reconstructed, weights)
            ).mean()


def backward_reconstruction(latents: Tensor, recovered: Tensor,
                            weight: float = 2.) -> Tensor:
    """Eq. 7: lambda_z E[MSE(z, E(G(z)))].

    z is the target; the gradient goes through E and G (trap T3.10).

    Args:
        latents (Tensor): (N, Z) z.
        recovered (Tensor): (N, Z) E(G(z)).
        weight (float): lambda_z. Defaults to 2.
    """
    return weight * F.mse_loss(recovered, latents.detach())


def mixed(scores: Tensor, weight: float = 1.) -> Tensor:
    """Eq. 8: lambda_m E[-D(G(E(x)))].

    Args:
        scores (Tensor): (N,) D(G(E(x))).
        weight (float): lambda_m. Defaults to 1.
    """
    return -weight * scores.mean()


def prior_distance(latents: Tensor) -> Tensor:
    """How far latents lie from the shell where the prior has its mass.

    Not of the paper, whose encoder leaves the prior (spec 3.7): mean of
    (|z| / sqrt(Z) - 1)^2.

    Args:
        latents (Tensor): (N, Z).
    """
    length = (latents.square().mean(1) + EPSILON).sqrt()
    return (length - 1).square().mean()
