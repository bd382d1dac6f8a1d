"""MirrorNet and the plain recognizer learn a batch."""
from __future__ import annotations

import math

import pytest
import torch

from mirrorpose.models.mirrornet import PoseRecognition


def train(toy, model, batch, steps, lr=3e-3):
    """Losses (in mode train) before, and over the last steps, of training."""
    optimizer = torch.optim.Adam(
        [p for p in model.parameters() if p.requires_grad], lr)
    history = []
    for step in range(steps):
        losses = toy.seeded(model, batch, seed=step)
        optimizer.zero_grad()
        toy.total(losses).backward()
        optimizer.step()
        history.append({k: v.item() for k, v in losses.items()})
    return history[0], {k: sum(h[k] for h in history[-3:]) / 3
                        for k in history[0]}


class TestLearning:

    @pytest.mark.parametrize('labels', [(True, ) * 6, (True, False) * 3],
                             ids=['supervised', 'semi-supervised'])
    def test_mirrornet(self, toy, labels):
        batch = toy.make_batch(labels, size=32, absent=.1)
        model = toy.build(toy.mirrornet_cfg(frozen=('mask_estimator', )))
        first, last = train(toy, model, batch, 30)
        for name in ('recognition', 'fidelity', 'plausibility'):
            assert last[f'loss_{name}'] < first[f'loss_{name}'] - .02, name
        keys = [k for k in first if 'loss' in k]
        assert sum(last[k] for k in keys) < sum(first[k] for k in keys)
        assert last['mon_bound_labelled'] > first['mon_bound_labelled']
        assert all(math.isfinite(v) for v in last.values())

    def test_recognition(self, toy):
        batch = toy.make_batch((True, ) * 6, size=32, absent=.1)
        model = toy.build(dict(type='PoseRecognition',
                               **toy.recognizer_cfg()))
        assert isinstance(model, PoseRecognition)
        first, last = train(toy, model, batch, 30)
        assert last['loss_recognition'] < first['loss_recognition'] - .5
