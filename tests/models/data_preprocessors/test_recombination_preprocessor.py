"""Recombination in ordinary configs, and from the crop cache."""
from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.registry import DATASETS, MODELS, RUNNERS

import mirrorpose.testing  # noqa: F401
from mirrorpose.datasets.crops import CropSamples
from mirrorpose.datasets.keyed import sample_keys
from mirrorpose.testing.toys import CODEC, META_KEYS

ROOT = Path(__file__).resolve().parents[3]
NORM = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True)
WORLD = dict(type='SyntheticPoseDataset', num_samples=8, image_size=64)
META = ('id', 'img_path', 'is_labeled', 'flip_indices', 'input_size',
        'input_center', 'input_scale')


@pytest.fixture(autouse=True)
def step():
    """A step of its own for each test."""
    init_default_scope('mmpose')
    hub = MessageHub.get_instance('recombination_preprocessor')
    hub.update_info('iter', 5)
    hub.update_info('seed', 0)
    return hub


def build(**options):
    return MODELS.build(dict(
        type='RecombinationPreprocessor', **NORM,
        recombination=dict(dict(skeleton='mpii_16'), **options)))


def pipeline(silhouette=False, split=False):
    codec = dict(type='MSRAHeatmap', input_size=(64, 64),
                 heatmap_size=(16, 16), sigma=1.)
    return [*([dict(type='LoadSilhouette')] if silhouette else []),
            dict(type='GetBBoxCenterScale'),
            dict(type='TopdownAffine', input_size=(64, 64)),
            dict(type='GenerateTarget', encoder=codec),
            *([dict(type='SplitSilhouette', heatmap_size=(64, 64))]
              if split else []),
            dict(type='PackPoseInputs', meta_keys=META,
                 pack_transformed=True)]


def stock(silhouette=False):
    data = DATASETS.build(dict(WORLD, with_silhouette=silhouette,
                               pipeline=pipeline(silhouette)))
    return pseudo_collate([data[i] for i in range(8)])


def cached(tmp_path, silhouette=False, **options):
    data = DATASETS.build(dict(
        type='CachedCropDataset', cache_dir=str(tmp_path), dataset=dict(
            WORLD, with_silhouette=silhouette,
            pipeline=pipeline(silhouette, silhouette)), **options))
    return data.get_batch(range(8), sample_keys(0, 0, range(8), [0] * 8))


def test_validation_sees_images_as_they_are():
    plain = MODELS.build(dict(type='PoseDataPreprocessor', **NORM))(
        stock(), False)['inputs']
    assert torch.equal(build()(stock(), False)['inputs'], plain)
    assert torch.equal(build()(stock(True), False)['inputs'], plain)
    changed = build(jitter={}, scene_prob=1.)(stock(), True)['inputs']
    assert ((changed - plain).abs().amax((1, 2, 3)) > .3).all()


def test_as_one_of_batch_augments():
    """The same in mmpose's own preprocessor."""
    mine = build()(stock(), True)['inputs']
    theirs = MODELS.build(dict(
        type='PoseDataPreprocessor', **NORM, batch_augments=[dict(
            type='Recombination', skeleton='mpii_16', mean=NORM['mean'],
            std=NORM['std'])]))(stock(), True)['inputs']
    assert torch.equal(mine, theirs)


def test_stays_within_the_range_of_pixels():
    model = build(behind_prob=.5, front_prob=.5)
    made = model(stock(), True)['inputs'] * model.std + model.mean
    assert made.min() > -.01 and made.max() < 255.01


def test_raw_inputs_without_normalisation():
    options = dict(skeleton='mpii_16', jitter={})
    raw = MODELS.build(dict(type='RecombinationPreprocessor',
                            bgr_to_rgb=True, recombination=options))
    made = raw(stock(), True)['inputs']
    model = build(jitter={})
    want = model(stock(), True)['inputs'] * model.std + model.mean
    torch.testing.assert_close(made, want, atol=2e-2, rtol=0)


