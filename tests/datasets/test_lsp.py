import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from mirrorpose.datasets.lsp import LspDataset, pose_data_info
from mirrorpose.evaluation import LspPCK
from mirrorpose.structures.skeleton import Skeleton

MPII = Skeleton.from_name('mpii_16')
LSP = Skeleton.from_name('lsp_14')
ONE_HOT = dict(type='OneHotHeatmap', input_size=(64, 64),
               heatmap_size=(16, 16))
GAUSS = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16),
             sigma=1.)


def pipeline(codec=ONE_HOT, silhouette=False, train=True):
    steps = [dict(type='LoadImage')]
    if silhouette:
        steps += [dict(type='LoadSilhouette')]
    steps += [dict(type='GetBBoxCenterScale')]
    if train:
        steps += [dict(type='RandomFlip', direction='horizontal'),
                  dict(type='RandomBBoxTransform')]
    steps += [dict(type='TopdownAffine', input_size=(64, 64)),
              dict(type='GenerateTarget', encoder=codec)]
    if silhouette:
        steps += [dict(type='SplitSilhouette', heatmap_size=(16, 16))]
    return steps + [dict(type='PackPoseInputs', meta_keys=(
        'id', 'img_path', 'is_labeled', 'flip', 'flip_indices'))]


def test_standard_split(lsp_root):
    ids = {}
    for subset, count in (('train', 10), ('test', 10), ('all', 20)):
        data = LspDataset(data_root=str(lsp_root), subset=subset)
        assert len(data) == count
        ids[subset] = [data[i]['id'] for i in range(len(data))]
    assert ids['train'] + ids['test'] == ids['all']
    assert len(LspDataset('lspet/lspet.npz', str(lsp_root))) == 12


def test_sixteen_joints_by_name(lsp_root):
    raw = np.load(lsp_root / 'lsp' / 'lsp.npz')['joints']
    data = LspDataset(data_root=str(lsp_root), subset='all')
    for i in range(len(data)):
        info = data.get_data_info(i)
        own = dict(zip(LSP.joints, raw[i]))
        own.update(
            upper_neck=own['neck'],
            pelvis=(own['left_hip'] + own['right_hip']) / 2,
            thorax=(own['left_shoulder'] + own['right_shoulder']) / 2)
        want = np.stack([own[j] for j in MPII.joints])
        np.testing.assert_allclose(info['keypoints'][0], want, atol=1e-4)
        assert (info['keypoints_visible'] == 1).all(), 'occluded is annotated'
        np.testing.assert_allclose(
            info['bbox'][0], [*raw[i].min(0), *raw[i].max(0)], rtol=1e-6)
        assert info['keypoints'].dtype == info['bbox'].dtype == np.float32
        assert info['is_labeled'] is True
    assert info['flip_indices'] == MPII.flip_indices
    assert data.metainfo['num_keypoints'] == 16


def test_absent_joints_take_their_midpoint_along(lsp_root):
    raw = np.load(lsp_root / 'lspet' / 'lspet.npz')
    data = LspDataset('lspet/lspet.npz', str(lsp_root))
    for i in range(len(data)):
        seen = dict(zip(LSP.joints, raw['visible'][i]))
        info = data.get_data_info(i)
        got = dict(zip(MPII.joints, info['keypoints_visible'][0]))
        assert got['pelvis'] == (seen['left_hip'] and seen['right_hip'])
        assert got['thorax'] == (seen['left_shoulder']
                                 and seen['right_shoulder'])
        assert got['upper_neck'] == seen['neck']
        absent = info['keypoints_visible'][0] == 0
        assert (info['keypoints'][0][absent] == 0).all()
    assert (raw['visible'] == 0).any()


