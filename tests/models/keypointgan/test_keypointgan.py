"""The model: no way around the bottleneck, its steps, terms and use."""
from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from stick_figures import StickFigures, optim_cfg
from torch import Tensor

from mirrorpose.engine.optimizers import PerChildOptimWrapperConstructor
from mirrorpose.models.pose import PosePrior
from mirrorpose.structures import Skeleton


def optimizers(model: Any, rate: float = 2e-4, **changes: Any) -> Any:
    cfg = optim_cfg(rate)
    cfg.pop('constructor')
    for name, value in changes.items():
        cfg[name].update(value)
    return PerChildOptimWrapperConstructor(cfg)(model)


@pytest.fixture(autouse=True)
def own_hub() -> Any:
    """Iterations are counted by the model, not by another test's runner."""
    MessageHub.get_current_instance().runtime_info.pop('iter', None)
    yield


def prepared(model: Any, batch: dict) -> dict:
    return model.data_preprocessor(batch, True)


# -- T2.1 -------------------------------------------------------------------
@pytest.mark.parametrize('bottleneck, conditional', [
    (True, True), (True, False), (False, True)])
def test_no_way_around_the_bottleneck(
        build: Any, batch: dict, bottleneck: bool,
        conditional: bool) -> None:
    model = build(bottleneck=bottleneck, generator=dict(
        type='ConditionalDecoder', width=4, conditional=conditional))
    data = prepared(model, batch)['inputs']
    kept: dict[str, Tensor] = {}

    def cut(module: Any, args: Any, keypoints: Tensor) -> Tensor:
        return keypoints.detach()

    def keep(module: Any, args: Any, out: Any) -> None:
        out[0].retain_grad()
        kept['skeleton'] = out[0]

    model.backbone.register_forward_hook(keep)
    out = model.cycle(data['image'], data['condition'])
    whole, = torch.autograd.grad(out.image.square().sum(), kept['skeleton'],
                                 retain_graph=True)
    assert bool(whole.any())
    handle = model.head.register_forward_hook(cut)
    out = model.cycle(data['image'], data['condition'])
    handle.remove()
    left, = torch.autograd.grad(out.image.square().sum(), kept['skeleton'],
                                allow_unused=True)
    # With the keypoints cut off, nothing of Phi(x) is left in the image.
    assert (left is None) == bottleneck
    if bottleneck:
        again = model.decode(out.keypoints.detach(), data['condition'])
        torch.testing.assert_close(again, out.image)


def test_appearance_encoder_shares_nothing_with_phi(build: Any) -> None:
    model = build()
    phi = {id(p) for p in model.backbone.parameters()}
    assert not phi & {id(p) for p in model.generator.parameters()}
    assert not {id(b) for b in model.backbone.buffers()} & {
        id(b) for b in model.generator.buffers()}


# -- steps ------------------------------------------------------------------
def test_each_step_trains_its_own(build: Any, batch: dict) -> None:
    model = build()
    model.train()
    wrapper = optimizers(model)
    owner = dict(backbone='generator', generator='generator',
                 discriminator='discriminator', head='regressor')
    order: list[str] = []
    for name in list(wrapper.keys()):
        def note(*_: Any, who: str = name) -> None:
            order.append(who)
            moved = {k for k, p in model.named_parameters()
                     if p.grad is not None and bool(p.grad.any())}
            assert moved and {owner[k.split('.')[0]] for k in moved} == {who}
        wrapper[name].optimizer.register_step_pre_hook(note)
    before = copy.deepcopy(model.state_dict())
    logs = model.train_step(batch, wrapper)
    assert order == ['generator', 'discriminator', 'regressor']
    after = model.state_dict()
    moved = {k.split('.')[0] for k, v in after.items()
             if not torch.equal(v, before[k])}
    assert moved == {'backbone', 'generator', 'discriminator', 'head',
                     'pool', 'perceptual'}
    assert {'loss_generator', 'loss_discriminator', 'loss_regressor',
            'loss_generator_adversarial', 'loss_generator_reconstruction',
            'mon_generator_error_image', 'loss_regressor_fake',
            'mon_discriminator_real'} <= set(logs)
    assert all(bool(v.isfinite()) for v in logs.values())


