"""Motion sources: archives, the embedded world, files, the real data."""
from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from mmpose.registry import DATASETS

from mirrorpose.datasets.sequences import (
    MocapArchive,
    MotionFiles,
    SyntheticMotions,
)
from mirrorpose.datasets.sequences.parts import in_part
from mirrorpose.datasets.sequences.sources import group_names
from mirrorpose.datasets.synthetic.body import make_body
from mirrorpose.structures.skeleton import Skeleton

ROOT = Path(__file__).resolve().parents[3]
SKELETON = Skeleton.from_name('mpi_inf_3dhp_28')
CMU = dict(type='MocapArchive', file='mocap/cmu31_30fps.npz',
           groups=r'^(cmu_amc_\d+|cmu_exp)', merge={'cmu_amc_02': 'cmu_exp'})
BANDAI = dict(
    type='MocapArchive', file='mocap/bandai26_30fps.npz',
    groups=r'^dataset-\d_[^_]+_(.+)_\d+(?:#\d+)?$',
    merge=dict(masculinity='masculine', old='elderly', tired='exhausted'))


BVH = """HIERARCHY
ROOT Hips {
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Spine {
    OFFSET 0 10 0.5
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site { OFFSET 0 5 0 }
  }
  JOINT Leg_L {
    OFFSET 4 -1 0
    CHANNELS 3 Yrotation Zrotation Xrotation
    JOINT Foot_L {
      OFFSET 0 -9 1
      CHANNELS 3 Zrotation Yrotation Xrotation
      End Site { OFFSET 0 -1 2 }
    }
  }
}
MOTION
Frames: 40
Frame Time: 0.0333333
%s
"""


def test_an_archive_as_it_is_written(archive, tmp_path):
    data = archive(tmp_path / 'm.npz', {'s0_a': 30, 's1_b': 40})
    clips = MocapArchive('m.npz', groups='^(s.)').load(str(tmp_path))
    assert clips.names == ('m/s0_a', 'm/s1_b')
    assert clips.groups == ('s0', 's1')
    assert clips.fps == 30
    want = np.einsum('kj,tjc->tkc', data['to28'].astype(float),
                     data['pos'].astype(float))
    np.testing.assert_allclose(clips.positions, want, atol=1e-6)
    np.testing.assert_array_equal(clips.root, data['root'])
    assert clips.derived[:, 0].all() and clips.derived.sum() == 2


def test_clips_may_overlap_or_leave_frames_out(archive, tmp_path):
    archive(tmp_path / 'm.npz', {'a': 30, 'b': 40},
            clip_start=np.array([10, 5]), clip_len=np.array([5, 20]))
    clips = MocapArchive('m.npz').load(str(tmp_path))
    assert clips.length.tolist() == [5, 20]
    np.testing.assert_array_equal(clips.positions[:5], clips.positions[10:15])


def test_groups_of_the_archive_itself(archive, tmp_path):
    archive(tmp_path / 'm.npz', {'a': 30, 'b': 40},
            clip_group=np.array(['S1', 'S2']), derived=np.zeros(28, bool))
    clips = MocapArchive('m.npz').load(str(tmp_path))
    assert clips.groups == ('S1', 'S2') and not clips.derived.any()
    assert MocapArchive('m.npz', groups='(.)').load(
        str(tmp_path)).groups == ('a', 'b')


@pytest.mark.parametrize('change, message', [
    (dict(pos=None), 'pos'), (dict(root=None), 'root'),
    (dict(names28=np.array(SKELETON.joints[::-1])), 'order'),
    (dict(to28=np.eye(28)), 'to28'),
    (dict(clip_len=np.array([30, 41])), 'beyond'),
    (dict(clip_name=np.array(['a', 'a'])), 'share'),
])
def test_bad_archives(archive, tmp_path, change, message):
    archive(tmp_path / 'm.npz', {'a': 30, 'b': 40}, **change)
    with pytest.raises(ValueError, match=message):
        MocapArchive('m.npz').load(str(tmp_path))


