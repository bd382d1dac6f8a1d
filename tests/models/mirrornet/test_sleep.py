"""The sleep phase: images that the model draws itself, of known poses."""
from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper

from mirrorpose.models.mirrornet.batch import gather
from mirrorpose.models.mirrornet.objective import recognition

MIXED = (True, False, True, False)


def passed(model, batch):
    held = gather(*batch)
    mask = model.estimate_mask(held.image, held.pose)
    return held, model.image_vae(held.image, held.pose, mask, torch.zeros_like)


def test_a_dream_by_hand(toy):
    """Own pose, the next sample's appearance, a scene half a batch away."""
    model = toy.build(toy.mirrornet_cfg(toy.GN)).eval()
    held, out = passed(model, toy.make_batch(MIXED))
    found = model.dream(held, out, torch.zeros_like)
    assert found.shape == (2, 3, 16, 16) and not found.requires_grad
    for row, i in enumerate((0, 2)):
        want = model.image_vae.generator(
            held.pose[i:i + 1], out.appearance[0][(i + 1) % 4][None],
            out.scene[0][(i + 2) % 4][None])[0]
        torch.testing.assert_close(found[row:row + 1], want, rtol=1e-4,
                                   atol=1e-5)


def test_the_loss_by_hand(toy):
    batch = toy.make_batch(MIXED, absent=.3)
    cfg = toy.mirrornet_cfg(toy.GN)
    model = toy.build(dict(cfg, sleep_weight=.7)).eval()
    dreams = torch.randn(2, 3, 16, 16)
    model.dream = lambda *_: dreams
    found = model.loss(*batch)['loss_sleep']
    held = gather(*batch)
    images = F.interpolate(dreams, (64, 64), mode='bilinear')
    known = held.labelled
    nats = recognition(held.pose[known], model.recognize(images)[-1],
                       model.pose_variance, held.present[known])
    torch.testing.assert_close(
        found, -.7 * nats.sum() / held.pose.numel(), rtol=1e-4, atol=1e-5)
    assert 'loss_sleep' not in toy.build(cfg).loss(*batch)


def test_statistics_are_of_real_images(toy):
    """Dreams pass through all networks and leave no trace in them."""
    batch = toy.make_batch(MIXED)
    model = toy.build(toy.mirrornet_cfg()).train()
    held, out = passed(model, batch)
    before = copy.deepcopy(model.state_dict())
    model.sleep(model.dream(held, out), held, (64, 64))
    after = model.state_dict()
    for key, value in before.items():
        if 'num_batches' not in key:
            assert torch.equal(after[key], value), key


def test_it_reaches_the_recognizer_alone(toy):
    """And a recognizer that learns from dreams knows its dreams better."""
    batch = toy.make_batch((True, ) * 8)
    model = toy.build(dict(toy.mirrornet_cfg(), sleep_weight=1.)).train()
    held, out = passed(model, batch)
    dreams = model.dream(held, out)
    model.dream = lambda *_: dreams
    losses = model.loss(*batch)
    losses['loss_sleep'].backward()
    moved = {k.split('.')[0] for k, p in model.named_parameters()
             if p.grad is not None and p.grad.abs().sum() > 0}
    assert moved == {'backbone', 'head'}
    wrapper = OptimWrapper(torch.optim.Adam(
        [*model.backbone.parameters(), *model.head.parameters()], lr=3e-3))
    values = []
    for _ in range(20):
        loss = -model.sleep(dreams, held, (64, 64)).mean()
        wrapper.update_params(loss)
        values.append(float(loss.detach()))
    assert values[-1] < values[0] - 20
