"""MirrorNet's joint training: gradients, masks, noise, refusals, learning."""
from __future__ import annotations

import math

import pytest
import torch
from mmengine.logging import MessageHub
from mmpose.models.pose_estimators import TopdownPoseEstimator

from mirrorpose.models.mirrornet import MirrorNet, PoseRecognition
from mirrorpose.models.mirrornet.mirrornet import TERMS, select

LITERAL = dict(generative_input='annotation', pose_form='heatmaps',
               sample_pose=True, image_vae=dict(variance=1.),
               pose_vae=dict(variance=1.))
MIXED = (True, False, True, False)


def recognizer_part(grads):
    return {k: v for k, v in grads.items()
            if k.startswith(('backbone.', 'head.'))}


def twin(toy, model, type_='PoseRecognition', norm=None, decoder=False):
    """The plain recognizer with MirrorNet's weights."""
    plain = toy.build(dict(
        type=type_, **toy.recognizer_cfg(norm or toy.BN, decoder)))
    plain.load_state_dict({k: v for k, v in model.state_dict().items()
                           if k.startswith(('backbone.', 'head.'))})
    return plain


def seeded(model, batch, seed=0):
    torch.manual_seed(seed)
    return model(*batch, mode='loss')


class TestLiteralGradient:
    """Trap T1.12: alpha does not occur in Eq. 26."""

    def compare(self, toy, other, type_, weight=1., absent=.3):
        batch = toy.make_batch(absent=absent)
        model = toy.build(toy.mirrornet_cfg(recognition_weight=weight,
                                            **other))
        plain = twin(toy, model, type_)
        mine = recognizer_part(toy.gradients(model, seeded(model, batch)))
        theirs = toy.gradients(plain, seeded(plain, batch))
        assert set(mine) == set(theirs)
        assert any(g.abs().max() > 1e-4 for g in theirs.values())
        return mine, theirs

    @pytest.mark.parametrize('kind', ['PoseRecognition',
                                      'TopdownPoseEstimator'])
    @pytest.mark.parametrize('other', [
        LITERAL, dict(generative_input='annotation')], ids=str)
    def test_is_the_plain_recognizers(self, toy, kind, other):
        mine, theirs = self.compare(toy, other, kind)
        for name in theirs:
            assert torch.equal(mine[name], theirs[name]), name

    def test_times_lambda(self, toy):
        mine, theirs = self.compare(toy, LITERAL, 'PoseRecognition', 2.)
        for name in theirs:
            torch.testing.assert_close(mine[name], 2 * theirs[name],
                                       rtol=1e-5, atol=1e-7)

    def test_recognizers_own_pose_changes_it(self, toy):
        for other in ({}, dict(pose_form='heatmaps'),
                      dict(pose_form='heatmaps', sample_pose=True)):
            mine, theirs = self.compare(toy, other, 'PoseRecognition')
            changed = [k for k in theirs
                       if (mine[k] - theirs[k]).abs().max() > 1e-6]
            assert len(changed) > len(theirs) / 2, other


