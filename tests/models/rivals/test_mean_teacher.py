"""Mean teacher: the average in closed form, the loss by hand."""
from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

import mirrorpose  # noqa: F401
from mirrorpose.models.pose import draw_gaussians
from mirrorpose.models.rivals import MeanTeacher
from mirrorpose.structures import Skeleton

ROOT = Path(__file__).resolve().parents[3]
NETS = dict(
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
    head=dict(type='HeatmapHead', in_channels=64, out_channels=16,
              deconv_out_channels=(16, 16, 16), deconv_kernel_sizes=(4, 4, 4),
              loss=dict(type='HeatmapNLLLoss', variance=.01),
              decoder=dict(type='MSRAHeatmap', input_size=(32, 32),
                           heatmap_size=(8, 8), sigma=1.)))


def build(kind='MeanTeacher', **options):
    init_default_scope('mmpose')
    torch.manual_seed(0)
    if kind == 'MeanTeacher':
        options = dict(dict(sigma=1., temperature=.1), **options)
    model = MODELS.build(dict(
        type=kind, **copy.deepcopy(NETS), **options,
        data_preprocessor=dict(type='PoseDataPreprocessor')))
    model.init_weights()
    return model.train()


def batch(labelled, seed=0):
    """Images (N, 3, 32, 32), and samples; un-annotated ones are wrong."""
    rng = np.random.default_rng(seed)
    samples = []
    for i, known in enumerate(labelled):
        sample = PoseDataSample(metainfo=dict(
            id=f's{i}', is_labeled=known, img_shape=(32, 32),
            input_size=(32, 32), input_center=np.array([16., 16.]),
            input_scale=np.array([32., 32.]),
            flip_indices=Skeleton.from_name('mpii_16').flip_indices))
        cells = torch.from_numpy(rng.uniform(0, 7, (16, 2))).float()
        sample.gt_fields = PixelData(
            heatmaps=draw_gaussians(cells, (8, 8), 1.))
        sample.gt_instance_labels = InstanceData(
            keypoint_weights=torch.ones(1, 16))
        sample.gt_instances = InstanceData(
            keypoints_visible=np.ones((1, 16)), bbox_scores=np.ones(1),
            bboxes=np.array([[0., 0, 32, 32]]))
        samples.append(sample)
    return torch.from_numpy(rng.normal(size=(len(labelled), 3, 32, 32))
                            ).float(), samples


def test_the_average_in_closed_form():
    """After T steps: (1 - m) sum of m^(T - t) w_t, but for the warm-up."""
    model = build(momentum=.5)
    weight = model.backbone.conv1.weight
    seen, expected = [], None
    for t in range(5):
        with torch.no_grad():
            weight.copy_(torch.full_like(weight, float(2**t)))
        seen.append(float(2**t))
        model.update_teacher()
        keep = min(1 - 1 / (t + 1), .5)
        expected = seen[-1] * (1 - keep) + (expected or 0.) * keep
        assert torch.allclose(model.teacher.backbone.conv1.weight,
                              torch.tensor(expected))
    # factors 0, 1/2, 1/2, ...: 16/2 + 8/4 + 4/8 + 2/16 + 1/16
    assert expected == pytest.approx(8 + 2 + .5 + 2 / 16 + 1 / 16)
    assert int(model.averaged) == 5


def test_statistics_are_averaged_too():
    model = build(momentum=.5)
    model.update_teacher()
    mean = model.backbone.bn1.running_mean
    before = model.teacher.backbone.bn1.running_mean.clone()
    with torch.no_grad():
        mean.add_(4.)
    model.update_teacher()
    assert torch.allclose(model.teacher.backbone.bn1.running_mean,
                          before + 2)


def test_the_first_step_copies():
    """Whatever the teacher was: weights may have been loaded without it."""
    model = build(momentum=.99)
    with torch.no_grad():
        model.teacher.head.final_layer.weight.fill_(3.)
    model.update_teacher()
    assert torch.equal(model.teacher.head.final_layer.weight,
                       model.head.final_layer.weight)


def test_the_teacher_is_not_trained():
    model = build()
    inputs, samples = batch([True, False, False])
    sum(v for k, v in model.loss(inputs, samples).items()
        if k.startswith('loss')).backward()
    assert all(p.grad is None for p in model.teacher.parameters())
    assert not model.teacher.training
    assert model.backbone.conv1.weight.grad.abs().sum() > 0


