"""MirrorNet's joint training: its terms, its mask, what it predicts."""
from __future__ import annotations

import math

import pytest
import torch
from mmpose.models.pose_estimators import TopdownPoseEstimator

from mirrorpose.models.mirrornet import MirrorNet
from mirrorpose.models.mirrornet.mirrornet import TERMS

LITERAL = dict(generative_input='annotation', pose_form='heatmaps',
               sample_pose=True, image_vae=dict(variance=1.),
               pose_vae=dict(variance=1.))
MIXED = (True, False, True, False)


class TestLoss:

    def test_terms_are_the_bounds(self, toy):
        """The literal batch, put together from the parts by hand."""
        batch = toy.make_batch(MIXED, absent=.2)
        model = toy.build(toy.mirrornet_cfg(toy.GN, **LITERAL,
                                            recognition_weight=3.))
        losses = toy.seeded(model, batch)
        image, samples = batch
        small = torch.nn.functional.avg_pool2d(image, 4)
        truth = torch.stack([s.gt_fields.heatmaps for s in samples])
        torch.manual_seed(0)
        with torch.no_grad():
            mean = model.head.forward(model.backbone(image))
            drawn = mean + .1 * torch.randn_like(mean)
            rows = torch.tensor(MIXED)
            pose = torch.where(rows[:, None, None, None], truth, drawn)
            z_mean, z_var = model.pose_vae.recognizer(pose)
            z = z_mean + (z_var / 2).exp() * torch.randn_like(z_mean)
            after = model.pose_vae.generator(z)[0]
            raw = model.mask_estimator(small, pose)
            mask = torch.sigmoid(10 * (raw - .5))
            a = model.image_vae.appearance_recognizer(mask * small)
            s = model.image_vae.scene_recognizer((1 - mask) * small)
            drawn_a = a[0] + (a[1] / 2).exp() * torch.randn_like(a[0])
            drawn_s = s[0] + (s[1] / 2).exp() * torch.randn_like(s[0])
            back = model.image_vae.generator(pose, drawn_a, drawn_s)[0]

        def log_p(x, mu, v):
            return -.5 * (math.log(2 * math.pi * v) + (x - mu)**2 / v)

        def kl(m, lv):
            return .5 * (m**2 + lv.exp() - 1 - lv).sum()

        keep = torch.stack([s.gt_instance_labels.keypoint_weights[0]
                            for s in samples])[..., None, None]
        weight = torch.where(rows[:, None, None, None], keep,
                             torch.ones_like(keep))
        want = dict(
            recognition=3 * (log_p(truth, mean, .01) * keep).sum(),
            fidelity=log_p(small, back, 1.).sum(),
            kl_appearance=-kl(*a), kl_scene=-kl(*s),
            plausibility=(log_p(pose, after, 1.) * weight).sum(),
            kl_primitive=-kl(z_mean, z_var))
        cells = 4 * 16 * 16 * 16
        for name in TERMS:
            torch.testing.assert_close(
                losses[f'loss_{name}'], -want[name] / cells,
                rtol=1e-4, atol=1e-6, msg=name)
        entropy = .5 * 16 * 256 * math.log(2 * math.pi * math.e * .01)
        both = losses['mon_bound_labelled'] + losses['mon_bound_unlabelled']
        torch.testing.assert_close(
            float(both), float(sum(want.values())) / 2 + entropy, rtol=1e-4,
            atol=1e-2)

    def test_names(self, toy):
        model = toy.build(toy.mirrornet_cfg())
        losses = toy.seeded(model, toy.make_batch(MIXED))
        assert {k for k in losses if 'loss' in k} == {
            f'loss_{t}' for t in TERMS}
        assert {k for k in losses if 'loss' not in k} == {
            'mon_bound_labelled', 'mon_bound_unlabelled'}
        assert not losses['mon_bound_labelled'].requires_grad
        parsed, log = model.parse_losses(losses)
        torch.testing.assert_close(parsed, toy.total(losses))

    def test_fully_annotated_batch(self, toy):
        model = toy.build(toy.mirrornet_cfg())
        losses = toy.seeded(model, toy.make_batch())
        assert 'mon_bound_unlabelled' not in losses
        assert all(v.isfinite() for v in losses.values())

    def test_term_weights(self, toy):
        batch = toy.make_batch(MIXED)
        plain = toy.seeded(toy.build(toy.mirrornet_cfg()), batch)
        weighted = toy.seeded(toy.build(toy.mirrornet_cfg(
            term_weights=dict(fidelity=.5, kl_scene=0.))), batch)
        for name in TERMS:
            factor = dict(fidelity=.5, kl_scene=0.).get(name, 1.)
            torch.testing.assert_close(weighted[f'loss_{name}'],
                                       factor * plain[f'loss_{name}'])

    @pytest.mark.parametrize('labels', [(True, ) * 4, MIXED], ids=str)
    def test_without_generative_terms_they_are_not_run(self, toy, labels):
        """The same gradient, and no parameter waits for one in vain."""
        none = dict.fromkeys(TERMS[1:], 0.)
        batch = toy.make_batch(labels)
        whole = toy.build(toy.mirrornet_cfg())
        whole.term_weights = none | dict(recognition=2., fidelity=1e-30)
        lean = toy.build(toy.mirrornet_cfg(
            term_weights=none | dict(recognition=2.)))
        lean.load_state_dict(whole.state_dict())

        def fails(*_):
            raise AssertionError('was run')

        for name in ('image_vae', 'pose_vae', 'mask_estimator'):
            getattr(lean, name).register_forward_pre_hook(fails)
        one, two = (toy.seeded(m, batch) for m in (whole, lean))
        torch.testing.assert_close(one['loss_recognition'],
                                   two['loss_recognition'])
        assert list(two) == ['loss_recognition']
        grads = [toy.gradients(m, x) for m, x in ((whole, one), (lean, two))]
        for key, p in lean.named_parameters():
            assert p.requires_grad == (grads[1][key] is not None), key
            if p.requires_grad:
                torch.testing.assert_close(grads[0][key], grads[1][key])

    def test_all_that_trains_gets_a_gradient(self, toy):
        """A parameter without one would stall DistributedDataParallel."""
        for labels in ((True, ) * 4, MIXED):
            for other in ({}, LITERAL):
                model = toy.build(toy.mirrornet_cfg(**other))
                grads = toy.gradients(model, toy.seeded(
                    model, toy.make_batch(labels)))
                lost = [k for k, p in model.named_parameters()
                        if p.requires_grad and grads[k] is None]
                assert lost == []

    @pytest.mark.parametrize('other', [
        {}, dict(pose_form='heatmaps'), LITERAL], ids=str)
    def test_unlabelled_images_teach_the_recognizer(self, toy, other):
        # With annotations elsewhere, only these can reach it.
        model = toy.build(toy.mirrornet_cfg(
            toy.GN, **dict(other, generative_input='annotation')))
        for name in ('fidelity', 'plausibility'):
            weights = dict.fromkeys(TERMS, 0.) | {name: 1.}
            model.term_weights = weights
            losses = toy.seeded(model, toy.make_batch(MIXED))
            grads = toy.recognizer_part(toy.gradients(model, losses))
            assert max(g.abs().max() for g in grads.values()) > 0, name

    def test_learnt_variances_train(self, toy):
        cfg = toy.mirrornet_cfg(pose_form='heatmaps')
        cfg['image_vae']['generator']['learn_variance'] = True
        cfg['pose_vae']['generator']['learn_variance'] = True
        model = toy.build(cfg)
        grads = toy.gradients(model, toy.seeded(model, toy.make_batch(MIXED)))
        for part in ('image_vae', 'pose_vae'):
            assert grads[f'{part}.generator.head.log_variance.weight'
                         ].abs().max() > 0

    def test_multi_stage_head(self, toy):
        """CPMHead: recognition is summed over the stacks, the rest is run
        on the last."""
        cfg = toy.mirrornet_cfg()
        cfg['backbone'] = dict(type='BottleneckHourglass', num_stacks=2,
                               channels=16, depth=2)
        cfg['head'] = dict(
            type='CPMHead', in_channels=16, out_channels=16, num_stages=2,
            deconv_out_channels=None, loss=dict(type='HeatmapNLLLoss'))
        model = toy.build(dict(cfg, generative_input='annotation'))
        batch = toy.make_batch(absent=.3)
        plain = toy.build(dict(type='TopdownPoseEstimator',
                               backbone=cfg['backbone'], head=cfg['head']))
        plain.load_state_dict({k: v for k, v in model.state_dict().items()
                               if k.startswith(('backbone.', 'head.'))})
        mine, theirs = toy.seeded(model, batch), toy.seeded(plain, batch)
        torch.testing.assert_close(mine['loss_recognition'],
                                   theirs['loss_kpt'])
        a = toy.recognizer_part(toy.gradients(model, mine))
        b = toy.gradients(plain, theirs)
        for name in b:
            torch.testing.assert_close(a[name], b[name], rtol=1e-4,
                                       atol=1e-6)


