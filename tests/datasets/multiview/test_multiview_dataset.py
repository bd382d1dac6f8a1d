"""MultiViewDataset: labels, splits, batches, cache."""
from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from mmpose.registry import MODELS

from mirrorpose.datasets.multiview import MultiViewDataset, SyntheticViews
from mirrorpose.datasets.multiview.views import ROOT, SKELETON
from mirrorpose.datasets.synthetic import SyntheticWorld
from mirrorpose.datasets.synthetic.world import Instant

LABELS = ('keypoints_3d_canonical', 'keypoints_3d_camera', 'camera_rotation')


def label(sample, name):
    return sample.gt_instance_labels.get(name)[0]


class TestSamples:

    def test_are_those_of_the_world(self, make_views):
        data, source = make_views(), SyntheticViews(3, 2, 2, 2, 32, 3)
        actions, names, who = source._plan()
        world = SyntheticWorld(0, 32, 3)
        for i in range(0, len(data), 7):
            meta = data.meta(i)
            clip = names.index(meta['sequence'])
            person, take, scene = who[clip]
            seconds = meta['seconds']
            seen = world.render(
                Instant(person, actions[clip], take, seconds, scene,
                        seconds), int(meta['camera'][-1]))
            np.testing.assert_array_equal(data.image(i), seen['image'])
            sample = data[i]
            np.testing.assert_array_equal(
                sample['inputs'].permute(1, 2, 0), seen['image'])
            want = seen['joints_17_camera'] - seen['joints_17_camera'][ROOT]
            np.testing.assert_allclose(
                label(sample['data_samples'], 'keypoints_3d_camera'), want,
                atol=.01)
            visible = seen['visible_17'] > 0
            truth = sample['data_samples'].gt_instances
            np.testing.assert_array_equal(truth.keypoints_visible[0],
                                          visible)
            np.testing.assert_allclose(
                truth.keypoints[0][visible], seen['joints_17'][visible],
                atol=1e-3)
            assert meta['subject'] == f'person_{person:03d}'
            assert meta['action'] == actions[clip]

    def test_canonical_pose_is_one_for_all_views(self, make_views):
        data = make_views()
        labels = data.labels(np.arange(len(data)))
        pose = labels['keypoints_3d_canonical'].numpy()
        for group in range(data.group.max() + 1):
            mine = pose[data.group == group]
            np.testing.assert_allclose(mine, mine[:1].repeat(len(mine), 0),
                                       atol=.02)
        hips = pose[:, SKELETON.index('left_hip')[0]] - pose[
            :, SKELETON.index('right_hip')[0]]
        np.testing.assert_allclose(hips[:, 2], 0, atol=.02)
        assert (hips[:, 0] > 0).all()
        # y is down: the world's heights, upside down.
        np.testing.assert_allclose(
            pose[..., 1], (data.poses[:, ROOT, None]
                           - data.poses)[data.group][..., 2], atol=.02)
        turned = np.einsum('nij,nkj->nki', labels['camera_rotation'], pose)
        np.testing.assert_allclose(turned, labels['keypoints_3d_camera'],
                                   atol=.02)

    def test_calibration_projects_world_joints(self, make_views):
        data = make_views(augmentation=dict(flip=0.))
        batch = data.get_batch(list(range(20)), np.arange(20, dtype='u8'))
        for i, sample in enumerate(batch['data_samples']):
            K = label(sample, 'intrinsics').numpy()
            E = label(sample, 'extrinsics').numpy()
            pose = data.poses[data.group[i]]
            p = (pose @ E[:, :3].T + E[:, 3]) @ K.T
            seen = sample.gt_instances.keypoints_visible[0] > 0
            np.testing.assert_allclose(
                (p[:, :2] / p[:, 2:])[seen],
                sample.gt_instances.keypoints[0][seen], atol=.02)

    def test_metainfo_of_the_contract(self, make_views):
        sample = make_views()[5]['data_samples']
        for key, kind in dict(
                subject=str, subject_index=int, sequence=str, action=str,
                frame=int, seconds=float, camera=str, view_group=int,
                img_path=str, id=str).items():
            assert isinstance(sample.metainfo[key], kind), key

    def test_goes_through_the_preprocessor_of_mmpose(self, make_views):
        data = make_views()
        model = MODELS.build(dict(
            type='PoseDataPreprocessor', mean=[1., 2, 3], std=[2., 2, 2],
            bgr_to_rgb=True))
        batch = data.get_batch([0, 1, 2, 3])
        fast = model(batch)
        slow = model({k: [data[i][k] for i in range(4)]
                      for k in ('inputs', 'data_samples')})
        assert fast['inputs'].shape == (4, 3, 32, 32)
        torch.testing.assert_close(fast['inputs'], slow['inputs'])
        np.testing.assert_allclose(
            fast['inputs'][2, 0], (data.image(2)[..., 2] - 1.) / 2,
            rtol=1e-5)

    def test_pickles(self, make_views):
        data = make_views()
        again = pickle.loads(pickle.dumps(data))
        np.testing.assert_array_equal(again.image(9), data.image(9))
        assert len(again) == len(data) == 72

    def test_pipeline(self, make_views):
        data = make_views(pipeline=[
            dict(type='GetBBoxCenterScale'),
            dict(type='TopdownAffine', input_size=(48, 48)),
            dict(type='PackPoseInputs', meta_keys=(
                'id', 'subject', 'view_group', 'camera', 'flip_indices'))])
        item = data[4]
        assert item['inputs'].shape == (3, 48, 48)
        assert item['data_samples'].camera == 'camera1'
        assert not hasattr(data, 'get_batch')