def test_whom_a_clip_belongs_to():
    names = ['x_1', 'x_2', 'y_1']
    assert group_names(names, '^(.)_', {}, '') == ['x', 'x', 'y']
    assert group_names(names, '^(.)_', {'y': 'x'}, '') == ['x', 'x', 'x']
    assert group_names(names, None, {}, '') == names
    with pytest.raises(ValueError, match='y_1'):
        group_names(names, '^(x)', {}, '')
    with pytest.raises(ValueError, match='z'):
        group_names(names, '^(.)_', {'z': 'x'}, '')


def test_synthetic_motion_stands_upright_with_the_right_sides():
    clips = SyntheticMotions(clips=6, people=3, seconds=1.2,
                             actions=['stand', 'walk']).load('')
    assert clips.length.tolist() == [30] * 6
    assert clips.fps == 25 and clips.present.all()
    assert not clips.derived.any()
    assert clips.groups == ('person_000', 'person_001', 'person_002') * 2
    points = clips.positions + clips.root[:, None]
    head, toe, pelvis = (points[:, SKELETON.index(j)[0]] for j in (
        'head_top', 'left_toe', 'pelvis'))
    assert (head[:, 1] > pelvis[:, 1]).all()
    assert (pelvis[:, 1] > toe[:, 1]).all()
    assert points[..., 1].min() > -.05
    # Right-handed: up x forward points to the left of the body.
    foot = points[:, SKELETON.index('left_toe')[0]] - points[
        :, SKELETON.index('left_ankle')[0]]
    left = (points[:, SKELETON.index('left_hip')[0]]
            - points[:, SKELETON.index('right_hip')[0]])
    assert (np.cross([0, 1, 0], foot) * left).sum(-1).mean() > .01
    # Limbs are as long as the person's.
    for clip in range(6):
        body = make_body(0, clip % 3)
        for a, b in (('left_knee', 'left_ankle'), ('neck', 'head')):
            i, j = SKELETON.index(a, b)
            want = np.linalg.norm(body.rest[i] - body.rest[j]) / 1000
            rows = slice(30 * clip, 30 * clip + 30)
            np.testing.assert_allclose(np.linalg.norm(
                points[rows, i] - points[rows, j], axis=-1), want,
                rtol=1e-4)


def test_synthetic_motion_is_the_same_and_varies():
    a, b = (SyntheticMotions(clips=4, people=2, seconds=1).load('')
            for _ in range(2))
    np.testing.assert_array_equal(a.positions, b.positions)
    c = SyntheticMotions(clips=4, people=2, seconds=1, seed=1).load('')
    assert np.abs(a.positions - c.positions).max() > .1
    assert np.abs(a.positions[:25] - a.positions[50:75]).max() > .05
    # More clips leave the first as they are.
    d = SyntheticMotions(clips=6, people=2, seconds=1).load('')
    np.testing.assert_array_equal(d.positions[:100], a.positions)


@pytest.mark.parametrize('changes', [
    dict(clips=2, people=3), dict(seconds=0), dict(fps=-1),
    dict(actions=['fly'])])
def test_bad_synthetic_motion(changes):
    with pytest.raises(ValueError, match='fly|positive'):
        SyntheticMotions(**changes)


