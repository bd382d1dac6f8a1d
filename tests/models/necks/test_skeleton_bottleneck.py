"""The bottleneck alone, in a network, and in an mmpose config."""
from __future__ import annotations

import torch
from mmpose.registry import MODELS

from mirrorpose.models.necks import SkeletonBottleneck


def test_only_keypoints_get_through() -> None:
    torch.manual_seed(0)
    neck = SkeletonBottleneck('lsp_14', size=32, width=4)
    image = torch.rand(2, 1, 32, 32, requires_grad=True)
    drawn = neck(image)
    torch.testing.assert_close(drawn, neck.renderer(neck.regressor(image)))
    assert drawn.shape == (2, 1, 32, 32)
    assert bool((drawn >= 0).all()) and bool((drawn <= 1).all())
    drawn.sum().backward()
    assert image.grad is not None and bool(image.grad.any())
    features = (torch.rand(2, 7, 5, 5), image)
    torch.testing.assert_close(neck(features)[0], drawn)


def test_as_the_neck_of_an_mmpose_config() -> None:
    torch.manual_seed(0)
    model = MODELS.build(dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor'),
        backbone=dict(type='SkeletonTranslator', width=4, out_channels=3),
        neck=dict(type='SkeletonBottleneck', skeleton='lsp_14',
                  in_channels=3, size=(32, 32), width=4,
                  renderer=dict(channels='side')),
        head=dict(type='HeatmapHead', in_channels=3, out_channels=14,
                  deconv_out_channels=None,
                  loss=dict(type='KeypointMSELoss'))))
    maps = model(torch.randn(2, 3, 32, 32), None, mode='tensor')
    assert maps.shape == (2, 14, 32, 32)
    maps.sum().backward()
    assert all(p.grad is not None for p in model.backbone.parameters())


def test_another_regressor() -> None:
    neck = SkeletonBottleneck('lsp_14', size=16, regressor=dict(
        type='SkeletonRegressor', skeleton='lsp_14', in_channels=5, width=2))
    assert neck(torch.rand(1, 5, 16, 16)).shape == (1, 1, 16, 16)