@pytest.mark.parametrize('silhouette', [True, False])
@pytest.mark.parametrize('warp', ['loader', 'device'])
def test_crop_cache_gives_what_the_stock_pipeline_gives(tmp_path, silhouette,
                                                        warp):
    options = dict(scene_prob=1., behind_prob=.5, front_prob=.5,
                   covered_joints='drop', max_covered=1.)
    slow = build(**options)(stock(silhouette), True)
    fast = build(**options)(cached(tmp_path, silhouette, warp=warp), True)
    gap = (slow['inputs'] - fast['inputs']).abs() * 57
    assert gap.mean() < .5 and gap.max() < 20
    samples = fast['data_samples']
    assert isinstance(samples, CropSamples) and samples.covered.any()
    for a, b, covered in zip(slow['data_samples'], samples, samples.covered):
        torch.testing.assert_close(a.gt_fields.heatmaps, b.gt_fields.heatmaps)
        torch.testing.assert_close(a.gt_instance_labels.keypoint_weights,
                                   b.gt_instance_labels.keypoint_weights)
        assert torch.equal(a.gt_instance_labels.keypoints_covered[0],
                           covered)
        if silhouette:  # at the size of the maps, as fields must be
            assert b.gt_fields.silhouette.shape == (1, 16, 16)
        assert 'silhouette' not in a.gt_instance_labels


def test_crop_cache_leaves_unannotated_people_out(tmp_path):
    codec = pipeline()
    data = DATASETS.build(dict(
        type='CachedCropDataset', cache_dir=str(tmp_path), dataset=dict(
            type='CombinedPoseDataset', pipeline=codec, datasets=[
                dict(WORLD, num_samples=3, pipeline=[]),
                dict(WORLD, num_samples=5, split='val',
                     pipeline=[dict(type='DropLabels')])])))
    order = [3, 0, 4, 1, 5, 2]
    batch = data.get_batch(order, sample_keys(0, 0, order, [0] * 6))
    off = dict(scene_prob=0., appearance_prob=0., jitter={})
    every = build(**off)(copy.copy(batch), True)
    some = build(keep_unannotated=False, **off)(batch, True)
    torch.testing.assert_close(some['inputs'], every['inputs'][1::2])
    kept = some['data_samples']
    assert [s.id for s in kept] == [s.id for s in every['data_samples'][1::2]]
    assert kept.labelled.all() and len(kept) == 3
    torch.testing.assert_close(kept.heatmaps,
                               every['data_samples'].heatmaps[1::2])


def test_images_with_and_without_silhouette_in_one_batch():
    batch, mixed = stock(), stock(True)
    batch['inputs'][3] = mixed['inputs'][3]
    out = build()(batch, True)
    assert out['inputs'].shape == (8, 3, 64, 64)


def test_needs_the_joint_set():
    with pytest.raises(TypeError, match='recombination='):
        MODELS.build(dict(type='RecombinationPreprocessor'))
    with pytest.raises(TypeError, match='skeleton'):
        MODELS.build(dict(type='RecombinationPreprocessor',
                          recombination=dict()))


# -- configs ----------------------------------------------------------------
def toy_people(number):
    return dict(type='ToyPeople', number=number, pipeline=[
        dict(type='GetBBoxCenterScale', padding=1.),
        dict(type='TopdownAffine', input_size=CODEC['input_size']),
        dict(type='GenerateTarget', encoder=CODEC),
        dict(type='PackPoseInputs', meta_keys=META_KEYS)])


def ordinary(work_dir, **options):
    """An ordinary mmpose config, but for the preprocessor."""
    loader = dict(batch_size=4, num_workers=0,
                  sampler=dict(type='DefaultSampler', shuffle=True),
                  dataset=toy_people(8))
    return Config(dict(
        default_scope='mmpose', work_dir=str(work_dir), log_level='WARNING',
        experiment_name=f'recombination_{Path(work_dir).name}',
        train_cfg=dict(by_epoch=True, max_epochs=2), train_dataloader=loader,
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=3e-3)),
        randomness=dict(seed=0),
        model=dict(
            type='TopdownPoseEstimator',
            data_preprocessor=dict(
                type='RecombinationPreprocessor', **NORM,
                recombination=dict(dict(skeleton='mpii_16'), **options)),
            backbone=dict(type='ResNet', depth=18, num_stages=1,
                          strides=(1, ), dilations=(1, ), out_indices=(0, ),
                          base_channels=4, stem_channels=4),
            head=dict(type='HeatmapHead', in_channels=4, out_channels=16,
                      deconv_out_channels=None, decoder=CODEC,
                      loss=dict(type='KeypointMSELoss',
                                use_target_weight=True)))))


def train(cfg):
    runner = Runner.from_cfg(copy.deepcopy(cfg))
    runner.train()
    return {k: v.clone() for k, v in runner.model.state_dict().items()}


def test_mmpose_trains_with_it(tmp_path):
    """mmengine's Runner, mmpose's estimator and head; reproducible."""
    one = train(ordinary(tmp_path / 'a'))
    two = train(ordinary(tmp_path / 'b'))
    off = train(ordinary(tmp_path / 'c', scene_prob=0., appearance_prob=0.,
                         jitter={}))
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert any(not torch.equal(one[k], off[k]) for k in one)
    assert list(one) == list(off) and not any('augment' in k for k in one)
    assert all(v.isfinite().all() for v in one.values())


