"""What the preprocessor hands to models."""
from __future__ import annotations

import copy

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS, MODELS
from mmpose.structures import PoseDataSample

import mirrorpose.datasets.crops
import mirrorpose.models.data_preprocessors  # noqa: F401
from mirrorpose.datasets.crops.batch import BatchSpec, CropBatch, CropSamples
from mirrorpose.models.data_preprocessors.warping import jitter_colour, warp

CODEC = dict(type='MSRAHeatmap', input_size=(32, 32), heatmap_size=(8, 8),
             sigma=1.)
RGB = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])


@pytest.fixture(autouse=True, scope='module')
def scope():
    if DefaultScope.get_current_instance() is None:
        init_default_scope('mmpose')


def make_batch(n=4, warped=True, encoder=None, seed=0, **kwargs):
    """A batch of random pixels and numbers."""
    rng = np.random.default_rng(seed)
    k = 5
    numbers = np.concatenate([
        rng.uniform(0, 32, (n, 2 * k)), rng.random((n, k)) > .3,
        np.ones((n, 1)), np.tile([1, 0, 0, 0, 1, 0], (n, 1)),
        np.zeros((n, 3))], 1).astype(np.float32)
    spec = BatchSpec((32, 32), k, encoder, kwargs.pop('joint_weights', None),
                     kwargs.pop('silhouette_size', None), ('id', ),
                     dict(bbox='bboxes'), kwargs.pop('colour', False))
    images = torch.from_numpy(rng.integers(
        0, 256, (n, 32, 32, kwargs.pop('channels', 3)), dtype=np.uint8))
    return CropBatch(spec, images, warped, torch.from_numpy(numbers),
                     dict(id=[f's{i}' for i in range(n)],
                          bbox=np.zeros((n, 1, 4), np.float32)))


@pytest.mark.parametrize('settings', [
    dict(RGB, bgr_to_rgb=True), dict(RGB), dict(RGB, rgb_to_bgr=True),
    dict(mean=[5.], std=[2.]), dict()])
@pytest.mark.parametrize('warped', [True, False])
def test_normalises_as_mmpose(settings, warped):
    batch = make_batch(warped=warped)
    ours = MODELS.build(dict(type='CropPreprocessor', **settings))(
        dict(inputs=batch))['inputs']
    theirs = MODELS.build(dict(type='PoseDataPreprocessor', **settings))(
        dict(inputs=list(batch.images.permute(0, 3, 1, 2)),
             data_samples=[PoseDataSample() for _ in range(4)]))['inputs']
    assert ours.is_contiguous() and ours.dtype == torch.float32
    if warped:
        assert torch.equal(ours, theirs)
    else:  # the identity, by interpolation
        torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=0)


def test_black_inputs_without_images():
    batch = make_batch()
    batch.images = None
    ours = MODELS.build(dict(type='CropPreprocessor', bgr_to_rgb=True, **RGB)
                        )(dict(inputs=batch))['inputs']
    want = -torch.tensor(RGB['mean']) / torch.tensor(RGB['std'])
    assert ours.shape == (4, 3, 32, 32)
    torch.testing.assert_close(ours[2, :, 7, 9], want)


def test_earlier_batches_do_not_change():
    """Memory is used again, but never under somebody's feet."""
    model = MODELS.build(dict(type='CropPreprocessor', **RGB))
    held, want = [], []
    for seed in range(5):
        out = model(dict(inputs=make_batch(seed=seed, encoder=CODEC)))
        held.append((out['inputs'], out['data_samples']))
        want.append((out['inputs'].clone(),
                     out['data_samples'].heatmaps.clone()))
    for (x, s), (y, m) in zip(held, want):
        assert torch.equal(x, y) and torch.equal(s.heatmaps, m)
    assert copy.deepcopy(model)(dict(inputs=make_batch()))
    assert torch.equal(held[0][0], want[0][0])


def test_joint_weights_of_the_data_set():
    weights = (1., 2., 0., .5, 1.)
    plain, weighted = (MODELS.build(dict(type='CropPreprocessor'))(dict(
        inputs=make_batch(encoder=CODEC, joint_weights=w)))['data_samples']
        for w in (None, weights))
    torch.testing.assert_close(
        weighted.keypoint_weights,
        plain.keypoint_weights * torch.tensor(weights))


def test_padding_is_refused():
    model = MODELS.build(dict(type='CropPreprocessor', pad_size_divisor=24))
    with pytest.raises(ValueError, match=r'\(32, 32\).*24'):
        model(dict(inputs=make_batch()))


def test_batch_augments_run_in_training_only():
    calls = []

    @MODELS.register_module(force=True)
    class _Probe(torch.nn.Module):
        def forward(self, inputs, samples):
            calls.append(len(samples))
            return inputs + 1, samples
    model = MODELS.build(dict(type='CropPreprocessor',
                              batch_augments=[dict(type='_Probe')]))
    still = model(dict(inputs=make_batch()), False)['inputs']
    moved = model(dict(inputs=make_batch()), True)['inputs']
    assert calls == [4]
    torch.testing.assert_close(moved, still + 1)


