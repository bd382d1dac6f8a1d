"""The entry configs of metric pose."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import init_default_scope
from mmengine.visualization import Visualizer
from mmpose.registry import DATA_SAMPLERS, DATASETS, MODELS, RUNNERS

import mirrorpose.datasets.multiview  # noqa: F401
from mirrorpose.models.metric_pose import MetricPoseRegressor

ROOT = Path(__file__).resolve().parents[3]
ENTRIES = sorted(ROOT.glob('configs/metric_pose_*.py'))


@pytest.mark.parametrize('path', ENTRIES, ids=lambda p: p.stem)
def test_models_build(path):
    init_default_scope('mmpose')
    cfg = Config.fromfile(path)
    assert {e.stem for e in ENTRIES} >= {
        f'metric_pose_{n}' for n in ('balancing', 'h36m', 'mpi_inf_3dhp',
                                     'synthetic', 'lifting_mocap')}
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert isinstance(model, MetricPoseRegressor)
    assert model.head.loss_module.margin == 1
    assert model.head.loss_module.near_seconds == 1
    alone = path.stem == 'metric_pose_balancing'  # one person, all known
    assert model.adversary is None if alone else \
        model.adversary.loss_weight == .1
    loader = cfg.train_dataloader
    assert loader.sampler.type == 'ViewGroupSampler'
    sampler = loader.sampler
    assert loader.batch_size == sampler.views_per_group * (
        sampler.groups_per_batch + sampler.annotated_groups)
    # As many labelled images as spec 4.3 says, beside the pairs.
    if not alone:
        assert 2 * sampler.annotated_groups * 2 == sampler.groups_per_batch
    hooks = [h.type for h in cfg.custom_hooks]
    assert 'PoseStatistics' in hooks and 'NonFiniteGuard' in hooks


def test_the_size_of_the_paper():
    for name in ('h36m', 'mpi_inf_3dhp'):
        cfg = Config.fromfile(ROOT / f'configs/metric_pose_{name}.py')
        with torch.device('meta'):
            model = MODELS.build(cfg.model)
        counts = [sum(p.numel() for p in m.parameters()) for m in (
            model.backbone, model.head.embed, model.head.pose)]
        assert counts == [11_176_512, 65_664, 132_096 + 2_048 + 52_275]
        sampler = cfg.train_dataloader.sampler
        assert (sampler.groups_per_batch, sampler.subjects_per_batch) \
            == (64, 4)
        assert (sampler.views_per_group * sampler.annotated_groups,
                cfg.train_dataloader.batch_size) == (32, 160)
        assert cfg.optim_wrapper.optimizer.lr == 1e-3
        assert cfg.optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult \
            == .1


def small(cfg, cache):
    """A few people, the loader in this process."""
    loader = cfg.train_dataloader
    loader.num_workers, loader.persistent_workers = 0, False
    loader.dataset.cache_dir = str(cache)
    loader.sampler.update(groups_per_batch=8, subjects_per_batch=2,
                          annotated_groups=4)
    loader.batch_size = 24
    return cfg


def test_synthetic_trains(tmp_path):
    """Two epochs of a few people through the runner."""
    held = [(c, dict(c._instance_dict)) for c in (MessageHub, MMLogger,
                                                  Visualizer)]
    cfg = small(Config.fromfile(ROOT / 'configs/metric_pose_synthetic.py'),
                tmp_path / 'cache')
    data = cfg.train_dataloader.dataset
    data.source.update(subjects=3, clips=1, seconds=6., num_cameras=2)
    data.annotated = dict(fraction=.4, seed=0)
    data.held_out = dict(val=['person_002'])
    cfg.merge_from_dict({
        'work_dir': str(tmp_path), 'log_level': 'ERROR',
        'experiment_name': tmp_path.name, 'train_cfg.max_epochs': 2,
        'default_hooks.logger.interval': 1, 'model.head.loss.warm_up': 1})
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator',
                'test_dataloader', 'test_cfg', 'test_evaluator'):
        cfg[key] = None
    try:
        runner = RUNNERS.build(cfg)
        runner.train()
        logged = runner.message_hub.log_scalars
        for key in ('loss_metric', 'loss_pose', 'loss_rotation',
                    'loss_identity', 'acc_identity', 'mon_kappa',
                    'mon_spread', 'mon_mpjpe_canonical'):
            assert f'train/{key}' in logged, sorted(logged)
        head = runner.model.head
        assert head.pose.fitted == 1 and (head.pose.std > 5).sum() > 30
        assert head.loss_module.calls == runner.iter
        assert runner.model.adversary.steps == runner.iter
    finally:
        for kind, instances in held:
            kind._instance_dict.clear()
            kind._instance_dict.update(instances)
    saved = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)
    names = saved['state_dict']
    assert names['adversary.steps'] == runner.iter
    assert torch.equal(names['head.pose.mean'], head.pose.mean)


def test_lifting_reads_real_motion(tmp_path, data_root):
    """A batch of real motion before real cameras, and one step on it."""
    for part in ('mocap', 'cameras'):
        if not (data_root / part).is_dir():
            pytest.skip(f'no {part} in MIRRORPOSE_DATA')
    init_default_scope('mmpose')
    cfg = small(Config.fromfile(
        ROOT / 'configs/metric_pose_lifting_mocap.py'), tmp_path / 'cache')
    data = cfg.train_dataloader.dataset
    data.source.sources = data.source.sources[:1]
    data.source.update(clips=2, seconds=6.)
    data.held_out = dict(val=['cmu_amc_03'], test=['cmu_amc_01'])
    dataset = DATASETS.build(data)
    sampler = DATA_SAMPLERS.build(dict(cfg.train_dataloader.sampler, seed=0),
                                  default_args=dict(dataset=dataset))
    rows = [i for i, _ in zip(sampler, range(24))]
    batch = pseudo_collate([dataset[i] for i in rows])
    assert len(dataset.subjects) <= cfg.model.adversary.num_subjects
    model = MODELS.build(cfg.model)
    model.head.pose.fit(*dataset.pose_statistics())
    held = model.data_preprocessor(batch, True)
    losses = model(**held, mode='loss')
    assert losses['loss_pose'] >= 0 and losses['loss_metric'] > 0
    assert all(v.isfinite().all() for v in losses.values())
    model.eval()
    found = model(**held, mode='predict')
    assert found[0].pred_instances.keypoints_3d_canonical.shape == (1, 17, 3)