class TestSupervision:

    def test_unannotated_labels_are_not_there(self, make_views):
        plan = dict(subjects=['person_001'], fraction=.5)
        data = make_views(annotated=plan)
        table = data.view_groups()
        assert table['annotated'].sum() == 4 * 3  # 4 of 8 instants
        assert np.isnan(data.poses[~data.annotated]).all()
        batch = data.get_batch(list(range(72)))
        for i, sample in enumerate(batch['data_samples']):
            known = bool(table['annotated'][i])
            assert float(label(sample, 'pose_annotated')) == known
            for name in LABELS:
                assert bool(label(sample, name).isfinite().all()) == known
                assert bool(label(sample, name).isnan().all()) != known
        assert {data.subjects[table['subject'][i]] for i in np.flatnonzero(
            table['annotated'])} == {'person_001'}

    def test_truth_in_tests(self, make_views):
        data = make_views(annotated=dict(fraction=0.), test_mode=True)
        assert data.view_groups()['annotated'].all()
        assert np.isfinite(data.poses).all()

    def test_statistics_count_annotated_instants_once(self, make_views):
        data = make_views(annotated=dict(fraction=.5, seed=2))
        mean, std = data.pose_statistics()
        labels = data.labels(np.arange(len(data)))
        pose = labels['keypoints_3d_canonical'].numpy()
        first = [np.flatnonzero(data.group == g)[0]
                 for g in np.flatnonzero(data.annotated)]
        np.testing.assert_allclose(mean, pose[first].mean(0), atol=.02)
        np.testing.assert_allclose(std, pose[first].std(0), atol=.02)
        with pytest.raises(ValueError, match='nothing|no view is annotated'):
            make_views(annotated=dict(fraction=0.)).pose_statistics()


class TestSplits:

    def test_subjects(self, make_views):
        held = dict(test=['person_002'], val=.34)
        parts = {p: make_views(part=p, held_out=held)
                 for p in ('train', 'val', 'test')}
        names = [set(d.subjects) for d in parts.values()]
        assert names[2] == {'person_002'}
        assert sum(map(len, names)) == 3 and len(set.union(*names)) == 3
        assert parts['test'].meta(0)['subject_index'] == 0

    def test_clips(self, make_views):
        train = make_views(part='train', split_by='clip',
                           held_out=dict(test=['*_001']))
        test = make_views(part='test', split_by='clip',
                          held_out=dict(test=['*_001']))
        ids = [{d.meta(i)['sequence'] for i in range(len(d))}
               for d in (train, test)]
        assert len(ids[0]) == len(ids[1]) == 3 and not ids[0] & ids[1]

    def test_selection(self, make_views):
        data = make_views(cameras=['camera[02]'], stride=2,
                          subjects=['person_00[01]'])
        assert len(data) == 2 * 2 * 2 * 2
        assert set(data.cameras.tolist()) == {'camera0', 'camera2'}
        assert set(data.frame.tolist()) == {0, 2}

    def test_frames_of_several_protocols(self, make_views):
        """Every n-th frame of any of the numbers."""
        for stride, want in (([2, 3], {0, 2, 3}), ([3], {0, 3}),
                             ((1, 3), {0, 1, 2, 3})):
            assert set(make_views(stride=stride).frame.tolist()) == want


