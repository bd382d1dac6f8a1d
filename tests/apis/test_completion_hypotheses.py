"""Several answers to a sequence, and the files that hold them."""
from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from walkers import as_coco, small_completers, walk

from mirrorpose.apis.completion import complete
from mirrorpose.apis.pose_files import read_pose_file
from mirrorpose.apis.pose_writing import write_pose_file
from mirrorpose.models.completion.completer import SKELETON, Completion
from mirrorpose.models.completion.windows import blend_weights, window_starts
from mirrorpose.models.pose.canonical_frame import canonical_frame

WRIST = SKELETON.index('left_wrist')[0]


@pytest.fixture(scope='module')
def completers():
    return small_completers()


@pytest.fixture
def hidden():
    """A walker whose left forearm is never seen."""
    coco = as_coco(walk(50))
    coco[:, 9] = np.nan
    return coco


class Numbered:
    """Answers that tell their number, window and place."""

    def complete(self, keypoints, observed, confidence=None):
        return Completion(keypoints)

    def hypotheses(self, keypoints, observed, confidence=None, number=8):
        window = torch.arange(len(keypoints)).view(-1, 1, 1, 1, 1)
        mine = torch.arange(number).view(1, -1, 1, 1, 1)
        return (10 * window + mine).expand(-1, -1, *keypoints.shape[1:]
                                           ).to(keypoints)


@pytest.mark.parametrize('overlap', ['blend', 'select', 'none'])
def test_windows_are_joined_number_by_number(overlap):
    """By a loop over windows and frames."""
    body = walk(50)
    done = complete(body, joints='mpi_inf_3dhp_28', completer=Numbered(),
                    overlap=overlap, hypotheses=3)
    starts = window_starts(50, 24, 24 if overlap == 'none' else None)
    share = blend_weights(24).numpy()
    total, want = np.zeros(50), np.zeros((3, 50, 2))
    for w, start in enumerate(starts):
        part = torch.from_numpy(body[None, start:start + 24])
        frame = canonical_frame(part)
        for i in range(24):
            total[start + i] += share[i]
            for s in range(3):
                place = float(frame.scale) * (10 * w + s) + \
                    frame.origin[0, 0, 0].numpy()
                want[s, start + i] += share[i] * place
    assert done.hypotheses.shape == (3, 50, 28, 2)
    np.testing.assert_allclose(done.hypotheses[:, :, 7],
                               want / total[:, None], rtol=1e-4)


@pytest.mark.parametrize('kind', ['ridge', 'jumps'])
def test_answers_differ_where_nothing_is_seen(completers, hidden, kind):
    done = complete(hidden, completer=completers[kind], hypotheses=4)
    assert done.hypotheses.shape == (4, 50, 28, 2)
    assert np.isfinite(done.hypotheses).all()
    apart = done.hypotheses.std(0).max(-1)
    assert (apart[~done.observed] > 0).mean() > .99
    np.testing.assert_allclose(apart[done.observed], 0, atol=1e-2)
    assert apart[:, WRIST].mean() > .05  # pixels; walkers are few
    # The answer is what it is without them.
    alone = complete(hidden, completer=completers[kind])
    np.testing.assert_array_equal(done.keypoints, alone.keypoints)
    assert alone.hypotheses is None
    again = complete(hidden, completer=completers[kind], hypotheses=4)
    np.testing.assert_array_equal(again.hypotheses, done.hypotheses)


def test_samples_have_the_spread_of_ridge(completers, hidden):
    done = complete(hidden[:24], completer=completers['ridge'],
                    hypotheses=4000)
    off = done.hypotheses[:, :, WRIST] - done.keypoints[:, WRIST]
    got = np.sqrt(np.square(off).sum(-1).mean(0))
    np.testing.assert_allclose(got, done.spread[:, WRIST], rtol=.1)


def test_people_and_gaps(completers, hidden):
    """A batch does not matter, nor frames that nobody knows."""
    gap = hidden.copy()
    gap[10:47] = np.nan
    both = complete([hidden, gap], completer=completers['ridge'],
                    hypotheses=2)
    alone = complete(gap, completer=completers['ridge'], hypotheses=2)
    assert np.isfinite(alone.hypotheses).all()
    np.testing.assert_allclose(both[1].hypotheses, alone.hypotheses,
                               atol=1e-2)


def test_other_joint_sets(completers, hidden):
    done = complete(hidden, completer=completers['ridge'], to='mpii_16',
                    hypotheses=2)
    whole = complete(hidden, completer=completers['ridge'], hypotheses=2)
    for a, b in zip(done.hypotheses, whole.hypotheses):
        want, _ = SKELETON.convert(b, np.ones(b.shape[:2]), 'mpii_16')
        np.testing.assert_allclose(a, want, atol=1e-3)


