"""Views of MPI-INF-3DHP, on fixtures of its documented layout.

Motion alone is tested in ``tests/datasets/sequences/test_mpi_inf_3dhp.py``.
"""
from __future__ import annotations

import runpy
import zipfile

import numpy as np
import pytest
from mpi_inf_3dhp_layout import TOOL, write_sequence

from mirrorpose.datasets.multiview import MultiViewDataset, PreparedViews
from mirrorpose.structures.skeleton import Skeleton

FROM = Skeleton.from_name('mpi_inf_3dhp_28')
TO17 = FROM.matrix(Skeleton.from_name('h36m_17'))


@pytest.fixture(scope='module')
def tool():
    return runpy.run_path(str(TOOL))


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