def test_terms_are_those_of_the_published_code(
        build: Any, batch: dict) -> None:
    model = build()
    model.eval()  # batch statistics would differ between passes
    data = prepared(model, batch)
    image, condition = data['inputs']['image'], data['inputs']['condition']
    poses = data['poses']

    def signed(x: Tensor) -> Tensor:
        return 2 * x - 1

    y = model.backbone(image)[0]
    p = model.head(y)
    made = model.generator(model.renderer(p), condition)
    features = model.perceptual.features
    raw = [(a - b).square().mean() for a, b in zip(features(made),
                                                   features(image))]
    losses = model.generator_losses(**data)
    want = sum(10 * (s - 1).square().mean() for s in model.discriminator(y))
    torch.testing.assert_close(losses['loss_adversarial'], want)
    # At the first pass every term is divided by itself.
    torch.testing.assert_close(losses['loss_reconstruction'].item(), 10.,
                               atol=1e-4, rtol=0)
    for i, name in enumerate(['image', 'level1', 'level2', 'level3',
                              'level4', 'level5']):
        torch.testing.assert_close(losses[f'mon_error_{name}'], raw[i])

    losses = model.discriminator_losses(**data)
    real = model.renderer(poses)
    torch.testing.assert_close(
        losses['loss_real'] + losses['loss_fake'],
        .5 * ((model.discriminator(real)[0] - 1).square().mean()
              + model.discriminator(y)[0].square().mean()))

    losses = model.regressor_losses(**data)
    drawn = signed(model.renderer(model.head(y.detach())))
    torch.testing.assert_close(
        losses['loss_fake'],
        .1 * (drawn - signed(y.detach())).square().mean())
    torch.testing.assert_close(
        losses['loss_real'],
        .9 * (model.head(real) - poses).square().mean())
    assert not any(p.grad is not None for p in model.parameters())
    (losses['loss_fake'] + losses['loss_real']).backward()
    touched = {k.split('.')[0] for k, p in model.named_parameters()
               if p.grad is not None}
    assert touched == {'head'}


def test_absent_joints_of_the_prior_do_not_count(
        build: Any, batch: dict) -> None:
    model = build()
    data = prepared(model, batch)
    model.generator_losses(**data)
    one = dict(data, pose_present=data['pose_present'].clone())
    one['pose_present'][:, 0] = False
    two = dict(one, poses=one['poses'].clone())
    two['poses'][:, 0] = 7.
    for name in ('regressor_losses', 'discriminator_losses'):
        model.pool.filled.zero_()
        first = getattr(model, name)(**one)
        model.pool.filled.zero_()
        second = getattr(model, name)(**two)
        for key in first:
            torch.testing.assert_close(first[key], second[key])


@pytest.mark.parametrize('bottleneck, conditional, cycle', [
    (False, False, True), (False, True, True), (True, True, True),
    (True, True, False), (False, False, False), (True, False, False)])
def test_rows_of_table_4(build: Any, batch: dict, bottleneck: bool,
                         conditional: bool, cycle: bool) -> None:
    model = build(
        bottleneck=bottleneck,
        generator=dict(type='ConditionalDecoder', width=4,
                       conditional=conditional),
        second_cycle=dict(weight=5.) if cycle else None)
    model.train()
    wrapper = optimizers(model, discriminator=dict(children=[
        'discriminator'] + ['image_discriminator'] * cycle))
    before = copy.deepcopy(model.state_dict())
    logs = model.train_step(batch, wrapper)
    assert ('loss_generator_second_cycle' in logs) == cycle
    assert ('loss_discriminator_image_fake' in logs) == cycle
    assert all(bool(v.isfinite()) for v in logs.values())
    still = {k for k, p in model.named_parameters() if p.requires_grad
             and torch.equal(p, before[k])}
    assert not {k for k in still if k.endswith('weight')}


