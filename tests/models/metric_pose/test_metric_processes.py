"""Two processes give the gradient of one with the joint batch."""
from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from mirrorpose.testing import run_processes

CASES = (dict(), dict(annotated_first=True),
         dict(consistency_weight=.5))


def load_toys():
    path = Path(__file__).with_name('conftest.py')
    spec = importlib.util.spec_from_file_location('metric_toys', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def joint(toys, case):
    case = dict(case)
    lonely = case.pop('annotated_first', False)
    x, samples = toys.make_samples(8, annotated=.6, seed=3)
    if lonely:  # all labels on one process
        for s in samples[8:]:
            s.gt_instance_labels.pose_annotated = torch.zeros(1)
    model = toys.build(toys.lifter_cfg(
        adversary=toys.adversary(), head=dict(uncertainty=dict()), **case))
    return x, samples, model


def step(toys, model, x, samples):
    losses = model(x, samples, mode='loss')
    toys.total(losses).backward()
    inner = getattr(model, 'module', model)
    return {k: p.grad.clone() for k, p in inner.named_parameters()}


def work(rank: int, folder: Path) -> list:
    from mmengine.model import MMDistributedDataParallel
    toys, out = load_toys(), []
    for case in CASES:
        x, samples, model = joint(toys, case)
        rows = slice(8 * rank, 8 * rank + 8)
        out.append(step(toys, MMDistributedDataParallel(
            model, device_ids=None), x[rows], samples[rows]))
    return out


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    return run_processes(f'{__file__}:work', 2,
                         tmp_path_factory.mktemp('metric'))


@pytest.mark.parametrize('case', range(len(CASES)))
def test_two_processes_are_one(views, ranks, case):
    x, samples, model = joint(views, CASES[case])
    want = step(views, model, x, samples)
    for rank in ranks:
        for key, grad in want.items():
            torch.testing.assert_close(
                rank[case][key], grad, rtol=1e-3, atol=2e-6, msg=key)
    x, samples, half = joint(views, CASES[case])
    other = step(views, half, x[:8], samples[:8])
    assert any((other[k] - g).abs().max() > 1e-3 for k, g in want.items())
