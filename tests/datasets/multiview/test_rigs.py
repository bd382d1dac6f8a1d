"""Real calibrations, and motion before them."""
from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mirrorpose.datasets.multiview import MultiViewDataset, RigViews
from mirrorpose.datasets.multiview.cameras import RealCamera, read_rigs

MOTION = dict(type='SyntheticMotions', clips=6, people=3, seconds=3, fps=10)


def entry(name, place, target, up, z_up, **changes):
    """A camera in the form of the published files."""
    place, target = np.array(place, float), np.array(target, float)
    ahead = (target - place) / np.linalg.norm(target - place)
    right = np.cross(ahead, up)
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(ahead, right), ahead])
    out = dict(c=[[500.], [510.]], f=[[1100.], [1120.]], w=1000, h=1002,
               name=name)
    if z_up:
        out |= dict(R=turn.T.tolist(), T=place[:, None].tolist(),
                    k=[[-.2], [.24], [-.003]], p=[[-.001], [-.0015]])
    else:
        out |= dict(R=turn.tolist(), T=(-turn @ place)[:, None].tolist(),
                    h=204.0, w=2048.0)
    return dict(out, **changes)


def write(folder, z_up=True, rigs=('S1', 'S5'), **changes):
    up = np.array([0, 0, 1.] if z_up else [0, 1., 0])
    places = [(4, 4, 1.5), (-4, 4, 1.6), (-4, -4, 1.4), (4, -4, 1.5)]
    table = {}
    for rig in rigs:
        for number, (x, y, h) in enumerate(places):
            place = (x, y, h) if z_up else (y, h, x)
            target = np.array([.3, .2, .9] if z_up else [.2, .9, .3])
            key = (f'{rig}_5413896{number}' if z_up
                   else f'{rig}_Seq1_Cam{number}')
            table[key] = entry(key, place, target, up, z_up, **changes)
    (folder / 'cameras').mkdir(exist_ok=True)
    path = folder / 'cameras' / 'rig.json'
    path.write_text(json.dumps(table))
    return path


def test_projection_is_opencvs():
    rng = np.random.default_rng(0)
    turn = Rotation.from_euler('XYZ', [10, 20, 30], degrees=True).as_matrix()
    lens = np.array([-.2, .24, -.0015, -.001, -.003])
    camera = RealCamera('a', np.array([[1100, 0, 500], [0, 1120, 510],
                                       [0, 0, 1.]]), turn,
                        np.array([10., 20, 5000]), lens, (1000, 1000))
    points = rng.uniform(-900, 900, (50, 3))
    want = cv2.projectPoints(points, cv2.Rodrigues(turn)[0], camera.t,
                             camera.K, lens)[0][:, 0]
    np.testing.assert_allclose(camera.project(points), want, atol=1e-6)
    np.testing.assert_allclose(camera.to_camera(camera.center[None]), 0,
                               atol=1e-9)
    behind = camera.center - turn[2] * 100
    assert np.isnan(camera.project(behind[None])).all()


@pytest.mark.parametrize('z_up', [True, False])
def test_cameras_see_their_middle(tmp_path, z_up):
    rigs = read_rigs(write(tmp_path, z_up))
    assert [r.name for r in rigs] == (['S1', 'S5'] if z_up else
                                      ['S1_Seq1', 'S5_Seq1'])
    for rig in rigs:
        middle = rig.middle()
        want = [300, 200, 0] if z_up else [200, 0, 300]
        np.testing.assert_allclose(middle, want, atol=1)
        for camera in rig.cameras:
            # The axis meets the target; the ground lies below it.
            pixel = camera.project(middle + 900 * rig.up)
            np.testing.assert_allclose(pixel, [500, 510], atol=1)
            assert camera.project(middle)[1] > pixel[1] + 50
            assert camera.size == ((1000, 1002) if z_up else (2048, 2048))


