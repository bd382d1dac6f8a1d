"""Views of MPI-INF-3DHP, on fixtures of its documented layout.

Motion alone is tested in ``tests/datasets/sequences/test_mpi_inf_3dhp.py``.
"""
from __future__ import annotations

import runpy
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from mirrorpose.datasets.multiview import MultiViewDataset, PreparedViews
from mirrorpose.structures.skeleton import Skeleton

TOOL = Path(__file__).parents[2] / 'tools/dataset_converters/mpi_inf_3dhp.py'
FROM = Skeleton.from_name('mpi_inf_3dhp_28')
TO17 = FROM.matrix(Skeleton.from_name('h36m_17'))
K = np.array([[375., 0, 256], [0, 375, 260], [0, 0, 1]])


@pytest.fixture(scope='module')
def tool():
    return runpy.run_path(str(TOOL))


def turn_of(camera):
    return np.diag([1., -1, -1]) @ Rotation.from_euler(
        'Y', 40 * camera - 40, degrees=True).as_matrix()


def motion(subject, frames):
    rng = np.random.default_rng(subject)
    rest = rng.normal(0, 300, (28, 3)) + [0, 1000, 0]
    return rest + 8 * np.arange(frames)[:, None, None]


def write_sequence(root, subject, frames=26, cameras=3):
    folder = root / f'S{subject}' / 'Seq1'
    (folder / 'imageSequence').mkdir(parents=True)
    world = motion(subject, frames)
    two, three = (np.empty((cameras, 1), object) for _ in range(2))
    text = 'Skeletool Camera Calibration File V1.0\n'
    for c in range(cameras):
        rt, four = np.eye(4), np.eye(4)
        rt[:3, :3], rt[:3, 3], four[:3, :3] = turn_of(c), [0, 900, 4000], K
        seen = world @ rt[:3, :3].T + rt[:3, 3]
        pixels = seen @ K.T
        pixels = pixels[..., :2] / pixels[..., 2:]
        two[c, 0] = pixels.reshape(frames, 56)
        three[c, 0] = seen.reshape(frames, 84)
        text += (f'name {c}\n  intrinsic '
                 + ' '.join(f'{v:.9g}' for v in four.ravel())
                 + '\n  extrinsic '
                 + ' '.join(f'{v:.9g}' for v in rt.ravel()) + '\n')
        video = cv2.VideoWriter(
            str(folder / 'imageSequence' / f'video_{c}.avi'),
            cv2.VideoWriter_fourcc(*'MJPG'), 25, (512, 512))
        for t in range(frames if c != 2 else frames - 10):
            image = np.zeros((512, 512, 3), np.uint8)
            cv2.circle(image, tuple(int(round(v)) for v in pixels[t, 6]),
                       15, (255, 255, 255), -1)
            video.write(image)
        video.release()
    savemat(folder / 'annot.mat', dict(annot2=two, annot3=three))
    (folder / 'camera.calibration').write_text(text)
    return world


@pytest.fixture(scope='module')
def published(tmp_path_factory):
    root = tmp_path_factory.mktemp('published')
    return root, {s: write_sequence(root, s) for s in (1, 8)}


@pytest.mark.parametrize('zipped', [False, True])
def test_views_come_back(tool, published, tmp_path, zipped):
    root, worlds = published
    if zipped:
        with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as archive:
            for file in root.rglob('*'):
                archive.write(file, file.relative_to(root))
        root = tmp_path / 'a.zip'
    out = tmp_path / 'out'
    tool['main']([str(root), '--out', str(out), '--partial', '--views',
                  '--cameras', '0', '1', '2'])
    assert (out / 'mpi_inf_3dhp/motion.npz').is_file()
    data = MultiViewDataset(
        PreparedViews('mpi_inf_3dhp', 64), str(out), part='test',
        held_out=dict(test=['S8']), cache_dir=str(out / 'cache'))
    # Frames 0, 5 ... 25 of two cameras; the third's video ends at 15.
    assert len(data) == 6 + 6 + 4
    assert data.frame.tolist() == [0, 5, 10, 15, 20, 25]
    np.testing.assert_allclose(data.seconds, data.frame / 25)
    np.testing.assert_allclose(data.poses, TO17 @ worlds[8][::5], atol=.1)
    np.testing.assert_allclose(data.up, np.tile([0, 1, 0], (6, 1)))
    P = np.einsum('nij,nkj->nki', data.R, data.poses[data.group]) \
        + data.t[:, None]
    p = np.einsum('nij,nkj->nki', data.K, P)
    real = TO17.max(1) == 1
    np.testing.assert_allclose((p[..., :2] / p[..., 2:])[:, real],
                               data.keypoints[:, real], atol=.02)
    head = Skeleton.from_name('h36m_17').index('head')[0]
    for i in range(len(data)):
        image = data.image(i)[..., 0].astype(float)
        yy, xx = np.mgrid[:64, :64]
        place = np.array([(image * xx).sum(), (image * yy).sum()]) \
            / image.sum()
        spot = data.keypoints[i, head]
        if (spot > 8).all() and (spot < 55).all():
            np.testing.assert_allclose(place, spot, atol=.6)
    canonical = data.labels(np.arange(len(data)))['keypoints_3d_canonical']
    for group in range(6):
        mine = canonical[data.group == group]
        np.testing.assert_allclose(mine, mine[:1].expand_as(mine), atol=.05)
    with np.load(out / 'mpi_inf_3dhp/views.npz') as arrays:
        assert tuple(arrays['joints']) == FROM.joints


def test_missing_video(tool, published, tmp_path):
    root, _ = published
    with pytest.raises(tool['ConversionError'], match='camera 4'):
        tool['main']([str(root), '--out', str(tmp_path), '--partial',
                      '--views', '--cameras', '0', '4'])
    path = root / 'S8/Seq1/imageSequence/video_1.avi'
    data = path.read_bytes()
    path.unlink()
    try:
        with pytest.raises(tool['ConversionError'],
                           match=r'video_1.avi is missing; leave camera 1'):
            tool['main']([str(root), '--out', str(tmp_path), '--partial',
                          '--views', '--cameras', '0', '1'])
    finally:
        path.write_bytes(data)
    assert not list(tmp_path.glob('mpi_inf_3dhp/*.npz'))
