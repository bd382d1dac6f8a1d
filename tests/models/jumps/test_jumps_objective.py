"""Eqs. 1 to 8 against loops, closed forms and numerical gradients."""
from __future__ import annotations

import math

import pytest
import torch

from mirrorpose.models.jumps import PoseSequenceCritic
from mirrorpose.models.jumps import objective as o


def windows(seed=0, n=3, frames=5, joints=4):
    source = torch.Generator().manual_seed(seed)
    return [torch.randn(n, frames, joints, 2, generator=source,
                        dtype=torch.float64) for _ in range(2)]


def test_mpjpe_by_loops():
    x, y = windows()
    for n in range(3):
        total = sum(math.dist(x[n, f, j].tolist(), y[n, f, j].tolist())
                    for f in range(5) for j in range(4))
        assert o.mpjpe(x, y)[n].item() == pytest.approx(total / 20)


def test_mpjve_by_loops():
    """The first frame's velocity is 0, and counts in 1 / (J F)."""
    x, y = windows()
    for n in range(3):
        total = 0.
        for j in range(4):
            for f in range(5):
                v, w = ((s[n, f, j] - s[n, f - 1, j] if f else
                         torch.zeros(2)) for s in (x, y))
                total += math.dist(v.tolist(), w.tolist())
        assert o.mpjve(x, y)[n].item() == pytest.approx(total / 20)


def test_weights_by_loops():
    x, y = windows()
    w = torch.rand(3, 5, 4, dtype=torch.float64,
                   generator=torch.Generator().manual_seed(3))
    w[w < .4] = 0
    for n in range(3):
        top = bottom = step_top = step_bottom = 0.
        for f in range(5):
            for j in range(4):
                d = math.dist(x[n, f, j].tolist(), y[n, f, j].tolist())
                top, bottom = top + w[n, f, j] * d, bottom + w[n, f, j]
                if f:
                    both = min(w[n, f, j], w[n, f - 1, j])
                    d = math.dist((x[n, f, j] - x[n, f - 1, j]).tolist(),
                                  (y[n, f, j] - y[n, f - 1, j]).tolist())
                    step_top, step_bottom = (step_top + both * d,
                                             step_bottom + both)
        assert o.mpjpe(x, y, w)[n].item() == pytest.approx(
            float(top / bottom))
        assert o.mpjve(x, y, w)[n].item() == pytest.approx(
            float(step_top / step_bottom) * 4 / 5)


def test_weights_of_one_change_nothing_and_none_give_zero():
    x, y = windows()
    ones = torch.ones(3, 5, 4)
    for measure in (o.mpjpe, o.mpjve):
        assert torch.allclose(measure(x, y, ones), measure(x, y))
        assert torch.equal(measure(x, y, 0 * ones), torch.zeros(3).double())
        assert torch.allclose(measure(x, y, .3 * ones), measure(x, y))


def test_gradients_where_there_is_no_error():
    """Trap T3.4."""
    x = windows()[0].requires_grad_()
    (o.mpjpe(x, x.detach()) + o.mpjve(x, x.detach())).sum().backward()
    assert x.grad.isfinite().all()
    single = windows(frames=1)[0].requires_grad_()
    o.mpjve(single, single.detach()).sum().backward()
    assert single.grad.eq(0).all()


def test_gradients_numerically():
    x, y = windows(n=2, frames=3, joints=2)
    w = torch.rand(2, 3, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda a: o.mpjpe(a, y, w) + o.mpjve(a, y, w), x.requires_grad_())


def test_adversarial_terms():
    real, fake = torch.tensor([1., 3.]), torch.tensor([-2., 5.])
    assert o.generator_adversarial(fake) == -1.5
    assert o.critic_adversarial(real, fake, torch.tensor(.25), 10.) == 2.
    assert o.mixed(fake, 2.) == -3.