@pytest.mark.parametrize('kind', ['interpolation', 'regressor', 'cascade'])
def test_completers_of_one_answer(completers, hidden, kind):
    with pytest.raises(TypeError, match='no hypotheses.*Ridge.*Jumps'):
        complete(hidden, completer=completers[kind], hypotheses=2)


@pytest.mark.parametrize('kind', ['ridge', 'jumps'])
def test_no_answer(completers, kind):
    x = torch.zeros(1, 24, 28, 2)
    with pytest.raises(ValueError, match='number must be positive'):
        completers[kind].hypotheses(x, x[..., 0] == 0, number=0)


def test_jumps_makes_as_many_starts(completers):
    x = torch.from_numpy(walk(24)).float()[None]
    seen = torch.ones(x.shape[:-1], dtype=torch.bool)
    seen[..., WRIST] = False
    one = completers['jumps']
    made = one.hypotheses(x, seen, number=3)
    assert made.shape == (1, 3, 24, 28, 2)
    torch.testing.assert_close(made[:, :1], one.hypotheses(x, seen))
    torch.testing.assert_close(made[:, :2], one.hypotheses(x, seen,
                                                           number=2))


class TestFiles:

    def read(self, folder, kind):
        """Two people, the second from the fourth frame on."""
        folder.mkdir(exist_ok=True)
        tracks = [as_coco(walk(30)), as_coco(walk(26, 3)) + 400]
        rows = [(i + 4 * p, p, np.nan_to_num(track[i]))
                for p, track in enumerate(tracks) for i in range(len(track))]
        if kind == 'npz':
            points = np.full((2, 30, 17, 2), np.nan)
            points[0], points[1, 4:] = tracks
            np.savez(folder / 'in.npz', keypoints=points)
            return read_pose_file(folder / 'in.npz')
        if kind == 'mmpose':
            content = [dict(frame_id=t, instances=[dict(
                track_id=p, keypoints=x.tolist(), keypoint_scores=(
                    x[:, 0] != 0).astype(float).tolist())
                for f, p, x in rows if f == t]) for t in range(30)]
        else:
            content = [dict(image_id=f, category_id=1, score=1., track_id=p,
                            keypoints=np.concatenate(
                                [x, x[:, :1] != 0], 1).ravel().tolist())
                       for f, p, x in rows]
        (folder / 'in.json').write_text(json.dumps(content))
        return read_pose_file(folder / 'in.json')

    def complete(self, held, completer, hypotheses=2):
        return complete([t.keypoints for t in held.tracks],
                        [t.confidence for t in held.tracks],
                        completer=completer, hypotheses=hypotheses)

    @pytest.mark.parametrize('kind', ['npz', 'mmpose', 'coco'])
    def test_npz_holds_them(self, completers, tmp_path, kind):
        held = self.read(tmp_path, kind)
        done = self.complete(held, completers['ridge'])
        write_pose_file(tmp_path / 'out.npz', held, done, 'mpi_inf_3dhp_28')
        found = np.load(tmp_path / 'out.npz')['hypotheses']
        assert found.shape == (2, 2, 30, 28, 2)
        np.testing.assert_array_equal(found[0], done[0].hypotheses)
        np.testing.assert_array_equal(found[1, :, 4:], done[1].hypotheses)
        assert np.isnan(found[1, :, :4]).all()
        read_pose_file(tmp_path / 'out.npz')

    @pytest.mark.parametrize('kind', ['npz', 'mmpose'])
    def test_mmpose_holds_them(self, completers, tmp_path, kind):
        held = self.read(tmp_path, kind)
        done = self.complete(held, completers['ridge'])
        write_pose_file(tmp_path / 'out.json', held, done,
                        'mpi_inf_3dhp_28')
        frames = json.loads((tmp_path / 'out.json').read_text())[
            'instance_info']
        person = frames[7]['instances'][1]
        np.testing.assert_allclose(person['keypoint_hypotheses'],
                                   done[1].hypotheses[:, 3], atol=1e-3)
        read_pose_file(tmp_path / 'out.json')

    def test_coco_has_no_place(self, completers, tmp_path):
        held = self.read(tmp_path, 'coco')
        done = self.complete(held, completers['ridge'])
        with pytest.raises(ValueError, match=r"'coco'.*npz"):
            write_pose_file(tmp_path / 'out.json', held, done,
                            'mpi_inf_3dhp_28')
        assert not (tmp_path / 'out.json').exists()

    def test_none_are_written_unasked(self, completers, tmp_path):
        held = self.read(tmp_path, 'mmpose')
        done = self.complete(held, completers['ridge'], 0)
        for end in ('npz', 'json'):
            write_pose_file(tmp_path / f'out.{end}', held, done,
                            'mpi_inf_3dhp_28')
        assert 'hypotheses' not in np.load(tmp_path / 'out.npz')
        assert 'hypotheses' not in (tmp_path / 'out.json').read_text()