class TestMask:

    def grads_of_head(self, toy, detach):
        """Of the recognizer through the mask alone."""
        model = toy.build(toy.mirrornet_cfg(
            detach_mask=detach, pose_form='heatmaps'))
        pose = torch.rand(2, 16, 16, 16, requires_grad=True)
        mask = model.estimate_mask(torch.randn(2, 3, 16, 16), pose)
        return mask, pose

    def test_is_detached(self, toy):
        mask, _ = self.grads_of_head(toy, True)
        assert not mask.requires_grad
        assert ((mask > 0) & (mask < 1)).all()

    def test_may_be_attached(self, toy):
        mask, pose = self.grads_of_head(toy, False)
        mask.sum().backward()
        assert pose.grad.abs().max() > 0

    def test_estimator_is_frozen_and_stays_in_eval(self, toy):
        model = toy.build(toy.mirrornet_cfg())
        before = {k: v.clone() for k, v in
                  model.mask_estimator.state_dict().items()}
        others = {k: v.clone() for k, v in model.pose_vae.state_dict().items()}
        model.train()
        assert not any(m.training for m in model.mask_estimator.modules())
        assert model.pose_vae.training and model.backbone.training
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        for _ in range(2):
            optimizer.zero_grad()
            toy.total(toy.seeded(model, toy.make_batch(MIXED))).backward()
            optimizer.step()
        after = model.mask_estimator.state_dict()
        assert all(torch.equal(v, after[k]) for k, v in before.items())
        moved = model.pose_vae.state_dict()
        assert any(not torch.equal(v, moved[k]) for k, v in others.items())

    def test_other_children_can_be_frozen(self, toy):
        model = toy.build(toy.mirrornet_cfg(
            frozen=('mask_estimator', 'pose_vae')))
        model.train()
        assert not model.pose_vae.training
        grads = toy.gradients(model, toy.seeded(model, toy.make_batch()))
        assert all(v is None for k, v in grads.items()
                   if k.startswith(('pose_vae', 'mask_estimator')))
        assert grads['image_vae.generator.head.mean.weight'] is not None


