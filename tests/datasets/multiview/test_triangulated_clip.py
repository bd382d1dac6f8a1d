"""The real clip's layout, on a made one and on the real one."""
from __future__ import annotations

import json
import zipfile

import cv2
import numpy as np
import pytest

from mirrorpose.datasets.multiview import MultiViewDataset, TriangulatedClip
from mirrorpose.datasets.multiview.clip import _convert, joint_matrix
from mirrorpose.datasets.multiview.views import SKELETON
from mirrorpose.datasets.preparation import encode_image
from mirrorpose.datasets.synthetic.camera import look_at

NAMES = ['nose'] + [f'{s}_{j}' for j in (
    'shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
    for s in ('left', 'right')] + ['upper_neck', 'head_top']


def write(root, cameras=3, times=5, **changes):
    rng = np.random.default_rng(0)
    points = rng.uniform(-.5, .5, (times, len(NAMES), 3)) + [0, 0, 1]
    entries, kp2d, boxes = [], [], []
    folder = root / 'multiview'
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / 'clip_crops.zip', 'w') as archive:
        for c in range(cameras):
            angle = 2 * np.pi * c / cameras
            view = look_at('c', np.array([4000 * np.cos(angle),
                                          4000 * np.sin(angle), 1500]),
                           np.array([0, 0, 1000.]), 0, 1500, 1000)
            entries.append(dict(
                K=view.K.tolist(), R=view.R.tolist(),
                T=(view.t / 1000).tolist(), D=[0, 0, 0, 0],
                size=[1000., 1000.]))
            pixels = view.project(points * 1000)
            kp2d.append(np.concatenate(
                [pixels, np.full((*pixels.shape[:2], 1), .9)], -1))
            boxes.append([500., 490., 800.])
            for t in range(times):
                image = np.full((64, 64, 3), 40 * c + t, np.uint8)
                archive.writestr(f'cam{c + 1}/{t:03d}.jpg',
                                 encode_image(image, '.jpg'))
    arrays = dict(kp2d=np.array(kp2d, 'f4'), joints3d=points.astype('f4'),
                  crop_box=np.array(boxes, 'f4'),
                  joint_names=np.array(NAMES), fps=np.float32(10))
    np.savez(folder / 'clip.npz', **dict(arrays, **changes))
    (folder / 'cameras.json').write_text(json.dumps(entries))
    return entries, points


def build(root, **kwargs):
    return MultiViewDataset(
        TriangulatedClip('clip', image_size=32), str(root),
        cache_dir=str(root), **kwargs)


def test_comes_back(tmp_path):
    _, points = write(tmp_path)
    data = build(tmp_path)
    assert len(data) == 15 and len(data.subjects) == 1
    names = {n: i for i, n in enumerate(NAMES)}
    for joint, parts in (
            ('root', ('left_hip', 'right_hip')),
            ('spine', ('left_hip', 'right_hip', 'left_shoulder',
                       'right_shoulder')),
            ('thorax', ('left_shoulder', 'right_shoulder')),
            ('head', ('head_top', )), ('neck_base', ('upper_neck', )),
            ('left_foot', ('left_ankle', ))):
        want = points[:, [names[p] for p in parts]].mean(1) * 1000
        np.testing.assert_allclose(
            data.poses[:, SKELETON.index(joint)[0]], want, atol=.01)
    for i in range(15):
        assert data.image(i).shape == (32, 32, 3)
        camera = int(data.cameras[i][-1]) - 1
        np.testing.assert_allclose(data.image(i).mean(),
                                   40 * camera + data.frame[data.group[i]],
                                   atol=2)
    P = np.einsum('nij,nkj->nki', data.R, data.poses[data.group]) \
        + data.t[:, None]
    p = np.einsum('nij,nkj->nki', data.K, P)
    # A mean of joints is not projected onto the mean of their pixels.
    real = [i for i, j in enumerate(SKELETON.joints)
            if j not in ('root', 'spine', 'thorax')]
    np.testing.assert_allclose((p[..., :2] / p[..., 2:])[:, real],
                               data.keypoints[:, real], atol=.01)


