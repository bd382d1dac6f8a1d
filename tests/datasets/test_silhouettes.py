import json
import os
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from mirrorpose.datasets.silhouettes import (
    SilhouetteDataset,
    find_up_s1h,
    mask_box,
    pair_by_stem,
)
from mirrorpose.structures.skeleton import Skeleton

PIPELINE = [dict(type='LoadImage'), dict(type='LoadSilhouette'),
            dict(type='GetBBoxCenterScale'),
            dict(type='TopdownAffine', input_size=(32, 32)),
            dict(type='GenerateTarget', encoder=dict(
                type='OneHotHeatmap', input_size=(32, 32),
                heatmap_size=(8, 8))),
            dict(type='SplitSilhouette', heatmap_size=(8, 8)),
            dict(type='PackPoseInputs', meta_keys=('id', 'is_labeled'))]


def write(folder: Path, name: str, mask: bool, value: int = 255) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    image = np.zeros((40, 50) if mask else (40, 50, 3), np.uint8)
    image[10:30, 20:32] = value
    cv2.imwrite(str(folder / name), image)


@pytest.fixture
def folder(tmp_path):
    for stem in 'abc':
        write(tmp_path / 'images', f'{stem}.jpg', False)
        write(tmp_path / 'masks', f'{stem}.png', True, 1 + 254 * (stem > 'a'))
    return tmp_path


def test_folder_without_joints(folder):
    data = SilhouetteDataset(str(folder), pipeline=PIPELINE)
    assert len(data) == 3
    info = data.get_data_info(0)
    np.testing.assert_array_equal(info['bbox'], [[20, 10, 32, 30]])
    for i in range(3):
        sample = data[i]['data_samples']
        assert sample.is_labeled is False
        assert not sample.gt_fields.heatmaps.any()
        assert sample.gt_fields.silhouette.max() > .9


def test_joints_by_name(folder):
    coco = Skeleton.from_name('coco_17')
    points = np.random.default_rng(0).uniform(5, 35, (17, 3))
    points[:, 2] = 2
    points[coco.index('left_hip'), 2] = 0
    (folder / 'j.json').write_text(json.dumps(
        [dict(name='b', keypoints=points.tolist())]))
    data = SilhouetteDataset(str(folder), ann_file='j.json',
                             joints='coco_17')
    got = {data[i]['id']: data[i] for i in range(3)}['folder/b']
    assert got['is_labeled']
    names = Skeleton.from_name('mpii_16').joints
    seen = dict(zip(names, got['keypoints_visible'][0]))
    assert [j for j in names if not seen[j]] == [
        'left_hip', 'pelvis', 'upper_neck', 'head_top']
    thorax = points[coco.index('left_shoulder', 'right_shoulder'), :2].mean(0)
    np.testing.assert_allclose(got['keypoints'][0][names.index('thorax')],
                               thorax, rtol=1e-5)
    assert sum(data[i]['is_labeled'] for i in range(3)) == 1
    np.savez(folder / 'j.npz', names=['zz'], keypoints=points[None, :, :2],
             visible=np.ones((1, 17)))
    with pytest.raises(ValueError, match='zz'):
        SilhouetteDataset(str(folder), ann_file='j.npz', joints='coco_17')


def test_one_archive_with_both(folder):
    with zipfile.ZipFile(folder / 'people.zip', 'w') as archive:
        for kind in ('images', 'masks'):
            for file in (folder / kind).iterdir():
                archive.write(file, file.name)
    data = SilhouetteDataset(str(folder), image_dir='people.zip',
                             mask_dir='people.zip', pipeline=PIPELINE)
    assert len(data) == 3 and data[0]['inputs'].shape == (3, 32, 32)


def test_up_s1h_leaves_out_what_lsp_and_mpii_hold(tmp_path):
    root = tmp_path / 'upi-s1h' / 'data'
    for source in ('lsp', 'fashionpose'):
        for stem in ('im0001', 'im0002'):
            write(root / source, f'{stem}.png', False)
            write(root / source, f'{stem}_segmentation.png', True)
            write(root / source, f'{stem}_part_segmentation.png', True, 3)
    for stem in ('00001', '00002'):
        for kind, mask in (('', False), ('_full', False),
                           ('_segmentation', True),
                           ('_segmentation_full', True)):
            write(root / 'mpii', f'{stem}{kind}.png', mask)
    pairs = find_up_s1h(tmp_path / 'upi-s1h')
    assert list(pairs) == ['fashionpose/im0001', 'fashionpose/im0002']
    assert pairs['fashionpose/im0001'][0].endswith('fashionpose/im0001.png')
    everything = find_up_s1h(root, exclude=())
    assert len(everything) == 6
    assert [Path(p).name for p in everything['mpii/00002']] == [
        '00002_full.png', '00002_segmentation_full.png']
    data = SilhouetteDataset(str(tmp_path), layout='up_s1h',
                             pipeline=PIPELINE)
    assert len(data) == 2
    assert data[1]['data_samples'].gt_fields.silhouette.any()
    with pytest.raises(ValueError, match='all are excluded'):
        find_up_s1h(root, exclude=('lsp', 'mpii', 'fashionpose'))


def test_errors(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match='silhouettes.py SRC'):
        SilhouetteDataset(str(folder / 'nowhere'))
    with pytest.raises(ValueError, match='layout'):
        SilhouetteDataset(str(folder), layout='flat')
    with pytest.raises(ValueError, match="no file ends in '_m.png'"):
        SilhouetteDataset(str(folder), mask_suffix='_m.png')
    write(folder / 'masks', 'd.png', True)
    with pytest.raises(ValueError, match=r"1 masks have no image.*'d.png'"):
        SilhouetteDataset(str(folder))
    write(folder / 'images', 'd.jpg', False)
    write(folder / 'masks', 'd.png', True, 0)
    with pytest.raises(ValueError, match='d: the silhouette is empty'):
        SilhouetteDataset(str(folder))
    (folder / 'masks' / 'd.png').write_bytes(b'x')
    with pytest.raises(ValueError, match='d.png.*cannot be decoded'):
        SilhouetteDataset(str(folder))
    write(folder / 'images', 'd.png', False)
    with pytest.raises(ValueError, match='1 have more than one'):
        SilhouetteDataset(str(folder))
    with pytest.raises(ValueError, match='1 masks have no image'):
        pair_by_stem({}, {'a.png': 'a'})
    assert mask_box(np.eye(5) * 7, 'x').tolist() == [0, 0, 5, 5]


REAL = Path(os.environ.get('MIRRORPOSE_DATA', '')) / 'coco_mini'


@pytest.mark.skipif(not (REAL / 'people.zip').is_file(),
                    reason='coco_mini not found; set MIRRORPOSE_DATA')
def test_people_with_true_masks():
    data = SilhouetteDataset(str(REAL), image_dir='people.zip',
                             mask_dir='people.zip', ann_file='people.json',
                             joints='coco_17', pipeline=PIPELINE[:2])
    assert len(data) == 34
    inside = []
    for i in range(34):
        sample = data[i]
        points = sample['keypoints'][0].round().astype(int)
        # Some annotated joints lie outside of the crop.
        seen = (sample['keypoints_visible'][0] > 0) & (points < 256).all(1) & (
            points >= 0).all(1)
        x, y = points[seen].T
        inside += (sample['img'][y, x, 3] > 0).tolist()
    assert np.mean(inside) > .85, 'joints lie on the person'
