"""SyntheticPoseDataset through mmpose's own pipeline."""
from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from mmpose.registry import DATASETS, TRANSFORMS
from torch.utils.data import DataLoader

import mirrorpose  # noqa: F401  (registers everything)
from mirrorpose.datasets.synthetic import (
    SPLIT_START,
    SyntheticPoseDataset,
    SyntheticWorld,
)
from mirrorpose.structures import Skeleton

SIZE, INPUT = 64, 96
CODEC = dict(type='MSRAHeatmap', input_size=(INPUT, INPUT),
             heatmap_size=(INPUT // 4, INPUT // 4), sigma=2)
KEYS = ('id', 'img_id', 'is_labeled', 'ori_shape', 'img_shape', 'input_size',
        'input_center', 'input_scale', 'flip', 'flip_indices')
PIPELINE = [
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='RandomFlip', prob=.5),
    dict(type='RandomBBoxTransform'),
    dict(type='TopdownAffine', input_size=(INPUT, INPUT)),
    dict(type='GenerateTarget', encoder=CODEC),
    dict(type='PackPoseInputs', meta_keys=KEYS),
]


def build(**kwargs) -> SyntheticPoseDataset:
    """A small data set from the registry."""
    return DATASETS.build(dict(
        dict(type='SyntheticPoseDataset', num_samples=20, image_size=SIZE,
             _scope_='mmpose'), **kwargs))


class TestSamples:

    def test_data_info_follows_the_contract(self):
        data, world = build(start=5), SyntheticWorld(image_size=SIZE)
        for i in range(6):
            info, sample = data.get_data_info(i), world.sample(5 + i)
            assert info['id'] == info['img_id'] == 5 + i
            assert info['is_labeled'] is True and info['img_path'] == ''
            np.testing.assert_array_equal(info['img'], sample['image'])
            assert info['img_shape'] == info['ori_shape'] == (SIZE, SIZE)
            assert info['keypoints'].shape == (1, 16, 2)
            assert info['keypoints'].dtype == np.float32
            assert info['bbox'].shape == (1, 4)
            present = sample['visible_16'] > 0
            np.testing.assert_array_equal(info['keypoints_visible'][0],
                                          present)
            np.testing.assert_allclose(info['keypoints'][0][present],
                                       sample['joints_16'][present],
                                       rtol=1e-6)
            assert (info['keypoints'][0][~present] == 0).all()
            np.testing.assert_array_equal(info['keypoints_occluded'][0],
                                          sample['visible_16'] == 1)
            assert info['dataset_name'] == 'mpii_16'
            assert info['flip_indices'] == Skeleton.from_name(
                'mpii_16').flip_indices

    @pytest.mark.parametrize('joints, count', [
        ('mpii_16', 16), ('h36m_17', 17), ('mpi_inf_3dhp_28', 28)])
    def test_joint_sets(self, joints, count):
        data = build(joints=joints, num_samples=2)
        assert data.metainfo['num_keypoints'] == count
        assert data[0]['keypoints'].shape == (1, count, 2)

    def test_silhouette(self):
        data = build(with_silhouette=True)
        info = data.get_data_info(0)
        want = SyntheticWorld(image_size=SIZE).sample(0)['silhouette']
        np.testing.assert_array_equal(info['silhouette_img'], want)
        assert info['img'].shape == (SIZE, SIZE, 3)
        assert 'silhouette_img' not in build().get_data_info(0)

    def test_what_a_pipeline_does_stays_out_of_the_cache(self):
        data = build(with_silhouette=True)
        first = data.get_data_info(1)
        for key in ('img', 'keypoints', 'bbox', 'silhouette_img',
                    'keypoints_visible'):
            first[key][:] = 7
        again = data.get_data_info(1)
        fresh = build(with_silhouette=True, cache=False).get_data_info(1)
        for key in ('img', 'keypoints', 'bbox', 'silhouette_img',
                    'keypoints_visible', 'keypoints_occluded'):
            np.testing.assert_array_equal(again[key], fresh[key])


class TestSplits:

    def test_splits_share_nobody(self):
        ids = [{build(split=s, num_samples=50).get_data_info(i)['id']
                for i in (0, 49)} for s in SPLIT_START]
        assert len(set.union(*ids)) == 6
        first, second = build(num_samples=20), build(start=20)
        assert first.get_data_info(19)['id'] + 1 == second.get_data_info(
            0)['id']

    def test_fractions_are_nested(self):
        def ids(**kwargs):
            data = build(num_samples=100, **kwargs)
            return {super(SyntheticPoseDataset, data).get_data_info(i)['id']
                    for i in range(len(data))}

        twenty = ids(label_fraction=.2, part='labelled')
        forty = ids(label_fraction=.4, part='labelled')
        rest = ids(label_fraction=.4, part='unlabelled')
        assert len(twenty) == 20 and len(forty) == 40 and len(rest) == 60
        assert twenty < forty and not forty & rest
        assert ids(label_fraction=.2, part='labelled',
                   split_seed=1) != twenty
        assert len(ids(label_fraction=.2)) == 100

    def test_indices(self):
        assert len(build(indices=3)) == 3
        assert build(indices=[4, 7])[1]['id'] == 7

    @pytest.mark.parametrize('kwargs, match', [
        (dict(split='dev'), 'dev'), (dict(num_samples=0), 'num_samples'),
        (dict(part='some'), 'some'), (dict(joints='lsp_15'), 'lsp_15'),
        (dict(label_fraction=2.), 'fraction'), (dict(start=-1), 'start'),
        (dict(world=dict(truncated=2.)), 'truncated')])
    def test_bad_arguments(self, kwargs, match):
        with pytest.raises(ValueError, match=match):
            build(**kwargs)

    def test_unknown_argument(self):
        with pytest.raises(TypeError, match='num_people'):
            build(num_people=3)


class TestPipeline:

    def test_peaks_are_at_the_joints(self):
        np.random.seed(0)  # noqa: NPY002  (mmpose draws there)
        data = build(pipeline=PIPELINE[:-1])
        pack = TRANSFORMS.build(dict(PIPELINE[-1], _scope_='mmpose'))
        checked = 0
        for i in range(len(data)):
            info = data[i]
            place = info['transformed_keypoints'][0]
            item = pack(info)
            sample = item['data_samples']
            assert item['inputs'].shape == (3, INPUT, INPUT)
            assert sample.is_labeled is True
            maps = sample.gt_fields.heatmaps.numpy()
            weight = sample.gt_instance_labels.keypoint_weights[0].numpy()
            for joint in range(16):
                inside = ((place[joint] > 2)
                          & (place[joint] < INPUT - 6)).all()
                if weight[joint] == 0 or not inside:
                    continue
                y, x = np.unravel_index(maps[joint].argmax(),
                                        maps[joint].shape)
                assert np.abs(np.array([x, y]) * 4 - place[joint]
                              ).max() <= 2.5
                checked += 1
        assert checked > 200

    def test_geometry_of_crop(self):
        """The crop shows at the transformed joint what the image shows at
        the joint: colours agree where the image is smooth."""
        data = build(num_samples=10)
        plain = build(num_samples=10, pipeline=[PIPELINE[0], PIPELINE[3]])
        difference = []
        for i in range(10):
            raw, crop = data[i], plain[i]
            seen = raw['keypoints_visible'][0] > 0
            a = raw['keypoints'][0][seen].round().astype(int).clip(
                0, SIZE - 1)
            b = crop['transformed_keypoints'][0][seen].round().astype(int)
            b = b.clip(0, INPUT - 1)
            difference += list(np.abs(
                raw['img'][a[:, 1], a[:, 0]].astype(float)
                - crop['img'][b[:, 1], b[:, 0]]).mean(-1))
        assert np.median(difference) < 15

    def test_tight_crop_holds_the_person(self):
        data = build(pipeline=[PIPELINE[0], PIPELINE[3]])
        for i in range(len(data)):
            info = data[i]
            seen = info['keypoints_visible'][0] > 0
            place = info['transformed_keypoints'][0][seen]
            assert (place > -1).all() and (place < INPUT).all()
            if seen.all():  # 1.25 times the tight box, as a square
                assert np.ptp(place, 0).max() == pytest.approx(INPUT / 1.25,
                                                               rel=.02)


class TestCache:

    def test_workers_fill_one_cache(self):
        data = build(num_samples=24)
        loader = DataLoader(data, 4, num_workers=2, persistent_workers=True,
                            collate_fn=list)
        first = [info['img'] for batch in loader for info in batch]
        assert data._cache.arrays['filled'].all()
        second = [info['img'] for batch in loader for info in batch]
        for a, b in zip(first, second):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(
            first[3], SyntheticWorld(image_size=SIZE).sample(3)['image'])

    def test_copies_and_pickles(self):
        data = build(num_samples=4)
        want = data[2]['img']
        for other in (copy.deepcopy(data), pickle.loads(pickle.dumps(data))):
            np.testing.assert_array_equal(other[2]['img'], want)
        assert data.get_subset([2])[0]['id'] == 2