def test_second_cycle_written_out(build: Any, batch: dict) -> None:
    model = build(second_cycle=dict(weight=5.)).eval()
    data = prepared(model, batch)
    losses = model.generator_losses(**data)
    drawn = model.renderer(data['poses'])
    made = model.generator(drawn, data['inputs']['image'])
    again = model.backbone(made)[0]
    torch.testing.assert_close(
        losses['loss_second_cycle'],
        5 * ((2 * again - 1) - (2 * drawn - 1)).abs().mean())


def test_overfits_one_batch(build: Any, batch: dict) -> None:
    model = build()
    model.train()
    # At 1e-2 the game jumps about, and where depends on the processor.
    wrapper = optimizers(model, 3e-3)
    first = model.train_step(batch, wrapper)
    for _ in range(80):
        last = model.train_step(batch, wrapper)
    for name, share in (('mon_generator_error_image', .75),
                        ('loss_regressor_real', .1)):
        assert last[name] < share * first[name], name


def test_micro_batches_add_up(build: Any, batch: dict) -> None:
    whole, parts = build(pool_size=0), build(pool_size=0, micro_batches=2)
    for model in (whole, parts):
        model.eval()  # no batch statistics
        model.train_step(batch, optimizers(model, discriminator=dict(
            optimizer=dict(type='SGD', lr=1.))))
    for (name, one), two in zip(whole.discriminator.named_parameters(),
                                parts.discriminator.parameters()):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4, msg=name)


# -- use --------------------------------------------------------------------
def test_predicts_as_an_estimator_does(build: Any) -> None:
    model = build(correct_sides=False).eval()
    data = StickFigures(3, test=True)
    items = [data[i] for i in range(3)]
    found = model.val_step(dict(
        inputs=[i['inputs'] for i in items],
        data_samples=[i['data_samples'] for i in items]))
    image = data.images[:, [2, 1, 0]].float() / 127.5 - 1
    want = (model.head(model.backbone(image)) + 1) / 2 * 31
    for sample, pixels in zip(found, want):
        person = sample.pred_instances
        assert person.keypoints.shape == (1, 14, 2)
        assert person.keypoint_scores.shape == (1, 14)
        np.testing.assert_allclose(person.keypoints[0],
                                   pixels.detach().numpy(), atol=1e-3)
        assert 'keypoints_corrected' not in person
    tensor = model(image, mode='tensor')
    torch.testing.assert_close((tensor + 1) / 2 * 31, want)


def test_prediction_goes_back_to_the_original_image(build: Any) -> None:
    model = build().eval()
    data = StickFigures(1, test=True)

    def predict(**meta: Any) -> Any:
        item = data[0]
        item['data_samples'].set_metainfo(meta)
        return model.val_step(dict(
            inputs=[item['inputs']],
            data_samples=[item['data_samples']]))[0].pred_instances

    here = predict()
    there = predict(input_center=np.array([100., 50.]),
                    input_scale=np.array([64., 64.]))
    for name in ('keypoints', 'keypoints_corrected'):
        np.testing.assert_allclose(
            there[name], here[name] * 2 - 32 + np.array([100, 50]),
            rtol=1e-5)


def test_sides_are_corrected_by_the_offline_regressor(build: Any) -> None:
    model = build().eval()
    flip = Skeleton.from_name('lsp_14').flip_indices
    data = StickFigures(2, test=True)
    truth = data.truth

    class Says(torch.nn.Module):
        def forward(self, drawn: Tensor) -> Tensor:
            return truth

    model.offline_head = Says()
    given = torch.stack([truth[0], truth[1][flip]]) + .01
    fixed, swapped = model.side_corrected(given)
    assert swapped.tolist() == [False, True]
    torch.testing.assert_close(fixed, truth + .01)

    found = model.val_step(dict(
        inputs=[data[i]['inputs'] for i in range(2)],
        data_samples=[data[i]['data_samples'] for i in range(2)]))
    for sample in found:
        person = sample.pred_instances
        order = flip if person.sides_exchanged[0] else list(range(14))
        np.testing.assert_allclose(person.keypoints_corrected,
                                   person.keypoints[:, order])


