"""The converter of Human3.6M, on fixtures of its two layouts.

The data need a licence and were not at hand. The ``.cdf`` files are read by
cdflib; where it is missing, something with its interface takes its place.
"""
from __future__ import annotations

import importlib.util
import pickle
import runpy
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest
from h36m_layout import (
    CAMERAS,
    LENS,
    TOOL,
    camera,
    motion,
    picture,
    write_mmpose,
)
from scipy.spatial.transform import Rotation

from mirrorpose.datasets.multiview import MultiViewDataset, PreparedViews
from mirrorpose.datasets.multiview.prepared import H36M_17_OF_32


@pytest.fixture(scope='module')
def tool():
    return runpy.run_path(str(TOOL))


def check(out, joints, clip='Walking_1', action='Walking'):
    """The prepared folder gives back what the fixture was made of."""
    data = MultiViewDataset(
        PreparedViews('h36m', 64), str(out), part='test',
        held_out=dict(test=['S9']), cache_dir=str(out / 'cache'))
    assert len(data) == 12 and data.subjects == ('S9', )
    assert set(data.cameras.tolist()) == set(CAMERAS)
    want = motion(9, 11)[::5, list(H36M_17_OF_32)]
    np.testing.assert_allclose(data.poses, want, atol=.1)
    assert data.frame.tolist() == [0, 5, 10]
    assert sorted(set(data.seconds.tolist())) == [0, .1, .2]
    meta = data.meta(0)
    assert meta['action'] == action and meta['sequence'] == f'S9/{clip}'
    for i in range(12):
        c = CAMERAS.index(str(data.cameras[i]))
        cam = camera(c, 9)
        np.testing.assert_allclose(data.R[i], cam.R, atol=1e-6)
        np.testing.assert_allclose(data.t[i], cam.t, atol=1e-3)
        # The disc that stood at the head stands there in the crop.
        image = data.image(i)[..., 0].astype(float)
        yy, xx = np.mgrid[:64, :64]
        place = np.array([(image * xx).sum(), (image * yy).sum()]) \
            / image.sum()
        head = data.keypoints[i, 10]
        if (head > 8).all() and (head < 55).all():
            np.testing.assert_allclose(place, head, atol=.6)
    with np.load(out / 'h36m/views.npz') as arrays:
        assert len(arrays['joints']) == arrays['poses'].shape[1] == joints
        assert arrays['poses'].shape[0] == 6


@pytest.mark.parametrize('frame', ['world', 'camera'])
def test_from_mmpose(tool, tmp_path, frame):
    root = write_mmpose(tmp_path / 'in', frame)
    tool['main']([str(root), '--out', str(tmp_path / 'out')])
    check(tmp_path / 'out', 17)


def test_kept_frames(tool, tmp_path):
    """Every 5th, and every 64th for the test; not what is between."""
    root = write_mmpose(tmp_path / 'in', subjects=(9, ),
                        frames=(0, 5, 7, 60, 64, 65))
    for options, want in ((), [0, 5, 60, 64, 65]), (
            ('--test-step', '0'), [0, 5, 60, 65]), (
            ('--step', '30', '--test-step', '7'), [0, 7, 60]):
        tool['main']([str(root), '--out', str(tmp_path / 'o'), *options])
        with np.load(tmp_path / 'o/h36m/views.npz') as arrays:
            assert arrays['frame'].tolist() == want
    frames = np.arange(400)
    assert (frames[tool['kept'](frames, (5, 64))].tolist()
            == sorted({*range(0, 400, 5), *range(0, 400, 64)}))


# -- the originals ----------------------------------------------------------
class FakeCDF:
    """cdflib's reader, of npz files with another name."""

    def __init__(self, path):
        self.table = np.load(path)['Pose']

    def varget(self, name):
        assert name == 'Pose'
        return self.table


