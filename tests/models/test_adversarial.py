"""Training by several steps: it learns, and is what is written out."""
from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope, init_default_scope
from scipy.stats import wasserstein_distance

from mirrorpose.testing import (
    ToyWGAN,
    toy_gan_optimizers,
    toy_points,
    weights,
)

if DefaultScope.get_current_instance() is None:
    init_default_scope('mmpose')

pytestmark = pytest.mark.usefixtures('hub')


def rows_of(data, rows):
    return {k: v[rows] for k, v in data.items()}


def make(seed=0, **kwargs):
    torch.manual_seed(seed)
    return ToyWGAN(**kwargs)


def distance(a, b):
    """Sliced Wasserstein distance of points in the plane."""
    angles = np.arange(8) * np.pi / 8
    return np.mean([wasserstein_distance(a @ way, b @ way) for way in
                    np.stack([np.cos(angles), np.sin(angles)], 1)])


def test_learns_a_ring():
    model = make(critic_steps=5)
    optimizers = toy_gan_optimizers(model)
    data = toy_points(256)
    held_out = torch.stack(toy_points(512, seed=9)['inputs']).numpy()
    before = distance(model.generate(512).numpy(), held_out)
    g = torch.Generator().manual_seed(0)
    samples = np.array(data['data_samples'], dtype=object)
    inputs = torch.stack(data['inputs'])
    for _ in range(400):
        rows = torch.randint(256, (64, ), generator=g)
        model.train_step(dict(inputs=inputs[rows],
                              data_samples=samples[rows].tolist()),
                         optimizers)
    made = model.generate(512).numpy()
    after = distance(made, held_out)
    assert before > .5 and after < .25, (before, after)
    radius = np.linalg.norm(made, axis=1)
    assert .7 < np.median(radius) < 1.2
    # All around, no mode is missing.
    angle = np.arctan2(made[:, 1], made[:, 0])
    assert (np.histogram(angle, 4, (-np.pi, np.pi))[0] > 40).all()


def by_hand(model, batches, every):
    """The same training, written out."""
    g_params = [*model.generator.parameters(), *model.encoder.parameters()]
    critic = torch.optim.Adam(model.critic.parameters(), 2e-3,
                              betas=(.5, .9))
    maker = torch.optim.Adam(g_params, 2e-3, betas=(.5, .9))
    for i, real in enumerate(batches):
        n = len(real)
        fake = model.generator(torch.randn(n, 2)).detach()
        u = torch.special.ndtr(torch.randn(n))[:, None]
        between = (u * real + (1 - u) * fake).requires_grad_()
        slope, = torch.autograd.grad(model.critic(between).sum(), between,
                                     create_graph=True)
        loss = model.critic(fake).mean() - model.critic(real).mean() + (
            (slope.norm(dim=1) - 1)**2).mean()
        critic.zero_grad()
        loss.backward()
        critic.step()
        if (i + 1) % every:
            continue
        z = torch.randn(n, 2)
        fake = model.generator(z)
        loss = -model.critic(fake).mean() + F.mse_loss(
            model.generator(model.encoder(real)), real) + F.mse_loss(
                model.encoder(fake), z)
        maker.zero_grad()
        loss.backward()
        maker.step()
        critic.zero_grad()
    return weights(model)


@pytest.mark.parametrize('every', [1, 3])
def test_is_the_training_written_out(every):
    data = toy_points(32)
    parts = [rows_of(data, slice(i, i + 8)) for i in (0, 8, 16, 24)] * 3
    model = make(critic_steps=every)
    optimizers = toy_gan_optimizers(model)
    torch.manual_seed(1)
    for part in parts:
        model.train_step(part, optimizers)
    other = make(critic_steps=every)
    torch.manual_seed(1)
    wanted = by_hand(other, [torch.stack(p['inputs']) for p in parts], every)
    for key, value in weights(model).items():
        if key != 'critic.4.bias':  # its gradient is 0, but for rounding
            torch.testing.assert_close(value, wanted[key], rtol=1e-4,
                                       atol=1e-5, msg=key)


class TestNoise:

    def test_steps_draw_apart_and_iterations_too(self):
        model = make(noise='sample')
        like = torch.zeros(3, 2)
        seen = []
        for iteration in (4, 5):
            for step in (0, 1):
                model._iteration, model._running = iteration, step
                seen.append(model.sample_noise([1, 2, 3])(like))
        for i in range(4):
            for k in range(i):
                assert not torch.equal(seen[i], seen[k])

    def test_depends_on_the_seed_of_the_run(self, hub):
        model, like = make(noise='sample'), torch.zeros(3, 2)
        one = model.sample_noise([1, 2, 3])(like)
        hub.update_info('seed', 3)
        assert not torch.equal(one, model.sample_noise([1, 2, 3])(like))

    def test_unknown_noise(self):
        with pytest.raises(ValueError, match="'torch' or 'sample', got 'x'"):
            make(noise='x')


def test_generate_moves_no_random_state():
    model = make(dropout=.5)
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    made = model.generate(8)
    assert torch.equal(torch.rand(1), wanted)
    assert torch.equal(made, model.generate(8)) and model.generator.training
