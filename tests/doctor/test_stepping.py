"""Parts of the training step, and its operations."""
from __future__ import annotations

import time

import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.optim import OptimWrapper

from mirrorpose.doctor.stepping import (
    STEP_PARTS,
    StepProfiler,
    count_operations,
)


class Preparation(BaseDataPreprocessor):
    def forward(self, data, training=False):
        time.sleep(.01)
        return dict(x=data['x'])


class Toy(BaseModel):
    """One linear layer, and a forward pass of known length."""

    def __init__(self):
        super().__init__(Preparation())
        self.linear = torch.nn.Linear(8, 4, bias=False)

    def forward(self, x, mode='tensor'):
        time.sleep(.02)
        return dict(loss=self.linear(x).square().sum())


class OwnStep(Toy):
    def train_step(self, data, optim_wrapper):
        return super().train_step(data, optim_wrapper)


def profiler(model):
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3))
    return StepProfiler(model, wrapper, torch.device('cpu'))


def test_the_step_part_by_part():
    model = Toy()
    batch = dict(x=torch.ones(5, 8))
    before = model.linear.weight.detach().clone()
    found = profiler(model).profile([batch], 2)
    first, forward, backward, last = (found['parts'][k] for k in STEP_PARTS)
    assert first >= .01 and forward >= .02
    assert max(backward, last) < forward and found['seconds'] >= .03
    # forward 5 x 8 x 4, and the weight's gradient; two operations each
    assert found['operations'] == 2 * 2 * 5 * 8 * 4
    assert not torch.equal(before, model.linear.weight)


def test_parts_train_as_the_whole_step_does():
    torch.manual_seed(0)
    one, other = Toy(), Toy()
    other.load_state_dict(one.state_dict())
    batch = dict(x=torch.randn(3, 8))
    profiler(one).parts(batch)
    profiler(other).whole(batch)
    assert torch.equal(one.linear.weight, other.linear.weight)


def test_operations_are_counted_as_torch_does():
    from torch.utils.flop_counter import FlopCounterMode
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(),
        torch.nn.ConvTranspose2d(8, 4, 4, 2), torch.nn.Flatten(),
        torch.nn.Linear(4 * 18 * 18, 5))
    x = torch.ones(2, 3, 8, 8)

    def run():
        net(x).sum().backward()

    with FlopCounterMode(display=False) as counter:
        run()
    assert count_operations(run) == counter.get_total_flops() > 0


def test_operations_of_a_gradient_penalty():
    """A gradient inside of the loss, which torch's own counter refuses."""
    net = torch.nn.Linear(8, 4, bias=False)

    def run():
        x = torch.ones(5, 8, requires_grad=True)
        slope, = torch.autograd.grad(net(x).square().sum(), x,
                                     create_graph=True)
        slope.square().sum().backward()

    # net(x); its gradient to x; then that product to both of its factors,
    # and what came from net(x) to the weight and to x
    assert count_operations(run) == 2 * 5 * 8 * 4 * 6


def test_a_step_of_its_own_is_not_split():
    found = profiler(OwnStep()).profile([dict(x=torch.ones(1, 8))], 1)
    assert found['parts'] == {} and found['seconds'] > .03