@pytest.mark.parametrize('codec', [ONE_HOT, GAUSS], ids=['one-hot', 'gauss'])
@pytest.mark.parametrize('rubbish', [np.nan, 1e9, -1e9, np.inf])
def test_unannotated_coordinates_cannot_matter(lsp_root, edit, codec,
                                               rubbish):
    path = lsp_root / 'lspet' / 'lspet.npz'

    def run():
        data = LspDataset('lspet/lspet.npz', str(lsp_root),
                          pipeline=pipeline(codec))
        out = []
        for i in range(len(data)):
            np.random.seed(i)  # noqa: NPY002 (mmpose draws from it)
            packed = data[i]
            sample = packed['data_samples']
            out.append((packed['inputs'], sample.gt_fields.heatmaps,
                        sample.gt_instance_labels.keypoint_weights,
                        torch.tensor(sample.gt_instances.bboxes),
                        torch.tensor(sample.gt_instances.keypoints),
                        torch.tensor(sample.gt_instances.keypoints_visible)))
        return [torch.stack(part) for part in zip(*out)]

    before = run()
    with np.load(path) as data:
        joints, visible = data['joints'].copy(), data['visible']
    joints[visible == 0] = rubbish
    edit(path, joints=joints)
    after = run()
    for a, b in zip(before, after):
        assert torch.equal(a, b)
    heatmaps, weights, visible = after[1], after[2][:, 0], after[5][:, 0]
    assert (visible == 0).any()
    assert (heatmaps[visible == 0] == 0).all()
    assert (weights[visible == 0] == 0).all()
    rng = np.random.default_rng(0)
    gt = after[4][:, 0].numpy()
    pred = gt + rng.normal(0, 5, gt.shape)
    row = LspPCK.calculate(pred, gt, visible.numpy())
    gt = np.where(visible[..., None].numpy() > 0, gt, rubbish)
    assert LspPCK.calculate(pred, gt, visible.numpy()) == row


@pytest.mark.parametrize('rubbish', [np.nan, 1e9])
def test_pose_data_info_reads_annotated_joints_only(rubbish):
    points = np.array([[3, 4], [rubbish, rubbish], [9, 1.]])
    info = pose_data_info(points, np.array([1, 0, 2]), 'x')
    np.testing.assert_array_equal(info['bbox'], [[3, 1, 9, 4]])
    np.testing.assert_array_equal(info['keypoints'],
                                  [[[3, 4], [0, 0], [9, 1]]])
    np.testing.assert_array_equal(info['keypoints_visible'], [[1, 0, 1]])
    assert info['num_keypoints'] == 2
    with pytest.raises(ValueError, match='x: 1 annotated'):
        pose_data_info(points, np.array([1, 0, 0]), 'x')


def test_label_split(lsp_root):
    def ids(**kwargs):
        data = LspDataset(data_root=str(lsp_root), **kwargs)
        return {data[i]['id'] for i in range(len(data))}

    everyone = ids()
    small, large = (ids(label_fraction=f, part='labelled') for f in (.2, .6))
    assert len(small) == 2 and len(large) == 6 and small < large
    assert ids(label_fraction=.6, part='unlabelled') == everyone - large
    assert ids(label_fraction=.6, part='labelled', split_seed=4) != large
    first = LspDataset(data_root=str(lsp_root), label_fraction=.6,
                       part='labelled', indices=2)
    assert {first[i]['id'] for i in range(2)} < large


def test_silhouettes(lsp_root):
    data = LspDataset(data_root=str(lsp_root), with_silhouette=True,
                      pipeline=pipeline(silhouette=True))
    assert len(data) == 8, 'two of ten fail the quality gate'
    fields = data[0]['data_samples'].gt_fields
    assert fields.silhouette.shape == (1, 16, 16)
    assert fields.heatmaps.shape == (16, 16, 16)
    assert data[0]['inputs'].shape == (3, 64, 64)
    assert len(LspDataset(data_root=str(lsp_root), with_silhouette=True,
                          min_mask_quality=False)) == 10
    assert 'silhouette_path' not in LspDataset(data_root=str(lsp_root))[0]


@pytest.mark.parametrize('kwargs, text', [
    (dict(subset='test'), 'training targets only'),
    (dict(subset='all'), 'training targets only'),
    (dict(part='unlabelled', label_fraction=.5), 'count as unlabelled'),
    (dict(part='all', label_fraction=.5), 'count as unlabelled')])
def test_silhouettes_are_labels(lsp_root, kwargs, text):
    with pytest.raises(ValueError, match=text):
        LspDataset(data_root=str(lsp_root), with_silhouette=True, **kwargs)


