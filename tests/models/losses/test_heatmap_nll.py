"""The likelihood loss against torch.distributions."""
from __future__ import annotations

import math

import pytest
import torch
from mmpose.registry import MODELS
from torch.distributions import Normal


@pytest.fixture
def maps():
    torch.manual_seed(0)
    return (torch.randn(3, 4, 5, 6, dtype=torch.float64),
            torch.randn(3, 4, 5, 6, dtype=torch.float64))


@pytest.mark.parametrize('variance,weight', [(.01, 1.), (.5, 3.)])
def test_value(maps, variance, weight):
    loss = MODELS.build(dict(type='HeatmapNLLLoss', variance=variance,
                             loss_weight=weight))
    output, target = maps
    want = -weight * Normal(output, variance**.5).log_prob(target).mean()
    torch.testing.assert_close(loss(output, target), want)
    torch.testing.assert_close(loss(output, target, torch.ones(3, 4)), want)


def test_default_is_the_papers(maps):
    loss = MODELS.build(dict(type='HeatmapNLLLoss'))
    want = -Normal(maps[0], .1).log_prob(maps[1]).mean()
    torch.testing.assert_close(loss(*maps), want)


def test_masked_joints_leave_the_weight_of_others(maps):
    loss = MODELS.build(dict(type='HeatmapNLLLoss'))
    output, target = (m.clone() for m in maps)
    output.requires_grad_()
    keep = torch.ones(3, 4)
    keep[0, 1] = keep[2] = 0
    full, = torch.autograd.grad(loss(output, target), output)
    target[keep == 0] = math.nan
    value = loss(output, target, keep)
    part, = torch.autograd.grad(value, output)
    assert value.isfinite()
    torch.testing.assert_close(part, full * keep[..., None, None])


def test_errors(maps):
    with pytest.raises(ValueError, match='positive, got 0'):
        MODELS.build(dict(type='HeatmapNLLLoss', variance=0))
    loss = MODELS.build(dict(type='HeatmapNLLLoss'))
    with pytest.raises(ValueError, match='no pixel mask'):
        loss(*maps, mask=torch.ones(1))