@pytest.fixture
def cdf(monkeypatch):
    module = types.ModuleType('cdflib')
    module.CDF = FakeCDF
    monkeypatch.setitem(sys.modules, 'cdflib', module)


def save_cdf(path, table):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('wb') as file:
        np.savez(file, Pose=table.reshape(1, len(table), -1))


def write_originals(root, kind='D3_Positions_mono', subjects=(1, 9)):
    root.mkdir()
    extrinsic = np.zeros((4, 11, 6))
    for c in range(4):
        for s in range(1, 12):
            cam = camera(c, s)
            extrinsic[c, s - 1, :3] = Rotation.from_matrix(
                cam.R).as_euler('XYZ')
            extrinsic[c, s - 1, 3:] = cam.center
    K = camera(0, 1).K
    intrinsic = [K[0, 0], K[1, 1], K[0, 2], K[1, 2], LENS[0], LENS[1],
                 LENS[4], LENS[2], LENS[3]]
    numbers = np.concatenate([extrinsic.ravel(), intrinsic * 4])
    ids = ''.join(f'<item>{c}</item>' for c in CAMERAS)
    (root / 'metadata.xml').write_text(
        '<db><dbcameras><index2id>' + ids + '</index2id></dbcameras><w0>['
        + ' '.join(f'{v:.12g}' for v in numbers) + ']</w0></db>')
    for s in subjects:
        points = motion(s, 13)
        folder = root / f'S{s}'
        (folder / 'Videos').mkdir(parents=True)
        for c in range(4):
            cam, stem = camera(c, s), f'Walking 1.{CAMERAS[c]}'
            pixels = cam.project(points)
            save_cdf(folder / 'MyPoseFeatures/D2_Positions' / f'{stem}.cdf',
                     pixels)
            if kind == 'D3_Positions_mono':
                save_cdf(folder / 'MyPoseFeatures' / kind / f'{stem}.cdf',
                         cam.to_camera(points))
            video = cv2.VideoWriter(
                str(folder / 'Videos' / f'{stem}.mp4'),
                cv2.VideoWriter_fourcc(*'mp4v'), 50, (1000, 1000))
            for t in range(13):
                video.write(picture(pixels[t, H36M_17_OF_32[10]]))
            video.release()
        if kind == 'D3_Positions':
            save_cdf(folder / 'MyPoseFeatures' / kind / 'Walking 1.cdf',
                     points)
    return root


@pytest.mark.parametrize('kind', ['D3_Positions_mono', 'D3_Positions'])
def test_from_the_originals(tool, cdf, tmp_path, kind):
    root = write_originals(tmp_path / 'in', kind)
    tool['main']([str(root), '--out', str(tmp_path / 'out'), '--subjects',
                  'S1', 'S9'])
    check(tmp_path / 'out', 32)


def test_metadata_gives_the_cameras(tool, tmp_path):
    root = write_originals(tmp_path / 'in', subjects=())
    found = tool['read_metadata'](root / 'metadata.xml')
    assert len(found) == 44
    for (subject, name), got in found.items():
        want = camera(CAMERAS.index(name), int(subject[1:]))
        np.testing.assert_allclose(got.R, want.R, atol=1e-9)
        np.testing.assert_allclose(got.t, want.t, atol=1e-5)
        np.testing.assert_allclose(got.K, want.K, atol=1e-6)
        np.testing.assert_allclose(got.distortion, LENS)


