"""The embedding head: alone, beside other heads, in a config of its own."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmengine.visualization import Visualizer
from mmpose.registry import MODELS, RUNNERS
from mmpose.structures import PoseDataSample

import mirrorpose.datasets.multiview  # noqa: F401

ROOT = Path(__file__).resolve().parents[3]
CONFIG = ROOT / 'configs' / 'embedding_res18_synthetic.py'
CODEC = dict(type='MSRAHeatmap', input_size=(32, 32), heatmap_size=(8, 8),
             sigma=1.)

if DefaultScope.get_current_instance() is None:
    init_default_scope('mmpose')


def samples(number=6, side=32, joints=17):
    """Two views a group, with heatmaps and labels of regression."""
    out = []
    for i in range(number):
        sample = PoseDataSample(metainfo=dict(
            id=str(i), input_size=(side, side), input_center=np.array(
                [16., 16.]), input_scale=np.array([32., 32.]),
            flip_indices=list(range(joints)), subject='a', sequence='a/b',
            seconds=5. * (i // 2), camera=f'c{i % 2}', view_group=i // 2))
        sample.gt_instances = InstanceData(
            bboxes=np.array([[0., 0., side, side]], np.float32),
            bbox_scores=np.ones(1, np.float32))
        sample.gt_instance_labels = InstanceData(
            keypoint_labels=torch.rand(1, joints, 2),
            keypoint_weights=torch.ones(1, joints))
        sample.gt_fields = PixelData(heatmaps=torch.rand(joints, 8, 8))
        out.append(sample)
    return out


def model(beside=None, neck=None, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(
        type='TopdownPoseEstimator', neck=neck,
        backbone=dict(type='ResNet', depth=18, base_channels=4,
                      stem_channels=4),
        head=dict(type='EmbeddingHead', in_channels=32, embedding_dim=8,
                  beside=beside, **kwargs), test_cfg=dict(flip_test=False)))


def test_alone_in_mmpose():
    net, batch = model(), samples()
    losses = net(torch.rand(6, 3, 32, 32), batch, mode='loss')
    assert set(losses) == {'loss_metric', 'mon_positive', 'mon_negative',
                           'mon_active', 'mon_spread'}
    losses['loss_metric'].backward()
    assert net.backbone.conv1.weight.grad.abs().max() > 0
    net.eval()
    found = net(torch.rand(6, 3, 32, 32), batch, mode='predict')
    one = found[0].pred_instances
    assert one.embedding.shape == (1, 8) and one.keypoints.shape == (1, 0, 2)


def test_beside_a_regression_head():
    beside = dict(type='RegressionHead', in_channels=32, num_joints=17,
                  decoder=dict(type='RegressionLabel', input_size=(32, 32)))
    pooled = dict(type='GlobalAveragePooling')
    net, batch = model(beside, pooled), samples()
    x = torch.rand(6, 3, 32, 32)
    losses = net(x, batch, mode='loss')
    assert {'loss_metric', 'loss_kpt', 'acc_pose'} <= set(losses)
    net.eval()
    assert net(x, None, mode='tensor').shape == (6, 17, 2)
    found = net(x, batch, mode='predict')
    # The head beside predicts what it would alone.
    head, net.head = net.head, net.head.beside
    alone = net(x, samples(), mode='predict')
    for a, b in zip(found, alone):
        np.testing.assert_array_equal(a.pred_instances.keypoints,
                                      b.pred_instances.keypoints)
        np.testing.assert_allclose(
            np.linalg.norm(a.pred_instances.embedding), 1, rtol=1e-5)
    with torch.no_grad():
        want = torch.nn.functional.normalize(head.embed(
            net.backbone(x)[-1].mean((2, 3))))
    np.testing.assert_allclose(found[2].pred_instances.embedding[0],
                               want[2].numpy(), rtol=1e-4, atol=1e-6)


def test_flip_test_and_heatmaps():
    net = model(dict(type='HeatmapHead', in_channels=32, out_channels=17,
                     deconv_out_channels=(8, 8, 8),
                     deconv_kernel_sizes=(4, 4, 4), decoder=CODEC))
    net.test_cfg = dict(flip_test=True, flip_mode='heatmap',
                        output_heatmaps=True)
    net.head.test_cfg = net.test_cfg
    assert net.head.beside.test_cfg == net.test_cfg
    assert net.head.decoder is net.head.beside.decoder
    net.eval()
    batch, x = samples(), torch.rand(6, 3, 32, 32)
    found = net(x, batch, mode='predict')
    assert found[0].pred_fields.heatmaps.shape == (17, 8, 8)
    net.test_cfg = dict(flip_test=False)
    plain = net(x, samples(), mode='predict')
    np.testing.assert_array_equal(found[0].pred_instances.embedding,
                                  plain[0].pred_instances.embedding)


def test_detached_from_the_backbone():
    net = model(detach=True)
    net(torch.rand(6, 3, 32, 32), samples(), mode='loss')[
        'loss_metric'].backward()
    assert net.backbone.conv1.weight.grad is None
    assert net.head.embed.weight.grad.abs().max() > 0


def test_zero_has_a_finite_gradient():
    net = model()
    torch.nn.init.zeros_(net.head.embed.weight)
    torch.nn.init.zeros_(net.head.embed.bias)
    loss = net(torch.rand(6, 3, 32, 32), samples(), mode='loss')[
        'loss_metric']
    loss.backward()
    assert net.head.embed.weight.grad.isfinite().all()


def test_adversary_reads_the_embedding():
    """Its loss is that of the raw embedding, its gradient reversed."""
    who = dict(type='IdentityAdversary', num_subjects=3, ramp_steps=0,
               loss_weight=.5, strength=.7)
    net, batch = model(adversary=who), samples()
    for i, s in enumerate(batch):
        s.set_metainfo(dict(subject_index=i // 2))
    x = torch.rand(6, 3, 32, 32)
    losses = net(x, batch, mode='loss')
    assert {'loss_metric', 'loss_identity', 'acc_identity',
            'mon_kappa'} <= set(losses)
    losses['loss_identity'].backward()
    reversed_grad = net.head.embed.weight.grad.clone()
    classifier = net.head.adversary.classifier
    own = classifier[0].weight.grad.clone()
    net.zero_grad()
    raw = net.head.embed(net.backbone(x)[-1].mean((2, 3)))
    loss = .5 * torch.nn.functional.cross_entropy(
        classifier(raw), torch.arange(6) // 2)
    loss.backward()
    torch.testing.assert_close(losses['loss_identity'], loss)
    torch.testing.assert_close(own, classifier[0].weight.grad)
    torch.testing.assert_close(reversed_grad,
                               -.7 * net.head.embed.weight.grad)
    # Predictions and other heads know nothing of it.
    assert 'loss_identity' not in model()(x, batch, mode='loss')
    batch[3].pop('subject_index')
    with pytest.raises(ValueError, match='subject_index.*meta_keys'):
        net(x, batch, mode='loss')


def test_bad_input():
    net, batch = model(), samples()
    with pytest.raises(ValueError, match='in_channels to 16'):
        net.head.loss((torch.rand(6, 16, 2, 2), ), batch)
    for s in batch:
        s.pop('camera')
    with pytest.raises(ValueError, match='meta_keys'):
        net(torch.rand(6, 3, 32, 32), batch, mode='loss')
    with pytest.raises(ValueError, match='positive'):
        model().head.__class__(0)


def test_config_trains(tmp_path):
    """An ordinary mmpose model and the head, through the runner."""
    held = [(c, dict(c._instance_dict)) for c in (MessageHub, MMLogger,
                                                  Visualizer)]
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict({
        'work_dir': str(tmp_path), 'log_level': 'ERROR',
        'experiment_name': tmp_path.name,
        'train_cfg.max_epochs': 2, 'train_cfg.val_interval': 2,
        'default_hooks.logger.interval': 1,
        'model.head.loss.warm_up': 0,
        'train_dataloader.batch_size': 16,
        'train_dataloader.sampler.groups_per_batch': 8,
        'train_dataloader.sampler.subjects_per_batch': 2})
    small = dict(subjects=4, clips=1, seconds=4., num_cameras=2)
    for loader in (cfg.train_dataloader, cfg.val_dataloader,
                   cfg.test_dataloader):
        loader.num_workers, loader.persistent_workers = 0, False
        loader.dataset.source.update(small)
        loader.dataset.held_out = dict(val=['person_002'],
                                       test=['person_003'])
        loader.dataset.cache_dir = str(tmp_path / 'cache')
    try:
        runner = RUNNERS.build(cfg)
        before = runner.model.backbone.conv1.weight.clone()
        runner.train()
        logged = runner.message_hub.log_scalars
        for key in ('loss_identity', 'acc_identity', 'mon_kappa'):
            assert f'train/{key}' in logged
        # The ramp goes on with the steps of the run.
        kappa, _ = logged['train/mon_kappa'].data
        assert kappa[0] == 0 and (np.diff(kappa) > 0).all()
        assert runner.model.head.adversary.steps == runner.iter
        assert 'train/loss_metric' in logged and 'train/loss_kpt' in logged
        assert 'train/mon_spread' in logged and 'val/PCK' in logged
        assert (runner.model.backbone.conv1.weight != before).any()
        assert runner.iter == 4
    finally:
        for kind, instances in held:
            kind._instance_dict.clear()
            kind._instance_dict.update(instances)
    assert (tmp_path / 'epoch_2.pth').is_file()