@pytest.mark.parametrize('z_up', [True, False])
def test_people_stand_inside_the_images(tmp_path, z_up):
    write(tmp_path, z_up)
    source = RigViews([MOTION], 'cameras/rig.json', people=1, fps=2)
    data = MultiViewDataset(source, str(tmp_path), inputs='keypoints',
                            cache_dir=str(tmp_path))
    rigs = read_rigs(tmp_path / 'cameras/rig.json')
    assert len(data) > 30 and len(data.subjects) == 3
    assert np.bincount(data.group).min() >= 2
    up = rigs[0].up
    np.testing.assert_allclose(data.up, np.tile(up, (len(data.up), 1)))
    # Upright, on the ground, within the radius.
    height = data.poses @ up.astype(np.float32)
    assert (height[:, 10] > height[:, 0]).mean() > .5
    assert height.min() > -250 and height.max() < 2600
    places = data.poses[:, 0] - np.outer(height[:, 0], up)
    assert np.linalg.norm(places - rigs[0].middle(), axis=1).max() < 1001
    # 2D joints are the full camera's, cut out by a scale and a shift.
    people = {p: i for i, p in enumerate(dict.fromkeys(
        data.subjects))}
    assert set(data.cameras) == {c.name for c in rigs[0].cameras}
    for i in range(0, len(data), 9):
        rig = rigs[people[data.meta(i)['subject']] % 2]
        camera = next(c for c in rig.cameras if c.name == data.cameras[i])
        pixels = camera.project(data.poses[data.group[i]].astype(float))
        assert (pixels >= 0).all() and (pixels < camera.size).all()
        fit = np.polyfit(pixels[:, 0], data.keypoints[i, :, 0], 1)
        np.testing.assert_allclose(np.polyval(fit, pixels[:, 0]),
                                   data.keypoints[i, :, 0], atol=.05)
        np.testing.assert_allclose(data.K[i] @ np.array([0, 0, 1.]),
                                   [np.polyval(fit, 500),
                                    data.K[i][1, 2], 1], atol=.1)


def test_motion_keeps_its_shape(tmp_path):
    """Placing turns and moves people, and does nothing else to poses."""
    write(tmp_path)
    data = MultiViewDataset(
        RigViews([MOTION], 'cameras/rig.json', people=1, fps=2),
        str(tmp_path), inputs='keypoints', cache_dir=str(tmp_path))
    from mirrorpose.datasets.multiview.takes import TO_17, MotionTakes
    takes = {t.name: t for t in MotionTakes([MOTION], 1, 2., None, None,
                                            0).load('')}
    for g in range(0, len(data.frame), 4):
        take = takes[str(data.clips[data.clip[g]])]
        at = take.frames.tolist().index(int(data.frame[g]))
        want = TO_17 @ take.joints[at]
        gaps = [np.linalg.norm(p[:, None] - p, axis=-1)
                for p in (data.poses[g], want)]
        np.testing.assert_allclose(gaps[0], gaps[1], atol=.05)


def test_published_files(data_root):
    if not (data_root / 'cameras/h36m.json').is_file():
        pytest.skip('no cameras in MIRRORPOSE_DATA')
    for name, count, cameras in (('h36m', 11, 4), ('mpi_inf_3dhp', 16, 8)):
        rigs = read_rigs(data_root / f'cameras/{name}.json')
        assert len(rigs) == count
        for rig in rigs:
            assert len(rig.cameras) == cameras
            middle = rig.middle() + 900 * rig.up
            for camera in rig.cameras:
                pixel = camera.project(middle)
                assert (pixel > 0).all() and (pixel < camera.size).all()
                assert camera.project(middle + 300 * rig.up)[1] < pixel[1]
                assert camera.center @ rig.up > 0


class TestErrors:

    def test_camera_without_calibration(self, tmp_path):
        path = write(tmp_path)
        table = json.loads(path.read_text())
        del table['S1_54138962']['R']
        path.write_text(json.dumps(table))
        with pytest.raises(ValueError, match="'S1_54138962' has no "
                           'calibration'):
            read_rigs(path)
        assert len(read_rigs(path, ['S5'])) == 1

    def test_single_camera(self, tmp_path):
        path = write(tmp_path)
        table = json.loads(path.read_text())
        path.write_text(json.dumps({'S1_1': table['S1_54138960']}))
        with pytest.raises(ValueError, match='single camera'):
            read_rigs(path)

    def test_names(self, tmp_path):
        path = write(tmp_path)
        with pytest.raises(ValueError, match=r"no rigs \['S9'\]"):
            read_rigs(path, ['S9'])
        path.write_text('{"left": {}}')
        with pytest.raises(ValueError, match="'left' is no camera"):
            read_rigs(path)
        with pytest.raises(FileNotFoundError, match='MIRRORPOSE_DATA'):
            read_rigs(tmp_path / 'none.json')

    def test_cameras(self, tmp_path):
        write(tmp_path)
        source = RigViews([MOTION], 'cameras/rig.json', cameras=['9', '1'])
        with pytest.raises(ValueError, match='cameras must name two'):
            source.read(str(tmp_path))

    def test_nobody_inside(self, tmp_path):
        write(tmp_path, w=20, h=20)
        with pytest.raises(ValueError, match='nobody is inside'):
            RigViews([MOTION], 'cameras/rig.json').read(str(tmp_path))

    def test_images_are_refused(self):
        with pytest.raises(ValueError, match="inputs='keypoints'"):
            MultiViewDataset(RigViews([MOTION], 'x.json'))