class TestErrors:

    def run(self, tool, root, tmp_path, *more):
        with pytest.raises(tool['ConversionError']) as caught:
            tool['main']([str(root), '--out', str(tmp_path / 'o'), *more])
        assert not list(tmp_path.glob('o/h36m/*.npz'))
        return str(caught.value)

    def test_nothing_there(self, tool, tmp_path):
        text = self.run(tool, tmp_path, tmp_path)
        assert 'metadata.xml' in text and 'preprocess_h36m.py' in text

    def test_wrong_cameras(self, tool, tmp_path):
        root = write_mmpose(tmp_path / 'in', subjects=(1, ))
        path = root / 'annotation_body3d/cameras.pkl'
        table = pickle.loads(path.read_bytes())
        for entry in table.values():
            entry['R'] = entry['R'].T
        path.write_bytes(pickle.dumps(table))
        assert 'pixels away' in self.run(tool, root, tmp_path)

    def test_camera_without_calibration(self, tool, tmp_path):
        root = write_mmpose(tmp_path / 'in', subjects=(1, ))
        path = root / 'annotation_body3d/cameras.pkl'
        table = pickle.loads(path.read_bytes())
        del table['S1', CAMERAS[2]]
        path.write_bytes(pickle.dumps(table))
        assert '58860488 of S1 has no calibration' in self.run(
            tool, root, tmp_path)
        path.unlink()
        assert 'cameras.pkl is missing' in self.run(tool, root, tmp_path)

    def test_pickles_of_other_things(self, tool, tmp_path):
        root = write_mmpose(tmp_path / 'in', subjects=(1, ))
        (root / 'annotation_body3d/cameras.pkl').write_bytes(
            pickle.dumps(Path('x')))
        assert 'is no array' in self.run(tool, root, tmp_path)

    @pytest.mark.parametrize('change, message', [
        (lambda d: d | dict(part=d['part'][:, :16]), 'mixed joint sets'),
        (lambda d: {k: v for k, v in d.items() if k != 'S'}, "lacks ['S']"),
        (lambda d: {k: np.concatenate([v, v]) for k, v in d.items()},
         'duplicate frames'),
        (lambda d: d | dict(imgname=np.array(['a.jpg'] * len(d['S']))),
         'no image of Human3.6M')])
    def test_bad_annotations(self, tool, tmp_path, change, message):
        root = write_mmpose(tmp_path / 'in', subjects=(1, ))
        path = root / 'annotation_body3d/fps10/h36m_train.npz'
        with np.load(path) as arrays:
            data = {k: arrays[k] for k in arrays.files}
        np.savez(path, **change(data))
        assert message in self.run(tool, root, tmp_path)

    def test_missing_image(self, tool, tmp_path):
        root = write_mmpose(tmp_path / 'in', subjects=(1, ))
        next(root.glob('images/*/*/*.jpg')).unlink()
        assert 'is missing' in self.run(tool, root, tmp_path)

    def test_missing_originals(self, tool, cdf, tmp_path):
        root = write_originals(tmp_path / 'in', subjects=(1, ))
        assert 'tar -xf' in self.run(tool, root, tmp_path)  # S5 ...
        video = next(root.glob('S1/Videos/*.mp4'))
        video.unlink()
        assert 'is missing' in self.run(tool, root, tmp_path, '--subjects',
                                        'S1')
        for file in root.glob('S1/MyPoseFeatures/D3*/*'):
            file.unlink()
        assert 'no 3D joints' in self.run(tool, root, tmp_path, '--subjects',
                                          'S1')

    def test_cdflib_is_named(self, tool, tmp_path):
        if importlib.util.find_spec('cdflib') is not None:
            pytest.skip('cdflib is installed')
        root = write_originals(tmp_path / 'in', subjects=(1, ))
        assert 'pip install cdflib' in self.run(tool, root, tmp_path,
                                                '--subjects', 'S1')

    def test_bad_metadata(self, tool, tmp_path):
        (tmp_path / 'metadata.xml').write_text('<db><w0>[1 2]</w0></db>')
        assert 'not the metadata' in self.run(tool, tmp_path, tmp_path)

    def test_arguments(self, tool, tmp_path):
        assert 'at least 1' in self.run(tool, tmp_path, tmp_path, '--step',
                                        '0')
        assert 'at least 0' in self.run(tool, tmp_path, tmp_path,
                                        '--test-step', '-1')
