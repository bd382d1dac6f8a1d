"""The regressor: labels, losses, masks, predictions, bad options."""
from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from mirrorpose.models.metric_pose import (
    decode_rotation,
    encode_rotation,
    read_labels,
)


def count(module):
    return sum(p.numel() for p in module.parameters())


# -- the sizes ----------------------------------------------------------------
def test_parameter_counts_of_spec_4_2(views):
    model = views.build(dict(
        type='MetricPoseRegressor', backbone=dict(type='ResNet', depth=18),
        head=dict(type='MetricPoseHead', in_channels=512),
        adversary=dict(type='IdentityAdversary', num_subjects=8)))
    assert count(model.backbone) == 11_176_512
    assert count(model.head.embed) == 65_664
    assert [count(m) for m in model.head.pose.network] == [
        132_096, 2_048, 0, 52_275]
    assert [count(m) for m in model.adversary.classifier] == [
        33_024, 0, 2_056]


# -- labels -------------------------------------------------------------------
def test_labels(views):
    _, samples = views.make_samples(8, annotated=.5, calibrated=False)
    labels = read_labels(samples, 17)
    known = [bool(s.gt_instance_labels.pose_annotated) for s in samples]
    assert 0 < sum(known) < len(known)
    assert labels.annotated.tolist() == known
    assert labels.canonical.isfinite().all()
    assert (labels.canonical[~labels.annotated] == 0).all()
    assert labels.rotation.isfinite().all()
    assert not labels.calibrated.any()
    assert (labels.views.positives().sum(1) == 1).all()


def test_a_missing_joint_is_left_out(views):
    x, samples = views.make_samples(4)
    for s in samples:
        s.gt_instance_labels.keypoints_3d_canonical[:, 10] = float('nan')
    model = views.build(views.lifter_cfg())
    losses = model(x, samples, mode='loss')
    assert all(v.isfinite() for v in losses.values())
    assert not read_labels(samples, 17).present[:, 10].any()


@pytest.mark.parametrize('spoil, part', [
    (lambda s: s.gt_instance_labels.pop('camera_rotation'), 'annotated'),
    (lambda s: s.gt_instance_labels.set_field(
        torch.zeros(1, 16, 3), 'keypoints_3d_canonical'), 'joint set'),
    (lambda s: s.set_field('walk', 'subject', field_type='metainfo',
                           dtype=None) or s.pop('camera'), 'camera'),
    (lambda s: s.set_metainfo(dict(seconds=float('nan'))), 'seconds'),
    (lambda s: s.set_metainfo(dict(subject_index=5)), 'num_subjects')])
def test_bad_samples(views, spoil, part):
    x, samples = views.make_samples(2)
    spoil(samples[1])
    model = views.build(views.lifter_cfg(adversary=views.adversary()))
    with pytest.raises(ValueError, match=part):
        model(x, samples, mode='loss')


# -- losses -------------------------------------------------------------------
def test_losses_by_hand(views):
    """M4 and M6 from the outputs, sample by sample."""
    x, samples = views.make_samples(6, annotated=.6)
    model = views.build(views.lifter_cfg(adversary=views.adversary())).eval()
    std = torch.rand(17, 3) * 100 + 20
    mean = torch.randn(17, 3) * 50
    model.requires_grad_(False)
    model.head.pose.fit(mean, std)
    losses = model(x, samples, mode='loss')
    embedding = model.head.embedding(model.extract_feat(x))
    out = model.head.output(embedding)
    pose, turn, error, known = 0., 0., 0., 0
    for i, s in enumerate(samples):
        held = s.gt_instance_labels
        if not held.pose_annotated:
            continue
        known += 1
        apart = out.canonical[i] - held.keypoints_3d_canonical[0]
        pose += float((apart / std).norm(dim=-1).mean())
        error += float(apart.norm(dim=-1).mean())
        code = model.head.rotation(embedding.feature[i]).view(3, 2)
        turn += float((code - encode_rotation(
            held.camera_rotation[0])).square().sum())
    assert 0 < known < len(samples)

    def same(name, value):
        torch.testing.assert_close(float(losses[name]), value, rtol=1e-4,
                                   atol=1e-5)

    same('loss_pose', pose / known)
    same('loss_rotation', turn / known)
    same('mon_mpjpe_canonical', error / known)
    logits = model.adversary.classifier(embedding.raw)
    who = torch.tensor([s.subject_index for s in samples])
    same('loss_identity', .1 * float(
        torch.nn.functional.cross_entropy(logits, who)))
    same('loss_metric', float(model.head.loss_module(
        embedding.unit, read_labels(samples, 17).views)['loss_metric']))
    model.head.pose_form = 'millimetres'
    again = model(x, samples, mode='loss')
    torch.testing.assert_close(float(again['loss_pose']),
                               error / known / 100, rtol=1e-4, atol=1e-5)


def test_labels_of_unannotated_samples_are_not_read(views):
    """Whatever stands there, truth or NaN: same losses, same gradient."""
    model = views.build(views.lifter_cfg(
        adversary=views.adversary(), head=dict(loss=dict(
            type='HardNetLoss', pose_floor=80.))))
    found = []
    for truth in (True, False):
        x, samples = views.make_samples(8, annotated=1.)
        for s in samples[6:]:
            held = s.gt_instance_labels
            held.pose_annotated = torch.zeros(1)
            if not truth:
                held.keypoints_3d_canonical *= float('nan')
                held.camera_rotation *= float('nan')
                held.keypoints_3d_camera *= float('nan')
        model.zero_grad()
        losses = model(x, samples, mode='loss')
        views.total(losses).backward()
        found.append((losses, [p.grad.clone() for p in model.parameters()
                               if p.grad is not None]))
    for key in found[0][0]:
        if key != 'mon_kappa':
            assert torch.equal(found[0][0][key], found[1][0][key]), key
    assert all(torch.equal(a, b) for a, b in zip(found[0][1], found[1][1]))


