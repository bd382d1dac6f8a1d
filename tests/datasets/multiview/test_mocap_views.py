"""Captured motion, drawn by the world."""
from __future__ import annotations

import cv2
import numpy as np
import pytest

from mirrorpose.datasets.multiview import MocapViews, MultiViewDataset
from mirrorpose.datasets.multiview.takes import MotionTakes
from mirrorpose.datasets.sequences.clips import SKELETON
from mirrorpose.datasets.sequences.sources import SyntheticMotions

#: The world's own motions stand for captured ones.
MOTION = dict(type='SyntheticMotions', clips=6, people=3, seconds=3, fps=10)


def make(**kwargs):
    return MocapViews(**dict(dict(
        sources=[MOTION], people=2, fps=1, image_size=48, num_cameras=2,
        truncated=0., occluded=0.), **kwargs))


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return MultiViewDataset(make(), split_by='group', part='train',
                            held_out=dict(test=['person_002']),
                            cache_dir=str(tmp_path_factory.mktemp('c')))


def test_takes():
    takes = MotionTakes([MOTION], 2, 5., None, None, 0).load('')
    motion = SyntheticMotions(6, 3, 3, fps=10).load()
    assert len(takes) == 6
    for take in takes:
        name = take.name.split('/', 1)[1]
        clip = motion.names.index(name)
        assert take.group == motion.groups[clip]
        assert take.person.startswith(take.group)
        assert take.frames.tolist() == list(range(0, 30, 2))
        np.testing.assert_allclose(take.seconds, take.frames / 10)
        rows = motion.start[clip] + take.frames
        want = motion.positions[rows] + motion.root[rows][:, None]
        got = take.joints / 1000
        # z up, and the same but for the height of the ground.
        np.testing.assert_allclose(got[..., 0], want[..., 2], atol=1e-5)
        np.testing.assert_allclose(got[..., 1], want[..., 0], atol=1e-5)
        lift = got[..., 2] - want[..., 1]
        np.testing.assert_allclose(lift, lift.mean(), atol=1e-5)
    # A person has one group and one set of clothes; no two share them.
    clothes = {t.person: t.identity for t in takes}
    assert len(set(clothes.values())) == len(clothes) == 6


def test_limits():
    takes = MotionTakes([MOTION], 1, 5., 1, 1., 0).load('')
    assert len(takes) == 3 and all(len(t.frames) == 5 for t in takes)


def test_held_out_groups_hold_out_people(data):
    assert len(data.subjects) == 4
    assert not [s for s in data.subjects if s.startswith('person_002')]


def test_joints_are_the_captured_ones(data):
    motion = SyntheticMotions(6, 3, 3, fps=10).load()
    to17 = SKELETON.matrix(SKELETON.from_name('h36m_17'))
    for i in range(0, len(data), 5):
        meta = data.meta(i)
        clip = motion.names.index(meta['sequence'].split('/', 1)[1])
        want = to17 @ motion.positions[motion.start[clip] + meta['frame']]
        pose = data.poses[data.group[i]]
        got = (pose - pose[0])[:, [1, 2, 0]] / 1000
        np.testing.assert_allclose(got, want - want[0], atol=1e-4)


def test_pictures_show_the_person_at_the_joints(monkeypatch):
    """Where a joint is seen, somebody is drawn; nowhere else is anybody."""
    from mirrorpose.datasets.multiview import mocap
    source = make()
    views = source.read('')
    with_person = [c.image for c in source.images('', views)]
    seen = [c.visible for c in source.images('', views)]
    monkeypatch.setattr(mocap, 'paint_person', lambda *a, **k: None)
    without = [c.image for c in source.images('', views)]
    close, far = [], []
    yy, xx = np.mgrid[:48, :48]
    for a, b, v, points in zip(with_person, without, seen, views.keypoints):
        change = np.abs(a.astype(int) - b).max(-1)
        at = points[v == 2].round().astype(int).clip(0, 47)
        close.append(change[at[:, 1], at[:, 0]].mean())
        away = np.hypot(xx[..., None] - points[:, 0],
                        yy[..., None] - points[:, 1]).min(-1) > 14
        far.append(change[away].mean())
    assert np.mean(close) > 3 * np.mean(far)


def test_visibility_of_hidden_joints(tmp_path):
    open_, hidden = (MultiViewDataset(
        make(occluded=o), cache_dir=str(tmp_path)) for o in (0., 1.))
    np.testing.assert_array_equal(open_.keypoints, hidden.keypoints)
    assert (hidden.visible == 2).sum() < (open_.visible == 2).sum()
    np.testing.assert_array_equal(hidden.visible > 0, open_.visible > 0)


def test_same_arguments_same_pictures(tmp_path):
    a, b = (MultiViewDataset(make(), cache_dir=str(tmp_path / n))
            for n in 'ab')
    for i in range(0, len(a), 7):
        np.testing.assert_array_equal(a.image(i), b.image(i))
    assert cv2.Laplacian(np.array(a.image(0)), cv2.CV_64F).std() > 1


def test_real_motion(data_root, tmp_path):
    """Every joint that is drawn as seen projects into the crop."""
    if not (data_root / 'mocap/cmu31_30fps.npz').is_file():
        pytest.skip('no mocap in MIRRORPOSE_DATA')
    source = make(sources=[dict(
        type='MocapArchive', file='mocap/cmu31_30fps.npz',
        groups=r'^(cmu_amc_\d+|cmu_exp)')], people=1, clips=1, seconds=4)
    data = MultiViewDataset(source, str(data_root),
                            cache_dir=str(tmp_path))
    P = np.einsum('nij,nkj->nki', data.R, data.poses[data.group]) \
        + data.t[:, None]
    p = np.einsum('nij,nkj->nki', data.K, P)
    np.testing.assert_allclose(p[..., :2] / p[..., 2:], data.keypoints,
                               atol=.05)
    assert (data.visible > 0).mean() > .95


def test_places():
    """A laboratory's cameras stand still; else each clip has its own."""
    for place, kinds in (('all', 2), ('clip', 12)):
        views = make(place=place, clips=2).read('')
        turns = {r.round(6).tobytes() for r in views.R.reshape(-1, 9)}
        assert len(turns) == kinds


@pytest.mark.parametrize('kwargs, message', [
    (dict(people=0), 'must be positive'), (dict(fps=0), 'must be positive'),
    (dict(num_cameras=1), 'num_cameras'), (dict(occluded=2), 'probability'),
    (dict(clips=0), 'must be positive'), (dict(place='here'), "'clip' or")])
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        make(**kwargs)


def test_no_motion_source():
    with pytest.raises(TypeError, match='is no MotionSource'):
        make(sources=[dict(type='SyntheticViews')]).read('')


def test_suits_change_the_images_alone():
    plain, suits = make(), make(suits=True)
    assert plain.key('') != suits.key('')
    views, worn = plain.read(''), suits.read('')
    np.testing.assert_array_equal(views.keypoints, worn.keypoints)
    for _, one, other in zip(range(4), plain.images('', views),
                             suits.images('', worn)):
        assert not np.array_equal(one.image, other.image)
