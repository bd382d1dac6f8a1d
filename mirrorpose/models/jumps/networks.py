"""Encoder, generator and critic of JUMPS: DCGANs over the body-part grid.

The paper gives their sizes and not their layers: 1,148,096, 1,148,480 and
1,115,393 parameters. Both designs here have exactly these (spec 3.2): ``S5``,
the only one with doubling widths among those that follow the text (batch
normalisation in all three), and ``R1``, whose critic has none, as WGAN-GP
asks.
"""
from __future__ import annotations

from dataclasses import dataclass

import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..pose.canonical_frame import FRAMES, SKELETON
from .body_grid import critic_grid, from_grid, to_grid
from .one_cell import CollapsingConv2d, ExpandingConvTranspose2d

Pair = tuple[int, int]


@dataclass(frozen=True)
class Design:
    """The trunk that the three networks share; G is its mirror.

    Args:
        widths (tuple[int, ...]): Of the four hidden layers.
        kernels, strides, paddings (tuple[Pair, ...]): Time by body part.
        velocity_groups (int): Groups of the critic's first convolution: 2
            reads positions and velocities apart, with the weights of four
            channels.
        critic_norm (str): The critic's default.
    """

    widths: tuple[int, ...]
    kernels: tuple[Pair, ...]
    strides: tuple[Pair, ...]
    paddings: tuple[Pair, ...]
    velocity_groups: int
    critic_norm: str

    def layers(self) -> list[tuple[int, Pair, Pair, Pair]]:
        """Width, kernel, stride and padding of each hidden layer."""
        return list(zip(self.widths, self.kernels, self.strides,
                        self.paddings))


#: Kernel 5 x 1 of S5's first layer: 1 x 5 has the same count [DERIVED].
DESIGNS = dict(
    S5=Design((32, 64, 128, 256), ((5, 1), (4, 4), (4, 3), (6, 5)),
              ((1, 1), (2, 2), (2, 2), (1, 1)),
              ((2, 0), (1, 1), (1, 1), (0, 0)), 2, 'bn'),
    R1=Design((32, 128, 128, 256), ((4, 1), (4, 2), (4, 3), (3, 9)),
              ((2, 1), (2, 2), (2, 1), (1, 1)),
              ((1, 0), (1, 0), (1, 1), (0, 0)), 1, 'none'))
LATENT = 128
#: Slope of the critic's and the encoder's rectifiers (DCGAN's).
SLOPE = .2


def _design(name: str) -> Design:
    if name not in DESIGNS:
        raise ValueError(f'design is one of {list(DESIGNS)}, got {name!r}')
    return DESIGNS[name]


def make_norm(kind: str, width: int) -> nn.Module:
    """A normalisation layer of 2D maps.

    Args:
        kind (str): ``'bn'``; or without parameters, for each sample alone:
            ``'none'``, ``'in'`` (each map) or ``'ln'`` (all maps together).
        width (int): Channels.

    Raises:
        ValueError: Another kind.
    """
    if kind == 'bn':
        return nn.BatchNorm2d(width)
    if kind == 'in':
        return nn.InstanceNorm2d(width)
    if kind == 'ln':
        return nn.GroupNorm(1, width, affine=False)
    if kind == 'none':
        return nn.Identity()
    raise ValueError(f"norm is 'bn', 'none', 'in' or 'ln', got {kind!r}")


def _trunk(design: Design, channels: int, norm: str,
           normed: tuple[int, ...], groups: int = 1) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, (width, kernel, stride, padding) in enumerate(design.layers()):
        last = i == len(design.widths) - 1
        layers.append((CollapsingConv2d if last else nn.Conv2d)(
            channels, width, kernel, stride, padding,
            groups=groups if i == 0 else 1, bias=False))
        if i in normed and norm != 'none':
            layers.append(make_norm(norm, width))
        layers.append(nn.LeakyReLU(SLOPE))
        channels = width
    return nn.Sequential(*layers)


def _check_windows(keypoints: Tensor, who: str) -> None:
    if keypoints.ndim != 4 or tuple(keypoints.shape[1:]) != (
            FRAMES, len(SKELETON), 2):
        raise ValueError(f'{who} reads windows (N, {FRAMES}, '
                         f'{len(SKELETON)}, 2), got '
                         f'{tuple(keypoints.shape)}')


class _Network(BaseModule):
    """Base: DCGAN's initialisation, N(0, 0.02) and scales N(1, 0.02)."""

    def _channels_last(self) -> None:
        # The body grid is made so; twice as fast on a CPU.
        self.to(memory_format=torch.channels_last)

    def init_weights(self) -> None:
        if not self.init_cfg:
            for module in self.modules():
                if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                    nn.init.normal_(module.weight, 0., .02)
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)
                elif isinstance(module, nn.BatchNorm2d):
                    nn.init.normal_(module.weight, 1., .02)
                    nn.init.zeros_(module.bias)
        super().init_weights()


