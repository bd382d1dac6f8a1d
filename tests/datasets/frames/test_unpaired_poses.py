"""Poses alone: where they come from, how they are framed."""
import json

import numpy as np
import pytest
import torch
from mmpose.registry import DATASETS

from mirrorpose.datasets.frames.poses import frame_poses
from mirrorpose.datasets.sequences import MocapArchive, VirtualCameras
from mirrorpose.structures import Skeleton

LSP = Skeleton.from_name('lsp_14')
ARCHIVE = dict(type='FrameArchive', file='people/frames.npz')


def build(root, *sources, **kwargs):
    args = dict(type='UnpairedPoseDataset', joints='lsp_14', size=20,
                data_root=str(root), sources=list(sources))
    return DATASETS.build(args | kwargs)


def write_poses(root, count=30, joints='lsp_14', seed=0, missing=True):
    skeleton = Skeleton.from_name(joints)
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 300, (count, len(skeleton), 2))
    visible = np.ones(points.shape[:2], np.uint8)
    if missing:
        visible[::3, 2] = 0
    np.savez(root / 'poses.npz', keypoints=points, visible=visible,
             joints=np.array(joints))
    return points, visible


FILE = dict(type='DatasetPoses', dataset=dict(type='PoseCollectionDataset',
                                              ann_file='poses.npz'))


def test_poses_stand_in_the_middle_of_their_square(tmp_path):
    points, visible = write_poses(tmp_path)
    data = build(tmp_path, FILE, padding=1.5, size=64)
    assert len(data) == 30 and data.present[0].sum() == 13
    for n in range(30):
        there = visible[n] > 0
        box = points[n][there].min(0), points[n][there].max(0)
        side = 1.5 * (box[1] - box[0]).max()
        # in pixels of a crop of 64, then to the centres of its ends
        pixel = (points[n] - (box[0] + box[1]) / 2) * 64 / side + 31.5
        want = np.where(there[:, None], pixel / 31.5 - 1, 0)
        np.testing.assert_allclose(data[n]['poses'], want, atol=1e-5)
        assert data[n]['pose_present'].tolist() == there.tolist()
    # the longer side of the box fills its share of the crop
    whole = data.poses[data.present.all(1)]
    extent = (whole.max(1) - whole.min(1)).max(-1)
    np.testing.assert_allclose(extent, 2 * 64 / 63 / 1.5, rtol=1e-5)
    assert len(build(tmp_path, FILE, complete=True)) == 20


def test_annotation_of_frames_keeps_its_place(prepared):
    """What the images of these frames show, and where."""
    root, arrays = prepared
    poses = build(root, dict(type='FramePoses', source=ARCHIVE))
    frames = DATASETS.build(dict(
        type='FramePairDataset', joints='lsp_14', size=20,
        data_root=str(root), sources=[ARCHIVE], test_mode=True))
    for n in (0, 9, 23):
        pixels = frames[n]['data_samples'].gt_instances.keypoints[0]
        np.testing.assert_allclose(poses.poses[n], pixels / 9.5 - 1,
                                   atol=1e-5)
    assert poses.clips() == frames.clips() == {
        f'people/c{i}' for i in range(4)}
    moved = dict(ARCHIVE, crop='frame', padding=1.3)
    poses = build(root, dict(type='FramePoses', source=moved))
    frames = DATASETS.build(dict(
        type='FramePairDataset', joints='lsp_14', size=20,
        data_root=str(root), sources=[moved], test_mode=True))
    pixels = frames[11]['data_samples'].gt_instances.keypoints[0]
    np.testing.assert_allclose(poses.poses[11], pixels / 9.5 - 1, atol=1e-5)


def test_no_image_is_read_for_poses(prepared):
    root, _ = prepared
    (root / 'people/images.zip').unlink()
    (root / 'people/masks.zip').unlink()
    assert len(build(root, dict(type='FramePoses', source=ARCHIVE))) == 24


