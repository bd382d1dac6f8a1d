"""What MirrorNet's gradients do not depend on."""
from __future__ import annotations

import math

import pytest
import torch
from mmengine.logging import MessageHub

from mirrorpose.models.mirrornet.mirrornet import TERMS

LITERAL = dict(generative_input='annotation', pose_form='heatmaps',
               sample_pose=True, image_vae=dict(variance=1.),
               pose_vae=dict(variance=1.))
MIXED = (True, False, True, False)


class TestLiteralGradient:
    """Trap T1.12: alpha does not occur in Eq. 26."""

    def compare(self, toy, other, type_, weight=1., absent=.3):
        batch = toy.make_batch(absent=absent)
        model = toy.build(toy.mirrornet_cfg(recognition_weight=weight,
                                            **other))
        plain = toy.twin(model, type_)
        mine = toy.recognizer_part(toy.gradients(
            model, toy.seeded(model, batch)))
        theirs = toy.gradients(plain, toy.seeded(plain, batch))
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


class TestWhatCannotMatter:

    def run(self, toy, spoil, **other):
        results = []
        for change in (False, True):
            image, samples = toy.make_batch(MIXED, absent=.3)
            if change:
                for sample in samples:
                    spoil(sample)
            model = toy.build(toy.mirrornet_cfg(**other))
            losses = toy.seeded(model, (image, samples))
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
            results.append(toy.gradients(model, toy.seeded(
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
            results.append(toy.gradients(model, toy.seeded(
                model, (image, samples))))
        for key, grad in results[0].items():
            assert torch.equal(grad, results[1][key])


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
