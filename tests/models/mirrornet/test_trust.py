"""Tests of trust: terms that know the truth, and terms that are blind."""
from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mirrorpose.models.mirrornet.batch import gather
from mirrorpose.models.mirrornet.image_vae import ImageVAEOutput
from mirrorpose.models.mirrornet.pose_vae import PoseVAEOutput
from mirrorpose.models.mirrornet.trust import (
    bounds,
    mean_of,
    move_joint,
    trust,
)
from mirrorpose.models.pose import draw_gaussians, soft_argmax

LABELS = (True, False, True, True, True)


class Knows(nn.Module):
    """A pose VAE that holds another pose for the right one, whatever it is
    shown."""

    def __init__(self, truth):
        super().__init__()
        self.truth = truth

    def forward(self, pose, noise):
        zero = pose.new_zeros(len(pose), 1, 1, 1)
        return PoseVAEOutput(self.truth, math.log(.02), (zero, zero))


class Sees(nn.Module):
    """An image VAE that draws the pose; or, blind, nothing."""

    def __init__(self, blind):
        super().__init__()
        self.blind = blind

    def forward(self, image, pose, mask, noise):
        zero = pose.new_zeros(len(pose), 1, 1, 1)
        mean = pose.amax(1, keepdim=True).expand_as(image) * (not self.blind)
        return ImageVAEOutput(mean, math.log(.1), (zero, zero), (zero, zero))


@pytest.fixture
def stage(toy):
    """A model whose poses are wrong, and a batch."""
    def make(pose_form='heatmaps', blind=False, absent=0.):
        inputs, samples = toy.make_batch(LABELS, absent=absent)
        batch = gather(inputs, samples)
        known = batch.labelled
        model = toy.build(toy.mirrornet_cfg(toy.GN, pose_form=pose_form))
        # All joints three cells nearer to the middle: wrong at sigma 1.
        cells = soft_argmax(batch.pose, .05, 3)
        way = 7.5 - cells
        said = draw_gaussians(cells + 3 * way / way.norm(
            dim=-1, keepdim=True), (16, 16), 1.)
        said = said * batch.present[..., None, None]
        model.recognize = lambda x: [said[known]]
        model.pose_vae = Knows(batch.pose[known])
        model.image_vae = Sees(blind)
        drawn = batch.pose.amax(1, keepdim=True).expand_as(batch.image)
        return model, inputs, batch._replace(image=drawn.contiguous())
    return make


def test_terms_that_know_the_truth(stage):
    model, inputs, batch = stage()
    found = trust(model, inputs, batch)
    assert {len(v) for v in found.values()} == {4}
    for name, value in found.items():
        if name.startswith('truth'):
            assert (value == 1).all(), name
    # -|y - truth|^2 / 2v: straight to the truth, and v_alpha / v_phi of
    # recognition's.
    assert torch.allclose(found['cosine_plausibility'], torch.ones(4),
                          atol=1e-5)
    assert torch.allclose(found['gradient_ratio_plausibility'],
                          torch.full((4, ), .01 / .02), rtol=1e-3)


def test_by_coordinates_it_points_the_same_way(stage):
    found = trust(*stage('coordinates'))
    assert (found['cosine_plausibility'] > .9).all()
    assert (found['cosine_fidelity'] > 0).float().mean() > .5


def test_blind_terms(stage):
    model, inputs, batch = stage(blind=True)
    model.pose_vae = Knows(model.recognize(inputs)[-1])  # likes its errors
    found = trust(model, inputs, batch)
    for name in ('truth_over_swapped', 'truth_over_moved',
                 'truth_over_own_fidelity', 'truth_over_own_plausibility'):
        assert (found[name] == 0).all(), name
    assert (found['gradient_ratio_fidelity'] == 0).all()
    assert (found['cosine_fidelity'] == 0).all()


def test_a_right_pose_has_no_way_to_go(stage):
    model, inputs, batch = stage()
    model.recognize = lambda x: [batch.pose[batch.labelled]]
    found = trust(model, inputs, batch)
    for term in ('plausibility', 'fidelity'):
        assert found[f'truth_over_own_{term}'].isnan().all()
        assert found[f'cosine_{term}'].isnan().all()
    assert mean_of(found)['cosine_fidelity'].isnan()
    assert mean_of(found)['truth_over_moved'] == 1


def test_absent_joints_do_not_count(stage):
    """What is said where nothing is annotated changes no test."""
    model, inputs, batch = stage(absent=.4)
    first = trust(model, inputs, batch)
    said = model.recognize(inputs)[-1].clone()
    said[~batch.present[batch.labelled]] = 0
    model.recognize = lambda x: [said]
    for name, value in trust(model, inputs, batch).items():
        if name.startswith(('truth', 'cosine_plaus')):
            assert torch.equal(value, first[name]), name


def test_a_moved_joint():
    cells, present = torch.rand(40, 5, 2), torch.ones(40, 5).bool()
    present[:, 1] = False
    present[7] = False
    moved = move_joint(cells, present, 4.) - cells
    far = moved.norm(dim=-1)
    for i in range(40):
        joint = next((j % 5 for j in range(i, i + 5) if present[i, j % 5]),
                     i % 5)
        want = torch.zeros(5)
        want[joint] = 4.
        torch.testing.assert_close(far[i], want, atol=1e-5, rtol=0)


def test_real_networks_are_left_as_they_were(toy):
    batch = toy.make_batch(LABELS)
    model = toy.build(toy.mirrornet_cfg()).train()
    model.head.eval()
    modes = [m.training for m in model.modules()]
    before = {k: v.clone() for k, v in model.state_dict().items()}
    found = trust(model, batch[0], gather(*batch))
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(v, before[k])
               for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert all(v.isfinite().any() for v in found.values())
    with torch.no_grad():
        held = gather(*batch)
        model.eval()
        both = bounds(model, held.image, held.pose)
    assert set(both) == {'plausibility', 'fidelity'}
    assert both['fidelity'].shape == (5, )
