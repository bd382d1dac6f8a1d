"""The regressor's stage, and the curriculum on stick figures."""
from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmpose.registry import MODELS, RUNNERS
from stick_figures import StickFigures, model_cfg, optim_cfg

from mirrorpose.models.keypointgan import SkeletonRegressorPretraining


def built(**changes: Any) -> SkeletonRegressorPretraining:
    torch.manual_seed(0)
    cfg = model_cfg()
    return MODELS.build(dict(
        type='SkeletonRegressorPretraining', head=cfg['head'],
        renderer=cfg['renderer'], **changes))


def test_loss_and_figures_written_out() -> None:
    model = built(image_weight=2.)
    data = StickFigures(3, poses_only=True)
    poses = data.poses
    present = torch.ones(3, 14, dtype=torch.bool)
    present[0, 4] = False
    losses = model.loss(poses, present)
    found = model.head(model.renderer(poses, present))
    known = [(n, k) for n in range(3) for k in range(14) if present[n, k]]
    want = sum((found[n, k] - poses[n, k]).square().mean()
               for n, k in known) / len(known)
    torch.testing.assert_close(losses['loss_keypoints'], want)
    apart = 2 * (model.renderer(found, present)
                 - model.renderer(poses, present))
    torch.testing.assert_close(losses['loss_image'],
                               2 * apart.square().mean())
    figures = model.figures(poses, present)
    # A side of the image is 2 long.
    want = (found[1] - poses[1]).norm(dim=-1).mean() / 2 * 100
    torch.testing.assert_close(figures['error'][1], want)
    assert bool((figures['oracle'] <= figures['error'] + 1e-6).all())
    out = model(poses, present, mode='predict')
    assert set(out[0]['bound']) == {'error', 'oracle', 'sides_right'}


def test_learns_where_joints_are() -> None:
    model = built()
    model.train()
    wrapper = OptimWrapper(torch.optim.Adam(model.parameters(), 3e-3))
    data = StickFigures(32, poses_only=True)
    batch = data.get_batch(list(range(32)), np.zeros(32, np.uint64))
    first = model.train_step(batch, wrapper)['loss_keypoints']
    for _ in range(60):
        last = model.train_step(batch, wrapper)['loss_keypoints']
    assert last < .25 * first


@pytest.mark.parametrize('either', [False, True])
def test_sides_by_loops(either) -> None:
    """Each pose against both labellings of its sides, written out."""
    model = built()
    head = model.head
    head.either_side = either
    flip = head.skeleton.flip_indices
    g = torch.Generator().manual_seed(3)
    truth = torch.randn(5, 14, 2, generator=g)
    present = torch.rand(5, 14, generator=g) < .8
    found = truth + .5 * torch.randn(5, 14, 2, generator=g)
    found[1] = truth[1, flip]  # right but for the sides
    total = 0.
    for n in range(5):
        orders = [list(range(14)), flip] if either else [list(range(14))]
        total += min(sum(float((found[n, k] - truth[n, o[k]]).square().sum())
                         for k in range(14) if present[n, o[k]])
                     for o in orders)
    assert float(head.error(found, truth, present)) == pytest.approx(
        total / (2 * int(present.sum())), rel=1e-5)
    same = float(head.error(found[:, flip], truth, present))
    assert (abs(same - float(head.error(found, truth, present)))
            < 1e-6) is either
    whole = head.error(truth[:, flip], truth)
    assert (float(whole) == 0) is either
    if not either:
        assert float(whole) == pytest.approx(float(
            torch.nn.functional.mse_loss(truth[:, flip], truth)))


def test_either_side_draws_sharper_skeletons() -> None:
    """The poses and their mirror images: the middle is the best mean."""
    data = StickFigures(32, poses_only=True)
    errors = []
    for either in (False, True):
        model = built()
        model.head.either_side = either
        flip = model.head.skeleton.flip_indices
        model.train()
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        poses = torch.cat([data.poses, data.poses[:, flip]])
        present = torch.ones(64, 14, dtype=torch.bool)
        for step in range(60):
            rows = torch.arange(step % 2, 64, 2)
            loss = model.loss(poses[rows], present[rows])
            optimizer.zero_grad()
            loss['loss_keypoints'].backward()
            optimizer.step()
        with torch.no_grad():
            figures = model.figures(poses, present)
        errors.append(float(figures['oracle'].mean()))
    assert errors[1] < .8 * errors[0]


def test_refuses() -> None:
    with pytest.raises(ValueError, match='image_weight'):
        built(image_weight=-1.)
    with pytest.raises(ValueError, match='the head reads'):
        MODELS.build(dict(
            type='SkeletonRegressorPretraining', head=model_cfg()['head'],
            renderer=dict(type='SkeletonRenderer', skeleton='mpii_16')))