class TestStockBatches:

    @pytest.mark.parametrize('options', [
        {}, dict(inputs='keypoints'), dict(test_mode=True)])
    def test_several_are_the_same_as_one_by_one(self, make_views, options):
        data = make_views(**options)
        rows = [5, 0, -1, 3, 5]
        for row, made in zip(rows, data.__getitems__(rows), strict=True):
            want = data[row]
            assert torch.equal(made['inputs'], want['inputs'])
            mine, its = made['data_samples'], want['data_samples']
            assert mine.metainfo['id'] == its.metainfo['id']
            for part in ('gt_instance_labels', 'gt_instances'):
                for key, value in its.get(part).items():
                    np.testing.assert_array_equal(
                        mine.get(part).get(key), value)

    def test_the_loader_asks_for_a_batch_at_once(self, make_views,
                                                 monkeypatch):
        data, asked = make_views(), []
        whole = MultiViewDataset._batch
        monkeypatch.setattr(MultiViewDataset, '_batch', lambda self, rows, *a:
                            (asked.append(len(rows)),
                             whole(self, rows, *a))[1])
        loader = torch.utils.data.DataLoader(data, 4, collate_fn=list)
        assert len(next(iter(loader))) == 4 and asked == [4]

    def test_augmented_views_draw_one_by_one(self, make_views):
        data = make_views(augmentation=dict(shift=.3, flip=0.))
        torch.manual_seed(0)
        one, other = data.__getitems__([3, 3])
        assert not torch.equal(one['inputs'], other['inputs'])


