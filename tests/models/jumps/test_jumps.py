"""The JUMPS model: its two steps, its terms, and that it learns.

The function ``work`` of this file is what two processes run.
"""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmpose.registry import MODELS

from mirrorpose.engine.optimizers import PerChildOptimWrapperConstructor
from mirrorpose.engine.per_child import PerChildDistributedDataParallel
from mirrorpose.models.jumps import Jumps, canonical_frame, objective
from mirrorpose.models.pose import PosePrior
from mirrorpose.models.pose.canonical_frame import SKELETON
from mirrorpose.testing import run_processes


def swings(n=16, seed=0):
    """Bodies whose limbs swing, each at its own rate; canonical."""
    rng = np.random.default_rng(seed)
    rest = np.random.default_rng(99).normal(0, .3, (28, 2))
    rest[SKELETON.index('pelvis')[0]] = 0, 0
    rest[SKELETON.index('head_top')[0]] = 0, -.5
    time = np.arange(24)[:, None, None]
    rate, phase = rng.uniform(.05, .4, (n, 1, 1, 1)), rng.uniform(
        0, 6, (n, 1, 1, 1))
    size = np.random.default_rng(98).normal(0, .15, (28, 2))
    points = rest + size * np.sin(rate * time + phase)
    windows = torch.from_numpy(points).float()
    return canonical_frame(windows).apply(windows)


def config(norm='bn', **changes):
    return dict(
        dict(type='Jumps',
             encoder=dict(type='PoseSequenceEncoder', norm=norm),
             generator=dict(type='PoseSequenceGenerator', norm=norm),
             critic=dict(type='PoseSequenceCritic', norm=norm)), **changes)


def build(seed=0, **changes) -> Jumps:
    torch.manual_seed(seed)
    model = MODELS.build(config(**changes))
    for name in ('encoder', 'generator', 'critic'):
        getattr(model, name).init_weights()
    return model.train()


def optimizers(model, kind='Adam', lr=1e-3):
    entry = dict(optimizer=dict(
        Adam=dict(type='Adam', lr=lr, betas=(.5, .999)),
        SGD=dict(type='SGD', lr=lr))[kind])
    return PerChildOptimWrapperConstructor(dict(
        critic=entry, generator=dict(entry, children=[
            'generator', 'encoder'])))(model)


def batch(n=6, seed=0, **more):
    return dict(inputs=swings(n, seed), ids=[f'clip:{i}' for i in range(n)],
                **more)


def prepared(model, **kwargs):
    return model.data_preprocessor(batch(**kwargs), True)


@pytest.fixture(autouse=True)
def own_hub():
    before = dict(MessageHub._instance_dict)
    MessageHub._instance_dict.clear()
    yield
    MessageHub._instance_dict.clear()
    MessageHub._instance_dict.update(before)


def test_terms_of_both_steps_by_the_equations():
    """Recomputed from the networks, sample noise making it repeatable."""
    model = build(norm='ln', noise='sample')
    data = prepared(model)
    x = data['inputs']
    z = model._noise(data['ids'])(torch.zeros(6, 128))
    fake, again = model.generator(z), model.generator(model.encoder(x))
    model._running = 0
    out = model.critic_losses(**data)
    mix = None
    noise = model._noise(data['ids'])
    noise(torch.zeros(6, 128))
    mix = torch.special.ndtr(noise(torch.zeros(6)))
    between = (mix[:, None, None, None] * x
               + (1 - mix)[:, None, None, None] * fake).detach()
    between.requires_grad_()
    slope, = torch.autograd.grad(model.critic(between).sum(), between)
    penalty = sum((slope[i].norm() - 1)**2 for i in range(6)) / 6
    expected = (model.critic(fake).mean() - model.critic(x).mean()
                + 10 * penalty)
    assert out['loss_objective'].item() == pytest.approx(
        expected.item(), rel=1e-4)
    losses = model.generator_losses(**data)
    assert losses['loss_adversarial'].item() == pytest.approx(
        -model.critic(fake).mean().item(), rel=1e-4, abs=1e-6)
    assert losses['loss_mixed'].item() == pytest.approx(
        -model.critic(again).mean().item(), rel=1e-4, abs=1e-6)
    assert losses['loss_reconstruction'].item() == pytest.approx(
        (200 * objective.mpjpe(x, again)
         + 100 * objective.mpjve(x, again)).mean().item(), rel=1e-4)
    assert losses['loss_latents'].item() == pytest.approx(
        2 * (z - model.encoder(fake)).square().mean().item(), rel=1e-4)


