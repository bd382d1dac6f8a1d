"""Files of other tools, written here as those tools write them."""
from __future__ import annotations

import json

import numpy as np
import pytest

from mirrorpose.apis.completion import complete
from mirrorpose.apis.pose_files import number_frames, read_pose_file
from mirrorpose.apis.pose_writing import write_pose_file
from mirrorpose.apis.tracking import link_people
from mirrorpose.structures import Skeleton


def _people(frames: int = 6) -> np.ndarray:
    """(P=2, T, 17, 3): two who pass each other, confidence last."""
    rng = np.random.default_rng(0)
    pose = rng.normal(0, 40, (2, 17, 2))
    place = np.array([[[100 + 8 * t, 200], [900 - 8 * t, 210]]
                      for t in range(frames)]).transpose(1, 0, 2)
    points = pose[:, None] + place[:, :, None]
    return np.concatenate([points, rng.uniform(.5, 1, (2, frames, 17, 1))],
                          -1)


def _mmpose(people, track=True, wrap=False):
    frames = []
    for t in range(people.shape[1]):
        instances = []
        for p in (0, 1) if t % 2 else (1, 0):  # in any order
            one = dict(keypoints=people[p, t, :, :2].tolist(),
                       keypoint_scores=people[p, t, :, 2].tolist(),
                       bbox=[[0, 0, 1, 1]])
            if track:
                one['track_id'] = p
            instances.append(one)
        frames.append(dict(frame_id=t, instances=instances))
    return dict(meta_info=dict(dataset_name='coco'),
                instance_info=frames) if wrap else frames


def _coco(people):
    return [dict(image_id=1000 + 5 * t, category_id=1, score=1., track_id=p,
                 keypoints=people[p, t].ravel().tolist())
            for t in range(people.shape[1]) for p in (0, 1)]


def _alphapose(people, nested=False):
    return [dict(image_id=f'{t}.jpg', category_id=1, score=2.9,
                 box=[1, 2, 3, 4], idx=[float(p)] if nested else p,
                 keypoints=people[p, t].ravel().tolist())
            for t in range(people.shape[1]) for p in (0, 1)]


CASES = {
    'mmpose': lambda p: _mmpose(p), 'coco': lambda p: _coco(p),
    'alphapose': lambda p: _alphapose(p),
    'mmpose untracked': lambda p: _mmpose(p, track=False),
    'mmpose demo': lambda p: _mmpose(p, wrap=True),
    'alphapose nested': lambda p: _alphapose(p, nested=True)}


def _save(tmp_path, content, name='in.json'):
    path = tmp_path / name
    path.write_text(json.dumps(content))
    return path


