"""Means and rows of several processes, and their gradients."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mirrorpose.models.pose.gathering import (
    gather_rows,
    joint_mean,
    process_count,
    rows_before,
)
from mirrorpose.testing import run_processes

#: Rows of each process: unequal, and none at all on the last.
ROWS = (3, 1, 0)


def data():
    x = torch.arange(8.).reshape(4, 2).double() / 10
    keep = torch.tensor([True, False, True, True])
    return x, keep


def loss_of(rows):
    """Something that mixes all rows."""
    return (rows @ rows.T).tanh().sum()


def work(rank: int, folder: Path) -> dict:
    x, keep = data()
    start = sum(ROWS[:rank])
    rows = slice(start, start + ROWS[rank])
    own = x[rows].clone().requires_grad_()
    every = gather_rows(own)
    # As DDP does: the mean over processes of each one's gradient.
    loss_of(every).backward()
    weight = torch.ones(2).double().requires_grad_()
    mean = joint_mean((x[rows] * weight).square().sum(1), keep[rows])
    mean.backward()
    return dict(every=every.detach(), first=rows_before(
        len(own), own.device), count=process_count(),
        rows=own.grad / process_count(), weight=weight.grad,
        mean=mean.detach())


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    return run_processes(f'{__file__}:work', 3,
                         tmp_path_factory.mktemp('gathering'))


def test_rows_and_their_gradient(ranks):
    x = data()[0].requires_grad_()
    loss_of(x).backward()
    start = 0
    for rank, number in zip(ranks, ROWS):
        assert torch.equal(rank['every'], x.detach())
        assert rank['first'] == start and rank['count'] == 3
        torch.testing.assert_close(rank['rows'],
                                   x.grad[start:start + number])
        start += number


def test_joint_mean(ranks):
    x, keep = data()
    weight = torch.ones(2).double().requires_grad_()
    want = (x * weight).square().sum(1)[keep].mean()
    want.backward()
    torch.testing.assert_close(sum(r['mean'] for r in ranks) / 3,
                               want.detach())
    torch.testing.assert_close(sum(r['weight'] for r in ranks) / 3,
                               weight.grad)


def test_one_process():
    x, keep = data()
    assert gather_rows(x) is x and rows_before(4, x.device) == 0
    assert joint_mean(x[:, 0], keep) == x[keep, 0].mean()
    x[1] = float('nan')
    assert joint_mean(x[:, 0], keep).isfinite()
    assert joint_mean(x[:, 0], keep & False) == 0