def test_each_step_trains_what_it_should():
    model = build(norm='ln')
    wrappers = optimizers(model)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.train_step(batch(), wrappers)
    moved = {k.split('.')[0] for k, v in model.state_dict().items()
             if not torch.equal(v, before[k])}
    assert moved == {'encoder', 'generator', 'critic', 'statistics'}
    for term, children in dict(
            loss_adversarial={'generator'}, loss_mixed={
                'generator', 'encoder'},
            loss_reconstruction={'generator', 'encoder'},
            loss_latents={'generator', 'encoder'}).items():
        model.zero_grad()
        model.generator_losses(**prepared(model))[term].backward()
        reached = {name for name in ('encoder', 'generator') if any(
            p.grad is not None and p.grad.abs().sum() > 0
            for p in getattr(model, name).parameters())}
        assert reached == children, term


@pytest.mark.parametrize('joint', [False, True])
def test_running_statistics_are_of_one_distribution(joint):
    """E's of true windows, G's of what is used after (spec 3.7)."""
    model = build(joint_pass=joint)
    data = prepared(model, n=12)
    norm = next(m for m in model.generator.modules()
                if isinstance(m, torch.nn.BatchNorm2d))
    first = next(m for m in model.encoder.modules()
                 if isinstance(m, torch.nn.BatchNorm2d))
    seen = []
    norm.register_forward_hook(lambda m, i, o: seen.append(i[0].detach()))
    model.critic_losses(**data)
    assert norm.running_mean.eq(0).all() and first.running_mean.eq(0).all()
    seen.clear()
    model.generator_losses(**data)
    counted = seen[-1]
    assert len(counted) == (24 if joint else 12)
    assert torch.allclose(norm.running_mean, .1 * counted.mean((0, 2, 3)),
                          atol=1e-6)
    from mirrorpose.models.jumps.body_grid import to_grid
    maps = model.encoder.trunk[0](to_grid(data['inputs']))
    assert torch.allclose(first.running_mean, .1 * maps.mean((0, 2, 3)),
                          atol=1e-6)


def test_it_learns_in_seconds():
    model = build()
    wrappers = optimizers(model)
    data = [batch(16, s) for s in range(4)]
    logs = [model.train_step(data[i % 4], wrappers) for i in range(30)]
    first, last = ({k: float(v) for k, v in log.items()}
                   for log in (logs[0], logs[-1]))
    assert last['mon_generator_mpjpe'] < .5 * first['mon_generator_mpjpe']
    assert last['loss_generator'] < .5 * first['loss_generator']
    assert last['mon_critic_slope'] == pytest.approx(1, abs=.3)
    assert {'mon_critic_gap', 'mon_generator_mpjve',
            'mon_generator_latent_norm',
            'mon_generator_score_over_position'} <= set(last)


def test_prior_weight_holds_the_encoder():
    lengths = {}
    for weight in (0., 100.):
        model = build(norm='none', prior_weight=weight)
        wrappers = optimizers(model)
        for i in range(15):
            log = model.train_step(batch(16, i % 3), wrappers)
        lengths[weight] = float(log['mon_generator_latent_norm'])
    assert abs(lengths[100.] - 1) < .5 * abs(lengths[0.] - 1)