def test_consistency_moves_the_student():
    """With the annotated loss taken away, what is left still trains: the
    student of the strong view comes nearer to its (fixed) teacher.
    """
    model = build(target='maps', momentum=.9999)
    inputs, samples = batch([True] + [False] * 6)
    # A teacher who says something else, and hardly listens.
    torch.nn.init.normal_(model.teacher.head.final_layer.weight, std=.3)
    model.averaged += 10**6
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    values = []
    for _ in range(15):
        loss = model.loss(inputs, samples)['loss_consistency']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < .8 * values[0]


def test_loss_by_hand():
    """Identity view: the distance of student and redrawn teacher, in loops.
    """
    model = build(affine=dict(rotate=0., scale=(1., 1.), shift=0., flip=0.),
                  threshold=-1e9, consistency_weight=.7)
    model.eval()  # no batch statistics: the student sees as the teacher
    inputs, samples = batch([True, False, True, False])
    losses = model.loss(inputs, samples)
    maps = model.recognize(inputs)[-1]
    from mirrorpose.models.pose import soft_argmax
    total, cells = 0., 16 * 8 * 8
    for i in (1, 3):
        aim = draw_gaussians(soft_argmax(maps[i], .1, 3), (8, 8), 1.)
        for k in range(16):
            total += float(((maps[i, k] - aim[k])**2).sum()) / .02
    assert float(losses['loss_consistency']) == pytest.approx(
        .7 * total / 2 / cells, rel=1e-3)
    nats = 0.
    for i in (0, 2):
        for k in range(16):
            gap = maps[i, k] - samples[i].gt_fields.heatmaps[k]
            nats += float((gap**2).sum()) / .02 + 64 * .5 * math.log(
                2 * math.pi * .01)
    assert float(losses['loss_recognition']) == pytest.approx(
        nats / 2 / cells, rel=1e-3)


def test_recognition_is_the_plain_recognizers():
    """Without un-annotated images it is a PoseRecognition."""
    inputs, samples = batch([True, True])
    rival, plain = build(), build('PoseRecognition')
    plain.load_state_dict({k: v for k, v in rival.state_dict().items()
                           if k.split('.')[0] in ('backbone', 'head')})
    theirs, mine = (m.loss(inputs, samples) for m in (rival, plain))
    assert set(theirs) == {'loss_recognition'}
    assert torch.allclose(theirs['loss_recognition'],
                          mine['loss_recognition'])


def test_a_mirrored_view_swaps_left_and_right():
    """The truth seen in a mirror is the mirror's truth, joint by joint."""
    model = build(threshold=0.)
    cells = torch.rand(2, 16, 2) * 6 + .5
    truth = draw_gaussians(cells, (8, 8), 1.)

    class Knows(torch.nn.Module):
        def forward(self, feats):
            return truth

    model.teacher.head = Knows()
    # Mirrored about the centre of the cells: cell c to 7 - c.
    matrices = np.tile([[[-1., 0, 28], [0, 1, 0]]], (2, 1, 1))
    aim, sure = model.targets(torch.zeros(2, 3, 32, 32), matrices,
                              np.array([True, True]))
    pairs = Skeleton.from_name('mpii_16').flip_indices
    for k in range(16):
        assert torch.allclose(aim[:, k], truth[:, pairs[k]].flip(-1),
                              atol=.15)
    assert sure.all()


def test_joints_out_of_view_or_unsure_do_not_count():
    model = build(threshold=.3)
    cells = torch.full((1, 16, 2), 2.)
    cells[0, 0] = torch.tensor([7., 2.])
    truth = draw_gaussians(cells, (8, 8), 1.)
    truth[0, 1] *= .2

    class Knows(torch.nn.Module):
        def forward(self, feats):
            return truth

    model.teacher.head = Knows()
    matrices = np.array([[[1., 0, -16], [0, 1, 0]]])  # four cells right
    _, sure = model.targets(torch.zeros(1, 3, 32, 32), matrices,
                            np.array([False]))
    assert sure[0].tolist() == [False, False] + [True] * 14