def test_offline_regressor_is_what_training_began_with(
        build: Any, batch: dict) -> None:
    model = build()
    with torch.no_grad():
        for p in model.head.parameters():
            p.add_(.01)
    model.init_weights()
    model.train()
    started = copy.deepcopy(model.head.state_dict())
    model.train_step(batch, optimizers(model, 1e-2))
    assert any(not torch.equal(v, started[k])
               for k, v in model.head.state_dict().items())
    for k, v in model.offline_head.state_dict().items():
        torch.testing.assert_close(v, started[k])
    assert not model.offline_head.training


def test_a_whole_model_by_init_cfg(build: Any, tmp_path: Any) -> None:
    torch.manual_seed(1)
    whole = build()
    with torch.no_grad():
        for p in whole.offline_head.parameters():
            p.add_(.5)
    torch.save(dict(state_dict=whole.state_dict()), tmp_path / 'whole.pth')
    torch.manual_seed(2)
    model = build(init_cfg=dict(type='Pretrained',
                                checkpoint=str(tmp_path / 'whole.pth')))
    model.init_weights()
    for name, value in whole.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    torch.save(dict(state_dict=dict(a=torch.ones(2))), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match='other.pth'):
        build(init_cfg=dict(type='Pretrained', checkpoint=str(
            tmp_path / 'other.pth'))).init_weights()


def test_is_a_pose_prior(build: Any) -> None:
    model = build().eval()
    assert isinstance(model, PosePrior) and not model.reads_sequence
    poses = StickFigures(3).truth.requires_grad_()
    score = model.score(poses)
    want = model.discriminator(model.renderer(poses))[0].mean((1, 2, 3))
    torch.testing.assert_close(score, want)
    score.sum().backward()
    assert poses.grad is not None and bool(poses.grad.any())
    mask = torch.ones(3, 14)
    mask[:, 3] = 0
    other = poses.detach().clone()
    other[:, 3] = torch.nan
    torch.testing.assert_close(model.score(poses.detach(), mask),
                               model.score(other, mask))
    with pytest.raises(ValueError, match='convert'):
        model.score(torch.zeros(1, 16, 2))


@pytest.mark.parametrize('wrong, error, says', [
    (dict(adversarial_weight=-1.), ValueError, 'adversarial_weight'),
    (dict(neck=dict(type='Any')), ValueError, 'no neck'),
    (dict(second_cycle=dict(wight=1.)), TypeError, 'wight'),
    (dict(second_cycle=dict(weight=0.)), ValueError, 'is off'),
    (dict(renderer=dict(type='SkeletonRenderer', skeleton='lsp_14', size=32,
                        channels='side')), ValueError, 'set them to 3'),
    (dict(renderer=dict(type='SkeletonRenderer', skeleton='mpii_16',
                        size=32)), ValueError, 'same skeleton'),
    (dict(pool_size=-1), ValueError, 'size'),
])
def test_refuses(build: Any, wrong: dict, error: type[Exception],
                 says: str) -> None:
    with pytest.raises(error, match=says):
        build(**wrong)


def test_three_channels(build: Any, batch: dict) -> None:
    model = build(
        backbone=dict(type='SkeletonTranslator', width=4, out_channels=3),
        head=dict(type='SkeletonRegressor', skeleton='lsp_14', width=4,
                  in_channels=3),
        generator=dict(type='ConditionalDecoder', width=4, in_channels=3),
        discriminator=dict(type='MultiScaleDiscriminator', width=4,
                           scales=1, in_channels=3),
        renderer=dict(type='SkeletonRenderer', skeleton='lsp_14', size=32,
                      channels='side'))
    model.train()
    logs = model.train_step(batch, optimizers(model))
    assert all(bool(v.isfinite()) for v in logs.values())