@pytest.mark.parametrize('kwargs', [
    dict(subset='val'), dict(annotations='oc'), dict(part='labeled'),
    dict(label_fraction=2)])
def test_bad_arguments(lsp_root, kwargs):
    with pytest.raises(ValueError, match=str(list(kwargs.values())[0])):
        LspDataset(data_root=str(lsp_root), **kwargs)
    with pytest.raises(TypeError):
        LspDataset(data_root=str(lsp_root), label_fracton=.5)


def test_missing_data_names_the_command(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError) as error:
        LspDataset(data_root=str(tmp_path))
    text = str(error.value)
    assert 'python tools/dataset_converters/lsp.py lsp_dataset.zip' in text
    assert 'MIRRORPOSE_DATA' in text and str(tmp_path) in text
    with pytest.raises(FileNotFoundError, match='lspet_dataset.zip --ext'):
        LspDataset('lspet/lspet.npz', str(tmp_path))
    LspDataset(data_root=str(tmp_path), lazy_init=True)
    monkeypatch.setenv('MIRRORPOSE_DATA', str(tmp_path / 'elsewhere'))
    with pytest.raises(FileNotFoundError, match='elsewhere'):
        LspDataset()


def test_missing_parts(lsp_root):
    with pytest.raises(FileNotFoundError, match='--observer'):
        LspDataset(data_root=str(lsp_root), annotations='observer')
    (lsp_root / 'lsp' / 'masks.zip').unlink()
    assert len(LspDataset(data_root=str(lsp_root))) == 10
    with pytest.raises(FileNotFoundError, match='--masks'):
        LspDataset(data_root=str(lsp_root), with_silhouette=True)
    with zipfile.ZipFile(lsp_root / 'lsp' / 'images.zip', 'w') as archive:
        archive.writestr('im00001.jpg', b'')
    with pytest.raises(FileNotFoundError, match='im00002'):
        LspDataset(data_root=str(lsp_root))


def test_observer_annotations_are_kept_apart(lsp_root, edit):
    own = lsp_root / 'lsp' / 'lsp.npz'
    other = lsp_root / 'lsp' / 'lsp_oc.npz'
    other.write_bytes(own.read_bytes())
    with pytest.raises(ValueError, match='person-centric'):
        LspDataset(data_root=str(lsp_root), annotations='observer')
    edit(other, annotations=np.array('observer'))
    observer = LspDataset(data_root=str(lsp_root), annotations='observer')
    person = LspDataset(data_root=str(lsp_root))
    assert observer[0]['id'] == person[0]['id'], 'the same split for both'
    with pytest.raises(ValueError, match='observer-centric'):
        LspDataset('lsp/lsp_oc.npz', str(lsp_root))


def test_damaged_annotations(lsp_root, edit):
    path = lsp_root / 'lsp' / 'lsp.npz'
    good = path.read_bytes()
    joints = np.load(path)['joints']

    def check(text, **changes):
        path.write_bytes(good)
        edit(path, **changes)
        with pytest.raises(ValueError, match=text):
            LspDataset(data_root=str(lsp_root))

    nan = joints.copy()
    nan[3, 5] = np.nan
    check('im00004.*not finite', joints=nan)
    flat = joints.copy()
    flat[2, :, 0] = 5
    check('im00003.*no extent', joints=flat)
    check(r'\(N, 14, 2\), got \(20, 13, 2\)', joints=joints[:, :13])
    check('20 names, but 19 rows', joints=joints[:19])
    names = np.array([*LSP.joints[:-1], 'headtop'])
    check('headtop', joint_names=names)
    check("lacks the arrays \\['joint_names'\\]", joint_names=None)
    check('neither', occluded=None)


def test_joint_order_of_the_file_is_free(lsp_root, edit):
    path = lsp_root / 'lsp' / 'lsp.npz'
    before = LspDataset(data_root=str(lsp_root))[0]['keypoints']
    order = np.random.default_rng(1).permutation(14)
    with np.load(path) as data:
        edit(path, joints=data['joints'][:, order],
             joint_names=data['joint_names'][order],
             occluded=data['occluded'][:, order])
    after = LspDataset(data_root=str(lsp_root))[0]['keypoints']
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize('data', [b'', b'\xff\xd8\xff\xe0 no picture'],
                         ids=['empty', 'broken'])