def test_hrnet_config_trains(tmp_path):
    """The config's own model and pipeline, on toy images with masks."""
    cfg = Config.fromfile(
        ROOT / 'configs/td_hm_hrnet_w32_coco_recombination.py')
    steps = [t['type'] for t in cfg.train_dataloader.dataset.pipeline]
    assert steps[:3] == ['LoadImage', 'LoadSilhouette', 'GetBBoxCenterScale']
    assert steps[-2:] == ['GenerateTarget', 'PackPoseInputs']
    rng = np.random.default_rng(0)
    pipe = [DATASETS.build(dict(
        type='ToyPeople', number=1, pipeline=[])).pipeline.transforms]
    from mmengine.dataset import Compose
    pipe = Compose(cfg.train_dataloader.dataset.pipeline[1:])
    items = []
    for i in range(3):
        points = rng.uniform(10, 80, (1, 17, 2)).astype(np.float32)
        items.append(pipe(dict(
            img=rng.integers(0, 256, (96, 90, 3), dtype=np.uint8),
            img_shape=(96, 90), ori_shape=(96, 90), id=i, img_id=i,
            img_path='', bbox=np.array([[5, 5, 85, 90]], np.float32),
            bbox_score=np.ones(1, np.float32), keypoints=points,
            keypoints_visible=np.ones((1, 17), np.float32),
            segmentation=[[10., 10, 80, 10, 80, 80]] if i else None,
            flip_indices=list(range(17)), upper_body_ids=list(range(11)),
            lower_body_ids=list(range(11, 17)))))
    assert [x['inputs'].shape[0] for x in items] == [3, 4, 4]
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model)
    out = model.data_preprocessor(pseudo_collate(items), True)
    assert out['inputs'].shape == (3, 3, 256, 192)
    losses = model(**out, mode='loss')
    assert losses['loss_kpt'].isfinite()


def test_curriculum_recombines_the_joint_stages(tmp_path):
    cfg = Config.fromfile(
        ROOT / 'configs/mirrornet_small_lsp_recombination.py')
    cfg.work_dir = str(tmp_path)
    runner = RUNNERS.build(cfg)
    for stage in runner.stages:
        stage.pop('init_from', None)
        stage.pop('load_from_stage', None)
    plain = Config.fromfile(ROOT / 'configs/mirrornet_small_lsp.py')
    assert [(s.name, s.epochs) for s in plain.stages] == [
        (s['name'], s['epochs']) for s in runner.stages]
    for name in runner.stage_names:
        stage = runner.stage_config(name)
        with torch.device('meta'):
            model = MODELS.build(stage.model)
        augments = model.data_preprocessor.batch_augments
        joint = name in ('supervised', 'supervised_long', 'semi_supervised')
        assert (augments is not None) == joint
        if joint:
            assert augments[0].person_mattes.model is model
            assert augments[0].mean.numel() == 3
        kinds = [t.type for t in stage.train_dataloader.dataset.pipeline]
        masked = name in ('supervised', 'supervised_long', 'mask_estimator')
        assert ('SplitSilhouette' in kinds) == masked
        if name.startswith('supervised'):
            for data in stage.train_dataloader.dataset.datasets:
                assert data.part == 'labelled' and not data.min_mask_quality


def test_curriculum_on_lsp(data_root, tmp_path, monkeypatch):
    """Silhouettes of the crop cache, bad ones known, in a joint stage."""
    monkeypatch.setenv('MIRRORPOSE_DATA', str(data_root))
    cfg = Config.fromfile(
        ROOT / 'configs/mirrornet_small_lsp_recombination.py')
    data = copy.deepcopy(cfg.stage_data.masked.train_dataloader.dataset)
    data.datasets = [dict(data.datasets[0], label_fraction=.02)]
    fast = DATASETS.build(dict(type='CachedCropDataset', dataset=data,
                               cache_dir=str(tmp_path)))
    rows = list(range(min(len(fast), 12)))
    batch = fast.get_batch(rows, sample_keys(0, 0, rows, [0] * len(rows)))
    assert 'silhouette_good' in batch['inputs'].records
    model = MODELS.build(dict(cfg.model.data_preprocessor,
                              type='CropPreprocessor'))
    out = model(batch, True)
    assert out['inputs'].isfinite().all()
    assert out['data_samples'].silhouette.shape[-2:] == (24, 24)
