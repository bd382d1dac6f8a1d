"""Batches with none labelled, none unlabelled, or one sample."""
from __future__ import annotations

import pytest
import torch
from mmengine.logging import MessageHub

from mirrorpose.models.mirrornet.mirrornet import TERMS


@pytest.fixture
def model(toy):
    """Without batch statistics, its noise drawn per sample."""
    hub = MessageHub.get_instance('label_mixes')
    hub.update_info('iter', 0)
    return toy.build(toy.mirrornet_cfg(toy.GN, noise_per_sample=True))


def step(model, image, samples) -> dict:
    return {k: v.detach() for k, v in model.loss(image, samples).items()}


def test_none_unlabelled_is_supervised_training(toy, model):
    """The mean of what each labelled sample gives alone."""
    image, samples = toy.make_batch((True, ) * 4, absent=.2)
    together = step(model, image, samples)
    alone = [step(model, image[i:i + 1], samples[i:i + 1])
             for i in range(4)]
    for term in TERMS:
        torch.testing.assert_close(
            together[f'loss_{term}'],
            torch.stack([a[f'loss_{term}'] for a in alone]).mean(),
            rtol=1e-4, atol=1e-5)
    assert 'mon_bound_unlabelled' not in together
    assert all(v.isfinite() for v in together.values())


def test_unlabelled_samples_add_their_share(toy, model):
    """And with some unlabelled, the labelled ones' share stays."""
    image, samples = toy.make_batch((True, True, False, False))
    mixed = step(model, image, samples)
    labelled = step(model, image[:2], samples[:2])
    torch.testing.assert_close(mixed['mon_bound_labelled'],
                               labelled['mon_bound_labelled'],
                               rtol=1e-4, atol=1e-4)


def test_none_labelled(toy, model):
    image, samples = toy.make_batch((False, ) * 3)
    with pytest.raises(ValueError, match='none of the 3 samples.*0-0.*'
                                         'SemiSupervisedSampler'):
        model.loss(image, samples)


def test_none_labelled_moves_no_plain_recognizer(toy):
    model = toy.build(dict(type='PoseRecognition',
                           **toy.recognizer_cfg(toy.GN)))
    losses = model.loss(*toy.make_batch((False, ) * 3))
    assert losses['loss_recognition'].item() == 0
    grads = toy.gradients(model, losses)
    assert all(g is None or not g.any() for g in grads.values())