def test_unreadable_image_is_named(lsp_root, data):
    path = lsp_root / 'lsp' / 'images.zip'
    with zipfile.ZipFile(path) as archive:
        files = {n: archive.read(n) for n in archive.namelist()}
    files['im00001.jpg'] = data
    with zipfile.ZipFile(path, 'w') as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    with pytest.raises(Exception, match='images.zip/im00001.jpg'):
        LspDataset(data_root=str(lsp_root), pipeline=pipeline())[0]


def test_flip_keeps_targets_and_image_together(lsp_root):
    """A mirrored sample is the mirror image, joints swapped by name."""
    def run(probability):
        steps = [dict(type='LoadImage'), dict(type='LoadSilhouette'),
                 dict(type='RandomFlip', prob=probability,
                      direction='horizontal')]
        return LspDataset(data_root=str(lsp_root), with_silhouette=True,
                          pipeline=steps)

    plain, mirrored = run(0.)[0], run(1.)[0]
    assert mirrored['flip'] and not plain['flip']
    np.testing.assert_array_equal(plain['img'][:, ::-1], mirrored['img'])
    again = mirrored['keypoints'][:, MPII.flip_indices].copy()
    again[..., 0] = plain['img'].shape[1] - 1 - again[..., 0]
    np.testing.assert_allclose(again, plain['keypoints'], atol=1e-4)


def test_flip_twice_is_the_identity(lsp_root):
    flip = dict(type='RandomFlip', prob=1., direction='horizontal')
    steps = [dict(type='LoadImage'), dict(type='LoadSilhouette')]
    plain = LspDataset(data_root=str(lsp_root), with_silhouette=True,
                       pipeline=steps)
    twice = LspDataset(data_root=str(lsp_root), with_silhouette=True,
                       pipeline=steps + [flip, flip])
    for i in range(len(plain)):
        for key in ('img', 'keypoints', 'keypoints_visible', 'bbox'):
            np.testing.assert_allclose(plain[i][key], twice[i][key],
                                       atol=1e-4)


def test_worker_processes(lsp_root):
    data = LspDataset(data_root=str(lsp_root),
                      pipeline=pipeline(train=False))
    want = [data[i]['inputs'] for i in range(len(data))]
    loader = torch.utils.data.DataLoader(
        data, batch_size=None, num_workers=2,
        collate_fn=lambda sample: sample['inputs'])
    got = list(loader)
    assert all(torch.equal(a, b) for a, b in zip(want, got))


REAL = os.environ.get('MIRRORPOSE_DATA', '')
needs_data = pytest.mark.skipif(
    not (Path(REAL) / 'lsp' / 'lsp.npz').is_file(),
    reason='real LSP not found; set MIRRORPOSE_DATA')


@needs_data
def test_real_lsp():
    train, test = (LspDataset(subset=s) for s in ('train', 'test'))
    assert len(train) == len(test) == 1000
    assert test.get_data_info(0)['id'] == 'lsp/im1001'
    good = LspDataset(with_silhouette=True, pipeline=pipeline(
        silhouette=True))
    assert 900 < len(good) < 1000
    mask = good[0]['data_samples'].gt_fields.silhouette
    assert 0 < mask.mean() < 1


@needs_data
def test_real_lsp_is_person_centric():
    """Observer-centric joints have the right shoulder on one side always."""
    data = LspDataset(subset='all')
    right, left = MPII.index('right_shoulder', 'left_shoulder')
    points = np.stack([data.get_data_info(i)['keypoints'][0]
                       for i in range(len(data))])
    share = (points[:, right, 0] < points[:, left, 0]).mean()
    assert .5 < share < .8


@needs_data
def test_real_lspet():
    data = LspDataset('lspet/lspet.npz', pipeline=pipeline())
    lost = [(data.get_data_info(i)['keypoints_visible'] == 0).any()
            for i in range(0, len(data), 10)]
    assert .35 < np.mean(lost) < .55
    for i in range(0, len(data), 400):
        sample = data[i]['data_samples']
        assert np.isfinite(sample.gt_instances.keypoints).all()
