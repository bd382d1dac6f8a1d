"""The adapter, on a stub of the package, and on the package if it is there."""
from __future__ import annotations

import importlib.util
import math
import sys
import types
from pathlib import Path

import pytest
import torch
from mmpose.registry import MODELS
from view_batches import labels, mixed, unit

from mirrorpose.models.losses import PytorchMetricLearningLoss
from mirrorpose.models.pose.views import ViewLabels
from mirrorpose.testing import run_processes

INSTALLED = importlib.util.find_spec('pytorch_metric_learning') is not None


@pytest.mark.skipif(INSTALLED, reason='pytorch-metric-learning is installed')
def test_absent_package_is_named():
    with pytest.raises(ImportError, match='pip install pytorch-metric'):
        PytorchMetricLearningLoss(dict(type='NTXentLoss'))


@pytest.mark.skipif(not INSTALLED,
                    reason='pytorch-metric-learning is not installed')
def test_adapter_by_loops():
    """InfoNCE over the pairs that the masks leave."""
    views, t = mixed(), .2
    x = unit(len(views.group), seed=3, dtype=torch.float32).requires_grad_()
    loss = MODELS.build(dict(type='PytorchMetricLearningLoss', loss=dict(
        type='NTXentLoss', temperature=t)))
    found = loss(x, views)['loss_metric']
    allowed = loss.eligible(torch.full((len(x), len(x)), 9.), views)
    terms = []
    for i, j in views.positives().nonzero().tolist():
        top = math.exp(float(x[i] @ x[j]) / t)
        rest = sum(math.exp(float(x[i] @ x[k]) / t)
                   for k in allowed[i].nonzero()[:, 0].tolist())
        terms.append(-math.log(top / (top + rest)))
    torch.testing.assert_close(float(found), sum(terms) / len(terms),
                               rtol=1e-4, atol=1e-5)
    found.backward()
    assert x.grad.abs().max() > 0
    with pytest.raises(ValueError, match='NoLoss'):
        PytorchMetricLearningLoss(dict(type='NoLoss'))


class PairLoss(torch.nn.Module):
    """With the interface of the package's losses, and a closed gradient."""

    calls: list[tuple] = []

    def __init__(self, weight=1.):
        super().__init__()
        self.weight = weight

    def forward(self, embeddings, labels=None, indices_tuple=None):
        self.calls.append((embeddings, labels, indices_tuple))
        a, p, b, n = indices_tuple
        return self.weight * (
            (embeddings[b] * embeddings[n]).sum()
            - (embeddings[a] * embeddings[p]).sum())


def stub() -> tuple[types.ModuleType, types.ModuleType]:
    """What stands in the place of the package and its losses."""
    made, losses = (types.ModuleType('pytorch_metric_learning' + part)
                    for part in ('', '.losses'))
    made.losses, losses.PairLoss = losses, PairLoss
    return made, losses


@pytest.fixture
def package(monkeypatch):
    """Something in the place of the package, whether it is there or not."""
    for module in stub():
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(PairLoss, 'calls', [])


