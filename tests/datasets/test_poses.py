import os
from pathlib import Path

import numpy as np
import pytest

from mirrorpose.datasets.poses import PoseCollectionDataset, project_poses
from mirrorpose.structures.skeleton import Skeleton

MPI = Skeleton.from_name('mpi_inf_3dhp_28')
MPII = Skeleton.from_name('mpii_16')
PIPELINE = [dict(type='LoadBlankImage'), dict(type='GetBBoxCenterScale'),
            dict(type='RandomFlip', direction='horizontal'),
            dict(type='RandomBBoxTransform'),
            dict(type='TopdownAffine', input_size=(64, 64)),
            dict(type='GenerateTarget', encoder=dict(
                type='MSRAHeatmap', input_size=(64, 64),
                heatmap_size=(16, 16), sigma=1.)),
            dict(type='PackPoseInputs')]


@pytest.fixture
def mocap(tmp_path):
    """Thirty frames of 28 nodes that are the joints themselves."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / 'm.npz', names28=np.array(MPI.joints),
             pos=rng.uniform(-.9, .9, (30, 28, 3)).astype(np.float16),
             to28=np.eye(28, dtype=np.float32))
    return tmp_path


def test_projection_against_a_pinhole():
    """The same camera, written as position and look-at axes."""
    rng = np.random.default_rng(1)
    poses = rng.uniform(-.8, .8, (6, 28, 3))
    got = project_poses(poses, seed=3, first=10)
    for i, pose in enumerate(poses):
        u, v, w = np.random.Generator(
            np.random.Philox(key=[3, 10 + i])).random(3)
        yaw, pitch = 2 * np.pi * u, np.radians(-10 + 40 * v)
        middle = (pose.max(0) + pose.min(0)) / 2
        forward = np.array([np.sin(yaw), 0, np.cos(yaw)])
        toward = forward * np.cos(pitch) + np.array([0, np.sin(pitch), 0])
        right = np.cross([0, 1, 0], forward)
        up = np.cross(toward, right)
        eye = middle + toward * (3 + 5 * w)
        rel = pose - eye
        depth = -rel @ toward
        want = 1000 * np.stack([rel @ right, -(rel @ up)], -1) / depth[:, None]
        np.testing.assert_allclose(got[i], want, atol=.05)


def test_a_person_who_faces_us_has_the_left_at_the_right():
    pose = np.zeros((28, 3))
    pose[MPI.index('left_shoulder')] = .2, .5, 0    # y up, faces +z
    pose[MPI.index('right_shoulder')] = -.2, .5, 0
    pose[MPI.index('head_top')] = 0, .8, 0
    poses = np.tile(pose, (400, 1, 1))
    image = project_poses(poses, 0, 0)
    head, left, right = (image[:, MPI.joints.index(j)] for j in (
        'head_top', 'left_shoulder', 'right_shoulder'))
    assert (head[:, 1] < left[:, 1]).all(), 'up is up'
    front = np.array([
        np.cos(2 * np.pi * np.random.Generator(
            np.random.Philox(key=[0, i])).random()) for i in range(400)])
    np.testing.assert_array_equal((left[:, 0] > right[:, 0]), front > 0)


def test_motion_capture(mocap):
    data = PoseCollectionDataset('m.npz', str(mocap), stride=3, views=2,
                                 pipeline=PIPELINE)
    assert len(data) == 20
    info = data.get_data_info(3)
    assert info['keypoints'].shape == (1, 16, 2)
    assert (info['keypoints_visible'] == 1).all()
    again = PoseCollectionDataset('m.npz', str(mocap), stride=3, views=2)
    other = PoseCollectionDataset('m.npz', str(mocap), stride=3, views=2,
                                  seed=1)
    np.testing.assert_array_equal(info['keypoints'], again[3]['keypoints'])
    assert (info['keypoints'] != other[3]['keypoints']).any()
    assert (again[2]['keypoints'] != again[3]['keypoints']).any()
    packed = data[0]
    assert packed['inputs'].shape == (3, 64, 64)
    weights = packed['data_samples'].gt_instance_labels.keypoint_weights
    assert weights.mean() > .5
    assert packed['data_samples'].gt_fields.heatmaps.amax((1, 2)).max() == 1
    shoulders = [MPII.joints.index(f'{s}_shoulder')
                 for s in ('left', 'right')]
    np.testing.assert_allclose(
        info['keypoints'][0, MPII.joints.index('thorax')],
        info['keypoints'][0, shoulders].mean(0), atol=1e-2)


def test_two_dimensional_collections(tmp_path):
    rng = np.random.default_rng(0)
    coco = Skeleton.from_name('coco_17')
    points = rng.uniform(0, 100, (5, 17, 2))
    visible = np.ones((5, 17))
    visible[2, 5] = 0
    points[2, 5] = np.nan
    for joints in (np.array('coco_17'), np.array(coco.joints)):
        np.savez(tmp_path / 'p.npz', keypoints=points, visible=visible,
                 joints=joints)
        data = PoseCollectionDataset('p.npz', str(tmp_path),
                                     pipeline=PIPELINE)
        assert len(data) == 5 and data[2]['inputs'].shape == (3, 64, 64)
        info = data.get_data_info(2)
        assert not info['keypoints_visible'][0, MPII.joints.index('thorax')]
        np.testing.assert_allclose(
            info['keypoints'][0, MPII.joints.index('left_ankle')],
            points[2, coco.joints.index('left_ankle')], rtol=1e-5)


def test_own_names_are_mapped(tmp_path):
    points = np.random.default_rng(0).uniform(0, 9, (2, 5, 2))
    names = ['LKnee', 'left_hip', 'badge', 'right_knee', 'right_hip']
    np.savez(tmp_path / 'p.npz', keypoints=points, joints=np.array(names))
    with pytest.raises(ValueError, match='LKnee.*badge'):
        PoseCollectionDataset('p.npz', str(tmp_path))
    data = PoseCollectionDataset('p.npz', str(tmp_path), joints=dict(
        LKnee='left_knee', badge=''))
    seen = data[0]['keypoints_visible'][0]
    assert [j for j, v in zip(MPII.joints, seen) if v] == [
        'right_knee', 'right_hip', 'left_hip', 'left_knee', 'pelvis']
    with pytest.raises(ValueError, match='RKnee'):
        PoseCollectionDataset('p.npz', str(tmp_path),
                              joints=dict(RKnee='right_knee'))


def test_errors(tmp_path, mocap):
    with pytest.raises(FileNotFoundError, match='np.savez'):
        PoseCollectionDataset('gone.npz', str(tmp_path))
    np.savez(tmp_path / 'p.npz', keypoints=np.ones((2, 16, 2)))
    with pytest.raises(ValueError, match='pass joints='):
        PoseCollectionDataset('p.npz', str(tmp_path))
    with pytest.raises(ValueError, match='p/0: the box'):
        PoseCollectionDataset('p.npz', str(tmp_path), joints='mpii_16')
    with pytest.raises(ValueError, match='16 joints, but .* has 17'):
        PoseCollectionDataset('p.npz', str(tmp_path), joints='coco_17')
    np.savez(tmp_path / 'p.npz', keypoints=np.full((2, 16, 2), np.nan),
             joints='mpii_16')
    with pytest.raises(ValueError, match='p/0.*not finite'):
        PoseCollectionDataset('p.npz', str(tmp_path))
    # Only the joint that is meant is named, in the file's own numbers, and
    # what is absent need not be finite.
    points = np.random.default_rng(0).uniform(0, 9, (3, 16, 2))
    points[1, 5] = points[2, 6] = np.nan
    visible = np.ones((3, 16))
    visible[2, 6] = 0
    np.savez(tmp_path / 'p.npz', keypoints=points, visible=visible,
             joints='mpii_16')
    with pytest.raises(ValueError, match=r'p/1: joints \[5\] are annot'):
        PoseCollectionDataset('p.npz', str(tmp_path))
    skipped = PoseCollectionDataset('p.npz', str(tmp_path), on_broken='skip')
    assert [skipped.get_data_info(i)['id'] for i in range(2)] == ['p/0',
                                                                  'p/2']
    (tmp_path / 'p.npz').write_bytes(b'')
    with pytest.raises(ValueError, match=r'p\.npz is empty or damaged'):
        PoseCollectionDataset('p.npz', str(tmp_path))
    np.savez(tmp_path / 'p.npz', keypoints=np.zeros((0, 16, 2)),
             joints='mpii_16')
    with pytest.raises(ValueError, match='holds no pose'):
        PoseCollectionDataset('p.npz', str(tmp_path))
    with np.load(mocap / 'm.npz') as data:
        np.savez(mocap / 'm2.npz', names28=data['names28'][::-1],
                 pos=data['pos'], to28=data['to28'])
    with pytest.raises(ValueError, match='joint sets differ'):
        PoseCollectionDataset('m2.npz', str(mocap))
    np.savez(tmp_path / 'q.npz', x=1)
    with pytest.raises(ValueError, match="holds \\['x'\\]"):
        PoseCollectionDataset('q.npz', str(tmp_path))
    with pytest.raises(ValueError, match='stride'):
        PoseCollectionDataset('m.npz', str(mocap), stride=0)


REAL = Path(os.environ.get('MIRRORPOSE_DATA', '')) / 'mocap'


@pytest.mark.skipif(not (REAL / 'cmu31_30fps.npz').is_file(),
                    reason='motion capture not found; set MIRRORPOSE_DATA')
def test_real_motion_capture():
    data = PoseCollectionDataset('mocap/cmu31_30fps.npz', stride=60)
    points = np.stack([data[i]['keypoints'][0] for i in range(len(data))])
    head, ankles = (points[:, MPII.index(*j), 1].mean(1) for j in (
        ['head_top'], ['left_ankle', 'right_ankle']))
    assert (head < ankles).mean() > .95, 'people stand upright'
