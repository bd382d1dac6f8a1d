"""A broken and resumed run of a mean teacher ends as an unbroken one."""
from __future__ import annotations

import copy

import pytest
import torch
from mmpose.registry import MODELS

from mirrorpose.engine import checkpoint as checkpoints
from mirrorpose.engine.runner import PoseRunner
from mirrorpose.models.rivals import MeanTeacher
from mirrorpose.testing.toys import toy_cfg


@MODELS.register_module(force=True)
class HalfAnnotatedTeacher(MeanTeacher):
    """Takes every second sample for an un-annotated one."""

    def loss(self, inputs, data_samples):
        for i, sample in enumerate(data_samples):
            sample.set_metainfo(dict(is_labeled=i % 2 == 0))
        return super().loss(inputs, data_samples)


def run(folder, epochs, resume=False):
    cfg = toy_cfg(folder)
    model = cfg.model
    cfg.model = dict(
        type='HalfAnnotatedTeacher', backbone=model.backbone,
        head=model.head, data_preprocessor=model.data_preprocessor,
        test_cfg=model.test_cfg, sigma=1., momentum=.8, ramp_steps=5,
        colours=dict(mean=[99.] * 3, std=[60.] * 3))
    for key in ('stages', 'stage_data', 'runner_type'):
        cfg.pop(key)
    cfg.train_cfg.max_epochs, cfg.resume = epochs, resume
    cfg.experiment_name = f'{folder.name}_{epochs}'
    PoseRunner.from_cfg(copy.deepcopy(cfg)).train()
    return checkpoints.load(folder / f'epoch_{epochs}.pth')['state_dict']


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp('whole'), 4)


def test_resumed_bit_for_bit(whole, tmp_path):
    half = run(tmp_path, 2)
    assert not torch.equal(half['teacher.backbone.conv1.weight'],
                           whole['teacher.backbone.conv1.weight'])
    again = run(tmp_path, 4, resume=True)
    assert set(again) == set(whole)
    for key, value in whole.items():
        assert torch.equal(again[key], value), key


def test_it_has_counted_its_steps(whole):
    assert int(whole['averaged']) == 8  # four epochs of two batches
