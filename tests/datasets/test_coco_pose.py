import json

import cv2
import numpy as np
import pytest

from mirrorpose.datasets.coco import CocoPoseDataset
from mirrorpose.structures.skeleton import Skeleton

MPII = Skeleton.from_name('mpii_16')
COCO = Skeleton.from_name('coco_17')


@pytest.fixture
def content(tmp_path):
    (tmp_path / 'images').mkdir()
    cv2.imwrite(str(tmp_path / 'images' / 'x.png'),
                np.zeros((90, 100, 3), np.uint8))
    rng = np.random.default_rng(0)
    notes = []
    for i in range(5):
        points = np.concatenate([rng.uniform(10, 80, (17, 2)),
                                 rng.integers(0, 3, (17, 1))], 1)
        points[:3, 2] = 2
        notes.append(dict(
            id=i, image_id=1, category_id=1, bbox=[5, 6, 80, 78],
            keypoints=points.ravel().tolist(), iscrowd=0,
            segmentation=[[10, 10, 60, 10, 60, 70]]))
    notes[1]['keypoints'] = [0] * 51
    notes[2]['iscrowd'] = 1
    del notes[3]['segmentation']
    return dict(images=[dict(id=1, file_name='x.png', width=100, height=90)],
                annotations=notes,
                categories=[dict(id=1, name='person',
                                 keypoints=list(COCO.joints))])


def build(tmp_path, content, **kwargs):
    (tmp_path / 'a.json').write_text(json.dumps(content))
    return CocoPoseDataset('a.json', str(tmp_path), **kwargs)


def test_by_name(tmp_path, content):
    data = build(tmp_path, content)
    assert [data[i]['id'] for i in range(len(data))] == [
        'a/0', 'a/1', 'a/3', 'a/4'], 'the crowd is left out'
    assert [data[i]['is_labeled'] for i in range(4)] == [True, False, True,
                                                         True]
    raw = np.array(content['annotations'][4]['keypoints']).reshape(17, 3)
    info = data[3]
    np.testing.assert_array_equal(info['bbox'], [[5, 6, 85, 84]])
    for k, joint in enumerate(MPII.joints):
        if joint in COCO.joints:
            source = raw[COCO.joints.index(joint)]
            assert info['keypoints_visible'][0, k] == (source[2] > 0)
            if source[2]:
                np.testing.assert_allclose(info['keypoints'][0, k],
                                           source[:2], rtol=1e-5)
    for joint in ('head_top', 'upper_neck'):
        assert not info['keypoints_visible'][0, MPII.joints.index(joint)]


def test_silhouette_from_polygons(tmp_path, content):
    data = build(tmp_path, content, with_silhouette=True, pipeline=[
        dict(type='LoadImage'), dict(type='LoadSilhouette'),
        dict(type='GetBBoxCenterScale'),
        dict(type='TopdownAffine', input_size=(64, 64)),
        dict(type='SplitSilhouette', heatmap_size=(16, 16)),
        dict(type='PackPoseInputs')])
    assert len(data) == 3, 'crowd and the one without segmentation'
    mask = data[0]['data_samples'].gt_fields.silhouette
    assert .05 < mask.mean() < .6


def test_errors(tmp_path, content):
    with pytest.raises(FileNotFoundError, match='none.json'):
        CocoPoseDataset('none.json', str(tmp_path))
    bad = json.loads(json.dumps(content))
    bad['annotations'][0]['keypoints'] = [1] * 48
    with pytest.raises(ValueError, match='a/0: 48 numbers'):
        build(tmp_path, bad)
    bad = json.loads(json.dumps(content))
    bad['categories'][0]['keypoints'][5] = 'left_sholder'
    with pytest.raises(ValueError, match='left_sholder'):
        build(tmp_path, bad)
    assert len(build(tmp_path, bad, joints=dict(
        left_sholder='left_shoulder'))) == 4
    assert len(build(tmp_path, bad, joints='coco_17')) == 4
    bad['categories'][0].pop('keypoints')
    with pytest.raises(ValueError, match='no category'):
        build(tmp_path, bad)
    with pytest.raises(ValueError, match='lacks'):
        build(tmp_path, dict(images=[]))
    bad = json.loads(json.dumps(content))
    bad['annotations'][0]['keypoints'][:3] = [float('nan'), 1, 2]
    with pytest.raises(ValueError, match='a/0.*not finite'):
        build(tmp_path, bad, joints=dict(nose='head_top'))
