"""The adversary: its sign, its ramp, its state, and that it works."""
from __future__ import annotations

import math

import pytest
import torch
from mmengine.logging import MessageHub
from mmpose.registry import MODELS

from mirrorpose.models.losses import IdentityAdversary
from mirrorpose.models.losses.identity_adversary import ramp, reverse_gradient


def adversary(**kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(dict(
        type='IdentityAdversary', in_channels=6, num_subjects=3, hidden=16,
        ramp_steps=0), **kwargs))


def test_reversal_is_the_identity_backwards():
    x = torch.randn(4, 3, requires_grad=True)
    y = reverse_gradient(x, .7)
    assert torch.equal(x, y)
    w = torch.randn(4, 3)
    (y * w).sum().backward()
    torch.testing.assert_close(x.grad, -.7 * w)


def test_only_what_is_before_it_is_reversed():
    """The classifier descends, the embedding ascends (T4.6)."""
    net = adversary(strength=.5, loss_weight=.2)
    x = torch.randn(8, 6, requires_grad=True)
    who = torch.arange(8) % 3
    net.loss(x, who)['loss_identity'].backward()
    reversed_x = x.grad.clone()
    weights = [p.grad.clone() for p in net.parameters()]
    x.grad = None
    net.zero_grad()
    loss = torch.nn.functional.cross_entropy(net.classifier(x), who)
    (.2 * loss).backward()
    torch.testing.assert_close(reversed_x, -.5 * x.grad)
    for w, p in zip(weights, net.parameters()):
        torch.testing.assert_close(w, p.grad)


@pytest.mark.parametrize('q', [0., .1, .5, 1.])
def test_ramp(q):
    assert math.isclose(ramp(q), 2 / (1 + math.exp(-10 * q)) - 1)
    assert ramp(0) == 0 and ramp(7) == ramp(1) > .999


def test_ramp_counts_training_steps_and_is_saved():
    net, x, who = adversary(ramp_steps=10), torch.randn(6, 6), \
        torch.arange(6) % 3
    assert net.kappa == 0
    for _ in range(4):
        net.loss(x, who)
    assert math.isclose(net.kappa, ramp(.4))
    again = adversary(ramp_steps=10)
    again.load_state_dict(net.state_dict())
    assert again.kappa == net.kappa
    again.eval().loss(x, who)
    assert again.kappa == net.kappa
    for _ in range(20):
        net.loss(x, who)
    assert net.kappa == ramp(1)


def test_ramp_of_a_run_is_the_run():
    before = MessageHub.get_current_instance()
    hub = MessageHub.get_instance('identity_adversary')
    try:
        hub.update_info('max_iters', 50)
        net = adversary(ramp_steps=None)
        net.steps.fill_(25)
        assert math.isclose(net.kappa, ramp(.5))
    finally:
        MessageHub._instance_dict.pop('identity_adversary')
        assert MessageHub.get_current_instance() is before


def test_unknown_subjects_do_not_count():
    net, x = adversary(), torch.randn(4, 6)
    some = net.loss(x, torch.tensor([0, -1, 2, -1]))
    two = net.loss(x[[0, 2]], torch.tensor([0, 2]))
    for key in ('loss_identity', 'acc_identity'):
        torch.testing.assert_close(some[key], two[key])
    none = net.loss(x, torch.full((4, ), -1))
    assert none['loss_identity'] == 0


def accuracy_after(strength):
    """A fresh classifier's accuracy on codes that were trained so."""
    torch.manual_seed(1)
    encoder = torch.nn.Linear(8, 6)
    task = torch.nn.Linear(6, 2)
    net = adversary(strength=strength, loss_weight=1., in_channels=6)
    # Subjects show in inputs 0 to 2, the task in inputs 3 and 4.
    adam = torch.optim.Adam([*encoder.parameters(), *task.parameters()],
                            1e-2)
    against = torch.optim.Adam(net.parameters(), 3e-2)

    def batch(n=96):
        who = torch.randint(3, (n, ))
        x = .5 * torch.randn(n, 8)
        x[:, :3] += 2. * torch.nn.functional.one_hot(who, 3)
        return x, who

    for _ in range(250):
        x, who = batch()
        code = encoder(x)
        loss = net.loss(code, who)['loss_identity'] + (
            task(code) - x[:, 3:5]).square().mean()
        adam.zero_grad()
        against.zero_grad()
        loss.backward()
        adam.step()
        against.step()
    probe = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(),
                                torch.nn.Linear(16, 3))
    adam = torch.optim.Adam(probe.parameters(), 3e-2)
    for _ in range(150):
        x, who = batch()
        adam.zero_grad()
        torch.nn.functional.cross_entropy(
            probe(encoder(x).detach()), who).backward()
        adam.step()
    x, who = batch(2000)
    with torch.no_grad():
        code = encoder(x)
        return float((probe(code).argmax(1) == who).float().mean()), float(
            (task(code) - x[:, 3:5]).square().mean())


def test_identity_is_lost_and_the_task_is_not():
    """A classifier that is trained afterwards finds less."""
    free, _ = accuracy_after(0.)
    hidden, error = accuracy_after(.3)
    assert free > .85 and hidden < free - .15, (free, hidden)
    assert error < .1  # of a variance of .25


@pytest.mark.parametrize('options, part', [
    (dict(num_subjects=1), 'two subjects'), (dict(hidden=0), 'hidden'),
    (dict(strength=-1.), 'strength'), (dict(ramp_steps=-5), 'ramp_steps')])
def test_bad_options(options, part):
    with pytest.raises(ValueError, match=part):
        adversary(**options)


def test_subject_out_of_range():
    with pytest.raises(ValueError, match='num_subjects=3'):
        IdentityAdversary(6, 3).loss(torch.randn(2, 6), torch.tensor([0, 3]))