def test_files_become_windows(tmp_path):
    rng = np.random.default_rng(0)
    for name in ('anna_1', 'anna_2', 'bert_1'):
        folder = tmp_path / 'bvh'
        folder.mkdir(exist_ok=True)
        rows = '\n'.join(' '.join(f'{v:.4f}' for v in row) for row in
                         np.cumsum(rng.normal(0, 2, (40, 15)), 0))
        (folder / f'{name}.bvh').write_text(BVH % rows)
    joints = dict(pelvis='Hips', neck='Spine', head_top='Spine_end',
                  left_knee='Leg_L', left_ankle='Foot_L',
                  left_toe='Foot_L_end', spine={'Hips': .5, 'Spine': .5})
    source = dict(type='MotionFiles', files='bvh/*.bvh', joints=joints,
                  scale=.05, groups='/([a-z]+)_', held_out=dict(
                      test=['bert']))
    data = DATASETS.build(dict(type='PoseSequenceDataset', sources=[source],
                               data_root=str(tmp_path)))
    assert data.clips.names == ('files/bvh/anna_1', 'files/bvh/anna_2')
    assert data.clips.length.tolist() == [33, 33]  # 40 at 30 per second
    known = [SKELETON.joints[k] for k in np.flatnonzero(
        data.clips.present[0])]
    assert sorted(known) == sorted(joints)
    assert data.derived.sum() == 1
    batch = data.get_batch([0, 1], np.arange(2, dtype=np.uint64))
    assert np.isfinite(batch['inputs'].numpy()).all()
    assert batch['present'].sum() == 2 * 24 * 7
    with pytest.raises(FileNotFoundError, match='none'):
        MotionFiles('none/*.bvh', joints).load(str(tmp_path))
    for bad, message in ((dict(joints='vicon'), 'cmu_asf'),
                         (dict(joints=dict(nose='Hips')), 'nose'),
                         (dict(joints=joints, scale=0), 'scale')):
        with pytest.raises(ValueError, match=message):
            MotionFiles('*.bvh', **bad)


def test_files_become_an_archive(tmp_path, capsys):
    tool = runpy.run_path(str(ROOT / 'tools/dataset_converters/motion.py'))
    rng = np.random.default_rng(1)
    (tmp_path / 'anna').mkdir()
    for name in ('walk_1', 'walk_2'):
        rows = '\n'.join(' '.join(f'{v:.4f}' for v in row) for row in
                         np.cumsum(rng.normal(0, 2, (40, 15)), 0))
        (tmp_path / 'anna' / f'{name}.bvh').write_text(BVH % rows)
    joints = dict(pelvis='Hips', neck='Spine', left_knee='Leg_L',
                  spine={'Hips': .5, 'Spine': .5})
    (tmp_path / 'map.json').write_text(json.dumps(joints))
    out = tmp_path / 'out' / 'own.npz'
    command = [str(tmp_path), '--files', '**/*.bvh', '--joints',
               str(tmp_path / 'map.json'), '--scale', '.05', '--prefix',
               'my_', '--out', str(out)]
    assert tool['run_converter'](tool['main'], command) == 0
    assert '2 clips, 80 frames, 4 of 28 joints' in capsys.readouterr().out
    want = MotionFiles('**/*.bvh', joints, .05, target_fps=30.).load(
        str(tmp_path))
    held = MocapArchive('own.npz', groups='^(my)_').load(str(out.parent))
    assert held.names == ('own/my_walk_1', 'own/my_walk_2')
    assert held.groups == ('my', 'my') and held.fps == 30
    np.testing.assert_array_equal(held.present, want.present)
    np.testing.assert_allclose(held.positions, want.positions, atol=1e-6)
    np.testing.assert_allclose(held.root, want.root, atol=1e-6)
    np.testing.assert_array_equal(held.derived[0], want.derived[0])
    for place, value, message in ((4, 'vicon', 'neither one of'),
                                  (2, '*.amc', 'no file matches'),
                                  (10, str(tmp_path / 'own'), 'end in .npz')):
        wrong = list(command)
        wrong[place] = value
        assert tool['run_converter'](tool['main'], wrong) == 1
        assert message in capsys.readouterr().err
    (tmp_path / 'bert').mkdir()
    (tmp_path / 'anna' / 'walk_1.bvh').rename(tmp_path / 'bert/walk_2.bvh')
    assert tool['run_converter'](tool['main'], command) == 1
    assert 'several folders' in capsys.readouterr().err


@pytest.fixture(scope='module')
def real(data_root):
    """The two real archives."""
    out = []
    for config in (CMU, BANDAI):
        if not (data_root / config['file']).is_file():
            pytest.skip(f'no {config["file"]} in MIRRORPOSE_DATA')
        out.append(DATASETS.build(config).load(str(data_root)))
    return out