@pytest.mark.parametrize('floor', [None, 2.2])
def test_adapter_hands_over_pairs(package, floor):
    """Which indices the package is given, by two loops, and the gradient."""
    views = mixed()
    number = len(views.group)
    x = unit(number, seed=3, dtype=torch.float32).requires_grad_()
    pose = torch.randn(number, 5, 3, generator=torch.Generator()
                       .manual_seed(1))
    known = torch.arange(number) % 3 > 0
    loss = MODELS.build(dict(
        type='PytorchMetricLearningLoss', loss_weight=.5, pose_floor=floor,
        near_seconds=1., loss=dict(type='PairLoss', weight=2.)))
    assert loss.loss.weight == 2.
    found = loss(x, views, pose.masked_fill(~known[:, None, None],
                                            float('nan')), known)
    (rows, labels_, indices), = PairLoss.calls
    a, p, b, n = indices
    positives, negatives = set(), set()
    for i in range(number):
        for j in range(number):
            same = bool(views.group[i] == views.group[j])
            if same and views.camera[i] != views.camera[j]:
                positives.add((i, j))
            near = bool(views.sequence[i] == views.sequence[j]) and abs(
                float(views.seconds[i] - views.seconds[j])) < 1 - 1e-6
            alike = floor is not None and bool(known[i] & known[j]) and \
                float((pose[i] - pose[j]).norm(dim=-1).mean()) < floor
            close = float((x[i] - x[j]).detach().norm()) < .008
            if not (same or near or alike or close) and bool(
                    views.subject[i] == views.subject[j]):
                negatives.add((i, j))
    assert set(zip(a.tolist(), p.tolist())) == positives
    assert set(zip(b.tolist(), n.tolist())) == negatives
    assert len(a) == len(positives) > 9 and len(b) == len(negatives) > 9
    assert floor is None or len(b) < int(loss.eligible(torch.full(
        (number, number), 9.), views).sum())
    # Labels are one number a group.
    assert ((labels_[:, None] == labels_)
            == (views.group[:, None] == views.group)).all()
    assert rows.dtype == torch.float32 and set(found) == {
        'loss_metric', 'mon_spread'}
    want = torch.zeros(number, number)
    want[b, n] += 1
    want[a, p] -= 1
    y = x.detach()
    torch.testing.assert_close(found['loss_metric'].detach(),
                               .5 * 2. * (want * (y @ y.T)).sum())
    found['loss_metric'].backward()
    torch.testing.assert_close(x.grad, (want + want.T) @ y)


# -- several processes --------------------------------------------------------
def adapter_loss(model, x, views):
    out = torch.nn.functional.normalize(model(x))
    return PytorchMetricLearningLoss(dict(type='PairLoss'))(
        out, views)['loss_metric']


def joint_batch():
    views = mixed(1)
    order = views.group.argsort(stable=True)
    views = ViewLabels(*(v[order] for v in views))
    first = int((views.group < 8).sum())
    return torch.randn(len(order), 7, generator=torch.Generator()
                       .manual_seed(2)), views, first


def net():
    torch.manual_seed(1)
    return torch.nn.Linear(7, 6)


def work(rank: int, folder: Path) -> dict:
    """One of two processes, wrapped as mmengine wraps models."""
    from torch.nn.parallel import DistributedDataParallel
    for module in stub():
        sys.modules[module.__name__] = module
    x, views, first = joint_batch()
    rows = slice(0, first) if rank == 0 else slice(first, None)
    model = DistributedDataParallel(net())
    value = adapter_loss(model, x[rows], ViewLabels(*(v[rows]
                                                      for v in views)))
    value.backward()
    return dict(loss=value.detach(), grad=model.module.weight.grad)


def test_two_processes_are_one(package, tmp_path):
    model = net()
    x, views, first = joint_batch()
    value = adapter_loss(model, x, views)
    value.backward()
    for rank in run_processes(f'{__file__}:work', 2, tmp_path):
        torch.testing.assert_close(rank['loss'], value.detach())
        torch.testing.assert_close(rank['grad'], model.weight.grad)
    alone = net()  # the test can fail
    adapter_loss(alone, x[:first], ViewLabels(*(v[:first] for v in views))
                 ).backward()
    assert (alone.weight.grad - model.weight.grad).abs().max() > 1e-3


def test_adapter_without_pairs_and_errors(package):
    loss = PytorchMetricLearningLoss(dict(type='PairLoss'))
    x = unit(3, dtype=torch.float32).requires_grad_()
    alone = labels([0, 0, 0], [0, 0, 0])  # one camera: no pair at all
    loss(x, alone)['loss_metric'].backward()
    assert x.grad.abs().max() == 0
    with pytest.raises(ValueError, match='NoLoss'):
        PytorchMetricLearningLoss(dict(type='NoLoss'))
    with pytest.raises(ValueError, match='pose_floor'):
        PytorchMetricLearningLoss(dict(type='PairLoss'), pose_floor=9.)(
            x, alone)
