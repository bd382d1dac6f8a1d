"""A model of three layers that learn in turn, and what tests ask of one."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapperDict
from torch import Tensor, nn

from ..engine.optimizers import PerChildOptimWrapperConstructor
from ..models.adversarial import AdversarialMixin

__all__ = ['ThreeSteps', 'assert_same', 'three_inputs', 'weights']


def weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of everything that a model saves."""
    return {k: v.detach().clone() for k, v in model.state_dict().items()}


def assert_same(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> None:
    """Equal names, and tensors that are equal to the bit.

    Raises:
        AssertionError: They are not; it names the first.
    """
    assert one.keys() == two.keys() and one
    for key in one:
        assert torch.equal(one[key], two[key]), key


def three_inputs(number: int = 4) -> dict[str, Tensor]:
    """A batch of :class:`ThreeSteps`, (number, 2)."""
    return dict(inputs=torch.arange(2. * number).view(number, 2))


class ThreeSteps(AdversarialMixin, BaseModel):
    """Three linear layers, each with a step and an optimizer of its own.

    ``seen`` holds which parameters could be trained in each step.

    Args:
        steps (Sequence[dict], optional): By default one a layer.
        losses (Mapping[str, Callable], optional): Name of a step to
            ``(model, batch) -> losses``, in the place of the step's own.
        micro_batches (int): Defaults to 1.
    """

    def __init__(self, steps: Sequence[dict] | None = None,
                 losses: Mapping[str, Callable] | None = None,
                 micro_batches: int = 1) -> None:
        super().__init__()
        for name in 'abc':
            setattr(self, name, nn.Linear(2, 2))
        self.wanted: Mapping[str, Callable] = losses or {}
        self.seen: dict[str, dict[str, bool]] = {}
        self.set_steps(steps or [dict(name=n, trains=[n]) for n in 'abc'],
                       micro_batches=micro_batches)

    @staticmethod
    def optimizers(model: nn.Module) -> OptimWrapperDict:
        """Plain gradient descent, an optimizer a layer."""
        return PerChildOptimWrapperConstructor({
            n: dict(optimizer=dict(type='SGD', lr=.1)) for n in 'abc'})(model)

    def forward(self, inputs: Tensor, mode: str = 'tensor') -> Any:
        """mmengine's entry."""
        return self.loss() if mode == 'loss' else inputs

    def _losses(self, step: Any, part: Any) -> dict:
        self.seen[step.name] = {
            k: p.requires_grad for k, p in self.named_parameters()}
        if step.name in self.wanted:
            return self.wanted[step.name](self, part)
        return super()._losses(step, part)

    def a_losses(self, inputs: Tensor) -> dict:
        """Two losses, one of them a list, and two values for the log."""
        return dict(loss_x=self.a(self.b(self.c(inputs))).square().mean(),
                    loss_y=[self.a.weight.sum(), self.a.bias.sum()],
                    mon_z=inputs.mean(), plain=inputs.sum())

    def b_losses(self, inputs: Tensor) -> dict:
        """A loss that passes through the other layers."""
        return dict(loss_x=self.a(self.b(self.c(inputs))).square().mean())

    c_losses = b_losses
