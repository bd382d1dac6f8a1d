"""Inputs are moved, data samples are not copied; else as the stock ones."""
from __future__ import annotations

import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

import mirrorpose  # noqa: F401

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def make():
    samples = []
    for i in range(3):
        sample = PoseDataSample(metainfo=dict(
            id=str(i), img_shape=(8, 8), input_size=(8, 8)))
        sample.gt_instance_labels = InstanceData(
            camera_rotation=torch.eye(3)[None] * i)
        samples.append(sample)
    g = torch.Generator().manual_seed(0)
    return torch.randint(0, 255, (3, 3, 8, 8), generator=g,
                         dtype=torch.uint8), samples


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('ours, stock, options', [
    ('ViewPreprocessor', 'PoseDataPreprocessor',
     dict(mean=MEAN, std=STD, bgr_to_rgb=True)),
    ('KeypointPreprocessor', 'BaseDataPreprocessor', {})])
def test_inputs_are_the_stock_ones(ours, stock, options, training):
    init_default_scope('mmpose')
    images, samples = make()
    found, want = (MODELS.build(dict(type=t, **options))(
        dict(inputs=images, data_samples=list(samples)), training)
        for t in (ours, stock))
    torch.testing.assert_close(found['inputs'], want['inputs'])
    for a, b, own in zip(found['data_samples'], want['data_samples'],
                         samples):
        assert a is own
        assert torch.equal(a.gt_instance_labels.camera_rotation,
                           b.gt_instance_labels.camera_rotation)


def test_other_devices():
    """Inputs go, samples stay; a meta device shows it without hardware."""
    inputs, samples = torch.rand(3, 17, 3), make()[1]
    module = MODELS.build(dict(type='KeypointPreprocessor'))
    module._device = torch.device('meta')
    out = module(dict(inputs=inputs, data_samples=samples))
    assert out['inputs'].device.type == 'meta'
    labels = out['data_samples'][2].gt_instance_labels
    assert labels.camera_rotation.device.type == 'cpu'
