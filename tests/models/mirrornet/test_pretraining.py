"""The sub-networks on their own: values, learning, figures, refusals."""
from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal


@pytest.fixture
def models(toy):
    def make(kind, norm=toy.BN):
        parts = dict(
            MaskEstimation=dict(mask_estimator=toy.mask_cfg(norm)),
            ImageAutoencoding=dict(image_vae=toy.image_vae_cfg(norm),
                                   mask_estimator=toy.mask_cfg(norm)),
            PoseAutoencoding=dict(pose_vae=toy.pose_vae_cfg(norm)))
        return toy.build(dict(type=kind, **parts[kind]))
    return make


KINDS = ['MaskEstimation', 'ImageAutoencoding', 'PoseAutoencoding']
FALLS = dict(MaskEstimation='loss_mask', ImageAutoencoding='loss_fidelity',
             PoseAutoencoding='loss_plausibility')


@pytest.mark.parametrize('kind', KINDS)
def test_learns(toy, models, kind):
    image, samples = toy.make_batch((True, ) * 6, size=32, absent=.1,
                                    silhouettes=True)
    model = models(kind)
    optimizer = torch.optim.Adam(
        [p for p in model.parameters() if p.requires_grad], 3e-3)
    torch.manual_seed(0)
    history = []
    for _ in range(40):
        losses = model(image, samples, mode='loss')
        optimizer.zero_grad()
        toy.total(losses).backward()
        optimizer.step()
        history.append({k: v.item() for k, v in losses.items()})
    first = history[0]
    last = {k: sum(h[k] for h in history[-3:]) / 3 for k in first}
    key = FALLS[kind]
    # A density may be above 1: these losses have no floor at 0.
    assert last[key] < first[key] - .2 * abs(first[key])
    assert sum(last.values()) < sum(first.values())


def test_pose_autoencoding_is_equation_34(toy, models):
    image, samples = toy.make_batch(absent=.3)
    model = models('PoseAutoencoding', toy.GN)
    torch.manual_seed(0)
    losses = model(image, samples)
    pose = torch.stack([s.gt_fields.heatmaps for s in samples])
    keep = torch.cat([s.gt_instance_labels.keypoint_weights
                      for s in samples])
    torch.manual_seed(0)
    out = model.pose_vae(pose)
    per = Normal(out.mean, .02**.5).log_prob(pose).sum((2, 3)) * keep
    torch.testing.assert_close(losses['loss_plausibility'],
                               -per.sum() / pose.numel())
    mean, log_variance = out.primitive
    kl = .5 * (mean**2 + log_variance.exp() - 1 - log_variance)
    torch.testing.assert_close(losses['loss_kl_primitive'],
                               kl.sum() / pose.numel())
    assert len(losses) == 2


def test_image_autoencoding_is_equation_31(toy, models):
    image, samples = toy.make_batch()
    model = models('ImageAutoencoding', toy.GN)
    torch.manual_seed(0)
    losses = model(image, samples)
    pose = torch.stack([s.gt_fields.heatmaps for s in samples])
    small = torch.nn.functional.avg_pool2d(image, 4)
    mask = torch.sigmoid(10 * (model.mask_estimator(small, pose) - .5))
    torch.manual_seed(0)
    out = model.image_vae(small, pose, mask)
    log_p = Normal(out.mean, .1**.5).log_prob(small).sum()
    torch.testing.assert_close(losses['loss_fidelity'],
                               -log_p / pose.numel())
    assert set(losses) == {'loss_fidelity', 'loss_kl_appearance',
                           'loss_kl_scene'}


def test_mask_estimation_is_the_mean_squared_error(toy, models):
    image, samples = toy.make_batch(silhouettes=True)
    model = models('MaskEstimation', toy.GN)
    losses = model(image, samples)
    small = torch.nn.functional.avg_pool2d(image, 4)
    pose = torch.stack([s.gt_fields.heatmaps for s in samples])
    truth = torch.stack([s.gt_fields.silhouette for s in samples])
    raw = model.mask_estimator(small, pose)
    torch.testing.assert_close(losses['loss_mask'],
                               ((raw - truth)**2).mean())


def test_mask_estimator_rests_while_the_image_vae_trains(toy, models):
    model = models('ImageAutoencoding').train()
    assert not any(m.training for m in model.mask_estimator.modules())
    assert model.image_vae.training
    losses = model(*toy.make_batch())
    grads = toy.gradients(model, losses)
    assert all(g is None for k, g in grads.items()
               if k.startswith('mask_estimator'))
    trained = [k for k, p in model.named_parameters() if p.requires_grad]
    assert trained and all(grads[k] is not None for k in trained)


