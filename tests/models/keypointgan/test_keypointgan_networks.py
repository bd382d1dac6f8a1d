"""KeypointGAN's networks: their sizes, shapes, and the soft-argmax."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor, nn

from mirrorpose.models.keypointgan import (
    ConditionalDecoder,
    MultiScaleDiscriminator,
    SkeletonRegressor,
    SkeletonTranslator,
)
from mirrorpose.models.keypointgan.networks import Encoder
from mirrorpose.structures import Skeleton


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_parameters_of_the_paper() -> None:
    assert count(SkeletonRegressor('human36m_32')) == 1_181_184
    assert count(SkeletonTranslator()) == 3_124_801
    assert count(ConditionalDecoder()) == 4_825_635
    assert count(MultiScaleDiscriminator()) == 8_288_067


@pytest.mark.parametrize('size', [48, 64])
def test_shapes(size: int) -> None:
    image = torch.randn(2, 3, size, size)
    skeleton, = SkeletonTranslator(width=4, out_channels=3)(image)
    assert skeleton.shape == (2, 3, size, size)
    keypoints = SkeletonRegressor('lsp_14', 3, 4)((image, skeleton))
    assert keypoints.shape == (2, 14, 2)
    for kwargs in (dict(), dict(pooled=True), dict(conditional=False)):
        psi = ConditionalDecoder(3, width=4, **kwargs)
        assert psi(skeleton, image).shape == image.shape
    scores = MultiScaleDiscriminator(3, 4, scales=2)(skeleton)
    assert [s.shape[-1] for s in scores] == [size // 8 - 2, size // 16 - 2]


def test_initial_weights() -> None:
    torch.manual_seed(0)
    phi = SkeletonTranslator()
    weights = torch.cat([m.weight.flatten() for m in phi.modules()
                         if isinstance(m, nn.Conv2d)])
    assert abs(weights.std().item() - .02) < 2e-4
    norms = torch.cat([m.weight for m in phi.modules()
                       if isinstance(m, nn.BatchNorm2d)])
    assert abs(norms.mean().item() - 1) < 5e-3
    assert abs(norms.std().item() - .02) < 2e-3
    assert phi.decoder.last.bias.item() == 0


def test_pooled_appearance_holds_no_place() -> None:
    torch.manual_seed(0)
    psi = ConditionalDecoder(width=4, pooled=True).eval()
    skeleton = torch.rand(1, 1, 32, 32)
    # A frame whose features do not change when it is shifted: periodic.
    frame = torch.randn(1, 3, 8, 8).repeat(1, 1, 4, 4)
    feature = psi.appearance(frame)[0].mean((2, 3))
    same = psi.decoder(torch.cat([
        psi.pose(2 * skeleton - 1)[0],
        feature[..., None, None].expand(-1, -1, 4, 4)], 1))
    torch.testing.assert_close(psi(skeleton, frame), same)


def marginal_soft_argmax(heatmap: Tensor) -> tuple[float, float]:
    """One map (h, w), by the words of the paper's code."""
    h, w = heatmap.shape
    columns = [sum(heatmap[r, c] for r in range(h)) / h for c in range(w)]
    rows = [sum(heatmap[r, c] for c in range(w)) / w for r in range(h)]
    out = []
    for values in (columns, rows):
        e = [v.exp() for v in values]
        n = len(values)
        out.append(float(sum(
            x * (-1 + 2 * i / (n - 1)) for i, x in enumerate(e)) / sum(e)))
    return out[0], out[1]


def test_regressor_is_the_marginal_soft_argmax() -> None:
    torch.manual_seed(1)
    head = SkeletonRegressor('lsp_14', width=4)
    image = torch.rand(2, 1, 48, 64)
    maps = head.network(2 * image - 1)[0].detach()
    assert maps.shape == (2, 14, 6, 8)
    got = head(image)
    for n in range(2):
        for k in range(14):
            torch.testing.assert_close(
                tuple(got[n, k].tolist()), marginal_soft_argmax(maps[n, k]),
                atol=1e-5, rtol=1e-4)


def test_regressor_keeps_out_of_autocast() -> None:
    head = SkeletonRegressor('lsp_14', width=4)
    image = torch.rand(2, 1, 32, 32)
    with torch.autocast('cpu', torch.bfloat16):
        inside = head(image)
    torch.testing.assert_close(inside, head(image), rtol=0, atol=0)


def test_head_of_anybodys_estimator() -> None:
    torch.manual_seed(2)
    model = MODELS.build(dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor'),
        backbone=dict(type='SkeletonTranslator', width=4),
        head=dict(type='SkeletonRegressor', skeleton='lsp_14', width=4),
        test_cfg=dict(flip_test=True))).eval()
    image = torch.randn(1, 3, 32, 32)
    sample = PoseDataSample(metainfo=dict(
        input_size=(32, 32), input_center=np.array([16., 16.]),
        input_scale=np.array([32., 32.])))
    sample.gt_instances = InstanceData(bboxes=torch.zeros(1, 4),
                                       bbox_scores=torch.ones(1))
    sample.gt_instance_labels = InstanceData(
        keypoint_labels=torch.full((1, 14, 2), .25),
        keypoint_weights=torch.ones(1, 14))
    found = model.predict(image, [sample])[0].pred_instances
    one = model.head(model.backbone(image))
    two = model.head(model.backbone(image.flip(-1)))
    two = two[:, Skeleton.from_name('lsp_14').flip_indices]
    two[..., 0] *= -1
    want = ((one + two) / 2 + 1) / 2 * 31
    torch.testing.assert_close(torch.from_numpy(found.keypoints), want)
    assert ((found.keypoint_scores > 0) & (found.keypoint_scores <= 1)).all()
    loss = model.loss(image, [sample])['loss_keypoints']
    # A quarter of 32 pixels is pixel 8, of linspace(-1, 1, 32).
    want = (one - (-1 + 8 * 2 / 31)).square().mean()
    torch.testing.assert_close(loss, want)


def test_refuses() -> None:
    with pytest.raises(ValueError, match='multiples of 8'):
        SkeletonTranslator(width=4)(torch.zeros(1, 3, 30, 32))
    with pytest.raises(ValueError, match='appearance frame'):
        ConditionalDecoder(width=4)(torch.zeros(1, 1, 32, 32))
    with pytest.raises(ValueError, match='scales=2'):
        MultiScaleDiscriminator(width=4)(torch.zeros(1, 1, 64, 64))
    with pytest.raises(ValueError, match='set in_channels'):
        SkeletonRegressor('lsp_14', width=4)(torch.zeros(1, 3, 32, 32))
    with pytest.raises(ValueError, match='no decoder'):
        SkeletonRegressor('lsp_14', decoder=dict(type='MSRAHeatmap'))
    with pytest.raises(ValueError, match='norm'):
        Encoder(3, 4, norm='gn')
    with pytest.raises(ValueError, match='scales'):
        MultiScaleDiscriminator(scales=0)
