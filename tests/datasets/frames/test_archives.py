"""The prepared layout, views, and the project's real frames."""
import zipfile

import cv2
import numpy as np
import pytest
from mmpose.registry import DATASETS

from mirrorpose.datasets.frames import (
    FaceClips,
    FrameArchive,
    MultiviewCrops,
    VideoCrops,
    ViewFrames,
)
from mirrorpose.structures import Skeleton


def pairs(root, source, **kwargs):
    return DATASETS.build(dict(
        type='FramePairDataset', size=32, data_root=str(root), order='any',
        sources=[source], **kwargs))


def test_parts_of_an_archive(prepared):
    root, arrays = prepared
    source = FrameArchive('people/frames.npz', subset='test')
    (clip, ) = source.select(str(root))
    assert (clip.name, clip.group, clip.action) == ('c3', 'p1', 'wait')
    np.testing.assert_allclose(clip.keypoints, arrays['keypoints'][18:],
                               rtol=1e-6)
    found = FrameArchive('people/frames.npz', actions=['WALK']).select(
        str(root))
    assert [c.name for c in found] == ['c0', 'c2']
    for wrong, message in (
            (dict(subset='val'), "subsets.*'test', 'train'"),
            (dict(actions=['swim']), "'swim'.*'wait', 'walk'")):
        with pytest.raises(ValueError, match=message):
            FrameArchive('people/frames.npz', **wrong).select(str(root))


@pytest.mark.parametrize('spoil, message', [
    (dict(clip=np.array(['a', 'b'] * 12)), 'do not stand together'),
    (dict(keypoints=np.zeros((24, 3, 2))), r'\(T, 14, 2\)'),
    (dict(group=np.array(['a'] * 9)), "24 names, but rows"),
    (dict(joints=np.array(['elbow', 'knie'])), 'unknown joint names')])
def test_damaged_archives(tmp_path, toy, spoil, message):
    toy.write_archive(tmp_path, **spoil)
    with pytest.raises(ValueError, match=message):
        FrameArchive('people/frames.npz').select(str(tmp_path))


def test_files_that_are_no_archives(tmp_path, toy):
    toy.write_archive(tmp_path)
    path = tmp_path / 'people/frames.npz'
    for content in (b'', b'PK\x03\x04 cut off'):
        path.write_bytes(content)
        with pytest.raises(ValueError, match='empty or damaged'):
            FrameArchive('people/frames.npz').select(str(tmp_path))
    np.savez(path, names=np.array(['a']))
    with pytest.raises(ValueError, match=r"lacks \['clip'\]"):
        FrameArchive('people/frames.npz').select(str(tmp_path))
    path.unlink()
    with pytest.raises(FileNotFoundError, match='python convert.py RAW'):
        FrameArchive('people/frames.npz',
                     command='python convert.py RAW').select(str(tmp_path))


def write_views(root, size=40, joints=28):
    """Two clips, two cameras, three instants each, spots at joint 0."""
    folder = root / 'h36m'
    folder.mkdir(parents=True)
    rng = np.random.default_rng(6)
    views = [(c, t, v) for t in range(3) for c in range(2) for v in range(2)]
    crop = np.stack([rng.integers(0, 200, len(views)),
                     rng.integers(0, 200, len(views)),
                     rng.integers(300, 500, len(views))], -1)
    points = crop[:, None, :2] + rng.uniform(
        .25, .75, (len(views), joints, 2)) * crop[:, None, 2:]
    names = [f'{c}_{t}_{v}.jpg' for c, t, v in views]
    with zipfile.ZipFile(folder / 'images.zip', 'w') as file:
        for n, name in enumerate(names):
            left, top, side = crop[n]
            video = np.zeros((800, 800), np.uint8)
            cv2.circle(video, np.round(points[n, 0] * 16).astype(int).tolist(),
                       20 << 4, 255, -1, cv2.LINE_AA, 4)
            seen = cv2.resize(video[top:top + side, left:left + side],
                              (size, size), interpolation=cv2.INTER_AREA)
            file.writestr(name, cv2.imencode('.jpg', seen)[1].tobytes())
    skeleton = Skeleton.from_name('mpi_inf_3dhp_28')
    np.savez(
        folder / 'views.npz', joints=np.array(
            skeleton.joints if joints == 28 else
            ['root', 'right_hip', 'right_knee', 'right_foot', 'site_04']
            + [f'site_{i:02d}' for i in range(5, 32)]),
        clips=np.array(['S1/Walk', 'S9/Sit']),
        clip_subject=np.array(['S1', 'S9']),
        clip_action=np.array(['Walk', 'Sit']),
        clip=np.repeat([0, 1], 3), frame=np.tile([0, 5, 10], 2),
        instant=np.array([c * 3 + t for c, t, _ in views]),
        camera=np.array([f'cam{v}' for *_, v in views]),
        keypoints=points, crop=crop, image=np.array(names))
    return crop, views