def test_samples_are_a_list_to_whoever_wants_one():
    def fresh():
        return MODELS.build(dict(type='CropPreprocessor'))(
            dict(inputs=make_batch(encoder=CODEC)))['data_samples']
    names = ['s0', 's1', 's2', 's3']
    assert isinstance(fresh(), list) and isinstance(fresh(), CropSamples)
    for how in (list, lambda s: [*s],
                lambda s: [x for x, _ in zip(s, range(9))],
                lambda s: s[:], lambda s: [s[i] for i in range(-4, 0)],
                lambda s: s + [], lambda s: [] + s, copy.copy, copy.deepcopy,
                lambda s: s.copy(), lambda s: list(reversed(s))[::-1],
                lambda s: [x for _, x in enumerate(s)], lambda s: s[0:2] +
                s[2:]):
        samples = how(fresh())
        assert [s.id for s in samples] == names
        assert all(isinstance(s, PoseDataSample) for s in samples)
    samples = fresh()
    with pytest.raises(IndexError):
        samples[4]
    # What a model writes into a sample stays there.
    samples[1].pred_instances = InstanceData(keypoints=np.ones((1, 5, 2)))
    assert 'pred_instances' in samples[1] and samples[1] is samples[-3]
    assert samples[0].gt_fields.heatmaps.data_ptr() == \
        samples.heatmaps.data_ptr()
    assert samples[2].batch_input_shape == samples[2].pad_shape == (32, 32)


def test_trains_a_stock_model(tmp_path):
    """mmpose's estimator and head, from fast batches."""
    model = MODELS.build(dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='CropPreprocessor', bgr_to_rgb=True,
                               **RGB),
        backbone=dict(type='ResNet', depth=18, base_channels=8,
                      stem_channels=8),
        head=dict(type='HeatmapHead', in_channels=64, out_channels=16,
                  deconv_out_channels=(8, 8, 8),
                  deconv_kernel_sizes=(4, 4, 4), decoder=CODEC,
                  loss=dict(type='KeypointMSELoss', use_target_weight=True)),
        test_cfg=dict(flip_test=True, shift_heatmap=False)))
    data = DATASETS.build(dict(
        type='CachedCropDataset', cache_dir=str(tmp_path), dataset=dict(
            type='SyntheticPoseDataset', num_samples=4, image_size=32,
            pipeline=[
                dict(type='GetBBoxCenterScale'), dict(type='RandomFlip'),
                dict(type='RandomBBoxTransform'),
                dict(type='TopdownAffine', input_size=(32, 32)),
                dict(type='GenerateTarget', encoder=CODEC),
                dict(type='PackPoseInputs')])))
    keys = np.arange(4, dtype=np.uint64)
    inputs = model.data_preprocessor(data.get_batch(range(4), keys), True)
    losses = model(**inputs, mode='loss')
    losses['loss_kpt'].backward()
    assert np.isfinite(losses['loss_kpt'].item())
    model.eval()
    out = model.val_step(data.get_batch(range(4), keys))
    for sample in out:
        points = sample.pred_instances.keypoints
        assert points.shape == (1, 16, 2)
        low = sample.input_center - sample.input_scale
        assert (points > low).all()
        assert (points < sample.input_center + sample.input_scale).all()


def test_moves_to_the_device_in_two_tensors():
    batch = make_batch()
    moved = batch.to('meta')
    assert moved.images.device.type == moved.numbers.device.type == 'meta'
    assert moved.records is batch.records
    assert batch.columns().matrices.shape == (4, 2, 3)


# -- warps and colours --------------------------------------------------------
def test_warp_against_interpolation_by_hand():
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (2, 9, 11, 3), dtype=np.uint8)
    matrices = rng.normal(size=(2, 2, 3)).astype(np.float32)
    matrices[:, :, 2] += 4
    out = warp(torch.from_numpy(crops), torch.from_numpy(matrices),
               (6, 5)).numpy()
    assert out.shape == (2, 3, 5, 6)
    padded = np.zeros((2, 60, 60, 3))
    padded[:, 25:34, 25:36] = crops
    for i in range(2):
        for y in range(5):
            for x in range(6):
                u, v = np.clip(matrices[i].astype(float) @ [x, y, 1], -20,
                               30) + 25
                a, b = int(np.floor(u)), int(np.floor(v))
                f, g = u - a, v - b
                want = ((1 - g) * ((1 - f) * padded[i, b, a]
                                   + f * padded[i, b, a + 1])
                        + g * ((1 - f) * padded[i, b + 1, a]
                               + f * padded[i, b + 1, a + 1]))
                np.testing.assert_allclose(out[i, :, y, x], want, atol=.02)


def test_colour_jitter_against_opencv():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 40, 40, 3), dtype=np.uint8)
    images[0, :10] = images[0, :10, :, :1]  # greys
    images[1, :10] = 0
    gains = np.array([[0, 0, 0], [5, 0, 0], [-170, 0, 0], [0, 60, 0],
                      [0, 0, -90], [90, -30, 30]], np.int16)
    ours = jitter_colour(torch.from_numpy(images).permute(0, 3, 1, 2).float(),
                         torch.from_numpy(gains).float())
    for image, gain, found in zip(images, gains, ours):
        hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV).astype(np.int16)
        hsv[..., 0] = (hsv[..., 0] + gain[0]) % 180
        hsv[..., 1:] = np.clip(hsv[..., 1:] + gain[1:], 0, 255)
        truth = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR)
        gap = np.abs(found.permute(1, 2, 0).numpy() - truth)
        # A step of the hue is up to 9 levels; ties may be rounded otherwise.
        assert gap.mean() < .4 and (gap > 3).mean() < .01 and gap.max() < 10