def write_mocap(root, frames=12):
    skeleton = Skeleton.from_name('mpi_inf_3dhp_28')
    rng = np.random.default_rng(1)
    pos = rng.uniform(-.8, .8, (frames, 28, 3)).astype(np.float32)
    np.savez(root / 'motion.npz', pos=pos, root=np.zeros((frames, 3)),
             to28=np.eye(28), names28=np.array(skeleton.joints),
             clip_name=np.array(['one', 'two']),
             clip_start=np.array([0, 7]), clip_len=np.array([7, 5]),
             fps=np.float32(30))
    return pos


def test_motion_through_virtual_cameras(tmp_path):
    pos = write_mocap(tmp_path)
    source = dict(type='MotionPoses', stride=3, views=2, part='all', sources=[
        dict(type='MocapArchive', file='motion.npz')])
    data = build(tmp_path, source, joints='mpi_inf_3dhp_28', size=64)
    assert len(data) == 2 * (3 + 2)  # frames 0, 3, 6 and 0, 3
    assert data.clips() == {'motion/one', 'motion/two'}
    assert data.ids[:3] == ['motion/one:0/0', 'motion/one:0/1',
                            'motion/one:3/0']
    assert not np.allclose(data.poses[0], data.poses[1])
    # a pinhole camera of one's own: both views explain the same body
    for n in (0, 1):
        pose = data.poses[n].astype(float)
        best = np.inf
        cameras = VirtualCameras()
        keys = np.arange(10, dtype=np.uint64)
        assert cameras.draw(keys).shape == (10, 3)
        middle = pos[0].mean(0)
        best = fit_camera(pos[0] - middle, pose)
        assert best < 2e-3
    # other motion, or another seed: other poses
    assert not np.allclose(data.poses, build(
        tmp_path, dict(source, seed=1), joints='mpi_inf_3dhp_28',
        size=64).poses)


def fit_camera(body, pose):
    """Residual of the best linear (projective) camera, 11 parameters."""
    rows = []
    for (x, y, z), (u, v) in zip(body, pose):
        rows += [[x, y, z, 1, 0, 0, 0, 0, -u * x, -u * y, -u * z, -u],
                 [0, 0, 0, 0, x, y, z, 1, -v * x, -v * y, -v * z, -v]]
    return np.linalg.svd(np.array(rows))[1][-1]


def test_motion_groups_are_held_out(tmp_path):
    write_mocap(tmp_path)
    inner = dict(type='MocapArchive', file='motion.npz',
                 held_out=dict(test=['two']))
    assert MocapArchive('motion.npz').name == 'motion'
    for part, name in (('train', 'motion/one'), ('test', 'motion/two')):
        data = build(tmp_path, dict(type='MotionPoses', part=part,
                                    sources=[inner]))
        assert data.clips() == {name}


def test_coco_annotations(tmp_path):
    coco = Skeleton.from_name('coco_17')
    points = np.random.default_rng(0).uniform(5, 90, (3, 17, 2))
    notes = [dict(id=i, image_id=1, category_id=1, bbox=[0, 0, 99, 99],
                  keypoints=np.c_[p, np.full(17, 2)].ravel().tolist())
             for i, p in enumerate(points)]
    (tmp_path / 'people.json').write_text(json.dumps(dict(
        images=[dict(id=1, file_name='a.jpg', width=100, height=100)],
        annotations=notes, categories=[
            dict(id=1, name='person', keypoints=list(coco.joints))])))
    data = build(tmp_path, dict(type='DatasetPoses', dataset=dict(
        type='CocoPoseDataset', ann_file='people.json')), joints='coco_17')
    want = frame_poses(points, np.ones((3, 17), bool), 20, 1.25) / 9.5 - 1
    np.testing.assert_allclose(data.poses, want, atol=1e-5)


def test_limits_are_nested(tmp_path):
    write_poses(tmp_path, 60)
    sets = [set(build(tmp_path, FILE, limit=n).ids) for n in (5, 20, 60, 99)]
    assert [len(s) for s in sets] == [5, 20, 60, 60]
    assert sets[0] < sets[1] < sets[2]
    other = set(build(tmp_path, FILE, limit=20, limit_seed=1).ids)
    assert other != sets[1]
    assert sets[1] == set(build(tmp_path, FILE, limit=20).ids)