def test_masked_share_reads_through_the_holes():
    """Share 1: E sees what is detected, never the truth behind a hole."""
    model = build(norm='ln', noise='sample', masked_share=1.)
    model.statistics.update(swings(16))
    observed = torch.ones(6, 24, 28, dtype=torch.bool)
    observed[:, :, 20:] = False
    data = prepared(model, observed=observed)
    other = dict(data, inputs=data['inputs'] + ~observed[..., None])
    reads = []
    model.encoder.register_forward_hook(
        lambda m, i, o: reads.append(i[0].detach()))
    model.generator_losses(**data)
    model.generator_losses(**other)
    assert torch.equal(reads[0], reads[2])
    unmasked = build(norm='ln', noise='sample')
    unmasked.encoder.register_forward_hook(
        lambda m, i, o: reads.append(i[0].detach()))
    unmasked.generator_losses(**data)
    assert torch.equal(reads[4], data['inputs'])


def test_unknown_truth_is_not_learnt_from():
    model = build(norm='ln', noise='sample')
    model.statistics.update(swings(16))
    present = torch.ones(6, 24, 28, dtype=torch.bool)
    present[:, :, 12] = False
    data = batch(present=present)
    spoilt = dict(data, inputs=data['inputs'].clone())
    spoilt['inputs'][:, :, 12] = torch.nan
    first, second = (model.generator_losses(**model.data_preprocessor(d))
                     for d in (data, spoilt))
    for key in first:
        assert torch.equal(first[key], second[key])


def test_complete_does_not_ask_where_and_how_large():
    model = build().eval()
    model.statistics.update(swings(16))
    observed = torch.rand(4, 24, 28) < .7
    x = swings(4, 7).masked_fill(~observed[..., None], torch.nan)
    small = model.reconstruct_incomplete(x, observed)
    large = model.reconstruct_incomplete(250 * x + 300, observed)
    assert torch.allclose(250 * small + 300, large, atol=.05)


def test_predict_gives_figures_for_the_metric():
    model = build().eval()
    observed = torch.ones(5, 24, 28, dtype=torch.bool)
    observed[:, :, ::2] = False
    items = [dict(inputs=x, observed=o, ids=f'clip:{i}') for i, (x, o) in
             enumerate(zip(swings(5), observed))]
    out = model.val_step(items)
    assert [s['id'] for s in out] == [f'clip:{i}' for i in range(5)]
    x = torch.stack([i['inputs'] for i in items])
    with torch.no_grad():
        again, z = model.reconstruct(x)
    for i, sample in enumerate(out):
        bound = sample['bound']
        assert sample['keypoints'].shape == (24, 28, 2)
        error = (again[i] - x[i]).norm(dim=-1)
        assert bound['mpjpe'] == pytest.approx(error.mean().item(), rel=1e-4)
        head = (x[i, :, 7] - x[i, :, 5]).norm(dim=-1, keepdim=True)
        ts = torch.linspace(0, 1, 2001)
        pck = [(error / head <= t).float().mean().item() for t in ts]
        assert bound['auc'] == pytest.approx(torch.trapezoid(
            torch.tensor(pck), ts).item(), abs=1e-3)
        assert bound['latent_norm'] == pytest.approx(
            z[i].norm().item() / 128**.5, rel=1e-4)
        assert 0 <= bound['unseen_auc'] <= 1 and bound['unseen_mpjpe'] > 0


def test_windows_without_holes_have_no_figures_of_holes():
    model = build().eval()
    observed = torch.ones(3, 24, 28, dtype=torch.bool)
    observed[1, :, 4:9] = False
    held = [model.val_step([dict(inputs=x, observed=o) for x, o in zip(
        swings(3)[rows], observed[rows])]) for rows in (
            slice(0, 3), slice(1, 2))]
    keys = [set(s['bound']) for s in held[0]]
    assert keys[1] - keys[0] == {'unseen_mpjpe', 'unseen_auc'}
    assert keys[0] == keys[2]
    assert held[0][1]['bound'] == pytest.approx(held[1][0]['bound'],
                                                rel=1e-4)