class TestLoss:

    def test_terms_are_the_bounds(self, toy):
        """The literal batch, put together from the parts by hand."""
        batch = toy.make_batch(MIXED, absent=.2)
        model = toy.build(toy.mirrornet_cfg(toy.GN, **LITERAL,
                                            recognition_weight=3.))
        losses = seeded(model, batch)
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
        losses = seeded(model, toy.make_batch(MIXED))
        assert {k for k in losses if 'loss' in k} == {
            f'loss_{t}' for t in TERMS}
        assert {k for k in losses if 'loss' not in k} == {
            'mon_bound_labelled', 'mon_bound_unlabelled'}
        assert not losses['mon_bound_labelled'].requires_grad
        parsed, log = model.parse_losses(losses)
        torch.testing.assert_close(parsed, toy.total(losses))

    def test_fully_annotated_batch(self, toy):
        model = toy.build(toy.mirrornet_cfg())
        losses = seeded(model, toy.make_batch())
        assert 'mon_bound_unlabelled' not in losses
        assert all(v.isfinite() for v in losses.values())

    def test_term_weights(self, toy):
        batch = toy.make_batch(MIXED)
        plain = seeded(toy.build(toy.mirrornet_cfg()), batch)
        weighted = seeded(toy.build(toy.mirrornet_cfg(
            term_weights=dict(fidelity=.5, kl_scene=0.))), batch)
        for name in TERMS:
            factor = dict(fidelity=.5, kl_scene=0.).get(name, 1.)
            torch.testing.assert_close(weighted[f'loss_{name}'],
                                       factor * plain[f'loss_{name}'])

    def test_all_that_trains_gets_a_gradient(self, toy):
        """A parameter without one would stall DistributedDataParallel."""
        for labels in ((True, ) * 4, MIXED):
            for other in ({}, LITERAL):
                model = toy.build(toy.mirrornet_cfg(**other))
                grads = toy.gradients(model, seeded(
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
            losses = seeded(model, toy.make_batch(MIXED))
            grads = recognizer_part(toy.gradients(model, losses))
            assert max(g.abs().max() for g in grads.values()) > 0, name

    def test_learnt_variances_train(self, toy):
        cfg = toy.mirrornet_cfg(pose_form='heatmaps')
        cfg['image_vae']['generator']['learn_variance'] = True
        cfg['pose_vae']['generator']['learn_variance'] = True
        model = toy.build(cfg)
        grads = toy.gradients(model, seeded(model, toy.make_batch(MIXED)))
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
        mine, theirs = seeded(model, batch), seeded(plain, batch)
        torch.testing.assert_close(mine['loss_recognition'],
                                   theirs['loss_kpt'])
        a = recognizer_part(toy.gradients(model, mine))
        b = toy.gradients(plain, theirs)
        for name in b:
            torch.testing.assert_close(a[name], b[name], rtol=1e-4,
                                       atol=1e-6)


class TestWhatCannotMatter:

    def run(self, toy, spoil, **other):
        results = []
        for change in (False, True):
            image, samples = toy.make_batch(MIXED, absent=.3)
            if change:
                for sample in samples:
                    spoil(sample)
            model = toy.build(toy.mirrornet_cfg(**other))
            losses = seeded(model, (image, samples))
            results.append((losses, toy.gradients(model, losses)))
        (a, b), (c, d) = results
        for key in a:
            assert torch.equal(a[key], c[key]), key
        for key in b:
            assert (b[key] is None and d[key] is None) or torch.equal(
                b[key], d[key]), key

    @pytest.mark.parametrize('value', [123., math.nan])
    @pytest.mark.parametrize('other', [{}, LITERAL], ids=str)
    def test_coordinates_and_maps_of_unannotated_joints(self, toy, other,
                                                        value):
        def spoil(sample):
            absent = sample.gt_instance_labels.keypoint_weights[0] == 0
            assert absent.any()
            sample.gt_instances.keypoints[0, absent.numpy()] = 1e6
            sample.gt_fields.heatmaps[absent] = value
        self.run(toy, spoil, **other)

    @pytest.mark.parametrize('other', [{}, LITERAL], ids=str)
    def test_annotations_of_unlabelled_samples(self, toy, other):
        def spoil(sample):
            if not sample.metainfo['is_labeled']:
                sample.gt_instances.keypoints[:] = 1e6
                sample.gt_fields.heatmaps[:] = 77.
                sample.gt_instance_labels.keypoint_weights[:] = 1
        self.run(toy, spoil, **other)

    @pytest.mark.parametrize('kind', ['PoseRecognition',
                                      'TopdownPoseEstimator'])
    def test_for_the_plain_recognizer_either(self, toy, kind):
        results = []
        for value in (0., 99.):
            image, samples = toy.make_batch(absent=.4)
            for sample in samples:
                absent = sample.gt_instance_labels.keypoint_weights[0] == 0
                sample.gt_fields.heatmaps[absent] = value
            model = toy.build(dict(type=kind, **toy.recognizer_cfg()))
            results.append(toy.gradients(model, seeded(
                model, (image, samples))))
        for key, grad in results[0].items():
            assert torch.equal(grad, results[1][key])

    def test_unlabelled_samples_for_the_plain_recognizer(self, toy):
        results = []
        for spoil in (False, True):
            image, samples = toy.make_batch(MIXED)
            if spoil:
                for sample in samples:
                    if not sample.metainfo['is_labeled']:
                        sample.gt_fields.heatmaps[:] = 5.
                        sample.gt_instance_labels.keypoint_weights[:] = 1
            model = toy.build(dict(type='PoseRecognition',
                                   **toy.recognizer_cfg()))
            results.append(toy.gradients(model, seeded(
                model, (image, samples))))
        for key, grad in results[0].items():
            assert torch.equal(grad, results[1][key])


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
            toy.total(seeded(model, toy.make_batch(MIXED))).backward()
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
        grads = toy.gradients(model, seeded(model, toy.make_batch()))
        assert all(v is None for k, v in grads.items()
                   if k.startswith(('pose_vae', 'mask_estimator')))
        assert grads['image_vae.generator.head.mean.weight'] is not None


class TestNoisePerSample:

    @pytest.mark.parametrize('other', [
        {}, dict(pose_form='heatmaps', sample_pose=True)], ids=str)
    def test_batch_is_the_mean_of_its_halves(self, toy, other):
        image, samples = toy.make_batch((True, False, True, True),
                                        absent=.2)
        model = toy.build(toy.mirrornet_cfg(toy.GN, noise_per_sample=True,
                                            **other))
        torch.manual_seed(1)
        whole = model(image, samples, mode='loss')
        whole_grads = toy.gradients(model, whole)
        halves = []
        for rows in (slice(0, 2), slice(2, 4)):
            torch.manual_seed(rows.start)  # must not matter
            losses = model(image[rows], samples[rows], mode='loss')
            halves.append((losses, toy.gradients(model, losses)))
        (a, da), (b, db) = halves
        for term in TERMS:
            key = f'loss_{term}'
            torch.testing.assert_close(whole[key], (a[key] + b[key]) / 2,
                                       rtol=1e-5, atol=1e-6)
        for key, grad in whole_grads.items():
            if grad is not None:
                torch.testing.assert_close(grad, (da[key] + db[key]) / 2,
                                           rtol=1e-3, atol=2e-6, msg=key)

    def test_order_does_not_matter(self, toy):
        image, samples = toy.make_batch(MIXED)
        model = toy.build(toy.mirrornet_cfg(toy.GN, noise_per_sample=True))
        one = model(image, samples, mode='loss')
        two = model(image.flip(0), samples[::-1], mode='loss')
        for key in one:
            torch.testing.assert_close(one[key], two[key], rtol=1e-5,
                                       atol=1e-6)

    def test_changes_from_step_to_step(self, toy):
        batch = toy.make_batch()
        model = toy.build(toy.mirrornet_cfg(toy.GN, noise_per_sample=True))
        hub = MessageHub.get_current_instance()
        values = []
        try:
            for step in (3, 3, 4):
                hub.update_info('iter', step)
                losses = model(*batch, mode='loss')
                values.append(losses['loss_plausibility'].item())
        finally:
            hub.runtime_info.pop('iter')
        assert values[0] == values[1] != values[2]

    def test_changes_with_the_runs_seed(self, toy):
        batch = toy.make_batch()
        model = toy.build(toy.mirrornet_cfg(toy.GN, noise_per_sample=True))
        hub = MessageHub.get_current_instance()
        values = []
        try:
            for seed in (1, 1, 2):
                hub.update_info('seed', seed)
                losses = model(*batch, mode='loss')
                values.append(losses['loss_plausibility'].item())
        finally:
            hub.runtime_info.pop('seed')
        assert values[0] == values[1] != values[2]


class TestPredict:

    def test_is_the_plain_recognizers_and_costs_the_same(self, toy):
        model = toy.build(toy.mirrornet_cfg(decoder=True)).eval()
        plain = twin(toy, model, 'TopdownPoseEstimator', decoder=True).eval()

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

    def test_is_mmposes_own_method(self):
        assert MirrorNet.predict is TopdownPoseEstimator.predict
        assert MirrorNet._forward is TopdownPoseEstimator._forward

    def test_stripped_weights_fit_mmposes_estimator(self, toy):
        # twin() loads strictly
        twin(toy, toy.build(toy.mirrornet_cfg()), 'TopdownPoseEstimator')


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


class TestErrors:

    def test_no_annotated_sample(self, toy):
        model = toy.build(toy.mirrornet_cfg())
        with pytest.raises(ValueError, match='none of the 2 samples.*0-0.*'
                           'SemiSupervisedSampler'):
            seeded(model, toy.make_batch((False, False)))

    def test_head_against_pose_vae(self, toy):
        cfg = toy.mirrornet_cfg()
        cfg['head'] = dict(cfg['head'], out_channels=14)
        with pytest.raises(ValueError, match="predicts 14.*16 of 'mpii_16'"):
            toy.build(cfg)

    def test_data_against_model(self, toy):
        image, samples = toy.make_batch()
        for s in samples:
            heatmaps = s.gt_fields.heatmaps[:14]
            s.gt_fields = type(s.gt_fields)(heatmaps=heatmaps)
        for cfg in (toy.mirrornet_cfg(), dict(
                type='PoseRecognition', **toy.recognizer_cfg())):
            with pytest.raises(ValueError, match='model has 16 joints.*14'):
                seeded(toy.build(cfg), (image, samples))

    @pytest.mark.parametrize('other,text', [
        (dict(generative_input='annotations'), "annotations'"),
        (dict(pose_form='points'), "got 'points'"),
        (dict(sample_pose=True), "pose_form='heatmaps'"),
        (dict(term_weights=dict(fidelty=1.)), r"\['fidelty'\].*fidelity"),
        (dict(frozen=('mask', )), r"\['mask'\].*mask_estimator"),
        (dict(pose_variance=0.), 'positive, got 0'),
        (dict(image_vae=dict(variance=-1.)), 'positive, got -1'),
        (dict(pose_vae=dict(variance=0.)), 'positive, got 0'),
    ], ids=str)
    def test_values(self, toy, other, text):
        with pytest.raises(ValueError, match=text):
            toy.build(toy.mirrornet_cfg(**other))

    @pytest.mark.parametrize('other', [
        dict(recogniton_weight=1.), dict(image_vae=dict(varience=1.)),
        dict(pose_vae=dict(sigmas=1.))], ids=str)
    def test_unknown_option(self, toy, other):
        with pytest.raises(TypeError, match='unexpected keyword'):
            toy.build(toy.mirrornet_cfg(**other))

    def test_missing_heatmaps(self, toy):
        image, samples = toy.make_batch()
        del samples[2].gt_fields
        with pytest.raises(ValueError, match='0-2 has no heatmaps.*'
                           'GenerateTarget'):
            seeded(toy.build(toy.mirrornet_cfg()), (image, samples))

    def test_empty_batch(self, toy):
        with pytest.raises(ValueError, match='batch is empty'):
            seeded(toy.build(toy.mirrornet_cfg()),
                   (torch.zeros(0, 3, 64, 64), []))

    def test_select(self):
        with pytest.raises(TypeError, match='dict'):
            select({}, torch.ones(1, dtype=torch.bool))


def train(toy, model, batch, steps, lr=3e-3):
    """Losses (in mode train) before, and over the last steps, of training."""
    optimizer = torch.optim.Adam(
        [p for p in model.parameters() if p.requires_grad], lr)
    history = []
    for step in range(steps):
        losses = seeded(model, batch, seed=step)
        optimizer.zero_grad()
        toy.total(losses).backward()
        optimizer.step()
        history.append({k: v.item() for k, v in losses.items()})
    return history[0], {k: sum(h[k] for h in history[-3:]) / 3
                        for k in history[0]}


class TestLearning:

    @pytest.mark.parametrize('labels', [(True, ) * 6, (True, False) * 3],
                             ids=['supervised', 'semi-supervised'])
    def test_mirrornet(self, toy, labels):
        batch = toy.make_batch(labels, size=32, absent=.1)
        model = toy.build(toy.mirrornet_cfg(frozen=('mask_estimator', )))
        first, last = train(toy, model, batch, 30)
        for name in ('recognition', 'fidelity', 'plausibility'):
            assert last[f'loss_{name}'] < first[f'loss_{name}'] - .02, name
        keys = [k for k in first if 'loss' in k]
        assert sum(last[k] for k in keys) < sum(first[k] for k in keys)
        assert last['mon_bound_labelled'] > first['mon_bound_labelled']
        assert all(math.isfinite(v) for v in last.values())

    def test_recognition(self, toy):
        batch = toy.make_batch((True, ) * 6, size=32, absent=.1)
        model = toy.build(dict(type='PoseRecognition',
                               **toy.recognizer_cfg()))
        assert isinstance(model, PoseRecognition)
        first, last = train(toy, model, batch, 30)
        assert last['loss_recognition'] < first['loss_recognition'] - .5