# -- the curriculum ---------------------------------------------------------
def curriculum_cfg(work_dir: Path, **changes: Any) -> Config:
    """Two stages on eight stick figures."""
    def loader(**kwargs: Any) -> dict:
        return dict(batch_size=4, num_workers=0,
                    sampler=dict(type='DefaultSampler',
                                 shuffle='test' not in kwargs),
                    dataset=dict(type='StickFigures', number=8, **kwargs))

    adam = dict(type='OptimWrapper', clip_grad=dict(max_norm=1.),
                optimizer=dict(type='Adam', lr=2e-3, betas=(.5, .999)))
    cfg = dict(
        custom_imports=dict(imports=['mirrorpose']),
        default_scope='mmpose', runner_type='CurriculumRunner',
        work_dir=str(work_dir), log_level='WARNING',
        randomness=dict(seed=0), param_scheduler=[],
        default_hooks=dict(
            timer=dict(type='IterTimerHook'),
            logger=dict(type='LoggerHook', interval=1),
            checkpoint=dict(type='CheckpointHook', interval=1,
                            max_keep_ckpts=3),
            sampler_seed=dict(type='DistSamplerSeedHook')),
        custom_hooks=[dict(type='NonFiniteGuard'),
                      dict(type='AdversarialMonitor', interval=2)],
        visualizer=dict(type='PoseLocalVisualizer', name='visualizer',
                        vis_backends=[dict(type='LocalVisBackend')]),
        model=model_cfg(),
        model_wrapper_cfg=dict(type='PerChildDistributedDataParallel'),
        optim_wrapper=optim_cfg(2e-3),
        train_cfg=dict(by_epoch=True, max_epochs=3, val_interval=3),
        val_cfg=dict(), test_cfg=dict(),
        train_dataloader=loader(), val_dataloader=loader(test=True),
        test_dataloader=loader(test=True),
        val_evaluator=dict(type='PCKAccuracy', thr=.2, norm_item='bbox'),
        test_evaluator=dict(type='PCKAccuracy', thr=.2, norm_item='bbox'),
        stage_data=dict(poses=dict(
            train_dataloader=loader(poses_only=True)),
            others=dict(train_dataloader=loader())),
        stages=[
            dict(name='regressor', epochs=8, data='poses',
                 model=dict(type='SkeletonRegressorPretraining',
                            take=['head', 'renderer']),
                 cfg=dict(optim_wrapper=dict(_delete_=True, **adam))),
            dict(name='keypointgan', epochs=3,
                 init_from=dict(head='regressor')),
            # Unsupervised, on other images (the paper's faces).
            dict(name='finetuned', epochs=1, data='others',
                 load_from_stage='keypointgan')])
    cfg.update(copy.deepcopy(changes))
    return Config(cfg)


def weights(folder: Path, epoch: int) -> dict[str, torch.Tensor]:
    return torch.load(folder / 'keypointgan' / f'epoch_{epoch}.pth',
                      map_location='cpu', weights_only=False)['state_dict']


def test_curriculum_trains_and_resumes_exactly(tmp_path: Path) -> None:
    RUNNERS.build(curriculum_cfg(tmp_path / 'whole')).train()
    whole = weights(tmp_path / 'whole', 3)
    start = torch.load(tmp_path / 'whole' / 'regressor' / 'epoch_8.pth',
                       map_location='cpu', weights_only=False)['state_dict']
    for name, value in start.items():
        if name.startswith('head.'):  # what training began with
            torch.testing.assert_close(whole[f'offline_{name}'], value)
    assert any(not torch.equal(whole[n], v) for n, v in start.items()
               if n.startswith('head.'))
    tuned = torch.load(tmp_path / 'whole' / 'finetuned' / 'epoch_1.pth',
                       map_location='cpu', weights_only=False)['state_dict']
    for name, value in whole.items():
        if name.startswith('offline_head.'):  # still the first regressor
            assert torch.equal(tuned[name], value)
    assert any(not torch.equal(tuned[n], v) for n, v in whole.items()
               if n.startswith('backbone.'))
    assert float(whole['pool.filled']) == 4
    assert bool((whole['perceptual.means'] > 0).all())

    # Broken after an epoch, and gone on with.
    cfg = curriculum_cfg(tmp_path / 'broken')
    cfg.stages[1].epochs = 1
    RUNNERS.build(cfg).train()
    manifest = tmp_path / 'broken' / 'curriculum.json'
    manifest.write_text(manifest.read_text().replace(
        '"finished": true,\n  "epochs": 1', '"finished": false'))
    RUNNERS.build(curriculum_cfg(tmp_path / 'broken')).train()
    again = weights(tmp_path / 'broken', 3)
    assert set(again) == set(whole)
    for name, value in whole.items():
        assert torch.equal(value, again[name]), name