class TestReading:

    @pytest.mark.parametrize('case', CASES)
    def test_gives_every_number_back(self, case, tmp_path):
        people = _people()
        held = read_pose_file(_save(tmp_path, CASES[case](people)))
        assert held.format == case.split()[0]
        assert held.tracked == ('untracked' not in case)
        assert len(held.tracks) == 2
        got = {round(t.keypoints[0].mean()): t for t in held.tracks}
        for one in people:
            track = got[round(one[0, :, :2].mean())]
            np.testing.assert_allclose(track.keypoints, one[..., :2])
            np.testing.assert_allclose(track.confidence, one[..., 2])
            assert track.first == 0

    def test_gaps_and_late_people(self, tmp_path):
        people = _people(9)
        entries = [e for e in _alphapose(people)
                   if (e['idx'] == 0 and e['image_id'] not in (
                       '3.jpg', '4.jpg'))
                   or (e['idx'] == 1 and int(e['image_id'][0]) >= 6)]
        first, second = read_pose_file(_save(tmp_path, entries)).tracks
        assert len(first.keypoints) == 9 and first.first == 0
        assert np.isnan(first.keypoints[3:5]).all()
        assert (first.confidence[3:5] == 0).all()
        assert second.first == 6 and len(second.keypoints) == 3

    def test_joints_as_mmposes_demos_describe_them(self, tmp_path):
        content = _mmpose(_people(), wrap=True)
        assert read_pose_file(_save(tmp_path, content)).joints is None
        content['meta_info']['keypoint_id2name'] = dict(enumerate(
            Skeleton.from_name('coco_17').joints))
        held = read_pose_file(_save(tmp_path, content))
        assert held.joints == 'coco_17'

    @pytest.mark.parametrize('single', [True, False])
    def test_npz(self, single, tmp_path):
        people = _people()
        path = tmp_path / 'in.npz'
        np.savez(path, keypoints=people[0] if single else people,
                 joints='coco_17', **({} if single else dict(
                     track_ids=['ann', 'bob'])))
        held = read_pose_file(path)
        assert held.joints == 'coco_17'
        names = ['0'] if single else ['ann', 'bob']
        assert [t.name for t in held.tracks] == names
        np.testing.assert_allclose(held.tracks[-1].confidence,
                                   people[0 if single else 1, ..., 2])

    @pytest.mark.parametrize('content,message', [
        ([], 'no pose'), ({}, 'keys'), ('text', 'no list'),
        (dict(version='AlphaPose v0.2', bodies=[]), 'bodies'),
        ([dict(joints=[1, 2])], "unknown format.*'joints'.*mmpose"),
        ([dict(keypoints=[[1, 2]], keypoint_scores=[1])], 'one image'),
        ([dict(image_id=1, keypoints=[1, 2, 3, 4])], 'triples'),
        ([dict(image_id=1)], "lacks 'keypoints'"),
        ([dict(frame_id=0, instances=[dict(keypoints=[[1, 2, 3, 4]])])],
         '3D results'),
        ([dict(frame_id=0, instances=[])], 'no person'),
        ([dict(image_id='a.jpg', idx=1, keypoints=[1, 2, 3])],
         'no frame number'),
        ([dict(image_id=1, keypoints=[1, 2, 3]),
          dict(image_id=2, keypoints=[1, 2, 3, 4, 5, 6])], r'\[1, 2\] j'),
        ([dict(image_id=1, track_id=3, keypoints=[1, 2, 3])] * 2,
         'twice in frame')])
    def test_refuses(self, content, message, tmp_path):
        with pytest.raises(ValueError, match=message):
            read_pose_file(_save(tmp_path, content))

    def test_refuses_other_files(self, tmp_path):
        with pytest.raises(FileNotFoundError, match='pose file'):
            read_pose_file(tmp_path / 'no.json')
        for name, text, message in [('a.csv', '', 'end in'),
                                    ('a.json', '{', 'no JSON'),
                                    ('a.npz', 'text', 'no npz')]:
            (tmp_path / name).write_text(text)
            with pytest.raises(ValueError, match=message):
                read_pose_file(tmp_path / name)
        np.savez(tmp_path / 'b.npz', poses=np.zeros(3))
        with pytest.raises(ValueError, match=r"\['poses'\]"):
            read_pose_file(tmp_path / 'b.npz')
        for ids in (['ann'], ['ann', 'ann']):
            np.savez(tmp_path / 'b.npz', keypoints=_people(),
                     track_ids=ids)
            with pytest.raises(ValueError, match='as many as the 2 people'):
                read_pose_file(tmp_path / 'b.npz')


class TestFrames:

    @pytest.mark.parametrize('names,want', [
        (['7.jpg', '9.jpg', '10.jpg'], [0, 2, 3]),
        ([100, 110, 130], [0, 1, 3]),
        (['v/cam1_000010.png', 'v/cam1_000012.png'], [0, 1]),
        ([5], [0]), ([1, 2, 10**12], [0, 1, 2])])
    def test_numbers(self, names, want):
        assert [number_frames(names)[n] for n in names] == want

    def test_refuses_two_of_one_number(self):
        with pytest.raises(ValueError, match='same frame number'):
            number_frames(['a/1.jpg', 'b/1.jpg'])