def test_ramp():
    model = build(ramp_steps=100)
    assert model.ramp(0) == pytest.approx(math.exp(-5))
    assert model.ramp(50) == pytest.approx(math.exp(-1.25))
    assert model.ramp(100) == model.ramp(10**6) == 1
    assert build().ramp(0) == 1


def test_who_predicts():
    model = build()
    inputs, samples = batch([True, True])
    with torch.no_grad():
        for p in model.teacher.head.final_layer.parameters():
            p.zero_()
    model.eval()

    def scores(who):
        model.evaluate = who
        return np.concatenate([s.pred_instances.keypoint_scores for s in
                               model.predict(inputs, samples)])
    assert (scores('teacher') == 0).all()
    assert (scores('student') != 0).any()


def test_it_trains_under_mmengine():
    """train_step with an optimizer: student and teacher both move."""
    model = build(momentum=.9, colours=dict())
    wrapper = OptimWrapper(torch.optim.Adam(model.parameters(), lr=1e-3))
    inputs, samples = batch([True, False])
    start = model.backbone.conv1.weight.detach().clone()
    for _ in range(3):
        data = dict(inputs=list(inputs), data_samples=samples)
        log = model.train_step(data, wrapper)
    assert math.isfinite(float(log['loss']))
    assert not torch.equal(model.backbone.conv1.weight, start)
    assert not torch.equal(model.teacher.backbone.conv1.weight, start)


def test_recombined_for_the_student_alone():
    """The teacher looks at images as they are, the student at others."""
    seen = {}
    model = build(recombination=dict(
        recombined='all', estimator='model', scene_prob=1., min_joints=1,
        hole_dilation=0.))
    assert model.recombination.person_mattes.model is model.teacher

    def note(name, module):
        whole = module.extract_feat

        def extract_feat(inputs):
            seen.setdefault(name, []).append(inputs.clone())
            return whole(inputs)
        module.extract_feat = extract_feat

    note('teacher', model.teacher)
    note('student', model)
    inputs, samples = batch([True, True, False, False])
    losses = model.loss(inputs, samples)
    # Once to cut people out, once for the targets.
    assert all(torch.equal(x, inputs[2:]) for x in seen['teacher'])
    assert len(seen['teacher']) == 2
    moved = (seen['student'][0] - inputs).abs().flatten(1).amax(1)
    assert (moved > .1).all()
    assert losses['loss_consistency'].isfinite()


def test_a_trained_teacher_stays(tmp_path):
    other = build('PoseRecognition')
    with torch.no_grad():
        for p in other.parameters():
            p.mul_(1.5)
    torch.save(dict(state_dict=other.state_dict()), tmp_path / 'it.pth')
    model = build(teacher_init=dict(type='Pretrained',
                                    checkpoint=str(tmp_path / 'it.pth')))
    assert model.evaluate == 'student'
    before = copy.deepcopy(model.teacher.state_dict())
    wrapper = OptimWrapper(torch.optim.Adam(model.parameters(), lr=1e-3))
    inputs, samples = batch([True, False])
    model.train_step(dict(inputs=list(inputs), data_samples=samples), wrapper)
    for key, value in model.teacher.state_dict().items():
        assert torch.equal(value, before[key])
        assert torch.equal(value, other.state_dict()[key]), key


def test_no_annotated_sample():
    inputs, samples = batch([False, False])
    with pytest.raises(ValueError, match='none of the 2 samples'):
        build().loss(inputs, samples)


@pytest.mark.parametrize('options, message', [
    (dict(target='argmax'), 'target is one of'),
    (dict(evaluate='both'), 'evaluate is one of'),
    (dict(momentum=1.), 'momentum must lie'),
    (dict(ramp_steps=-1), 'must not be negative'),
    (dict(skeleton='lsp_14'), 'has 14'),
])
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_the_config_builds():
    cfg = Config.fromfile(ROOT / 'configs' / 'mean_teacher_small_lsp.py')
    init_default_scope('mmpose')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert isinstance(model, MeanTeacher)
    assert model.sigma == cfg.codec.sigma == cfg.model.head.decoder.sigma
    counts = cfg.train_dataloader.sampler
    assert sum(counts.source_ratio) == counts.batch_size
