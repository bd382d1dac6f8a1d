"""The regressor: losses, masks, predictions, options, what it learns."""
from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from mirrorpose.models.metric_pose import (
    PoseStatistics,
    decode_rotation,
    encode_rotation,
    read_labels,
)
from mirrorpose.models.metric_pose.heads import PoseRegressor
from mirrorpose.models.metric_pose.uncertainty import EmbeddingUncertainty
from mirrorpose.testing import run_processes


def count(module):
    return sum(p.numel() for p in module.parameters())


def adversary(**kwargs):
    return dict(type='IdentityAdversary', num_subjects=2, ramp_steps=0,
                **kwargs)


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
    model = views.build(views.lifter_cfg(adversary=adversary()))
    with pytest.raises(ValueError, match=part):
        model(x, samples, mode='loss')


# -- losses -------------------------------------------------------------------
def test_losses_by_hand(views):
    """M4 and M6 from the outputs, sample by sample."""
    x, samples = views.make_samples(6, annotated=.6)
    model = views.build(views.lifter_cfg(adversary=adversary())).eval()
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
        adversary=adversary(), head=dict(loss=dict(
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
        adversary=adversary()))
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


# -- statistics ---------------------------------------------------------------
def test_statistics_go_to_the_head_once(views):
    from types import SimpleNamespace
    model = views.build(views.lifter_cfg())
    mean, std = np.ones((17, 3)), np.full((17, 3), .2)

    def runner(data):
        return SimpleNamespace(model=model, train_dataloader=SimpleNamespace(
            dataset=SimpleNamespace(dataset=data)))

    PoseStatistics().before_train(runner(SimpleNamespace(
        pose_statistics=lambda: (mean, std))))
    assert (model.head.pose.mean == 1).all()
    assert (model.head.pose.std == 1).all()  # not below a millimetre
    PoseStatistics().before_train(runner(SimpleNamespace(
        pose_statistics=lambda: (5 * mean, std))))
    assert (model.head.pose.mean == 1).all()
    again = views.build(views.lifter_cfg())
    again.load_state_dict(model.state_dict())
    assert (again.head.pose.mean == 1).all() and again.head.pose.fitted == 1
    again.head.pose.fitted.zero_()
    model = again
    with pytest.raises(TypeError, match='pose_statistics'):
        PoseStatistics().before_train(runner(SimpleNamespace()))
    with pytest.raises(ValueError, match='never annotated'):
        PoseRegressor(4, 17).fit(mean * np.nan, std)


# -- options ------------------------------------------------------------------
def test_consistency_of_true_poses_is_zero(views):
    """True camera-frame poses agree in the world; other cameras do not."""
    x, samples = views.make_samples(6, calibrated=True)
    model = views.build(views.lifter_cfg(consistency_weight=1.)).eval()
    labels = read_labels(samples, 17)
    embedding = model.head.embedding(model.extract_feat(x))
    poses = torch.cat([s.gt_instance_labels.keypoints_3d_camera
                       for s in samples])
    model.head.output = lambda e: SimpleOut(poses)
    assert model.consistency(embedding, labels)['mon_disagreement'] < .01
    swapped = labels._replace(extrinsics=labels.extrinsics.flip(0))
    assert model.consistency(embedding, swapped)['mon_disagreement'] > 10
    unknown = labels._replace(calibrated=labels.calibrated & False)
    assert model.consistency(embedding, unknown)['loss_consistency'] == 0


class SimpleOut:
    def __init__(self, camera):
        self.camera = camera


def test_consistency_trains(views):
    """Without any label, predictions of two views come to agree."""
    model = views.build(views.lifter_cfg(consistency_weight=1.))
    history = views.train(model, 25, annotated=0.)
    first = np.mean([h['mon_disagreement'] for h in history[:5]])
    last = np.mean([h['mon_disagreement'] for h in history[-5:]])
    assert last < first
    plain = views.build(views.lifter_cfg())
    assert 'loss_consistency' not in plain(
        *views.make_samples(2), mode='loss')


