"""Windows of pose sequences: splits, keys, frames, mirroring, bad input."""
from __future__ import annotations

import copy
import pickle

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate
from mmpose.registry import DATASETS

from mirrorpose.datasets.keyed import make_keyed, sample_keys
from mirrorpose.datasets.sequences import PoseSequenceDataset, head_lengths
from mirrorpose.datasets.splits import split_digest
from mirrorpose.structures.skeleton import Skeleton

SKELETON = Skeleton.from_name('mpi_inf_3dhp_28')
KEYS = np.random.default_rng(0).integers(0, 2**63, 64, dtype=np.uint64)
NOISY = [dict(type='UnseenJoints'), dict(type='DetectorNoise'),
         dict(type='HiddenLimb')]


@pytest.fixture
def make(motion_root, source):
    """Builds the data set through the registry."""
    def build(**changes):
        return DATASETS.build(dict(
            type='PoseSequenceDataset', sources=[source],
            data_root=str(motion_root)) | changes)
    return build


def clip_of(name: str) -> str:
    return name.split(':')[0]


def equal(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(
        a[k] == b[k] if isinstance(a[k], (str, list)) else
        torch.equal(torch.nan_to_num(a[k].float(), 9),
                    torch.nan_to_num(b[k].float(), 9)) for k in a)


def test_subjects_are_on_one_side(make):
    sides = {p: make(part=p) for p in ('train', 'val', 'test', 'all')}
    groups = {p: set(d.clips.groups) for p, d in sides.items()}
    assert groups['val'] == {'s1'} and groups['test'] == {'s2', 's3'}
    assert groups['train'] == {'s0', 's4', 's5'}
    ids = {p: {i for n in range(len(d)) for i in [d[n]['ids']]}
           for p, d in sides.items()}
    assert ids['all'] == ids['train'] | ids['val'] | ids['test']
    assert not ids['train'] & (ids['val'] | ids['test'])
    names = {clip_of(i) for i in ids['test']}
    assert all(n.split('/')[1][:2] in groups['test'] for n in names)
    for data in sides.values():
        assert data.split_digest == split_digest(data.clips.names)
    assert len({d.split_digest for d in sides.values()}) == 4


def test_windows_against_loops(make, archive, tmp_path):
    """The whole path, by OpenCV, from an archive at 25 frames a second."""
    data = archive(tmp_path / 'motion.npz', {'s0_a': 70, 's0_b': 50},
                   fps=25.)
    made = make(data_root=str(tmp_path), sources=[dict(
        type='MocapArchive', file='motion.npz')], frames=24, stride=11)
    want = [(c, f) for c, n in ((0, 70), (1, 50)) for f in range(0, n, 11)
            if f + 24 <= n]
    assert len(made) == len(want)
    batch = made.get_batch(range(len(made)), KEYS[:len(made)])
    draws = made.cameras.draw(KEYS[:len(made)])
    for i, (clip, first) in enumerate(want):
        assert batch['ids'][i] == f'motion/{data["clip_name"][clip]}:{first}'
        rows = data['clip_start'][clip] + first + np.arange(24)
        points = np.array([[sum(
            float(w) * data['pos'][r, j].astype(float) for j, w in
            enumerate(row) if w) + data['root'][r] for row in data['to28']]
            for r in rows])
        middle = points[:, 4].mean(0)
        azimuth, elevation = np.radians(draws[i, :2])
        back = np.array([np.cos(elevation) * np.sin(azimuth),
                         np.sin(elevation),
                         np.cos(elevation) * np.cos(azimuth)])
        right = np.cross(-back, [0, 1, 0])
        right /= np.linalg.norm(right)
        turn = np.stack([right, np.cross(-back, right), -back])
        image = cv2.projectPoints(
            points.reshape(-1, 3), cv2.Rodrigues(turn)[0],
            -turn @ (middle + draws[i, 2] * back), np.eye(3), None
        )[0].reshape(24, 28, 2)
        origin = image[:, 4].mean(0)
        size = 2 * np.linalg.norm(image[:, 7] - image[:, 4], axis=-1).mean()
        size = max(size, np.sqrt(((image - origin)**2).sum(-1).mean()))
        image = (image - origin) / size
        np.testing.assert_allclose(batch['inputs'][i], image, atol=2e-4)
        np.testing.assert_allclose(
            batch['heads'][i], np.linalg.norm(image[:, 7] - image[:, 5],
                                              axis=-1), atol=2e-4)
    assert batch['derived'][:, 0].all() and batch['derived'].sum() == len(
        want)
    assert batch['present'].all() and batch['observed'].all()
    assert torch.equal(batch['detected'], batch['inputs'])


def test_a_sample_is_a_function_of_its_key(make):
    data = make(random_start=True, mirror=.5, holes=NOISY)
    index = [0, 3, 3, 1, 7, 2]
    whole = data.get_batch(index, KEYS[:6])
    for i in range(6):
        alone = data.get_batch(index[i:i + 1], KEYS[i:i + 1])
        assert equal({k: v[0] for k, v in alone.items()},
                     {k: v[i] for k, v in whole.items()})
    order = np.array([4, 2, 0, 5])
    some = data.get_batch([index[i] for i in order], KEYS[order])
    assert equal({k: v for k, v in some.items() if k != 'ids'},
                 {k: v[order] for k, v in whole.items() if k != 'ids'})
    assert not torch.equal(whole['inputs'][1], whole['inputs'][2])
    again = pickle.loads(pickle.dumps(data)).get_batch(index, KEYS[:6])
    assert equal(whole, again)
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    assert equal(whole, copy.deepcopy(data).get_batch(index, KEYS[:6]))


def test_single_windows_never_change(make):
    data = make(holes=NOISY, mirror=.5, seed=5)
    first = data[4]
    data[9]
    assert equal(first, data[4])
    assert equal(first, make(holes=NOISY, mirror=.5, seed=5)[4])
    assert not torch.equal(first['inputs'],
                           make(holes=NOISY, mirror=.5, seed=6)[4]['inputs'])
    batch = data.get_batch([4, 9], data.fixed_keys([4, 9]))
    assert equal(first, {k: v[0] for k, v in batch.items()})
    assert equal(data[-1], data[len(data) - 1])
    with pytest.raises(IndexError):
        data[len(data)]
    collated = default_collate([data[0], data[1]])
    assert collated['inputs'].shape == (2, 24, 28, 2)
    assert collated['ids'] == [data[0]['ids'], data[1]['ids']]


def test_random_starts_stay_in_their_clip_and_stride(make):
    data = make(random_start=True, stride=10)
    index = np.repeat(np.arange(len(data)), 40)
    keys = sample_keys(0, 0, index, np.arange(len(index)))
    ids = data.get_batch(index, keys)['ids']
    length = dict(zip(data.clips.names, data.clips.length))
    seen: dict[int, set[int]] = {}
    for i, name in zip(index, ids):
        info = data.get_data_info(int(i))
        first = int(name.split(':')[1])
        assert clip_of(name) == info['clip']
        assert 0 <= first - info['first'] < 10
        assert first + 24 <= length[clip_of(name)]
        seen.setdefault(int(i), set()).add(first - info['first'])
    # Together they reach every start that there is.
    reached = {(data.get_data_info(i)['clip'],
                data.get_data_info(i)['first'] + s)
               for i, offsets in seen.items() for s in offsets}
    starts = sum(n - 24 + 1 for n in data.clips.length if n >= 24)
    assert len(reached) > .97 * starts


def test_mirroring_exchanges_sides_and_reflects(make):
    plain, turned = make(mirror=0.), make(mirror=1.)
    a, b = (d.get_batch(range(6), KEYS[:6]) for d in (plain, turned))
    reflected = a['inputs'].clone()
    reflected[..., 0] *= -1
    torch.testing.assert_close(b['inputs'],
                               reflected[:, :, SKELETON.flip_indices])
    left, right = SKELETON.index('left_wrist', 'right_wrist')
    torch.testing.assert_close(b['inputs'][:, :, left, 1],
                               a['inputs'][:, :, right, 1])
    # Half of them, and each by its own key.
    half = make(mirror=.5)
    keys = sample_keys(1, 0, range(600), [0] * 600)
    index = np.arange(600) % len(half)
    same = (half.get_batch(index, keys)['inputs']
            == plain.get_batch(index, keys)['inputs']).flatten(1).all(1)
    assert 230 < same.sum() < 370


def test_mirrored_motion_is_what_a_mirrored_camera_sees(make, motion_root):
    """Left and right of the 3D motion exchanged, seen from -azimuth."""
    data = make(mirror=1.)
    keys = KEYS[:5]
    seen = data.get_batch(range(5), keys)['inputs']
    other = make(mirror=0.)
    other.clips.positions[:] = other.clips.positions[
        :, SKELETON.flip_indices] * np.float32([-1, 1, 1])
    other.clips.root[:] *= np.float32([-1, 1, 1])

    class Mirrored(type(other.cameras)):
        def draw(self, keys):
            return super().draw(keys) * [-1, 1, 1]

    other.cameras = Mirrored()
    torch.testing.assert_close(
        other.get_batch(range(5), keys)['inputs'], seen, atol=1e-5,
        rtol=1e-4)


def test_unknown_joints_are_absent_not_guessed(make, archive, tmp_path):
    data = archive(tmp_path / 'motion.npz', {'s0_a': 60}, fps=25.)
    pos = data['pos'].astype(np.float32)
    whole = make(data_root=str(tmp_path), sources=[dict(
        type='MocapArchive', file='motion.npz')])
    pos[30, 11] = np.nan  # a wrist
    pos[:, 28] = np.nan  # a node of the derived spine3
    pos[20:, 5] = np.nan  # the neck
    archive(tmp_path / 'motion.npz', {'s0_a': 60}, fps=25., pos=pos)
    holey = make(data_root=str(tmp_path), stride=12, sources=[dict(
        type='MocapArchive', file='motion.npz')])
    index = list(range(len(holey)))
    a = whole.get_batch(index, KEYS[:len(index)])
    b = holey.get_batch(index, KEYS[:len(index)])
    assert not b['present'][:, :, 0].any()
    lost = ~b['present']
    rows = [int(i.split(':')[1]) for i in b['ids']]
    for n, first in enumerate(rows):
        for f in range(24):
            assert lost[n, f, 11] == (first + f == 30)
            assert lost[n, f, 5] == (first + f >= 20)
    assert not b['inputs'][lost].any()
    assert torch.isfinite(b['inputs']).all()
    kept = b['present']
    # Another scale at most: the head and the pelvis are known in all.
    torch.testing.assert_close(b['inputs'][kept], a['inputs'][kept],
                               atol=2e-3, rtol=0)
    assert not (b['observed'] & ~b['present']).any()
    for n, first in enumerate(rows):
        known = torch.arange(first, first + 24) < 20
        heads = b['heads'][n]
        if known.any():
            torch.testing.assert_close(
                heads[~known], heads[known].mean().expand((~known).sum()))
        else:
            assert heads.isnan().all()


def test_frames_without_a_person_turn_no_camera(make, archive, tmp_path):
    """Somebody far from the world's origin is lost for some frames."""
    data = archive(tmp_path / 'motion.npz', {'s0_a': 24}, fps=25.)
    root = data['root'] + np.float32([8, 0, 5])
    both = []
    for lost in (slice(0), slice(10, 16)):
        held = root.copy()
        held[lost] = np.nan
        archive(tmp_path / 'motion.npz', {'s0_a': 24}, fps=25., root=held)
        both.append(make(data_root=str(tmp_path), part='all', sources=[dict(
            type='MocapArchive', file='motion.npz')]).get_batch(
                [0] * 8, KEYS[:8]))
    whole, holey = both
    kept = holey['present']
    assert whole['present'].all() and (~kept).sum() == 8 * 6 * 28
    torch.testing.assert_close(holey['inputs'][kept], whole['inputs'][kept],
                               atol=.05, rtol=0)


def test_head_lengths_are_plain_distances():
    points = torch.randn(2, 5, 28, 2)
    known = torch.ones(2, 5, 28, dtype=torch.bool)
    want = [[float(np.hypot(*(points[n, f, 7] - points[n, f, 5]).tolist()))
             for f in range(5)] for n in range(2)]
    torch.testing.assert_close(head_lengths(points, known),
                               torch.tensor(want))


def test_whole_clips(make):
    data = make()
    number = 2
    clip = data.get_clip(number)
    assert clip['inputs'].shape[1] == data.clips.length[number]
    assert equal(clip, data.get_clip(number))
    other = data.get_clip(number, key=7)
    assert not torch.equal(clip['inputs'], other['inputs'])
    assert clip['ids'] == [data.clips.names[number] + ':0']


def test_views_are_other_cameras_of_the_same_window(make):
    one, three = make(), make(views=3)
    assert len(three) == 3 * len(one)
    a, b, c = three[3], three[4], three[6]
    assert a['ids'] == b['ids'] == one[1]['ids'] != c['ids']
    assert not torch.equal(a['inputs'], b['inputs'])


def test_short_clips_are_left_out_and_counted(make, archive, tmp_path,
                                              caplog):
    archive(tmp_path / 'motion.npz', {'s0_a': 60, 's0_b': 27, 's0_c': 29})
    config = dict(data_root=str(tmp_path), sources=[dict(
        type='MocapArchive', file='motion.npz')])
    data = make(**config)  # 30 -> 25: 27 frames give 22, 29 give 24
    assert {clip_of(data[i]['ids']) for i in range(len(data))} == {
        'motion/s0_a', 'motion/s0_c'}
    with pytest.raises(ValueError, match='no window of 90 frames'):
        make(**config, frames=90)


def test_through_the_keyed_loader(make):
    def batches(workers):
        loader = torch.utils.data.DataLoader(
            make(holes=NOISY, random_start=True, mirror=.5), batch_size=4,
            shuffle=False, num_workers=workers)
        make_keyed(loader, seed=3).start(1)
        return list(loader)

    alone, shared = batches(0), batches(1)
    assert len(alone) == len(shared)
    assert all(equal(a, b) for a, b in zip(alone, shared))
    assert alone[0]['inputs'].dtype == torch.float32
    assert alone[0]['observed'].dtype == torch.bool


def test_indices_and_metainfo(make):
    data = make(indices=3)
    assert len(data) == 3
    assert make(indices=[5, 2])[0]['ids'] == make()[5]['ids']
    assert data.metainfo['num_keypoints'] == 28
    assert Skeleton.from_metainfo(data.metainfo).joints == SKELETON.joints
    data.full_init()


@pytest.mark.parametrize('changes, error, message', [
    (dict(part='valid'), ValueError, 'valid'),
    (dict(frames=0), ValueError, 'frames'),
    (dict(stride=0), ValueError, 'stride'),
    (dict(views=0), ValueError, 'views'),
    (dict(mirror=2), ValueError, 'mirror'),
    (dict(fps=0), ValueError, 'fps'),
    (dict(sources=[]), ValueError, 'no motion source'),
    (dict(sources=[dict(type='LspDataset', lazy_init=True)]), TypeError,
     'MotionSource'),
    (dict(cameras=dict(distance=(4, 2))), ValueError, 'distance'),
    (dict(data_root='nowhere'), FileNotFoundError, 'MIRRORPOSE_DATA'),
    (dict(split='train'), TypeError, 'split'),
])
def test_bad_arguments(make, changes, error, message):
    with pytest.raises(error, match=message):
        make(**changes)


def test_keys_and_windows_have_to_fit(make):
    with pytest.raises(ValueError, match='keys'):
        make().get_batch([0, 1], KEYS[:1])


def test_the_class_is_exported():
    assert DATASETS.get('PoseSequenceDataset') is PoseSequenceDataset


def test_masks_are_mirrored_with_the_joints(make, archive, tmp_path):
    """A left wrist that nobody measured is a right one in the mirror."""
    data = archive(tmp_path / 'motion.npz', {'s0_a': 60}, fps=25.)
    pos = data['pos'].astype(np.float32)
    left, right = SKELETON.index('left_wrist', 'right_wrist')
    pos[:, left] = np.nan
    derived = np.arange(28) == left
    archive(tmp_path / 'motion.npz', {'s0_a': 60}, fps=25., pos=pos,
            derived=derived)
    for mirror, gone in ((0., left), (1., right)):
        batch = make(data_root=str(tmp_path), mirror=mirror, sources=[dict(
            type='MocapArchive', file='motion.npz')]).get_batch(
                [0, 1], KEYS[:2])
        want = torch.arange(28) == gone
        assert (~batch['present'] == want).all()
        assert (~batch['observed'] == want).all()
        assert (batch['derived'] == want).all()
        assert not batch['inputs'][:, :, gone].any()
        assert batch['inputs'][:, :, left + right - gone].any()
