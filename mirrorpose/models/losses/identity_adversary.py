"""An adversary that must not find out who a person is."""
from __future__ import annotations

import math
from typing import Any

import torch
from mmengine.logging import MessageHub
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional

from ..pose.gathering import joint_mean


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * grads[0], None


def reverse_gradient(x: Tensor, strength: float = 1.) -> Tensor:
    """The identity, whose gradient is multiplied by ``-strength``."""
    return _Reverse.apply(x, strength)


def ramp(progress: float) -> float:
    """DANN's schedule, 2 / (1 + exp(-10 q)) - 1 for q in [0, 1]."""
    return 2 / (1 + math.exp(-10 * min(max(progress, 0.), 1.))) - 1


@MODELS.register_module()
class IdentityAdversary(BaseModule):
    """Tells subjects by their embeddings, and turns its gradient around.

    The classifier D -> hidden ReLU -> subjects minimises its cross-entropy;
    what is before it receives the reversed gradient, and so loses what tells
    subjects apart (M5, T4.6). Works in one ordinary optimizer, and takes its
    steps on every process alike.

    Args:
        in_channels (int): D of what it reads.
        num_subjects (int): How many people the training data have.
        hidden (int): Defaults to 256.
        strength (float): kappa at the end of the ramp. Too much of it
            destroys the pose too. Defaults to 1.
        ramp_steps (int, optional): Training steps until the ramp's end, 0
            for no ramp. Defaults to those of the whole run, as mmengine's
            runner announces them.
        loss_weight (float): w_id. Defaults to 0.1.

    Raises:
        ValueError: A number that is not positive, or fewer than two
            subjects, which cannot be told apart.
    """

    steps: Tensor

    def __init__(self, in_channels: int, num_subjects: int,
                 hidden: int = 256, strength: float = 1.,
                 ramp_steps: int | None = None, loss_weight: float = 0.1,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if num_subjects < 2:
            raise ValueError('an identity adversary needs two subjects or '
                             f'more, got num_subjects={num_subjects}')
        if min(in_channels, hidden) < 1 or min(
                strength, loss_weight, ramp_steps or 0) < 0:
            raise ValueError(
                'in_channels and hidden must be positive, strength, '
                'ramp_steps and loss_weight not negative, got '
                f'{in_channels}, {hidden}, {strength}, {ramp_steps} and '
                f'{loss_weight}')
        self.classifier = nn.Sequential(
            nn.Linear(in_channels, hidden), nn.ReLU(),
            nn.Linear(hidden, num_subjects))
        self.num_subjects, self.strength = num_subjects, strength
        self.ramp_steps, self.loss_weight = ramp_steps, loss_weight
        # A float: a hook that averages buffers over processes cannot harm.
        self.register_buffer('steps', torch.zeros((), dtype=torch.float64))

    @property
    def kappa(self) -> float:
        """The strength of the reversal at this step."""
        total = self.ramp_steps
        if total is None:
            total = MessageHub.get_current_instance().get_info('max_iters', 0)
        if not total:
            return self.strength
        return self.strength * ramp(float(self.steps) / total)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, subjects) of (N, D), with the gradient reversed."""
        return self.classifier(reverse_gradient(x, self.kappa))

    def loss(self, x: Tensor, subjects: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of all samples.

        Args:
            x (Tensor): (N, D).
            subjects (Tensor): (N,) int64 in [0, num_subjects); negative
                ones are not known and do not count.

        Returns:
            dict[str, Tensor]: ``loss_identity``; ``acc_identity``, the share
            of right answers; ``mon_kappa``.

        Raises:
            ValueError: A subject of another number.
        """
        if bool((subjects >= self.num_subjects).any()):
            raise ValueError(
                f'subject_index {int(subjects.max())} is not below '
                f'num_subjects={self.num_subjects}: set it to the number of '
                'subjects of the training data')
        kappa = self.kappa
        known = subjects >= 0
        logits = self(x)
        each = functional.cross_entropy(
            logits.float(), subjects.clamp(min=0), reduction='none')
        if self.training:
            self.steps += 1
        right = (logits.argmax(1) == subjects) & known
        return dict(
            loss_identity=self.loss_weight * joint_mean(each, known),
            acc_identity=right.sum() / known.sum().clamp(min=1),
            mon_kappa=x.new_tensor(kappa))