class TestAbsentJoints:

    @pytest.mark.parametrize('kind', KINDS)
    def test_cannot_matter(self, toy, models, kind):
        values = []
        for bad in (0., 99.):
            image, samples = toy.make_batch(absent=.4, silhouettes=True)
            for s in samples:
                gone = s.gt_instance_labels.keypoint_weights[0] == 0
                assert gone.any()
                s.gt_fields.heatmaps[gone] = bad
            torch.manual_seed(0)
            model = models(kind)
            torch.manual_seed(1)
            losses = model(image, samples)
            values.append((losses, toy.gradients(model, losses)))
        for a, b in zip(*values):
            for key, value in a.items():
                assert value is b[key] is None or torch.equal(value, b[key])


class TestPredict:

    def test_figures(self, toy, models):
        from mirrorpose.evaluation.bound import MeanBound
        wanted = dict(
            MaskEstimation={'squared_error', 'iou'},
            ImageAutoencoding={'fidelity', 'kl_appearance', 'kl_scene',
                               'bound', 'swap_gap'},
            PoseAutoencoding={'plausibility', 'kl_primitive', 'bound',
                              'explained'})
        for kind in KINDS:
            batch = toy.make_batch(silhouettes=True)
            with torch.no_grad():
                samples = models(kind).eval()(*batch, mode='predict')
            dicts = [s.to_dict() for s in samples]
            means = MeanBound.calculate([d['bound'] for d in dicts])
            assert set(means) == wanted[kind]

    def test_do_not_depend_on_the_batch(self, toy, models):
        for kind in ('PoseAutoencoding', 'MaskEstimation'):
            model = models(kind).eval()
            image, samples = toy.make_batch(silhouettes=True)
            with torch.no_grad():
                whole = model.score(image, samples)
                part = model.score(image[1:3], samples[1:3])
            for key in set(whole) - {'explained'}:
                torch.testing.assert_close(whole[key][1:3], part[key],
                                           rtol=1e-4, atol=1e-4)

    def test_explained(self, toy, models, monkeypatch):
        image, samples = toy.make_batch()
        model = models('PoseAutoencoding').eval()
        pose = torch.stack([s.gt_fields.heatmaps for s in samples])
        from mirrorpose.models.mirrornet.pose_vae import PoseVAEOutput
        latent = (torch.zeros(4, 1), torch.zeros(4, 1))
        for mean, want in ((pose, 1.), (pose.mean(0).expand_as(pose), 0.)):
            monkeypatch.setattr(
                model.pose_vae, 'forward',
                lambda *_, m=mean: PoseVAEOutput(m, 0., latent))
            got = model.score(image, samples)['explained']
            torch.testing.assert_close(got, torch.full((4, ), want),
                                       rtol=0, atol=1e-5)

    def test_iou(self, toy, models, monkeypatch):
        image, samples = toy.make_batch((True, ), silhouettes=True)
        truth = samples[0].gt_fields.silhouette > .5
        model = models('MaskEstimation')
        mine = torch.zeros_like(truth)
        mine[:, :, 6:] = True
        monkeypatch.setattr(model.mask_estimator, 'forward',
                            lambda *_: mine[None].float())
        want = (mine & truth).sum() / (mine | truth).sum()
        assert 0 < want < 1
        torch.testing.assert_close(model.score(image, samples)['iou'][0],
                                   want)

    def test_swap_gap_sees_whether_the_pose_is_read(self, toy, models):
        model = models('ImageAutoencoding').eval()
        image, samples = toy.make_batch()
        with torch.no_grad():
            assert (model.score(image, samples)['swap_gap'] != 0).all()
            model.image_vae.generator.encoder[0].conv.weight.zero_()
            gap = model.score(image, samples)['swap_gap']
        torch.testing.assert_close(gap, torch.zeros(4), rtol=0, atol=1e-3)


class TestErrors:

    def test_missing_silhouette(self, toy, models):
        image, samples = toy.make_batch(silhouettes=True)
        del samples[1].gt_fields.silhouette
        with pytest.raises(ValueError, match='1 samples have no silhouette.*'
                           '0-1.*SplitSilhouette'):
            models('MaskEstimation')(image, samples)

    def test_wrong_joint_count(self, toy, models):
        image, samples = toy.make_batch()
        for s in samples:
            s.gt_fields = type(s.gt_fields)(
                heatmaps=s.gt_fields.heatmaps[:14])
        with pytest.raises(ValueError, match='model has 16 joints.*14'):
            models('PoseAutoencoding')(image, samples)

    @pytest.mark.parametrize('kind', KINDS)
    def test_unknown_mode(self, toy, models, kind):
        with pytest.raises(ValueError, match="got 'tensor'"):
            models(kind)(*toy.make_batch(), mode='tensor')

    @pytest.mark.parametrize('kind', KINDS)
    def test_empty_batch(self, models, kind):
        with pytest.raises(ValueError, match='batch is empty'):
            models(kind)(torch.zeros(0, 3, 32, 32), [])

    def test_unknown_option(self, toy):
        with pytest.raises(TypeError, match='unexpected keyword'):
            toy.build(dict(type='PoseAutoencoding', beta=2.,
                           pose_vae=toy.pose_vae_cfg()))