@MODELS.register_module()
class PoseSequenceEncoder(_Network):
    """E: a window to its latent.

    Args:
        design (str): ``'S5'`` or ``'R1'``. Defaults to ``'S5'``.
        norm (str): As in :func:`make_norm`, on all hidden layers but the
            last. Defaults to ``'bn'``.
        latent (int): Defaults to 128.
    """

    def __init__(self, design: str = 'S5', norm: str = 'bn',
                 latent: int = LATENT, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        chosen = _design(design)
        make_norm(norm, 1)
        self.latent = latent
        self.trunk = _trunk(chosen, 4, norm, (0, 1, 2))
        self.last = CollapsingConv2d(chosen.widths[-1], latent, 1)
        self._channels_last()

    def forward(self, keypoints: Tensor) -> Tensor:
        """(N, 24, 28, 2) in the canonical frame to (N, latent)."""
        _check_windows(keypoints, type(self).__name__)
        return self.last(self.trunk(to_grid(keypoints))).flatten(1)


@MODELS.register_module()
class PoseSequenceGenerator(_Network):
    """G: a latent to a window; the encoder's mirror.

    Args:
        design (str): ``'S5'`` or ``'R1'``. Defaults to ``'S5'``.
        norm (str): As in :func:`make_norm`, on all hidden layers; ``'in'``
            leaves nothing of maps of one cell, so the first is spared.
            Defaults to ``'bn'``.
        latent (int): Defaults to 128.
    """

    def __init__(self, design: str = 'S5', norm: str = 'bn',
                 latent: int = LATENT, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        chosen = _design(design)
        make_norm(norm, 1)
        self.latent, self.norm = latent, norm
        layers: list[nn.Module] = [
            ExpandingConvTranspose2d(latent, chosen.widths[-1], 1,
                                     bias=False)]
        if norm not in ('none', 'in'):
            layers.append(make_norm(norm, chosen.widths[-1]))
        layers.append(nn.ReLU())
        backwards = chosen.layers()[::-1]
        for i, (channels, kernel, stride, padding) in enumerate(backwards):
            last = i == len(backwards) - 1
            width = 4 if last else backwards[i + 1][0]
            layers.append(
                (nn.ConvTranspose2d if i else ExpandingConvTranspose2d)(
                    channels, width, kernel, stride, padding, bias=False))
            if not last:
                if norm != 'none':
                    layers.append(make_norm(norm, width))
                layers.append(nn.ReLU())
        self.layers = nn.Sequential(*layers)
        self._channels_last()

    def forward(self, latents: Tensor) -> Tensor:
        """(N, latent) to (N, 24, 28, 2) in the canonical frame."""
        if latents.ndim != 2 or latents.shape[1] != self.latent:
            raise ValueError(f'{type(self).__name__} reads latents (N, '
                             f'{self.latent}), got {tuple(latents.shape)}')
        return from_grid(self.layers(latents[..., None, None]))


@MODELS.register_module()
class PoseSequenceCritic(_Network):
    """D: a window to its score, by positions and velocities; a PosePrior.

    With ``'bn'`` the score of one window depends in training on the batch,
    and the penalty's gradient is no longer that of a window (trap T3.1).
    The published count has it in S5, and has none in R1.

    Args:
        design (str): ``'S5'`` or ``'R1'``. Defaults to ``'S5'``.
        norm (str, optional): As in :func:`make_norm`, on the second and
            third hidden layer. Defaults to the design's: ``'bn'`` in S5,
            ``'none'`` in R1.
    """

    reads_sequence = True

    def __init__(self, design: str = 'S5', norm: str | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        chosen = _design(design)
        self.norm = chosen.critic_norm if norm is None else norm
        make_norm(self.norm, 1)
        self.skeleton = SKELETON
        self.trunk = _trunk(chosen, 8, self.norm, (1, 2),
                            chosen.velocity_groups)
        self.last = CollapsingConv2d(chosen.widths[-1], 1, 1)
        self._channels_last()

    def forward(self, keypoints: Tensor) -> Tensor:
        """(N, 24, 28, 2) in the canonical frame to scores (N,)."""
        _check_windows(keypoints, type(self).__name__)
        return self.last(self.trunk(critic_grid(keypoints))).flatten()

    def score(self, keypoints: Tensor, mask: Tensor | None = None) -> Tensor:
        """Plausibility of sequences in any frame, see ``prior.py``."""
        from .prior import score_sequences
        return score_sequences(self, keypoints, mask)


def weight_count(module: nn.Module) -> int:
    """Number of parameters."""
    return sum(p.numel() for p in module.parameters())