def test_unknown_joints_are_marked(tmp_path):
    _, points = write(tmp_path)
    lost = points.astype('f4')
    lost[2, NAMES.index('left_hip')] = np.nan
    write(tmp_path, joints3d=lost)
    data = build(tmp_path)
    gone = np.isnan(data.poses).all(-1)
    # Without a hip there is neither root nor spine, so no pose.
    assert gone[2].sum() == 3 and gone.sum() == 3
    assert data.view_groups()['annotated'].sum() == 12
    keep = lost.copy()
    keep[2] = points[2]
    keep[1, NAMES.index('left_wrist')] = np.nan
    write(tmp_path, joints3d=keep)
    data = build(tmp_path)
    assert data.view_groups()['annotated'].all()
    pose = data.labels([4])['keypoints_3d_canonical'][0]
    wrist = SKELETON.index('left_wrist')[0]
    assert pose[wrist].isnan().all()
    assert pose.isnan().all(-1).sum() == 1


def test_doubtful_joints_are_not_seen(tmp_path):
    write(tmp_path)
    with np.load(tmp_path / 'multiview/clip.npz') as arrays:
        kp2d = arrays['kp2d'].copy()
    kp2d[1, 2, NAMES.index('right_knee'), 2] = .1
    write(tmp_path, kp2d=kp2d)
    data = build(tmp_path)
    knee = SKELETON.index('right_knee')[0]
    assert (data.visible == 0).sum() == 1
    assert data.visible[2 * 3 + 1, knee] == 0


class TestErrors:

    def test_camera_without_calibration(self, tmp_path):
        entries, _ = write(tmp_path)
        entries[1]['R'] = None
        (tmp_path / 'multiview/cameras.json').write_text(json.dumps(entries))
        with pytest.raises(ValueError, match="camera 'cam2'"):
            build(tmp_path)
        data = build(tmp_path, uncalibrated='unannotated')
        assert data.view_groups()['annotated'].sum() == 10

    def test_missing_view(self, tmp_path):
        write(tmp_path)
        path = tmp_path / 'multiview/clip_crops.zip'
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('cam1/000.jpg', b'')
        with pytest.raises(ValueError, match='lacks cam2/000.jpg|read'):
            build(tmp_path)

    def test_other_cameras(self, tmp_path):
        entries, _ = write(tmp_path)
        (tmp_path / 'multiview/cameras.json').write_text(
            json.dumps(entries[:2]))
        with pytest.raises(ValueError, match='has 3 cameras, .* 2'):
            build(tmp_path)

    def test_other_joints(self, tmp_path):
        with pytest.raises(ValueError, match='mixed joint sets'):
            joint_matrix(['left_hip', 'right_hip'], 'here')
        matrix = joint_matrix(NAMES[:-2], 'here')
        lost = [j for j, row in zip(SKELETON.joints, matrix)
                if not row.any()]
        assert lost == ['neck_base', 'head']
        made = _convert(matrix, np.ones((2, len(NAMES) - 2, 3)))
        assert np.isnan(made).all(-1).sum() == 4

    def test_missing_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match='multiview/clip.npz'):
            build(tmp_path)


def test_the_real_clip(data_root, tmp_path):
    if not (data_root / 'multiview/balancing.npz').is_file():
        pytest.skip('no multiview in MIRRORPOSE_DATA')
    data = MultiViewDataset(TriangulatedClip(), str(data_root), stride=10,
                            cache_dir=str(tmp_path))
    assert len(data) == 40
    assert np.isfinite(data.poses).mean() > .99
    P = np.einsum('nij,nkj->nki', data.R, data.poses[data.group]) \
        + data.t[:, None]
    p = np.einsum('nij,nkj->nki', data.K, P)
    error = np.linalg.norm(p[..., :2] / p[..., 2:] - data.keypoints, axis=-1)
    # 6 to 8 pixels of 1920 are about one of 128 in crops of 1000.
    assert np.nanmedian(error) < 1.5
    pose = data.labels(np.arange(40))['keypoints_3d_canonical'].numpy()
    # Feet below, head above, left to the right of a frontal view.
    down = pose[:, :, 1].mean(0)
    assert down[10] < -400 and down[3] > 500 and down[6] > 500
    gap = np.abs(pose[0::4] - pose[1::4])
    assert np.nanmax(gap) < 1  # one pose whatever the view
    assert cv2.Laplacian(np.array(data.image(0)), cv2.CV_64F).std() > 5
