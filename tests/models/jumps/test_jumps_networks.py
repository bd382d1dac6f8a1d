"""The three networks: their sizes, shapes, mirror and normalisation."""
from __future__ import annotations

import pytest
import torch
from torch import nn

from mirrorpose.models.jumps import (
    PoseSequenceCritic,
    PoseSequenceEncoder,
    PoseSequenceGenerator,
)
from mirrorpose.models.jumps.folding import FoldedGenerator
from mirrorpose.models.jumps.networks import DESIGNS, make_norm, weight_count
from mirrorpose.models.steps import statistics_kept


@pytest.mark.parametrize('design', DESIGNS)
def test_the_published_sizes(design):
    assert weight_count(PoseSequenceEncoder(design)) == 1_148_096
    assert weight_count(PoseSequenceGenerator(design)) == 1_148_480
    assert weight_count(PoseSequenceCritic(design)) == 1_115_393


@pytest.mark.parametrize('design', DESIGNS)
@pytest.mark.parametrize('norm, more', [('bn', 384), ('none', 0), ('in', 0),
                                        ('ln', 0)])
def test_other_norms_have_no_parameters(design, norm, more):
    base = 1_115_393 - (384 if design == 'S5' else 0)
    more = more if design == 'S5' or norm != 'bn' else 512
    assert weight_count(PoseSequenceCritic(design, norm)) == base + more


@pytest.mark.parametrize('design', DESIGNS)
def test_shapes_and_mirror(design):
    encoder, generator = PoseSequenceEncoder(design), PoseSequenceGenerator(
        design)
    windows = generator(torch.randn(3, 128))
    assert windows.shape == (3, 24, 28, 2)
    assert encoder(windows).shape == (3, 128)
    assert PoseSequenceCritic(design)(windows).shape == (3, )
    # The maps of G are those of E in reverse order, layer by layer.
    sizes = {'E': [], 'G': []}
    for key, net, kind in (('E', encoder.trunk, nn.Conv2d),
                           ('G', generator.layers, nn.ConvTranspose2d)):
        for module in net.modules():
            if isinstance(module, kind):
                module.register_forward_hook(
                    lambda m, i, o, key=key: sizes[key].append(
                        (o.shape[1], *o.shape[2:])))
    encoder(windows), generator(torch.randn(3, 128))
    assert sizes['G'][:-1] == sizes['E'][::-1]
    assert sizes['E'][-1] == (256, 1, 1) and sizes['G'][-1] == (4, 24, 18)
    if design == 'S5':
        assert sizes['E'] == [(32, 24, 18), (64, 12, 9), (128, 6, 5),
                              (256, 1, 1)]


def test_normalised_layers_of_s5():
    """Spec 3.2: E on 1-3, D on 2 and 3, G on all hidden ones."""
    def widths(net):
        return [m.num_features for m in net.modules()
                if isinstance(m, nn.BatchNorm2d)]
    assert widths(PoseSequenceEncoder()) == [32, 64, 128]
    assert widths(PoseSequenceCritic()) == [64, 128]
    assert widths(PoseSequenceGenerator()) == [256, 128, 64, 32]
    assert not widths(PoseSequenceCritic('R1'))


@pytest.mark.parametrize('norm', ['none', 'in', 'ln'])
@pytest.mark.parametrize('design', DESIGNS)
def test_scores_of_a_window_alone(norm, design):
    """Trap T3.1: without batch statistics a score is the window's own."""
    torch.manual_seed(0)
    critic = PoseSequenceCritic(design, norm)
    x = torch.randn(6, 24, 28, 2)
    together = critic(x)
    assert together.std() > 0
    for i in range(6):
        assert torch.allclose(critic(x[i:i + 1]), together[i:i + 1],
                              atol=1e-5)


def test_scores_with_batch_statistics_depend_on_the_batch():
    torch.manual_seed(0)
    critic = PoseSequenceCritic('S5', 'bn')
    x = torch.randn(6, 24, 28, 2)
    assert not torch.allclose(critic(x)[:2], critic(x[:2]), atol=1e-4)
    critic.eval()
    assert torch.allclose(critic(x)[:2], critic(x[:2]), atol=1e-5)


def test_velocity_group_sees_velocities_alone():
    """Half of S5's first maps do not change with the place."""
    critic = PoseSequenceCritic('S5')
    out = []
    critic.trunk[0].register_forward_hook(lambda m, i, o: out.append(o))
    x = torch.randn(2, 24, 28, 2)
    critic(x), critic(x + 1)
    assert torch.allclose(out[0][:, 16:], out[1][:, 16:], atol=1e-5)
    assert not torch.allclose(out[0][:, :16], out[1][:, :16], atol=1e-2)


def test_statistics_are_kept():
    encoder = PoseSequenceEncoder().train()
    x = torch.randn(8, 24, 28, 2)
    before = {k: v.clone() for k, v in encoder.named_buffers()
              if 'running' in k}
    with statistics_kept(encoder):
        inside = encoder(x)
    for key, value in before.items():
        assert torch.equal(encoder.get_buffer(key), value)
    assert torch.equal(encoder(x), inside)
    assert not all(torch.equal(encoder.get_buffer(k), v)
                   for k, v in before.items())


@pytest.mark.parametrize('norm', ['bn', 'none'])
@pytest.mark.parametrize('design', DESIGNS)
def test_folded_generator_is_the_same(design, norm):
    torch.manual_seed(0)
    # In double: a rectifier may not fall to the other side by rounding.
    generator = PoseSequenceGenerator(design, norm).double().train()
    for _ in range(3):
        generator(2 * torch.randn(64, 128).double() + 1)
    generator.eval()
    folded, z = FoldedGenerator(generator), torch.randn(9, 128).double()
    first, second = (z.clone().requires_grad_() for _ in range(2))
    a, b = generator(first), folded(second)
    assert torch.allclose(a, b)
    a.square().sum().backward()
    b.square().sum().backward()
    assert torch.allclose(first.grad, second.grad)
    assert not any(True for _ in folded.parameters())
    with pytest.raises(ValueError, match='GroupNorm'):
        FoldedGenerator(PoseSequenceGenerator(design, 'ln'))


def test_dcgan_initialisation():
    generator = PoseSequenceGenerator()
    generator.init_weights()
    weights = torch.cat([m.weight.flatten() for m in generator.modules()
                         if isinstance(m, nn.ConvTranspose2d)])
    assert abs(float(weights.detach().std()) - .02) < 1e-4


@pytest.mark.parametrize('make, message', [
    (lambda: PoseSequenceEncoder('S6'), 'S5'),
    (lambda: PoseSequenceCritic(norm='batch'), "'bn'"),
    (lambda: make_norm('gn', 4), "'none'"),
    (lambda: PoseSequenceEncoder()(torch.zeros(2, 12, 28, 2)), '24'),
    (lambda: PoseSequenceGenerator()(torch.zeros(2, 64)), '128')])
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
