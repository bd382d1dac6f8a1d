"""Latent search: Eqs. 9 and 10 of JUMPS.

Every window and every start is a row of one batch, with an Adam of its own:
what a row finds depends neither on the others nor on their number (up to the
rounding of batched products).
"""
from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from . import objective
from .procrustes import ALIGNMENTS, align

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class SearchSettings:
    """How latents are searched.

    The defaults are what worked in the trial (spec 3.7). :meth:`paper` has
    the paper's.

    Args:
        steps (int): At most. Defaults to 50.
        rate (float): Adam's. Defaults to 0.1.
        betas (tuple[float, float]): Adam's. Defaults to (0.8, 0.999).
        position_weight (float): gamma_p. Defaults to 10.
        velocity_weight (float): gamma_s. Defaults to 5.
        critic_weight (float): gamma_d. It belongs to the scale of the
            critic, which differs from one training to the next (trap T3.9).
            Defaults to 0.
        alignment (str): Of the generated window, one of
            :data:`procrustes.ALIGNMENTS`; ``'none'`` is the paper's row "w/o
            Procrustes". Defaults to ``'similarity'``.
        longest (float, optional): Latents are kept within so many times
            sqrt(Z), where the prior has its mass (trap T3.7). Defaults to
            None, free.
        patience (int, optional): A row stops after so many steps without
            an improvement. Defaults to None, never.
        tolerance (float): The share of the objective that counts as one.
            Defaults to 1e-3.
        chunk (int): Rows at a time, which bounds the memory. Defaults to
            512.

    Raises:
        ValueError: A value is out of range.
    """

    steps: int = 50
    rate: float = .1
    betas: tuple[float, float] = (.8, .999)
    position_weight: float = 10.
    velocity_weight: float = 5.
    critic_weight: float = 0.
    alignment: str = 'similarity'
    longest: float | None = None
    patience: int | None = None
    tolerance: float = 1e-3
    chunk: int = 512

    def __post_init__(self) -> None:
        if self.steps < 0 or self.chunk < 1 or self.rate <= 0:
            raise ValueError('a search takes steps >= 0, chunk >= 1 and '
                             f'rate > 0, got {self.steps}, {self.chunk} and '
                             f'{self.rate}')
        if len(self.betas) != 2 or not all(0 <= b < 1 for b in self.betas):
            raise ValueError(f'betas are two numbers in [0, 1), got '
                             f'{self.betas}')
        if self.alignment not in ALIGNMENTS:
            raise ValueError(f'alignment is one of {ALIGNMENTS}, got '
                             f'{self.alignment!r}')
        if self.patience is not None and self.patience < 1:
            raise ValueError('patience must be at least 1, got '
                             f'{self.patience}')
        if self.longest is not None and self.longest <= 0:
            raise ValueError(f'longest must be above 0, got {self.longest}')

    @classmethod
    def paper(cls) -> SearchSettings:
        """Section III-C to the letter: rate 1, 200 steps, gamma_d 15."""
        return cls(steps=200, rate=1., critic_weight=15.)


@dataclass(frozen=True)
class SearchResult:
    """What a search of N windows by S starts each found.

    Attributes:
        keypoints (Tensor): (N, F, K, 2), the best start's, aligned to the
            observed joints.
        latents (Tensor): (N, Z), its latent.
        best (Tensor): (N,) which start that is.
        candidates (Tensor): (N, S, F, K, 2), of all starts, aligned.
        candidate_latents (Tensor): (N, S, Z).
        objective (Tensor): (N, S), Eq. 10 at its lowest.
        steps (Tensor): (N, S), how many steps were made.
    """

    keypoints: Tensor
    latents: Tensor
    best: Tensor
    candidates: Tensor
    candidate_latents: Tensor
    objective: Tensor
    steps: Tensor


def contextual(generated: Tensor, target: Tensor, weights: Tensor,
               settings: SearchSettings) -> tuple[Tensor, Tensor]:
    """The first two terms of Eq. 10, and the aligned window.

    Args:
        generated (Tensor): (N, F, K, 2) G(z).
        target (Tensor): (N, F, K, 2), finite.
        weights (Tensor): (N, F, K), 0 where nothing is observed.
        settings (SearchSettings): The weights and the alignment.

    Returns:
        tuple[Tensor, Tensor]: (N,) and (N, F, K, 2).
    """
    aligned = align(generated, target, weights, settings.alignment)
    error = settings.position_weight * objective.mpjpe(
        aligned, target, weights)
    if settings.velocity_weight:
        error = error + settings.velocity_weight * objective.mpjve(
            aligned, target, weights)
    return error, aligned


def prior_starts(number: int, latent: int, seed: int = 0) -> Tensor:
    """Starts from the prior: the same for every window, (number, latent).

    So a window's result does not tell where in a batch it stood.

    Args:
        number (int): How many.
        latent (int): Z.
        seed (int): Of the draw. Defaults to 0.
    """
    source = torch.Generator().manual_seed(seed)
    # Row by row: more starts begin with the same ones.
    return torch.stack([torch.randn(latent, generator=source)
                        for _ in range(number)])