def test_penalty_of_a_linear_critic():
    """The slope of <a, x> is |a| over all numbers of a window (T3.2)."""
    x, y = windows()
    a = torch.randn(5, 4, 2, dtype=torch.float64)
    penalty, slope = o.gradient_penalty(
        lambda v: (v * a).sum((1, 2, 3)), x, y, torch.rand(3))
    assert slope.item() == pytest.approx(float(a.norm()))
    assert penalty.item() == pytest.approx(float(a.norm() - 1)**2)


def test_penalty_between_real_and_fake():
    """The slope of |x|^2 / 2 at the interpolated point is its own norm."""
    x, y = windows()
    mix = torch.tensor([0., .25, 1.], dtype=torch.float64)
    penalty, _ = o.gradient_penalty(
        lambda v: .5 * v.square().sum((1, 2, 3)), x, y, mix)
    expected = sum((float((u * x[i] + (1 - u) * y[i]).norm()) - 1)**2
                   for i, u in enumerate(mix.tolist())) / 3
    assert penalty.item() == pytest.approx(expected)


def test_penalty_counts_joints_of_the_axis_once():
    """T3.2: a critic of the head top alone, whose grid entry has it twice."""
    from mirrorpose.models.jumps.body_grid import ENTRIES, to_grid
    column = ENTRIES.index('head_top')
    x = torch.randn(2, 24, 28, 2, dtype=torch.float64)
    _, slope = o.gradient_penalty(
        lambda v: to_grid(v)[:, :, 0, column].sum(1), x, x + 1,
        torch.rand(2))
    # d/dx and d/dy are 2 each, by the two copies of one joint.
    assert slope.item() == pytest.approx(math.sqrt(8))


def test_penalty_of_the_critic_numerically():
    """Velocities follow the interpolated positions (T3.3)."""
    torch.manual_seed(0)
    critic = PoseSequenceCritic('R1').double()
    x, y = windows(n=2, frames=24, joints=28)
    mix = torch.tensor([.3, .8], dtype=torch.float64)
    _, slope = o.gradient_penalty(critic, x, y, mix)
    point = mix[:, None, None, None] * (x - y) + y
    length = 0.
    for n in range(2):
        direction = torch.autograd.functional.jacobian(
            lambda v: critic(v[None])[0], point[n])
        step = 1e-6 * direction / direction.norm()
        rise = critic((point[n] + step)[None]) - critic(
            (point[n] - step)[None])
        length += float(rise) / 2e-6 / 2
    assert slope.item() == pytest.approx(length, rel=1e-5)
    # Its own gradient is there: a penalty can be learnt from.
    penalty, _ = o.gradient_penalty(critic, x, y, mix)
    penalty.backward()
    assert all(p.grad is not None and p.grad.isfinite().all()
               for n, p in critic.named_parameters() if n != 'last.bias')


def test_reconstruction_is_the_weighted_sum():
    x, y = windows()
    expected = (200 * o.mpjpe(x, y) + 100 * o.mpjve(x, y)).mean()
    assert torch.allclose(o.reconstruction(x, y), expected)
    backward = torch.tensor(.5)
    assert torch.allclose(o.autoencoding(expected, backward), expected + .5)


def test_backward_reconstruction_leaves_z_alone():
    """Trap T3.10."""
    z = torch.randn(3, 8, requires_grad=True)
    e = torch.randn(3, 8, requires_grad=True)
    loss = o.backward_reconstruction(z, e, 2.)
    assert loss.item() == pytest.approx(
        2 * sum((a - b)**2 for a, b in zip(z.flatten().tolist(),
                                           e.flatten().tolist())) / 24)
    loss.backward()
    assert z.grad is None and e.grad is not None


def test_prior_distance():
    z = torch.zeros(2, 16)
    z[:, 0] = torch.tensor([4., 12.])  # the shell has radius 4
    assert o.prior_distance(z).item() == pytest.approx((0 + 4) / 2)
    assert o.prior_distance(torch.zeros(1, 4)).isfinite()