class TestLinking:

    def test_people_in_any_order(self):
        people = _people(30)
        rng = np.random.default_rng(0)
        rows = [(t, p) for t in range(30) for p in rng.permutation(2)]
        got = link_people(np.array([t for t, _ in rows]),
                          np.stack([people[p, t] for t, p in rows]))
        truth = np.array([p for _, p in rows])
        assert len(set(zip(got, truth))) == 2  # one name each

    def test_who_is_gone_long_is_another(self):
        people = _people(40)[:1]
        keep = [0, 1, 2, 6, 30, 31]
        got = link_people(np.array(keep), people[0, keep])
        assert got.tolist() == [0, 0, 0, 0, 1, 1]

    def test_somebody_far_away_is_another(self):
        people = _people(2)
        got = link_people(np.array([0, 1]), np.stack(
            [people[0, 0], people[1, 1]]))
        assert got.tolist() == [0, 1]


class TestWriting:

    @pytest.mark.parametrize('case', ['mmpose', 'coco', 'alphapose'])
    @pytest.mark.parametrize('suffix', ['.json', '.npz'])
    def test_reads_back(self, case, suffix, tmp_path):
        people = _people(8)
        content = [e for e in CASES[case](people)
                   if e.get('image_id') not in ('3.jpg', 1015)]
        held = read_pose_file(_save(tmp_path, content))
        done = complete([t.keypoints for t in held.tracks],
                        [t.confidence for t in held.tracks])
        path = tmp_path / f'out{suffix}'
        write_pose_file(path, held, done, 'mpi_inf_3dhp_28')
        again = read_pose_file(path)
        assert again.format == (case if suffix == '.json' else 'npz')
        want = {t.name: (t.first, d) for t, d in zip(held.tracks, done)}
        assert {t.name for t in again.tracks} == set(want)
        for track in again.tracks:
            first, one = want[track.name]
            assert track.first == first
            np.testing.assert_allclose(track.keypoints, one.keypoints,
                                       atol=1e-3)
            if suffix == '.json':
                np.testing.assert_array_equal(track.confidence == 1,
                                              one.observed)
        if suffix == '.npz' or case == 'mmpose':
            assert again.joints == 'mpi_inf_3dhp_28'
        if suffix == '.json' and case == 'alphapose':
            names = {e['image_id'] for e in json.loads(path.read_text())}
            assert names == {f'{t}.jpg' for t in range(8)}

    @pytest.mark.parametrize('name', [
        lambda t: 10 + 2 * t, lambda t: f'{10 + 2 * t:04d}',
        lambda t: f'v2/cam3_{t + 2}.jp2'], ids=['int', 'str', 'file'])
    @pytest.mark.parametrize('case', ['mmpose', 'alphapose'])
    def test_names_of_frames_that_the_input_leaves_out(self, case, name,
                                                       tmp_path):
        key = dict(mmpose='frame_id', alphapose='image_id')[case]
        people = _people(8)
        content = CASES[case](people)
        for entry in content:
            entry[key] = name(int(str(entry[key]).split('.')[0]))
        content = [e for e in content if e[key] not in (name(3), name(4))]
        held = read_pose_file(_save(tmp_path, content))
        done = complete([t.keypoints for t in held.tracks],
                        [t.confidence for t in held.tracks])
        path = tmp_path / 'out.json'
        write_pose_file(path, held, done, 'mpi_inf_3dhp_28')
        written = json.loads(path.read_text())
        if case == 'mmpose':
            written = written['instance_info']
        assert list(dict.fromkeys(e[key] for e in written)) == [
            name(t) for t in range(8)]

    def test_refuses_an_ending(self, tmp_path):
        held = read_pose_file(_save(tmp_path, _mmpose(_people())))
        with pytest.raises(ValueError, match='json or .npz'):
            write_pose_file(tmp_path / 'a.txt', held, [], 'coco_17')