def test_uncertainty_is_a_gaussian_s_likelihood():
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(5, 4, generator=g), torch.randn(5, 4, generator=g)
    la, lb = torch.randn(5, generator=g), torch.randn(5, generator=g)
    deviation = (la.exp() + lb.exp()).sqrt()[:, None].expand(-1, 4)
    want = -torch.distributions.Normal(0., deviation).log_prob(a - b).sum(1)
    torch.testing.assert_close(EmbeddingUncertainty.nll(a, b, la, lb), want)


def test_uncertainty_finds_which_views_are_bad(views):
    """Half of the images are noisy, and one input says which."""
    from mirrorpose.models.pose.views import ViewLabels
    torch.manual_seed(0)
    net = EmbeddingUncertainty(3, hidden=32, loss_weight=1.)
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    zero = torch.zeros(256).long()
    labels = ViewLabels(torch.arange(256) // 2, zero, zero,
                        torch.arange(256) % 2, zero.double())
    for _ in range(150):
        bad = (torch.rand(256) < .5).float()
        spread = torch.where(bad > 0, .3, .05)
        unit = torch.randn(128, 8).repeat_interleave(2, 0) + \
            spread[:, None] * torch.randn(256, 8)
        feature = torch.stack([bad, torch.randn(256), 1 - bad], 1)
        feature.requires_grad_()
        loss = net.loss(feature, unit, labels)['loss_uncertainty']
        adam.zero_grad()
        loss.backward()
        assert feature.grad is None
        adam.step()
    probe = net(torch.tensor([[1., 0, 0], [0., 0, 1]])).exp().sqrt()
    torch.testing.assert_close(probe, torch.tensor([.3, .05]), rtol=.3,
                               atol=0)


def test_options_off_leave_the_rest_alone(views):
    """Uncertainty changes no gradient of the embedding."""
    x, samples = views.make_samples(6)
    grads = []
    for extra in (dict(), dict(uncertainty=dict())):
        model = views.build(views.lifter_cfg(head=extra), seed=3)
        model.load_state_dict(views.build(
            views.lifter_cfg(), seed=3).state_dict(), strict=False)
        views.total(model(x, samples, mode='loss')).backward()
        grads.append(model.head.embed.weight.grad)
    torch.testing.assert_close(*grads)


# -- what it learns -----------------------------------------------------------
@torch.no_grad()
def retrieval(model, views, seed=999, groups=60):
    """How often the nearest image is the other view, and mean errors."""
    x, samples = views.make_samples(groups, seed=seed)
    model.eval()
    found = model(x, samples, mode='predict')
    units = torch.from_numpy(np.concatenate(
        [s.pred_instances.embedding for s in found]))
    apart = torch.cdist(units, units).fill_diagonal_(9.)
    hit = float((apart.argmin(1) == torch.arange(len(x)) ^ 1).float().mean())
    error = {}
    for frame in ('canonical', 'camera'):
        key = f'keypoints_3d_{frame}'
        error[frame] = float(np.mean([np.linalg.norm(
            s.pred_instances[key] - s.gt_instance_labels[key].numpy(),
            axis=-1).mean() for s in found]))
    return hit, error


@pytest.fixture(scope='module')
def trained(views):
    model = views.build(views.lifter_cfg('BN1d', head=dict(loss=dict(
        type='HardNetLoss', near_seconds=.5, warm_up=60))))
    before = retrieval(model, views)
    history = views.train(model, 150, annotated=.5)
    return before, retrieval(model, views), history


def test_the_metric_loss_falls(trained):
    history = trained[2]
    # Of random negatives, then of the hardest.
    first = np.mean([h['loss_metric'] for h in history[:5]])
    last = np.mean([h['loss_metric'] for h in history[55:60]])
    assert last < .8 * first
    first = np.mean([h['loss_metric'] for h in history[60:65]])
    last = np.mean([h['loss_metric'] for h in history[-5:]])
    assert last < first
    assert history[-1]['mon_spread'] > .3  # no collapse


def test_the_other_view_is_found(trained):
    (before, _), (after, _), _ = trained
    assert after > before + .1, (before, after)


def test_both_poses_get_better(trained):
    (_, before), (_, after), _ = trained
    assert after['canonical'] < .7 * before['canonical'], (before, after)
    assert after['camera'] < .7 * before['camera'], (before, after)


# -- two processes ------------------------------------------------------------
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
        adversary=adversary(), head=dict(uncertainty=dict()), **case))
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
