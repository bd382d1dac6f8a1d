"""HardNet's rule by two loops, its masks, its gradient, its collapse."""
from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmpose.registry import MODELS
from view_batches import labels, mixed, two_views, unit

from mirrorpose.models.losses import HardNetLoss
from mirrorpose.models.pose.views import ViewLabels
from mirrorpose.testing import run_processes


def published(a, p, margin, form='triplet', swap=True, floor=.008):
    """HardNet's rule for anchors and positives, element by element."""
    n, total = len(a), 0.

    def distance(i, j):
        return math.sqrt(float(((a[i] - p[j])**2).sum()) + 1e-6)

    for i in range(n):
        plus, minus = distance(i, i), math.inf
        for j in range(n):
            if j == i:
                continue
            for d in [distance(i, j)] + [distance(j, i)] * swap:
                if d >= floor:
                    minus = min(minus, d)
        total += dict(
            triplet=lambda x, y: max(0., margin + x - y),
            softmax=lambda x, y: -math.log(
                math.exp(2 - x) / (math.exp(2 - x) + math.exp(2 - y))),
            contrastive=lambda x, y: x + max(0., margin - y),
        )[form](plus, minus)
    return total / n


@pytest.mark.parametrize('form', ['triplet', 'softmax', 'contrastive'])
@pytest.mark.parametrize('swap', [True, False])
def test_the_published_rule(form, swap):
    x = unit(14)
    loss = HardNetLoss(margin=.9, form=form, anchor_swap=swap, pairs='first',
                       candidates='place')
    found = loss(x, two_views(7))['loss_metric']
    want = published(x[::2], x[1::2], .9, form, swap)
    torch.testing.assert_close(float(found), want, rtol=1e-9, atol=1e-9)


def by_loops(x, views, loss, poses=None, annotated=None):
    """The rule with all masks, every pair and candidate one by one."""
    terms = []
    for i, j, own, found, distance in pairs_by_loops(
            x, views, loss, poses, annotated):
        if loss.form == 'infonce':
            scores = [float(x[i] @ x[k]) / loss.temperature for k in own]
            right = float(x[i] @ x[j]) / loss.temperature
            terms.append(math.log(sum(map(math.exp, [*scores, right])))
                         - right)
        else:
            terms.append(max(0., loss.margin + distance - min(found)))
    return sum(terms) / max(len(terms), 1), len(terms)


def pairs_by_loops(x, views, loss, poses, annotated):
    """Anchor, positive, the anchor's negatives, distances to all, and d+."""
    g, u, q, c, t = (np.asarray(v) for v in views)
    n = len(g)
    place = [sum(g[j] == g[i] for j in range(i)) for i in range(n)]

    def distance(i, j):
        return math.sqrt(float(((x[i] - x[j])**2).sum()) + 1e-6)

    def negative(i, j):
        if g[i] == g[j] or distance(i, j) < loss.duplicate_floor:
            return False
        if loss.within_subject and u[i] != u[j]:
            return False
        if loss.within_sequence and q[i] != q[j]:
            return False
        if q[i] == q[j] and abs(t[i] - t[j]) < loss.near_seconds - 1e-6:
            return False
        if loss.pose_floor and annotated[i] and annotated[j]:
            apart = (poses[i] - poses[j]).norm(dim=-1).mean()
            return bool(apart >= loss.pose_floor)
        return True

    for i in range(n):
        for j in range(n):
            if g[i] != g[j] or c[i] == c[j]:
                continue
            if loss.pairs == 'first' and (place[i], place[j]) != (0, 1):
                continue
            every = loss.candidates == 'all'
            found = [distance(i, k) for k in range(n) if negative(i, k)
                     and (every or place[k] == place[j])]
            if loss.anchor_swap:
                found += [distance(j, k) for k in range(n) if negative(j, k)
                          and (every or place[k] == place[i])]
            if found:
                yield (i, j, [k for k in range(n) if negative(i, k)], found,
                       distance(i, j))


@pytest.mark.parametrize('pairs', ['all', 'first'])
@pytest.mark.parametrize('candidates', ['all', 'place'])
@pytest.mark.parametrize('options', [
    dict(), dict(within_subject=False), dict(within_sequence=True),
    dict(near_seconds=0.), dict(anchor_swap=False),
    dict(pose_floor=1.5, near_seconds=0.),
    dict(duplicate_floor=.9), dict(form='infonce'),
    dict(form='infonce', temperature=.5, pose_floor=1.5, near_seconds=0.)])
def test_masks_by_two_loops(pairs, candidates, options):
    views = mixed()
    n = len(views.group)
    x = unit(n, seed=3)
    g = torch.Generator().manual_seed(4)
    poses = torch.randn(n, 5, 3, generator=g, dtype=torch.float64)
    annotated = torch.rand(n, generator=g) < .6
    loss = HardNetLoss(pairs=pairs, candidates=candidates, **options)
    want, number = by_loops(x, views, loss, poses, annotated)
    assert number > 3
    poses[~annotated] = float('nan')
    out = loss(x, views, poses, annotated)
    torch.testing.assert_close(float(out['loss_metric']), want, rtol=1e-9,
                               atol=1e-9)


