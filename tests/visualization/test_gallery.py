"""Annotated poses as the gallery draws them."""
from __future__ import annotations

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmpose.registry import DATASETS, KEYPOINT_CODECS

from mirrorpose.visualization import gallery

CODEC = dict(type='MSRAHeatmap', input_size=(64, 48), heatmap_size=(16, 12),
             sigma=1.)
LOAD = [dict(type='GetBBoxCenterScale', padding=1.25),
        dict(type='TopdownAffine', input_size=CODEC['input_size'])]
PACK = [dict(type='PackPoseInputs')]


def samples(*extra):
    with DefaultScope.overwrite_default_scope('mmpose'):
        dataset = DATASETS.build(dict(
            type='SyntheticPoseDataset', num_samples=6, image_size=96,
            split='test', test_mode=True, pipeline=[*LOAD, *extra, *PACK]))
    return pseudo_collate([dataset[i] for i in range(6)])['data_samples']


def test_maps_are_those_of_the_training_pipeline():
    networks = gallery.Networks(codec=KEYPOINT_CODECS.build(CODEC))
    maps = gallery.annotated_maps(networks, samples())
    truth = samples(dict(type='GenerateTarget', encoder=CODEC))
    expected = torch.stack([s.gt_fields.heatmaps for s in truth])
    assert maps.shape == expected.shape == (6, 16, 12, 16)
    assert expected.flatten(1).amax(1).gt(.9).all()
    torch.testing.assert_close(maps, expected)


def test_points_are_in_the_pixels_of_the_input():
    for sample in samples():
        points, present = gallery.input_points(sample)
        box = sample.gt_instances.bboxes[0].reshape(2, 2)
        center, scale = sample.input_center, sample.input_scale
        # Written out from the definition of the crop, corner by corner.
        corner = np.asarray(center) - np.asarray(scale) / 2
        unit = np.asarray(scale) / np.asarray(sample.input_size)
        truth = sample.gt_instances.keypoints[0]
        np.testing.assert_allclose(points * unit + corner, truth, atol=1e-3)
        assert present.dtype == bool and present.any()
        inside = (points[present] > -1).all() and (
            points[present] < np.array([65, 49])).all()
        assert inside and (box[1] > box[0]).all()


def test_absent_joint_is_an_empty_map():
    networks = gallery.Networks(codec=KEYPOINT_CODECS.build(CODEC))
    sample = samples()[0]
    sample.gt_instances.keypoints_visible[0, 3] = 0
    sample.gt_instances.keypoints[0, 3] = np.nan
    maps = gallery.annotated_maps(networks, [sample])[0]
    assert not maps[3].any() and maps.isfinite().all()


def test_faint_peaks_of_generated_maps_are_no_joints():

    class Prior:
        """Gives every joint but the first a peak of 0.9."""

        skeleton = gallery.Skeleton.from_name('mpii_16')
        map_size = (8, 8)

        def recognizer(self, maps):
            return maps.new_zeros(1, 4, 1, 1), None

        def generate(self, number, shape, generator):
            maps = torch.full((number, 16, 8, 8), .01)
            maps[:, 1:, 4, 5] = .9
            return maps

    rows = gallery.sampled_poses(Prior(), number=2)
    assert [len(r.tiles) for r in rows] == [2, 2]
    picture = rows[0].tiles[0].image
    y, x = np.nonzero((picture != picture[0, 0]).any(-1))
    unit = len(picture) / 8
    assert abs(x.mean() / unit - 5.5) < .2 and abs(y.mean() / unit - 4.5) < .2
    assert np.ptp(x) < unit and np.ptp(y) < unit
