"""The prepared layout: written, read, and bad files."""
from __future__ import annotations

import zipfile

import cv2
import numpy as np
import pytest

from mirrorpose.datasets.multiview import MultiViewDataset, PreparedViews
from mirrorpose.datasets.multiview.prepared import (
    H36M_17_OF_32,
    H36M_32,
    PreparedWriter,
    crop_square,
    cut_square,
    read_frames,
    to_h36m,
)
from mirrorpose.datasets.multiview.views import SKELETON
from mirrorpose.datasets.synthetic.camera import look_at
from mirrorpose.structures.skeleton import Skeleton


def write(root, joints=H36M_32, lost=(), times=4):
    """Two subjects, three cameras; a white disc at each joint 'head'."""
    folder = root / 'h36m'
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    writer = PreparedWriter(folder, joints, 48, 1.4)
    head = joints.index('head')
    for subject in ('S1', 'S9'):
        clip = writer.add_clip(f'{subject}/Walking', subject, 'Walking', 50.,
                               np.array([0, 0, 1.]))
        for t in range(times):
            pose = rng.uniform(-600, 600, (len(joints), 3)) + [0, 0, 900]
            instant = writer.add_instant(clip, 5 * t, pose)
            for c in range(3):
                if (subject, t, c) in lost:
                    continue
                view = look_at(str(c), np.array([4000. * (c - 1), 4000, 1500]),
                               np.array([0, 0, 900.]), 0, 1100, 1000)
                pixels = view.project(pose)
                image = np.zeros((1000, 1000, 3), np.uint8)
                cv2.circle(image, tuple(int(round(v)) for v in pixels[head]),
                           30, (255, 255, 255), -1)
                writer.add_view(instant, f'cam{c}', writer.add_calibration(
                    f'{subject}{c}', view.K, view.R, view.t, np.zeros(5)),
                    pixels, image)
    writer.close()
    return folder


def build(root, **kwargs):
    return MultiViewDataset(PreparedViews('h36m', 48), str(root),
                            cache_dir=str(root / 'cache'), **kwargs)


def test_round_trip(tmp_path):
    write(tmp_path)
    data = build(tmp_path, part='train', held_out=dict(test=['S9']),
                 annotated=dict(fraction=.5))
    assert data.subjects == ('S1', ) and len(data) == 12
    assert data.view_groups()['annotated'].sum() == 6
    assert sorted(set(data.seconds.tolist())) == [0., .1, .2, .3]
    known = data.annotated[data.group]
    P = np.einsum('nij,nkj->nki', data.R, data.poses[data.group]) \
        + data.t[:, None]
    p = np.einsum('nij,nkj->nki', data.K, P)
    np.testing.assert_allclose((p[..., :2] / p[..., 2:])[known],
                               data.keypoints[known], atol=.01)
    for i in range(12):  # the disc lies where the head is
        image = data.image(i)[..., 0].astype(float)
        yy, xx = np.mgrid[:48, :48]
        place = np.array([(image * xx).sum(), (image * yy).sum()]) \
            / image.sum()
        head = data.keypoints[i, SKELETON.index('head')[0]]
        if (head > 4).all() and (head < 43).all():
            np.testing.assert_allclose(place, head, atol=.5)


@pytest.mark.parametrize('name', ['h36m_17', 'mpi_inf_3dhp_28'])
def test_joint_sets(name):
    skeleton = Skeleton.from_name(name)
    matrix = to_h36m(list(skeleton.joints), 'here')
    np.testing.assert_allclose(matrix.sum(1), 1)
    np.testing.assert_array_equal(matrix, skeleton.matrix(SKELETON))


def test_32_joints():
    # Human3.6M's own order: right leg 1-3, left leg 6-8, spine 12, thorax
    # 13, neck 14, head 15, left arm 17-19, right arm 25-27.
    assert [H36M_32[i] for i in (0, 1, 3, 6, 8, 12, 13, 14, 15, 17, 19, 25,
                                 27)] == [
        'root', 'right_hip', 'right_foot', 'left_hip', 'left_foot', 'spine',
        'thorax', 'neck_base', 'head', 'left_shoulder', 'left_wrist',
        'right_shoulder', 'right_wrist']
    points = np.random.default_rng(0).normal(size=(32, 3))
    np.testing.assert_array_equal(to_h36m(list(H36M_32), '') @ points,
                                  points[list(H36M_17_OF_32)])


def test_missing_view(tmp_path):
    write(tmp_path, lost={('S1', 0, 1), ('S1', 1, 0), ('S1', 1, 2)})
    data = build(tmp_path)
    # Two views are left of one instant, one of the other: it goes.
    assert len(data) == 24 - 1 - 3
    with pytest.raises(ValueError, match='miss views'):
        build(tmp_path, require_all_views=True)


def test_crops():
    points = np.array([[10., 20.], [110., 70.]])
    left, top, side = crop_square(points, 1.2)
    assert (left, top, side) == (0, -15, 120)
    image = np.arange(100 * 100, dtype=np.uint32).reshape(100, 100)
    image = np.repeat((image % 251).astype(np.uint8)[..., None], 3, 2)
    crop = cut_square(image, left, top, side, side)
    np.testing.assert_array_equal(crop[15:115, :100], image)
    assert not crop[:15].any() and not crop[:, 100:].any()


def test_video_frames(tmp_path):
    path = tmp_path / 'v.avi'
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 25,
                            (32, 32))
    for i in range(20):
        video.write(np.full((32, 32, 3), 10 * i, np.uint8))
    video.release()
    frames = np.array([0, 3, 4, 19])
    got = [f.mean() for f in read_frames(path, frames)]
    np.testing.assert_allclose(got, 10 * frames, atol=3)
    with pytest.raises(ValueError, match='ends before frame 20'):
        list(read_frames(path, np.array([20])))
    with pytest.raises(ValueError, match='no video'):
        list(read_frames(tmp_path / 'none.avi', frames))


class TestErrors:

    def test_missing_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match='Prepare them by `python '
                           'tools/dataset_converters/h36m.py SOURCE`'):
            build(tmp_path)

    def spoil(self, folder, **changes):
        with np.load(folder / 'views.npz') as arrays:
            data = {k: arrays[k] for k in arrays.files}
        for key, value in changes.items():
            if value is None:
                del data[key]
            else:
                data[key] = value(data[key].copy())
        np.savez(folder / 'views.npz', **data)

    @pytest.mark.parametrize('changes, message', [
        (dict(poses=lambda v: v[:, :17]), 'mixed joint sets'),
        (dict(joints=lambda v: np.array(['a'] * 32)), 'names these joints'),
        (dict(instant=lambda v: v * 0), 'duplicate frames'),
        (dict(up=None), r"lacks \['up'\]"),
        (dict(calibration=lambda v: v * 0 - 1), 'no calibration')])
    def test_bad_index(self, tmp_path, changes, message):
        self.spoil(write(tmp_path), **changes)
        with pytest.raises(ValueError, match=message):
            build(tmp_path)

    def test_missing_image(self, tmp_path):
        folder = write(tmp_path)
        with zipfile.ZipFile(folder / 'images.zip', 'w'):
            pass
        with pytest.raises(ValueError, match='a view is missing; prepare'):
            build(tmp_path)