def test_every_mask_matters():
    views, x = mixed(), unit(len(mixed().group), seed=3)
    values = [float(HardNetLoss(**o)(x, views)['loss_metric']) for o in (
        dict(), dict(within_subject=False), dict(within_sequence=True),
        dict(near_seconds=0.), dict(duplicate_floor=.9),
        dict(candidates='place'), dict(pairs='first'),
        dict(anchor_swap=False))]
    assert len(set(values)) == len(values)


def test_unannotated_poses_change_nothing():
    views = mixed()
    x = unit(len(views.group), seed=3)
    annotated = torch.zeros(len(x), dtype=torch.bool)
    blank = torch.full((len(x), 5, 3), float('nan'), dtype=torch.float64)
    masked = HardNetLoss(pose_floor=1e9)(x, views, blank, annotated)
    plain = HardNetLoss()(x, views)
    assert masked['loss_metric'] == plain['loss_metric']


@pytest.mark.parametrize('options', [dict(margin=.8), dict(form='infonce')])
def test_gradient(options):
    views = two_views(4)
    x = unit(8).requires_grad_()
    loss = HardNetLoss(**options)
    assert torch.autograd.gradcheck(
        lambda v: loss(v, views)['loss_metric'], (x, ))


def test_duplicates_have_a_finite_gradient():
    x = unit(8)
    x[1], x[2] = x[0], x[0]
    x.requires_grad_()
    loss = HardNetLoss()(x, two_views(4))['loss_metric']
    loss.backward()
    assert loss.isfinite() and x.grad.isfinite().all()


@pytest.mark.parametrize('views', [
    two_views(1), labels([0, 1, 2], [0, 0, 0]), labels([0, 0], [3, 3]),
    labels([0, 0, 1, 1], [0, 1, 0, 1], subject=[0, 0, 1, 1]),
    labels([0, 0, 1, 1], [0, 1, 0, 1], seconds=[0, 0, .9, .9])])
def test_nothing_to_compare_is_zero(views):
    """One group, no second view, one camera twice, no negative."""
    x = unit(len(views.group)).requires_grad_()
    out = HardNetLoss()(x, views)
    out['loss_metric'].backward()
    assert out['loss_metric'] == 0 and (x.grad == 0).all()
    assert all(v.isfinite() for v in out.values())


def test_one_second_apart_is_not_near():
    views = labels([0, 0, 1, 1], [0, 1, 0, 1],
                   seconds=[.1, .1, .1 + 50 * .02, .1 + 50 * .02])
    assert not views.near(1.)[0, 2] and views.near(1.01)[0, 2]


def test_collapse_shows():
    """All embeddings at one point: the loss is the margin (T4.4)."""
    x = unit(1).expand(8, -1) + 1e-9 * unit(8)
    out = HardNetLoss(duplicate_floor=0.)(x, two_views(4))
    torch.testing.assert_close(float(out['loss_metric']), 1., atol=1e-5,
                               rtol=0)
    assert out['mon_active'] == 1 and out['mon_spread'] < 1e-6
    spread = HardNetLoss()(torch.eye(8, dtype=torch.float64),
                           two_views(4))['mon_spread']
    torch.testing.assert_close(float(spread), math.sqrt(1 - 1 / 8))


def test_random_negatives_are_eligible_and_random():
    views = mixed()
    x = unit(len(views.group), seed=3)
    loss = HardNetLoss(negatives='random')
    allowed = loss.eligible(torch.full((len(x), len(x)), 9.), views)
    torch.manual_seed(0)
    seen = set()
    for _ in range(8):
        mined = loss.mine(x, views, 0, len(x))
        assert allowed[mined.near, mined.negative].all()
        seen.add(tuple(mined.negative.tolist()))
    assert len(seen) > 1


def test_warm_up_is_counted_and_saved():
    loss, views, x = HardNetLoss(warm_up=2), mixed(), unit(
        len(mixed().group), seed=3)
    hard = HardNetLoss()(x, views)['loss_metric']
    soft = [loss(x, views)['loss_metric'] for _ in range(2)]
    assert all(s < hard for s in soft)
    again = HardNetLoss(warm_up=2)
    again.load_state_dict(loss.state_dict())
    assert again(x, views)['loss_metric'] == hard
    assert HardNetLoss(warm_up=2).eval()(x, views)['loss_metric'] == hard