def test_nothing_annotated(views):
    x, samples = views.make_samples(6, annotated=0.)
    model = views.build(views.lifter_cfg())
    losses = model(x, samples, mode='loss')
    assert losses['loss_pose'] == losses['loss_rotation'] == 0
    assert losses['loss_metric'] > 0
    views.total(losses).backward()
    # Each parameter has a gradient: DDP waits for none.
    assert all(p.grad is not None for p in model.parameters())


def test_embedding_does_not_regress_from_unit_length(views):
    """T4.7: twice the raw embedding is another pose, the same embedding."""
    model = views.build(views.lifter_cfg()).eval()
    x, _ = views.make_samples(2)
    one = model.head.embedding(model.extract_feat(x))
    two = one._replace(raw=2 * one.raw)
    a, b = model.head.output(one), model.head.output(two)
    assert (a.canonical - b.canonical).abs().max() > 1
    torch.testing.assert_close(one.unit.norm(dim=1), torch.ones(4))


# -- predictions --------------------------------------------------------------
def test_predictions(views):
    model = views.build(views.lifter_cfg(
        head=dict(uncertainty=dict()))).eval()
    x, samples = views.make_samples(3)
    with torch.no_grad():
        found = model(x, samples, mode='predict')
        out = model(x, None, mode='tensor')
    for i, s in enumerate(found):
        one = s.pred_instances
        assert s.metainfo['keypoints_frame'] == 'camera'
        assert one.embedding.shape == (1, 32)
        np.testing.assert_allclose(np.linalg.norm(one.embedding), 1,
                                   rtol=1e-5)
        want = one.keypoints_3d_canonical @ one.camera_rotation.transpose(
            0, 2, 1)
        np.testing.assert_allclose(one.keypoints_3d_camera, want, atol=1e-2)
        np.testing.assert_array_equal(one.keypoints,
                                      one.keypoints_3d_camera)
        np.testing.assert_allclose(one.keypoints_3d_canonical[0],
                                   out.canonical[i].numpy(), rtol=1e-5)
        assert one.embedding_variance > 0 and 'bboxes' in one
        np.testing.assert_allclose(
            np.linalg.det(one.camera_rotation), 1, rtol=1e-5)


def test_images_through_mmpose(views):
    """Pixels, mmpose's ResNet and preprocessor, any size."""
    model = views.build(dict(
        type='MetricPoseRegressor',
        data_preprocessor=dict(type='PoseDataPreprocessor',
                               mean=[120.] * 3, std=[60.] * 3),
        backbone=dict(type='ResNet', depth=18, base_channels=4,
                      stem_channels=4),
        head=dict(type='MetricPoseHead', in_channels=32, embedding_dim=16),
        adversary=views.adversary()))
    _, samples = views.make_samples(4)
    data = dict(inputs=[torch.randint(0, 256, (3, 40, 40)).byte()
                        for _ in samples], data_samples=samples)
    from mmengine.optim import OptimWrapper
    before = [p.clone() for p in model.parameters()]
    logged = model.train_step(data, OptimWrapper(
        torch.optim.Adam(model.parameters(), 1e-3)))
    assert logged['loss'].isfinite()
    assert any((a != b).any() for a, b in zip(before, model.parameters()))
    model.eval()
    found = model.val_step(data)
    assert found[0].pred_instances.keypoints_3d_camera.shape == (1, 17, 3)


@pytest.mark.parametrize('change, error, part', [
    (dict(head=dict(pose_form='metres')), ValueError, 'pose_form'),
    (dict(head=dict(angles=4)), ValueError, 'angles'),
    (dict(head=dict(joints='h36m')), ValueError, 'h36m_17'),
    (dict(consistency_weight=-1.), ValueError, 'consistency'),
    (dict(adversary=dict(type='IdentityAdversary', num_subjects=1)),
     ValueError, 'two subjects')])
def test_bad_options(views, change, error, part):
    with pytest.raises(error, match=part):
        views.build(views.lifter_cfg(**change))


def test_another_head_is_refused(views):
    cfg = dict(views.lifter_cfg(), head=dict(type='EmbeddingHead',
                                             in_channels=96))
    with pytest.raises(TypeError, match='MetricPoseHead'):
        MODELS.build(cfg)


def test_wrong_channels_are_named(views):
    model = views.build(views.lifter_cfg(head=dict(in_channels=64)))
    with pytest.raises(ValueError, match='in_channels to 96'):
        model(views.make_samples(2)[0], None)


def test_rotations_are_rotations():
    turn = decode_rotation(torch.randn(4, 3, 2))
    torch.testing.assert_close(turn @ turn.transpose(1, 2),
                               torch.eye(3).expand(4, -1, -1))
    assert math.isclose(float(torch.linalg.det(turn)[0]), 1, rel_tol=1e-5)


def test_config_of_the_model_builds():
    root = Path(__file__).resolve().parents[3]
    cfg = Config.fromfile(root / 'configs/_base_/models/metric_pose.py')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert count(model.backbone) == 11_176_512