def test_it_is_a_prior_over_sequences():
    model = build().eval()
    model.statistics.update(swings(16))
    assert isinstance(model, PosePrior) and model.reads_sequence
    assert isinstance(model.critic, PosePrior)
    x = swings(3)
    score = model.score(x)
    assert torch.allclose(score, model.critic(canonical_frame(x).apply(x)))
    assert torch.allclose(score, model.score(40 * x + 7), atol=1e-4)
    long = torch.cat([x, x.flip(1)[:, :13]], 1)
    windows = [long[:, s:s + 24] for s in (0, 12, 13)]
    mean = torch.stack([model.score(w) for w in windows]).mean(0)
    assert torch.allclose(model.score(long), mean, atol=1e-5)
    with pytest.raises(ValueError, match='24'):
        model.score(x[:, :20])


def test_missing_joints_of_a_scored_sequence():
    model = build().eval()
    model.statistics.update(swings(16))
    x, mask = swings(2).requires_grad_(), torch.ones(2, 24, 28)
    mask[0, 5:9, 3] = 0
    mask[1, :, 11] = 0
    spoilt = torch.where(mask[..., None] > 0, x, torch.nan)
    score = model.score(spoilt, mask)
    grad, = torch.autograd.grad(score.sum(), x)
    assert grad.isfinite().all() and grad[mask > 0].abs().sum() > 0
    assert grad[mask == 0].abs().sum() == 0
    with pytest.raises(ValueError, match='left_wrist'):
        model.critic.score(spoilt, mask)


@pytest.mark.parametrize('change, message', [
    (dict(noise='numpy'), 'sample'), (dict(penalty_weight=-1.), 'penalty'),
    (dict(masked_share=2.), 'masked_share'),
    (dict(encoder=dict(type='PoseSequenceEncoder', latent=64)), '64')])
def test_wrong_configuration(change, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(config(**change))


def test_wrong_batches():
    model = build()
    with pytest.raises(ValueError, match='mpi_inf_3dhp_28'):
        model.val_step(dict(inputs=torch.zeros(2, 24, 17, 2)))
    with pytest.raises(ValueError, match='observed'):
        model.val_step(dict(inputs=torch.zeros(2, 24, 28, 2),
                            observed=torch.ones(2, 24)))
    with pytest.raises(KeyError, match='inputs'):
        model.val_step(dict(keypoints=torch.zeros(2, 24, 28, 2)))
    with pytest.raises(RuntimeError, match='single loss'):
        model(torch.zeros(2, 24, 28, 2), mode='loss')


def test_same_seed_same_weights():
    states = []
    for _ in range(2):
        model = build(3)
        wrappers = optimizers(model)
        torch.manual_seed(5)
        for i in range(3):
            model.train_step(batch(seed=i), wrappers)
        states.append(model.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(
        states[0].values(), states[1].values()))


def trained(rank=0, world=1):
    """Two iterations on a rank's share of the same batches."""
    MessageHub._instance_dict.clear()
    model: object = build(norm='ln', noise='sample')
    if world > 1:
        model = PerChildDistributedDataParallel(model)
    wrappers = optimizers(model, 'SGD', 1e-3)
    for i in range(2):
        data = batch(8, i)
        share = slice(rank * 8 // world, (rank + 1) * 8 // world)
        logs = model.train_step({k: v[share] for k, v in data.items()},
                                wrappers)
    return {k: float(v) for k, v in logs.items()}, {
        k: v.clone() for k, v in model.state_dict().items()
        if 'statistics' not in k}


def work(rank: int, folder: Path) -> dict:
    """One of the processes."""
    return trained(rank, 2)[1]


def test_two_processes_train_as_one(tmp_path):
    _, alone = trained()
    ranks = run_processes(f'{__file__}:work', 2, tmp_path)
    start = build(norm='ln').state_dict()
    for state in ranks:
        state = {k.removeprefix('module.'): v for k, v in state.items()}
        for key, value in alone.items():
            moved = (value - start[key]).abs().max()
            assert torch.allclose(state[key], value, rtol=1e-3,
                                  atol=1e-3 * float(moved) + 1e-7), key
