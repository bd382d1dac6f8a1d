"""The image VAE: what reads what."""
from __future__ import annotations

import math

import pytest
import torch


@pytest.fixture
def world(toy):
    vae = toy.build(toy.image_vae_cfg(toy.GN))
    g = torch.Generator().manual_seed(0)
    image = torch.randn(2, 3, 16, 16, generator=g)
    pose = torch.rand(2, 16, 16, 16, generator=g)
    mask = torch.zeros(2, 1, 16, 16)
    mask[..., 4:12, 4:12] = 1
    return vae, image, pose, mask


def zero(mean):
    return torch.zeros_like(mean)


def test_equations_32_and_33(world):
    """Appearance sees the person alone, scene the rest alone."""
    vae, image, pose, mask = world
    before = vae(image, pose, mask, zero)
    inside = torch.where(mask > 0, image + 1, image)
    after = vae(inside, pose, mask, zero)
    assert torch.equal(before.scene[0], after.scene[0])
    assert not torch.equal(before.appearance[0], after.appearance[0])
    outside = torch.where(mask > 0, image, image + 1)
    after = vae(outside, pose, mask, zero)
    assert torch.equal(before.appearance[0], after.appearance[0])
    assert not torch.equal(before.scene[0], after.scene[0])


def test_forward_by_hand(world):
    vae, image, pose, mask = world
    draws = []

    def noise(mean):
        draws.append(torch.full_like(mean, 1. + len(draws)))
        return draws[-1]

    out = vae(image, pose, mask, noise)
    a = vae.appearance_recognizer(image * mask)
    s = vae.scene_recognizer(image * (1 - mask))
    mean = vae.generator(pose, a[0] + (a[1] / 2).exp(),
                         s[0] + 2 * (s[1] / 2).exp())[0]
    torch.testing.assert_close(out.mean, mean)
    for got, want in zip((*out.appearance, *out.scene), (*a, *s)):
        torch.testing.assert_close(got, want)
    assert out.log_variance == pytest.approx(math.log(.1))


def test_learnt_variance(toy):
    cfg = toy.image_vae_cfg(toy.GN)
    cfg['generator'] = dict(cfg['generator'], learn_variance=True)
    vae = toy.build(cfg)
    out = vae(torch.randn(2, 3, 16, 16), torch.rand(2, 16, 16, 16),
              torch.rand(2, 1, 16, 16))
    assert out.log_variance.shape == out.mean.shape


def test_pose_reaches_the_image(world):
    vae, image, pose, mask = world
    pose.requires_grad_()
    vae(image, pose, mask, zero).mean.square().sum().backward()
    assert (pose.grad.flatten(2).abs().sum(-1) > 0).all()


@pytest.mark.parametrize('variance', [0., -.1])
def test_variance(toy, variance):
    with pytest.raises(ValueError, match=f'positive, got {variance}'):
        toy.build(toy.image_vae_cfg(variance=variance))