class TestPredict:

    def test_is_the_plain_recognizers_and_costs_the_same(self, toy):
        model = toy.build(toy.mirrornet_cfg(decoder=True)).eval()
        plain = toy.twin(model, 'TopdownPoseEstimator', decoder=True).eval()

        def refuse(*_):
            raise AssertionError('a generative part was run')

        for part in (model.image_vae, model.pose_vae, model.mask_estimator):
            for module in part.modules():
                module.register_forward_pre_hook(refuse)
        with torch.no_grad():
            mine = model(*toy.make_batch(), mode='predict')
            theirs = plain(*toy.make_batch(), mode='predict')
        for a, b in zip(mine, theirs):
            assert (a.pred_instances.keypoints
                    == b.pred_instances.keypoints).all()
            assert (a.pred_instances.keypoint_scores
                    == b.pred_instances.keypoint_scores).all()
        assert mine[0].pred_instances.keypoints.shape == (1, 16, 2)

    def test_only_the_recognizer_runs(self, toy, monkeypatch):
        """Without scores, it is mmpose's own method."""
        model = toy.build(toy.mirrornet_cfg(decoder=True)).eval()
        for part in (model.image_vae, model.pose_vae, model.mask_estimator):
            monkeypatch.setattr(part, 'forward', None)
        called = []
        monkeypatch.setattr(
            TopdownPoseEstimator, 'predict',
            lambda self, *args: called.append(self) or ['theirs'])
        assert model(*toy.make_batch(), mode='predict') == ['theirs']
        assert called == [model]
        assert MirrorNet._forward is TopdownPoseEstimator._forward

    def test_stripped_weights_fit_mmposes_estimator(self, toy):
        # twin() loads strictly
        toy.twin(toy.build(toy.mirrornet_cfg()), 'TopdownPoseEstimator')


class TestExplain:

    def test_is_one_pass(self, toy):
        model = toy.build(toy.mirrornet_cfg()).eval()
        image, samples = toy.make_batch(MIXED)
        out = model.explain(image)
        assert out['pose'].shape == out['pose_after'].shape == \
            (4, 16, 16, 16)
        assert out['reconstruction'].shape == (4, 3, 16, 16)
        assert out['mask'].shape == (4, 1, 16, 16)
        torch.testing.assert_close(
            out['image'], torch.nn.functional.avg_pool2d(image, 4))
        with torch.no_grad():
            mean = model.head.forward(model.backbone(image))
        torch.testing.assert_close(out['pose'], mean)
        assert not any(v.requires_grad for v in out.values())