class TestKeyedBatches:

    def test_are_functions_of_the_keys(self, make_views):
        data = make_views(augmentation=dict(erase=.5))
        keys = np.arange(8, dtype=np.uint64) * 77
        rows = [0, 1, 9, 10, 30, 31, 60, 61]
        one, two = (data.get_batch(rows, keys) for _ in range(2))
        torch.testing.assert_close(one['inputs'], two['inputs'])
        other = data.get_batch(rows, keys + np.uint64(1))
        assert (one['inputs'] != other['inputs']).any()

    def test_a_flip_is_one_for_a_group(self, make_views):
        data = make_views(augmentation=dict(scale=0, shift=0, colour=0))
        plain = make_views()
        order = np.random.default_rng(0).permutation(72)
        seen = set()
        for epoch in range(3):
            keys = np.random.default_rng(epoch).integers(
                0, 2**63, 72).astype(np.uint64)
            batch = data.get_batch(order, keys)
            flips: dict[int, bool] = {}
            for i, image, sample in zip(order, batch['inputs'],
                                        batch['data_samples']):
                group = sample.view_group
                assert flips.setdefault(group, sample.flip) == sample.flip
                seen.add(sample.flip)
                want = torch.from_numpy(plain.image(i).copy()).permute(
                    2, 0, 1)
                if sample.flip:
                    want = want.flip(-1)
                torch.testing.assert_close(image, want)
        assert seen == {True, False}

    def test_flipped_labels(self, make_views):
        data = make_views(augmentation=dict(flip=1., scale=0, shift=0,
                                            colour=0))
        plain = make_views()
        flip = SKELETON.flip_indices
        rows = list(range(0, 72, 5))
        for i, sample in zip(rows, data.get_batch(rows)['data_samples']):
            old = plain[i]['data_samples']
            camera = label(old, 'keypoints_3d_camera')[flip] * torch.tensor(
                [-1., 1, 1])
            torch.testing.assert_close(
                label(sample, 'keypoints_3d_camera'), camera)
            canonical = label(old, 'keypoints_3d_canonical')[
                flip] * torch.tensor([-1., 1, 1])
            torch.testing.assert_close(
                label(sample, 'keypoints_3d_canonical'), canonical,
                atol=.02, rtol=0)
            turn = label(sample, 'camera_rotation')
            torch.testing.assert_close(canonical @ turn.T, camera, atol=.02,
                                       rtol=0)
            assert float(torch.linalg.det(turn)) == pytest.approx(1, abs=1e-4)
            seen = old.gt_instances.keypoints_visible[0] > 0
            want = old.gt_instances.keypoints[0].copy()
            want[:, 0] = 31 - want[:, 0]
            np.testing.assert_allclose(
                sample.gt_instances.keypoints[0][seen[flip]],
                want[flip][seen[flip]], atol=1e-3)

    def test_flipped_cameras_share_one_mirrored_world(self, make_views):
        data = make_views(augmentation=dict(flip=1.))
        rows = np.flatnonzero(data.group == 4)
        poses = []
        for sample in data.get_batch(rows)['data_samples']:
            E = label(sample, 'extrinsics').numpy()
            K = label(sample, 'intrinsics').numpy()
            assert np.linalg.det(E[:, :3]) == pytest.approx(1, abs=1e-4)
            camera = label(sample, 'keypoints_3d_camera').numpy()
            poses.append(camera @ E[:, :3])  # rows: R^T x
            # The mirrored world's joints project onto the mirrored ones.
            root = (data.poses[4] * [-1, 1, 1])[ROOT]
            p = ((poses[-1] + root) @ E[:, :3].T + E[:, 3]) @ K.T
            seen = sample.gt_instances.keypoints_visible[0] > 0
            np.testing.assert_allclose(
                (p[:, :2] / p[:, 2:])[seen],
                sample.gt_instances.keypoints[0][seen], atol=.05)
        np.testing.assert_allclose(poses[1], poses[0], atol=.05)
        np.testing.assert_allclose(poses[2], poses[0], atol=.05)

    def test_stock_path_agrees_within_a_group(self, make_views):
        data = make_views(augmentation=dict())
        flips = [data[i]['data_samples'].flip for i in range(72)]
        for group in range(24):
            assert len({f for f, g in zip(flips, data.group)
                        if g == group}) == 1
        assert len(set(flips)) == 2

    def test_keypoints_as_inputs(self, make_views):
        data = make_views(inputs='keypoints')
        batch = data.get_batch(list(range(72)))
        assert batch['inputs'].shape == (72, 17, 3)
        x = batch['inputs'].numpy()
        seen = x[..., 2] > 0
        assert np.abs(x).max() <= 1 + 1e-6
        assert (x[~seen] == 0).all()
        # The longer side of the visible joints' box is the whole range.
        for row, mask in zip(x, seen):
            assert np.ptp(row[mask, :2], axis=0).max() == pytest.approx(
                2, abs=1e-5)
        with pytest.raises(ValueError, match='no images'):
            data.image(0)
        noisy = make_views(inputs='keypoints',
                           augmentation=dict(flip=0., scale=0, shift=0,
                                             noise=.01))
        keys = np.arange(72, dtype=np.uint64)
        moved = noisy.get_batch(list(range(72)), keys)['data_samples']
        off = np.concatenate([
            (m.gt_instances.keypoints - o.gt_instances.keypoints)[
                o.gt_instances.keypoints_visible > 0]
            for m, o in zip(moved, batch['data_samples'])])
        assert off.std() == pytest.approx(.32, rel=.1)
        assert off.mean() == pytest.approx(0, abs=.03)


class TestCache:

    def test_is_built_once_and_mended(self, tmp_path, monkeypatch):
        source = SyntheticViews(1, 1, 1, 2, 32, 2)

        def build():
            return MultiViewDataset(source, cache_dir=str(tmp_path))
        image = np.array(build().image(1))
        folder, = (p for p in tmp_path.iterdir() if p.is_dir())
        with monkeypatch.context() as patch:
            patch.setattr(SyntheticViews, 'read', None)  # not asked again
            np.testing.assert_array_equal(build().image(1), image)
        file = folder / 'images.npy'
        file.write_bytes(file.read_bytes()[:-5])
        np.testing.assert_array_equal(build().image(1), image)

    def test_another_source_another_cache(self, tmp_path):
        for seed in (0, 1):
            MultiViewDataset(SyntheticViews(1, 1, 1, 2, 32, 2, seed=seed),
                             cache_dir=str(tmp_path), inputs='keypoints')
        assert len([p for p in tmp_path.iterdir() if p.is_dir()]) == 2

    def test_wrong_images_are_an_error(self, tmp_path):
        class Short(SyntheticViews):
            def images(self, data_root, views):
                yield next(super().images(data_root, views))
        with pytest.raises(ValueError, match='1 images for 4 views'):
            MultiViewDataset(Short(1, 1, 1, 2, 32, 2),
                             cache_dir=str(tmp_path))
        assert not [p for p in tmp_path.iterdir() if p.is_dir()]