def test_real_motion(real):
    cmu, bandai = real
    assert len(cmu) == 141 and len(cmu.positions) == 36330
    assert len(bandai) == 1144 and len(bandai.positions) == 160299
    assert cmu.present.all() and bandai.present.all()
    derived = [{SKELETON.joints[k] for k in np.flatnonzero(c.derived.any(0))}
               for c in real]
    assert derived == [{'spine3', 'left_clavicle', 'right_clavicle'},
                       {'spine4', 'spine2'}]
    assert set(cmu.groups) == {'cmu_amc_01', 'cmu_amc_03', 'cmu_exp'}
    assert len(set(bandai.groups)) == 16
    for clips in real:  # heads are above feet, in metres
        height = clips.positions[::97, 7, 1] - clips.positions[::97, 20, 1]
        assert 1.2 < np.median(height) < 1.8


def test_no_motion_of_one_group_is_in_another(real):
    """Joint angles do not depend on the skeleton that a copy was put on.

    CMU's clip 02_01 is also a clip of the second collection; so subject 02
    and that collection have to be one group.
    """
    from scipy.spatial import cKDTree
    cmu = real[0]
    angles = []
    for a, b, c in (('hip', 'knee', 'ankle'), ('shoulder', 'elbow', 'wrist'),
                    ('knee', 'hip', 'shoulder'), ('hip', 'shoulder',
                                                  'elbow')):
        for side in ('left', 'right'):
            i, j, k = SKELETON.index(*(f'{side}_{n}' for n in (a, b, c)))
            u = cmu.positions[:, i] - cmu.positions[:, j]
            v = cmu.positions[:, k] - cmu.positions[:, j]
            angles.append(np.arccos(np.clip(
                (u * v).sum(-1) / np.linalg.norm(u, axis=-1)
                / np.linalg.norm(v, axis=-1), -1, 1)))
    angles = np.stack(angles, -1)
    windows = cmu.windows(24, 1)
    rows = cmu.start[windows[:, 0]] + windows[:, 1]
    series = np.concatenate([angles[rows + o] for o in (0, 8, 16, 23)], 1)
    group = np.array(cmu.groups)[windows[:, 0]]
    for name in set(group):
        near, _ = cKDTree(series[group != name]).query(
            series[group == name][::20], distance_upper_bound=.1)
        assert not np.isfinite(near).any(), name
    # The test can see it: 02 against the collection, unmerged.
    apart = np.array(['amc_02' in cmu.names[c] for c in windows[:, 0]])
    exp = np.array(['cmu_exp_' in cmu.names[c] for c in windows[:, 0]])
    near, _ = cKDTree(series[exp]).query(series[apart][::10],
                                         distance_upper_bound=.1)
    assert np.isfinite(near).any()


def test_real_windows(data_root, real):
    """Both archives through the data set, whole groups held out."""
    held = dict(val=.1, test=.2)
    sides = {p: {g for g, k in zip(real[1].groups, in_part(
        real[1].groups, p, held, 0)) if k} for p in ('train', 'val', 'test')}
    assert [len(sides[p]) for p in ('train', 'val', 'test')] == [11, 2, 3]
    assert len(set.union(*sides.values())) == 16
    data = DATASETS.build(dict(
        type='PoseSequenceDataset', data_root=str(data_root), part='test',
        sources=[dict(CMU, held_out=dict(test=['cmu_amc_01'])),
                 dict(BANDAI, held_out=held)]))
    assert set(data.clips.groups) == sides['test'] | {'cmu_amc_01'}
    index = range(0, len(data), 7)
    batch = data.get_batch(index, np.arange(len(index), dtype=np.uint64))
    reach = batch['inputs'].abs().amax((1, 2, 3))
    assert reach.median() < 1.2 and reach.max() < 6
    assert batch['heads'].median() < .25
