"""The fast pipeline against mmpose's own, for the same draws."""
from __future__ import annotations

import cv2
import numpy as np
import pytest

LOAD = [dict(type='LoadImage')]
CHECKED = [dict(type='LoadCheckedImage')]
ROWS = list(range(12)) * 2
KEYS = np.arange(24, dtype=np.uint64) + 100


def differences(result, kind):
    """Levels of 255, of the samples whose mirror state is ``kind``."""
    assert kind.any()
    return np.abs(result.inputs[kind] - result.stock_inputs[kind])


def same_values(a, b, near=0.):
    assert type(a) is type(b), (a, b)
    if isinstance(a, np.ndarray):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, atol=near, rtol=0)
    else:
        assert a == b


def check_samples(result):
    """Every key of every data sample, and targets joint by joint."""
    assert isinstance(result.samples, list)
    assert len(result.samples) == len(result.stock_samples)
    for ours, theirs in zip(result.samples, result.stock_samples):
        assert set(ours.metainfo_keys()) == set(theirs.metainfo_keys())
        for key in theirs.metainfo_keys():
            same_values(ours.get(key), theirs.get(key))
        assert set(ours.gt_instances.keys()) == set(theirs.gt_instances.keys())
        for key, value in theirs.gt_instances.items():
            # cv2.transform computes in float32.
            same_values(ours.gt_instances[key], value,
                        1e-4 if key == 'transformed_keypoints' else 0.)
        if 'gt_fields' not in theirs:
            assert 'gt_fields' not in ours
            continue
        np.testing.assert_array_equal(
            ours.gt_instance_labels.keypoint_weights,
            theirs.gt_instance_labels.keypoint_weights)
        assert set(ours.gt_fields.keys()) == set(theirs.gt_fields.keys())
        for key, value in theirs.gt_fields.items():
            np.testing.assert_allclose(getattr(ours.gt_fields, key), value,
                                       atol=2e-6)


def check_keypoints(result, near=1e-3):
    """Joint by joint, in input pixels."""
    ours = result.batch.columns().keypoints.numpy()
    for row, sample in zip(ours, result.stock_samples):
        truth = sample.gt_instances.transformed_keypoints[0]
        np.testing.assert_allclose(row, truth, atol=near)


@pytest.fixture
def source(tmp_path, crops):
    def make(**kwargs):
        return crops.frames(tmp_path / 'source', **kwargs)
    return make


def with_points(steps):
    """Keeps the keypoints in input space, for the comparison."""
    return [*steps[:-1], dict(steps[-1], pack_transformed=True)]


@pytest.mark.parametrize('size,udp', [((64, 64), False), ((48, 64), False),
                                      ((64, 48), True), ((64, 64), True)])