def search_latent(generator: Network, critic: Network | None, start: Tensor,
                  target: Tensor, observed: Tensor,
                  settings: SearchSettings | None = None) -> SearchResult:
    """Finds latents whose windows agree with what is observed.

    May be called under ``no_grad``, ``inference_mode`` and autocast. The
    result is the lowest objective of each start's path, its beginning and
    end included.

    Args:
        generator (Callable): Latents (R, Z) to windows (R, F, K, 2), row by
            row: in evaluation mode, if it has batch normalisation.
        critic (Callable, optional): Windows to scores (R,), asked for the
            generated window before it is aligned (trap T3.6). Needed where
            the critic has a weight.
        start (Tensor): (N, S, Z) or (N, Z).
        target (Tensor): (N, F, K, 2), in the generator's frame but for a
            similarity; what is not observed may be anything.
        observed (Tensor): (N, F, K) bool, or weights in [0, 1] such as a
            detector's confidence.
        settings (SearchSettings, optional): Defaults to its defaults.

    Returns:
        SearchResult: Without a graph.

    Raises:
        ValueError: The shapes do not fit, observed coordinates are not
            finite, a weight is negative, the critic is missing, or batch
            normalisation is in training mode.
    """
    settings = settings or SearchSettings()
    if start.ndim == 2:
        start = start[:, None]
    if target.ndim != 4 or target.shape[-1] != 2 or start.ndim != 3 or \
            len(start) != len(target) or \
            observed.shape != target.shape[:-1] or not start.shape[1]:
        raise ValueError(
            'a search takes starts (N, S, Z), targets (N, F, K, 2) and '
            f'observed (N, F, K), got {tuple(start.shape)}, '
            f'{tuple(target.shape)} and {tuple(observed.shape)}')
    if settings.critic_weight and critic is None:
        raise ValueError(f'critic_weight is {settings.critic_weight}, but '
                         'there is no critic')
    for network in (generator, critic):
        if isinstance(network, nn.Module) and any(
                m.training for m in network.modules()
                if isinstance(m, _BatchNorm)):
            raise ValueError(
                f'{type(network).__name__} is in training mode: a row would '
                'depend on the others through its batch statistics; call '
                'eval() before')
    weights = observed.to(target.dtype)
    if bool((weights < 0).any()):
        raise ValueError('weights of observed joints must not be negative')
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autocast(start.device.type, enabled=False))
        # Clones, since tensors of an inference mode stay so.
        weights = weights.detach().clone()
        # Not masked_fill: NaN must not reach the gradient.
        held = torch.where(weights[..., None] > 0, target.detach().clone(),
                           0.)
        if not bool(held.isfinite().all()):
            raise ValueError('observed joints hold NaN or infinite '
                             'coordinates: mark them as not observed')
        n, s, z = start.shape
        rows = start.detach().clone().flatten(0, 1)
        owner = torch.arange(n, device=start.device).repeat_interleave(s)
        parts = [_search(generator, critic, part, held, weights, own,
                         settings)
                 for part, own in zip(rows.split(settings.chunk),
                                      owner.split(settings.chunk))] or \
            [_search(generator, critic, rows, held, weights, owner, settings)]
    found, value, windows, steps = (torch.cat(p) for p in zip(*parts))
    value = value.view(n, s)
    best = value.argmin(1)
    every = torch.arange(n, device=start.device)
    candidates = windows.view(n, s, *target.shape[1:])
    latents = found.view(n, s, z)
    return SearchResult(candidates[every, best], latents[every, best], best,
                        candidates, latents, value, steps.view(n, s))


def _project(z: Tensor, longest: float | None) -> Tensor:
    if longest is None:
        return z
    limit = longest * z.shape[1]**.5
    return z * (limit / z.norm(dim=1, keepdim=True).clamp(min=limit))


def _search(generator: Network, critic: Network | None, z: Tensor,
            target: Tensor, weights: Tensor, owner: Tensor,
            settings: SearchSettings) -> tuple[Tensor, ...]:
    """Searches some rows; ``owner`` tells each row's window."""
    rate, (beta1, beta2) = settings.rate, settings.betas
    z = _project(z, settings.longest)
    best, best_z = z.new_full((len(z), ), torch.inf), z.clone()
    steps = torch.zeros(len(z), dtype=torch.long, device=z.device)
    best_windows = target.new_zeros(len(z), *target.shape[1:])
    since, waited = best.clone(), torch.zeros_like(steps)
    active = torch.arange(len(z), device=z.device)
    first, second = torch.zeros_like(z), torch.zeros_like(z)
    its_target, its_weights = target[owner], weights[owner]
    for step in range(settings.steps + 1):
        moving = step < settings.steps
        with torch.set_grad_enabled(moving):
            z = z.detach().requires_grad_(moving)
            generated = generator(z)
            value, aligned = contextual(generated, its_target, its_weights,
                                        settings)
            if settings.critic_weight:
                assert critic is not None
                value = value - settings.critic_weight * critic(generated)
        with torch.no_grad():
            now = value.detach()
            better = now < best[active]
            rows = active[better]
            best[rows], best_z[rows] = now[better], z[better].detach()
            best_windows[rows] = aligned[better].detach()
            if not moving:
                break
            if settings.patience is not None:
                gain = since[active] - now > settings.tolerance * now.abs()
                since[active] = torch.where(gain, now, since[active])
                waited[active] = torch.where(gain, 0, waited[active] + 1)
        slope, = torch.autograd.grad(value.sum(), z)
        with torch.no_grad():
            # torch.optim.Adam, each row by itself.
            first = beta1 * first + (1 - beta1) * slope
            second = beta2 * second + (1 - beta2) * slope.square()
            size = second.sqrt() / (1 - beta2**(step + 1))**.5 + 1e-8
            z = _project(z.detach() - rate / (1 - beta1**(step + 1))
                         * first / size, settings.longest)
            steps[active] += 1
            if settings.patience is not None:
                going = waited[active] < settings.patience
                if not bool(going.all()):
                    active, z = active[going], z[going]
                    first, second = first[going], second[going]
                    its_target = its_target[going]
                    its_weights = its_weights[going]
                    if not len(active):
                        break
    return best_z, best, best_windows, steps