@pytest.mark.parametrize('joints', [28, 32])
def test_views_of_other_systems_are_read(tmp_path, joints):
    crop, views = write_views(tmp_path, joints=joints)
    name = {28: 'mpi_inf_3dhp_28', 32: 'human36m_32'}[joints]
    data = pairs(tmp_path, dict(type='ViewFrames', folder='h36m'),
                 joints=name, test_mode=True)
    assert data.store.names == [
        f'h36m/{c}.cam{v}' for c in ('S1/Walk', 'S9/Sit') for v in (0, 1)]
    assert data.store.actions == ['Walk', 'Walk', 'Sit', 'Sit']
    for i in range(len(data)):
        item = data[i]
        value = np.clip(item['inputs'][0].numpy().astype(float) - 60, 0, None)
        y, x = np.mgrid[:32, :32]
        found = np.array([(value * x).sum(), (value * y).sum()]) / value.sum()
        sample = item['data_samples']
        assert np.abs(found - sample.gt_instances.keypoints[0, 0]).max() < .5
        c, v = divmod(data.store.clip[i], 2)
        row = views.index((c, data.store.place[i], v))
        assert sample.metainfo['pixel_scale'] == pytest.approx(
            crop[row, 2] / 32)
    one = ViewFrames('h36m', subjects=['S9'], cameras=['cam1'])
    assert [c.name for c in one.select(str(tmp_path))] == ['S9/Sit.cam1']
    with pytest.raises(FileNotFoundError, match=r'converters/h36m\.py'):
        ViewFrames('h36m').select(str(tmp_path / 'nowhere'))


def test_multiview_crops(data_root):
    """Joints lie on the person: the skin's colour, not the wall's."""
    source = MultiviewCrops()
    clips = source.select(str(data_root))
    assert [(c.name, len(c)) for c in clips] == [
        (f'cam{i}', 100) for i in (1, 2, 3, 4)]
    names = source.skeleton.joints
    assert len(names) == 25
    with np.load(data_root / 'multiview/balancing.npz') as raw:
        side, kp = raw['crop_box'][2], raw['kp2d'][2, 7]
    place = clips[2].keypoints[7]
    there = clips[2].visible[7] > 0
    back = (place + .5) * side[2] / 256 - .5 + side[:2] - side[2] / 2
    np.testing.assert_allclose(back[there], kp[there, :2], atol=1e-2)
    assert there.sum() > 20
    data = pairs(data_root, dict(type='MultiviewCrops', crop='frame'),
                 joints='lsp_14', test_mode=True)
    points, seen = data.store.keypoints, data.store.visible
    assert seen.mean() > .98 and len(data) == 400
    # framed by all 25 joints, so these 14 lie inside
    assert points[seen].min() > 0 and points[seen].max() < 31


def test_video_crops(data_root):
    source = VideoCrops()
    clips = source.select(str(data_root))
    assert {c.name: len(c) for c in clips} == dict(
        basketball=40, golf=264, jacks=127)
    assert clips[2].frames[0].endswith('jacks/0003.jpg')
    points, seen = source.skeleton.convert(
        clips[1].keypoints, clips[1].visible.astype(float), 'coco_17',
        allow_missing=True)
    assert seen.any(0).all()
    # the golfer stands: shoulders above hips above ankles
    coco = Skeleton.from_name('coco_17')
    y = [np.median(points[:, coco.index(f'left_{j}')[0], 1][
        seen[:, coco.index(f'left_{j}')[0]] > 0])
         for j in ('shoulder', 'hip', 'ankle')]
    assert y[0] < y[1] < y[2]


def test_face_clips(data_root):
    source = FaceClips()
    clips = source.select(str(data_root))
    assert len(clips) == 1154 and {len(c) for c in clips} == {3}
    assert len(FaceClips(min_frames=1).select(str(data_root))) == 1924
    split = dict(images=.5, poses=.5)
    sides = [{c.group for c in FaceClips(split=split, part=p).select(
        str(data_root))} for p in split]
    assert not sides[0] & sides[1] and len(sides[0] | sides[1]) > 300
    assert source.skeleton.name == 'ibug_68'