def test_bit_for_bit_where_pixels_are_kept(tmp_path, source, crops, size, udp):
    w, h = size
    codec = dict(type='UDPHeatmap' if udp else 'MSRAHeatmap', input_size=size,
                 heatmap_size=(w // 4, h // 4), sigma=2.)
    steps = with_points(crops.pipeline(codec=codec, udp=udp))
    result = crops.compare(dict(source(), pipeline=LOAD + steps), ROWS, KEYS,
                           cache_dir=str(tmp_path / 'c'), warp='loader')
    assert (result.fast.prepare().scale == 1).all()
    for kind in (result.draws.flip, ~result.draws.flip):
        # Rounding of positions to 1/32 pixel may fall otherwise at ties.
        assert (differences(result, kind) > 1e-3).mean() < 1e-4
    check_samples(result)
    check_keypoints(result)


def test_shift_and_wide_scales(tmp_path, source, crops):
    box = dict(shift_prob=.7, shift_factor=.2, scale_prob=.7,
               scale_factor=(.5, 1.5), rotate_factor=180., rotate_prob=1.)
    steps = with_points(crops.pipeline(box=box))
    result = crops.compare(dict(source(box=60), pipeline=LOAD + steps), ROWS,
                           KEYS, cache_dir=str(tmp_path / 'c'), warp='loader')
    assert (result.fast.prepare().scale == 1).all()
    assert (differences(result, KEYS > 0) > 1e-3).mean() < 1e-4
    check_samples(result)
    check_keypoints(result)


def test_device_warp(tmp_path, source, crops):
    result = crops.compare(
        dict(source(), pipeline=CHECKED + crops.pipeline()), ROWS, KEYS,
        cache_dir=str(tmp_path / 'c'), warp='device')
    assert not result.batch.warped
    for kind in (result.draws.flip, ~result.draws.flip):
        # mmpose's integers are off by 1/4 on average, and its positions
        # by 1/64 pixel at most.
        found = differences(result, kind)
        assert found.mean() < .3
        assert np.quantile(found, .999) < 1.5 and found.max() < 5
    check_samples(result)


@pytest.mark.parametrize('warp', ['loader', 'device'])
def test_reduced_crops(tmp_path, source, crops, warp):
    steps = with_points(crops.pipeline())
    result = crops.compare(
        dict(source(smooth=4.), pipeline=LOAD + steps), ROWS, KEYS,
        cache_dir=str(tmp_path / 'c'), warp=warp, size=100)
    reader = result.fast.prepare()
    assert (reader.scale > 1.2).any(1).sum() > 6
    assert reader.caches[0].size.max() <= 100
    found = differences(result, KEYS > 0)
    assert found.mean() < 1.5 and np.quantile(found, .99) < 8
    # A shift by a cache pixel would be far beyond these bounds.
    moved = np.abs(np.roll(result.inputs, 1, 3) - result.stock_inputs)
    assert moved[..., 4:].mean() > 2 * found.mean()
    check_samples(result)  # boxes, joints and targets are exact all the same
    check_keypoints(result)


def test_reduction_moves_nothing(tmp_path, source, crops):
    """A ramp stays the same ramp: areas are where they should be."""
    config = source(people=4)
    x, y = np.meshgrid(np.linspace(0, 255, 260), np.linspace(0, 255, 200))
    ramp = np.dstack([x, y, x]).round().astype(np.uint8)
    for i in range(4):
        cv2.imwrite(f'{config["data_root"]}/images/{i}.png', ramp)
    result = crops.compare(
        dict(config, pipeline=LOAD + crops.pipeline()), range(4), KEYS[:4],
        cache_dir=str(tmp_path / 'c'), size=90, warp='device')
    assert (result.fast.prepare().scale > 1.5).any(1).sum() > 1
    found = np.abs(result.inputs - result.stock_inputs)
    # One level is one pixel: a shift by half a cache pixel would show.
    assert np.median(found) < .4


def test_colour_jitter(tmp_path, source, crops):
    steps = crops.pipeline(after=(dict(type='YOLOXHSVRandomAug'), ))
    config = dict(source(), pipeline=LOAD + steps)
    result = crops.compare(config, ROWS, KEYS, cache_dir=str(tmp_path / 'c'),
                           warp='loader')
    assert len(set(result.draws.colour[:, 1].tolist())) > 5
    assert (differences(result, KEYS > 0) > 1e-3).mean() < 1e-4
    result = crops.compare(config, ROWS, KEYS, cache_dir=str(tmp_path / 'c'),
                           warp='device')
    found = differences(result, KEYS > 0)
    assert found.mean() < .6 and np.quantile(found, .999) < 6


def test_half_bodies(tmp_path, source, crops):
    half = dict(type='RandomHalfBody', min_total_keypoints=9,
                min_upper_keypoints=2, min_lower_keypoints=3, padding=1.5,
                prob=.6, upper_prioritized_prob=.6)
    steps = with_points(crops.pipeline(extra=(half, )))
    result = crops.compare(dict(source(absent=.4), pipeline=LOAD + steps),
                           ROWS, KEYS, cache_dir=str(tmp_path / 'c'),
                           warp='loader')
    plain = crops.compare(
        dict(result.fast.config, pipeline=LOAD + with_points(
            crops.pipeline())), ROWS, KEYS, cache_dir=str(tmp_path / 'c'))
    moved = [a.input_center != b.input_center for a, b in
             zip(result.samples, plain.samples)]
    assert 3 < np.any(moved, axis=1).sum() < 22
    assert (differences(result, KEYS > 0) > 1e-3).mean() < 1e-3
    check_keypoints(result)
    for ours, theirs in zip(result.samples, result.stock_samples):
        np.testing.assert_allclose(ours.input_center, theirs.input_center,
                                   atol=1e-4)
        np.testing.assert_allclose(ours.input_scale, theirs.input_scale,
                                   atol=1e-4)


def test_validation_without_targets(tmp_path, source, crops):
    steps = crops.pipeline(augment=False, target=False)
    config = dict(source(), pipeline=LOAD + steps, test_mode=True)
    result = crops.compare(config, range(12), np.zeros(12),
                           cache_dir=str(tmp_path / 'c'), warp='loader')
    assert (differences(result, KEYS[:12] > 0) > 1e-3).mean() < 1e-4
    assert 'flip' not in result.samples[0].metainfo
    check_samples(result)
    # Nothing is drawn, so no keys are needed.
    again = result.fast.get_batch(range(12))['inputs']
    assert (again.images == result.batch.images).all()


def test_silhouettes(tmp_path, crops):
    rng = np.random.default_rng(0)
    for folder in ('images', 'masks'):
        (tmp_path / folder).mkdir()
    for i in range(6):
        picture = rng.integers(0, 255, (90, 80, 3), dtype=np.uint8)
        mask = np.zeros((90, 80), np.uint8)
        cv2.ellipse(mask, (40, 45), (14 + i, 30), 10 * i, 0, 360, 255, -1)
        cv2.imwrite(str(tmp_path / f'images/{i}.png'), picture)
        cv2.imwrite(str(tmp_path / f'masks/{i}.png'), mask)
    steps = crops.pipeline()
    steps.insert(-1, dict(type='SplitSilhouette', heatmap_size=(16, 16)))
    config = dict(type='SilhouetteDataset', data_root=str(tmp_path),
                  pipeline=LOAD + [dict(type='LoadSilhouette')] + steps)
    for warp in ('loader', 'device'):
        result = crops.compare(config, range(6), KEYS[:6], warp=warp,
                               cache_dir=str(tmp_path / 'c'))
        assert result.fast.prepare().caches[0].channels == 4
        for ours, theirs in zip(result.samples, result.stock_samples):
            np.testing.assert_allclose(
                ours.gt_fields.silhouette, theirs.gt_fields.silhouette,
                atol=1e-6 if warp == 'loader' else 2e-2)
            assert not ours.is_labeled
    assert result.samples.silhouette.shape == (6, 1, 16, 16)


def test_poses_alone(tmp_path, source, crops):
    blank = [dict(type='LoadBlankImage')]
    result = crops.compare(
        dict(source(), pipeline=blank + with_points(crops.pipeline())), ROWS,
        KEYS, cache_dir=str(tmp_path / 'c'))
    assert result.batch.images is None
    assert not (tmp_path / 'c').exists()
    np.testing.assert_allclose(result.inputs, result.stock_inputs, atol=1e-4)
    check_samples(result)
    check_keypoints(result)


def test_embedded_images(tmp_path, crops):
    world = dict(type='SyntheticPoseDataset', num_samples=10, image_size=64)
    config = dict(
        type='CombinedPoseDataset', pipeline=crops.pipeline(32),
        datasets=[dict(world, label_fraction=.5, part='labelled'),
                  dict(world, label_fraction=.5, part='unlabelled',
                       pipeline=[dict(type='DropLabels')])])
    result = crops.compare(config, range(10), KEYS[:10], warp='loader',
                           cache_dir=str(tmp_path / 'c'))
    assert (differences(result, KEYS[:10] > 0) > 1e-3).mean() < 1e-4
    check_samples(result)
    assert result.samples.labelled.tolist() == [True] * 5 + [False] * 5
    assert not result.samples.keypoint_weights[5:].any()
    assert not result.samples.heatmaps[5:].any()


def test_real_images(data_root, tmp_path, crops):
    config = dict(type='LspDataset', data_root=str(data_root), indices=80,
                  pipeline=LOAD + with_points(crops.pipeline(96)))
    rows = np.random.default_rng(0).permutation(80)[:40].tolist()
    keys = np.arange(40, dtype=np.uint64)
    result = crops.compare(config, rows, keys, warp='loader',
                           cache_dir=str(tmp_path / 'c'))
    assert (result.fast.prepare().scale == 1).all()
    assert (differences(result, keys < 99) > 1e-3).mean() < 1e-4
    check_samples(result)
    check_keypoints(result)
    reduced = crops.compare(config, rows, keys, warp='loader', size=128,
                            cache_dir=str(tmp_path / 'c'))
    found = differences(reduced, keys < 99)
    assert found.mean() < 2.5 and np.quantile(found, .99) < 20
    check_samples(reduced)