def test_augmentation(tmp_path, toy):
    write_poses(tmp_path, 200)
    plain = build(tmp_path, FILE)
    keys = toy.keys(200)
    data = build(tmp_path, FILE, scale=(.8, 1.1), shift=.1, mirror=.5)
    batch = data.get_batch(range(200), keys)
    poses, present = batch['poses'].numpy(), batch['pose_present'].numpy()
    assert (poses[~present] == 0).all()
    mirrored = 0
    for n in range(200):
        fits = []
        for turned in (False, True):
            want, there = plain.poses[n].copy(), plain.present[n]
            if turned:
                want[:, 0] *= -1
                want, there = want[LSP.flip_indices], there[LSP.flip_indices]
            if (there != present[n]).any():
                continue
            design = np.c_[want[there], np.ones(there.sum())]
            (sx, _, bx), (_, sy, by) = np.linalg.lstsq(
                design, poses[n][there], rcond=None)[0].T
            gap = np.abs(np.c_[want[:, 0] * sx + bx, want[:, 1] * sy + by]
                         - poses[n])[there].max()
            if gap < 1e-4:
                fits.append((turned, sx, sy, bx, by))
        ((turned, sx, sy, bx, by), ) = fits
        mirrored += turned
        assert sx == pytest.approx(sy, abs=1e-4) and .799 < sx < 1.101
        assert max(abs(bx), abs(by)) < .1001
    assert 75 < mirrored < 125
    part = data.get_batch([7, 3], keys[[7, 3]])
    np.testing.assert_array_equal(part['poses'], poses[[7, 3]])
    np.testing.assert_array_equal(plain.get_batch([5], keys[:1])['poses'][0],
                                  plain[5]['poses'])


def test_wrong_poses(tmp_path):
    points, visible = write_poses(tmp_path)
    with pytest.raises(ValueError, match=r'poses\.npz: none of its 14 joints '
                       r".*the 68 of '?.*set joints="):
        build(tmp_path, FILE, joints='ibug_68')
    with pytest.raises(ValueError, match='none of its 14 .*one of the 7'):
        build(tmp_path, FILE, joints='cathead_7')
    np.savez(tmp_path / 'poses.npz', keypoints=points[:0],
             visible=visible[:0], joints=np.array(LSP.joints))
    with pytest.raises(ValueError, match=r'poses\.npz holds no pose; write'):
        build(tmp_path, FILE)
    with pytest.raises(FileNotFoundError, match='pose collection'):
        build(tmp_path, dict(type='DatasetPoses', dataset=dict(
            type='PoseCollectionDataset', ann_file='nowhere.npz')))
    (tmp_path / 'poses.npz').write_bytes(b'')
    with pytest.raises(ValueError, match=r'poses\.npz is empty .*write it'):
        build(tmp_path, FILE)


def test_wrong_sources(prepared, tmp_path):
    root, _ = prepared
    with pytest.raises(ValueError, match="another joint set.*'ibug_68'"):
        build(root, dict(type='FramePoses', source=ARCHIVE),
              joints='ibug_68')
    with pytest.raises(TypeError, match='no PoseSource'):
        build(root, ARCHIVE)
    with pytest.raises(ValueError, match='given twice'):
        build(root, *[dict(type='FramePoses', source=ARCHIVE)] * 2)
    for options in (dict(limit=0), dict(scale=(2, 1)), dict(mirror=2.),
                    dict(padding=0), dict(shift=-1)):
        with pytest.raises(ValueError):
            build(root, dict(type='FramePoses', source=ARCHIVE), **options)


def test_lsp_poses(data_root):
    data = build(data_root, dict(type='DatasetPoses', dataset=dict(
        type='LspDataset', ann_file='lsp/lsp.npz')), size=64)
    assert len(data) == 1000 and data.present.all()
    with np.load(data_root / 'lsp/lsp.npz') as raw:
        joints = raw['joints'][raw['train']]

    def shape(points):  # framing is a scale and a shift: ratios stay
        limb = np.linalg.norm(points[:, 0] - points[:, 1], axis=-1)
        return np.linalg.norm(points[:, 1] - points[:, 2], axis=-1) / limb
    np.testing.assert_allclose(shape(data.poses), shape(joints), rtol=1e-3)
    assert np.abs(data.poses).max() < 1
    assert isinstance(data[0]['poses'], torch.Tensor)
