"""What MirrorNet refuses, and what it says."""
from __future__ import annotations

import pytest
import torch

from mirrorpose.models.mirrornet.mirrornet import select


class TestErrors:

    def test_no_annotated_sample(self, toy):
        model = toy.build(toy.mirrornet_cfg())
        with pytest.raises(ValueError, match='none of the 2 samples.*0-0.*'
                           'SemiSupervisedSampler'):
            toy.seeded(model, toy.make_batch((False, False)))

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
                toy.seeded(toy.build(cfg), (image, samples))

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
            toy.seeded(toy.build(toy.mirrornet_cfg()), (image, samples))

    def test_empty_batch(self, toy):
        with pytest.raises(ValueError, match='batch is empty'):
            toy.seeded(toy.build(toy.mirrornet_cfg()),
                   (torch.zeros(0, 3, 64, 64), []))

    def test_select(self):
        with pytest.raises(TypeError, match='dict'):
            select({}, torch.ones(1, dtype=torch.bool))