def test_float32_under_autocast():
    views, x = two_views(4), unit(8, dtype=torch.float32)
    want = HardNetLoss()(x, views)['loss_metric']
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = HardNetLoss()(x, views)
        half = HardNetLoss()(x.bfloat16(), views)
    assert out['loss_metric'] == want
    assert half['loss_metric'].dtype == torch.float32


@pytest.mark.parametrize('options, part', [
    (dict(form='hinge'), 'form'), (dict(pairs='some'), 'pairs'),
    (dict(margin=-1.), 'margin'), (dict(temperature=0.), 'temperature'),
    (dict(near_seconds=float('nan')), 'near'),
    (dict(negatives='semi'), 'negatives'),
    (dict(candidates='view'), 'candidates')])
def test_bad_options(options, part):
    with pytest.raises(ValueError, match=part):
        MODELS.build(dict(type='HardNetLoss', **options))


def test_bad_batches():
    with pytest.raises(ValueError, match='label each'):
        HardNetLoss()(unit(5), two_views(2))
    with pytest.raises(ValueError, match='pose_floor'):
        HardNetLoss(pose_floor=50.)(unit(4), two_views(2))


# -- several processes --------------------------------------------------------
def split_batch():
    """Joint batch, and how many rows each of two processes has."""
    views = mixed(1)
    order = views.group.argsort(stable=True)
    views = ViewLabels(*(v[order] for v in views))
    # Whole groups on one process, and not equally many rows.
    first = int((views.group < 8).sum())
    n = len(views.group)
    assert 0 < first < n - first
    g = torch.Generator().manual_seed(2)
    poses = torch.randn(n, 5, 3, generator=g, dtype=torch.float64)
    annotated = torch.rand(n, generator=g) < .5
    poses[~annotated] = float('nan')
    return torch.randn(n, 7, generator=g, dtype=torch.float64), views, \
        poses, annotated, first


def net():
    torch.manual_seed(1)
    return torch.nn.Linear(7, 6).double()


def joint_loss(model, loss, x, views, poses, annotated):
    out = torch.nn.functional.normalize(model(x))
    return loss(out, views, poses, annotated)['loss_metric']


CASES = (dict(), dict(pose_floor=1.5), dict(candidates='place',
                                            within_subject=False),
         dict(form='softmax', pairs='first'), dict(form='infonce'))


def work(rank: int, folder: Path) -> dict:
    """One of two processes, wrapped as mmengine wraps models."""
    from torch.nn.parallel import DistributedDataParallel
    x, views, poses, annotated, first = split_batch()
    rows = slice(0, first) if rank == 0 else slice(first, None)
    out = {}
    for i, options in enumerate(CASES):
        model = DistributedDataParallel(net())
        value = joint_loss(model, HardNetLoss(**options), x[rows],
                           ViewLabels(*(v[rows] for v in views)),
                           poses[rows], annotated[rows])
        value.backward()
        out[str(i)] = dict(loss=value.detach(),
                           grad=model.module.weight.grad)
    # One process has no pair at all, and does not keep the other waiting.
    model = DistributedDataParallel(net())
    few = ViewLabels(*(v[rows][:2] for v in views))
    few = few._replace(group=torch.tensor([9, 9]) if rank else torch.tensor(
        [10, 11]), camera=torch.tensor([0, 1]),
        seconds=torch.tensor([0., 0.]) + 5 * rank,
        subject=torch.zeros(2).long(), sequence=torch.zeros(2).long())
    value = joint_loss(model, HardNetLoss(), x[rows][:2], few, None, None)
    value.backward()
    out['lonely'] = dict(loss=value.detach(), grad=model.module.weight.grad)
    return out


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    return run_processes(f'{__file__}:work', 2,
                         tmp_path_factory.mktemp('hardnet'))


@pytest.mark.parametrize('case', range(len(CASES)))
def test_two_processes_are_one(ranks, case):
    model = net()
    x, views, poses, annotated, first = split_batch()
    value = joint_loss(model, HardNetLoss(**CASES[case]), x, views, poses,
                       annotated)
    value.backward()
    mean = sum(r[str(case)]['loss'] for r in ranks) / 2
    torch.testing.assert_close(mean, value.detach(), rtol=1e-9, atol=1e-9)
    for rank in ranks:
        torch.testing.assert_close(rank[str(case)]['grad'],
                                   model.weight.grad, rtol=1e-8, atol=1e-9)
    # The test can fail: the own rows alone have another gradient.
    alone = net()
    joint_loss(alone, HardNetLoss(**CASES[case]), x[:first],
               ViewLabels(*(v[:first] for v in views)), poses[:first],
               annotated[:first]).backward()
    assert (alone.weight.grad - model.weight.grad).abs().max() > 1e-4


def test_a_process_without_pairs(ranks):
    assert ranks[0]['lonely']['loss'] == 0 < ranks[1]['lonely']['loss']
    torch.testing.assert_close(ranks[0]['lonely']['grad'],
                               ranks[1]['lonely']['grad'])
