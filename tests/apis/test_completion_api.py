"""complete(): any joints, any length, and every bad input of issue 5."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mirrorpose.apis.completers import find_completer, load_completer
from mirrorpose.apis.completion import CompletedTrack, complete
from mirrorpose.models.completion import InterpolationCompleter, RidgeCompleter
from mirrorpose.models.completion.completer import SKELETON, Completion
from mirrorpose.structures import Skeleton

COCO = Skeleton.from_name('coco_17')
BODY = range(5, 17)


def _body(frames: int, seed: int = 0) -> np.ndarray:
    """(T, 28, 2) pixels of a person who walks through the picture."""
    rng = np.random.default_rng(0)
    pose = InterpolationCompleter().mean_pose.double().numpy()
    modes, speed = rng.normal(0, .05, (4, 28, 2)), rng.uniform(.05, .2, 4)
    rng = np.random.default_rng(seed)
    time = np.arange(frames)[:, None]
    x = pose + np.einsum('tm,mkc->tkc', np.sin(time * speed + rng.uniform(
        0, 6, 4)), modes)
    place = np.stack([300 + 2.5 * time[:, 0], 240 + 0 * time[:, 0]], -1)
    return 180 * x + place[:, None]


def _coco(body: np.ndarray) -> np.ndarray:
    out, seen = SKELETON.convert(body, np.ones(body.shape[:2]), COCO,
                                 allow_missing=True)
    return np.where(seen[..., None] > 0, out, np.nan)


@pytest.fixture(scope='module')
def ridge():
    rng = np.random.default_rng(1)
    windows = np.stack([_body(24, s) for s in rng.integers(0, 99, 60)])
    seen = torch.zeros(60, 24, 28, dtype=torch.bool)
    seen[:, :, SKELETON.index(*COCO.joints[5:])] = True
    return RidgeCompleter(rank=60).fit([dict(
        inputs=torch.from_numpy(windows).float(), observed=seen)])


class Truth:
    """A completer that knows the answer, in whatever frame it is asked."""

    def __init__(self, windows):
        self.windows = windows  # (W, F, 28, 2), pixels

    def complete(self, keypoints, observed, confidence=None):
        # the similarity from pixels to the canonical frame, from two joints
        a, b = SKELETON.index('left_shoulder', 'right_ankle')
        truth = self.windows.to(keypoints)
        scale = (keypoints[:, :1, a] - keypoints[:, :1, b]).norm(
            dim=-1) / (truth[:, :1, a] - truth[:, :1, b]).norm(dim=-1)
        moved = truth * scale[..., None, None]
        return Completion(moved - moved[:, :1, a:a + 1] +
                          keypoints[:, :1, a:a + 1])


class TestFramesAndWindows:

    @pytest.mark.parametrize('overlap', ['blend', 'select', 'none'])
    @pytest.mark.parametrize('frames', [1, 5, 24, 30, 61])
    def test_a_perfect_completer_gives_the_truth(self, frames, overlap):
        from mirrorpose.models.completion.windows import cut, plan_windows
        body = _body(frames)
        windows = cut(torch.from_numpy(body), plan_windows(
            [frames], stride=24 if overlap == 'none' else None))
        done = complete(_coco(body), completer=Truth(windows),
                        overlap=overlap)
        assert isinstance(done, CompletedTrack)
        np.testing.assert_allclose(done.keypoints, body, atol=.02)
        assert np.isnan(done.spread).all()

    @pytest.mark.parametrize('factor,shift', [(1e-3, 0.), (40., -3e4)])
    def test_unit_and_place_do_not_matter(self, ridge, factor, shift):
        coco = _coco(_body(40))
        one = complete(coco, completer=ridge)
        two = complete(coco * factor + shift, completer=ridge)
        np.testing.assert_allclose((two.keypoints - shift) / factor,
                                   one.keypoints, atol=.1)
        np.testing.assert_allclose(two.spread / factor, one.spread,
                                   rtol=1e-2, atol=1e-3)

    def test_observed_joints_stay(self, ridge):
        coco = _coco(_body(50))
        done = complete(coco, completer=ridge)
        rows = SKELETON.index(*COCO.joints[5:])
        np.testing.assert_allclose(done.keypoints[:, rows], coco[:, 5:],
                                   atol=1e-2)
        assert done.observed[:, rows].all() and done.observed.sum() == 600
        assert (done.spread[:, rows] < 1e-3).all()

    def test_people_do_not_know_each_other(self, ridge):
        tracks = [_coco(_body(t, t)) for t in (3, 24, 57, 1)]
        whole = complete(tracks, completer=ridge)
        for track, got in zip(tracks, whole):
            one = complete(track, completer=ridge)
            for a, b in zip(one, got):
                np.testing.assert_allclose(a, b, atol=1e-2)

    def test_ridge_beats_interpolation(self, ridge):
        body = _body(48, 5)
        error = [np.linalg.norm(complete(
            _coco(body), completer=c).keypoints - body, axis=-1).mean()
            for c in (ridge, None)]
        assert error[0] < .5 * error[1]


class TestHoles:

    @pytest.mark.parametrize('gap', [3, 20, 90])
    @pytest.mark.parametrize('overlap', ['blend', 'select', 'none'])
    def test_whole_frames_missing(self, ridge, gap, overlap):
        body = _body(40 + gap)
        coco = _coco(body)
        coco[20:20 + gap] = np.nan
        done = complete(coco, completer=ridge, overlap=overlap)
        assert np.isfinite(done.keypoints).all()
        # the person goes on through the picture
        pelvis = done.keypoints[:, SKELETON.index('pelvis')[0]]
        miss = np.linalg.norm(pelvis - body[:, SKELETON.index(
            'pelvis')[0]], axis=-1)
        assert miss.max() < (25 if gap == 3 else 80)
        assert not done.observed[20:20 + gap].any()

    @pytest.mark.parametrize('overlap', ['blend', 'select', 'none'])
    def test_empty_windows_never_count(self, overlap):
        class Blind:
            def complete(self, keypoints, observed, confidence=None):
                full = observed.flatten(1).any(1)[:, None, None, None]
                return Completion(torch.where(full, 1., torch.nan).expand(
                    keypoints.shape))

        coco = _coco(_body(140))
        coco[30:90] = np.nan
        done = complete(coco, completer=Blind(), overlap=overlap)
        assert np.isfinite(done.keypoints).all()

    @pytest.mark.parametrize('overlap', ['blend', 'select', 'none'])
    def test_broken_answers_are_no_gaps(self, overlap):
        """NaN would pass for frames without people, and be filled in."""
        class Broken:
            def complete(self, keypoints, observed, confidence=None):
                out = keypoints.clone()
                out[1, 3, 5] = torch.nan
                return Completion(out)

        with pytest.raises(RuntimeError, match='Broken gave NaN.*1 of'):
            complete(_coco(_body(60)), completer=Broken(), overlap=overlap)

    def test_without_errors_the_middle_of_a_window_wins(self):
        """Whatever the size of the body in it."""
        class Numbered:
            def complete(self, keypoints, observed, confidence=None):
                number = torch.arange(len(keypoints)).to(keypoints)
                return Completion(number[:, None, None, None].expand_as(
                    keypoints))

        coco = _coco(_body(36)) * np.linspace(1, 4, 36)[:, None, None]
        done = complete(coco, completer=Numbered(), overlap='select')
        # In its own frame all joints of a window are in one place.
        place = done.keypoints[:, 0]
        one, two = place[:18], place[18:]
        assert (one == one[0]).all() and (two == two[0]).all()
        assert (one[0] != two[0]).any()

    @pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
    def test_not_finite_is_missing(self, ridge, bad):
        coco = _coco(_body(30))
        coco[4:9, 9] = bad
        visible = np.isfinite(coco).all(-1)
        done = complete(coco, completer=ridge)
        other = complete(np.nan_to_num(coco, posinf=7, neginf=7),
                         visible=visible, completer=ridge)
        np.testing.assert_array_equal(done.keypoints, other.keypoints)
        assert np.isfinite(done.keypoints).all()

    def test_confidence(self, ridge):
        coco = np.nan_to_num(_coco(_body(30)))
        trust = np.zeros(coco.shape[:2])
        trust[:, 5:] = 3.  # some detectors go beyond 1
        trust[:, 9] = .2
        joined = np.concatenate([coco, trust[..., None]], -1)
        a = complete(joined, completer=ridge)
        b = complete(coco, confidence=trust, completer=ridge)
        for x, y in zip(a, b):
            np.testing.assert_array_equal(x, y)
        c = complete(coco, confidence=trust, completer=ridge, threshold=.2)
        wrist = SKELETON.index('left_wrist')[0]
        assert b.observed[:, wrist].all() and not c.observed[:, wrist].any()

    def test_one_joint_in_one_frame(self):
        coco = np.full((30, 17, 2), np.nan)
        coco[7, 5:] = _coco(_body(1))[0, 5:]
        done = complete(coco)
        np.testing.assert_allclose(done.keypoints, np.repeat(
            done.keypoints[7:8], 30, 0), atol=1e-3)
        assert np.isfinite(done.keypoints).all()


class TestJoints:

    @pytest.mark.parametrize('source', ['mpii_16', 'lsp_14', 'halpe_26',
                                        'alphapose_12', 'h36m_17',
                                        'coco_wholebody_feet_23',
                                        'mpi_inf_3dhp_28'])
    def test_from_any_set(self, source):
        body = _body(30)
        skeleton = Skeleton.from_name(source)
        x, seen = SKELETON.convert(body, np.ones(body.shape[:2]), skeleton,
                                   allow_missing=True)
        done = complete(x, visible=seen, joints=source)
        assert np.isfinite(done.keypoints).all()
        same = [j for j in skeleton.joints if j in SKELETON.joints and
                skeleton.landmark(j) == j]
        rows = SKELETON.index(*same)
        np.testing.assert_allclose(done.keypoints[:, rows], body[:, rows],
                                   atol=1e-2)

    def test_a_middle_is_not_taken_for_a_joint(self, ridge):
        # COCO's hips have a middle, but that is not where a pelvis lies.
        done = complete(_coco(_body(24)), completer=ridge)
        assert not done.observed[:, SKELETON.index('pelvis')[0]].any()

    def test_the_inputs_own_joints_are_passed_through(self):
        coco = _coco(_body(30))
        coco[:, 0] = np.linspace(0, 58, 60).reshape(30, 2)
        coco[10:20, 0] = np.nan
        done = complete(coco, to='coco_17')
        straight = np.linspace(0, 58, 60).reshape(30, 2)
        np.testing.assert_allclose(done.keypoints[:, 0], straight, atol=1e-3)
        assert np.isnan(done.keypoints[:, 1]).all()  # never seen
        assert done.observed[:, 0].sum() == 20

    def test_to_sets_with_middles(self):
        body = _body(30)
        done = complete(body, joints='mpi_inf_3dhp_28', to='mpii_16')
        want, _ = SKELETON.convert(body, np.ones(body.shape[:2]), 'mpii_16')
        np.testing.assert_allclose(done.keypoints, want, atol=1e-2)

    def test_what_cannot_be_had_is_named(self):
        with pytest.raises(ValueError, match='left_heel.*alphapose_12'):
            complete(_coco(_body(3))[:, 5:], joints='alphapose_12',
                     to='halpe_26')

    def test_no_joint_in_common(self):
        faces = Skeleton('faces', ('nose', 'chin'))
        with pytest.raises(ValueError, match="'faces' has no joint"):
            complete(np.ones((3, 2, 2)) * np.arange(2)[:, None],
                     joints=faces)


class TestBadInput:

    @pytest.mark.parametrize('change,message', [
        (dict(keypoints=np.zeros((0, 17, 2))), 'no frames'),
        (dict(keypoints=np.zeros((5, 16, 2))), '16 joints.*17'),
        (dict(keypoints=np.zeros((5, 17))), r'\(T, K, 2\)'),
        (dict(joints='coco_18'), 'unknown joint set.*coco_17'),
        (dict(to='smpl_24'), 'unknown joint set'),
        (dict(keypoints=np.full((5, 17, 2), np.nan)), 'observed in any'),
        (dict(visible=np.zeros((5, 17))), 'observed in any'),
        (dict(keypoints=np.ones((5, 17, 2))), 'one place.*missing'),
        (dict(keypoints=np.arange(170.).reshape(5, 17, 2) * 1e30),
         'missing'),
        (dict(confidence=np.ones((5, 12))), 'confidence is'),
        (dict(visible=np.ones((4, 17))), 'visible is'),
        (dict(overlap='mean'), 'blend'), (dict(batch_size=0), 'batch_size'),
    ])
    def test_is_refused(self, change, message):
        given = dict(keypoints=_coco(_body(5))) | change
        with pytest.raises(ValueError, match=message):
            complete(**given)

    def test_the_track_is_named(self):
        with pytest.raises(ValueError, match='track 1: the sequence'):
            complete([_coco(_body(5)), np.zeros((0, 17, 2))])
        with pytest.raises(ValueError, match='1 arrays of confidence'):
            complete([_coco(_body(5))] * 2, confidence=[None])

    def test_nobody(self):
        assert complete([]) == []

    def test_what_completes_nothing(self, tmp_path):
        with pytest.raises(TypeError, match='Linear neither'):
            complete(_coco(_body(5)), completer=torch.nn.Linear(2, 2))
        with pytest.raises(FileNotFoundError, match='no checkpoint'):
            complete(_coco(_body(5)), completer=str(tmp_path / 'no.pth'))

    def test_zero_scale_in_one_window(self, ridge):
        coco = _coco(_body(100))
        coco[30:60] = coco[30:60, 5:6]  # a detector that breaks down
        done = complete(coco, completer=ridge)
        assert np.isfinite(done.keypoints).all()

    def test_long_and_many(self, ridge):
        body = _coco(_body(10_000))
        done = complete(body, completer=ridge)
        assert done.keypoints.shape == (10_000, 28, 2)
        assert np.isfinite(done.keypoints).all()
        people = complete([_coco(_body(30, i)) for i in range(50)])
        assert len(people) == 50
        assert all(np.isfinite(p.keypoints).all() for p in people)


class TestCheckpoints:

    def test_config_inside(self, ridge, tmp_path):
        path = tmp_path / 'ridge.pth'
        text = "model = dict(type='RidgeCompleter', rank=60)\n"
        torch.save(dict(state_dict=ridge.state_dict(), meta=dict(cfg=text)),
                   path)
        coco = _coco(_body(30))
        one = complete(coco, completer=path)
        two = complete(coco, completer=ridge)
        np.testing.assert_array_equal(one.keypoints, two.keypoints)
        assert isinstance(find_completer(load_completer(path)),
                          RidgeCompleter)

    def test_weights_that_a_config_names(self, ridge, tmp_path):
        path = tmp_path / 'ridge.pth'
        torch.save(dict(state_dict=ridge.state_dict(), meta={}), path)
        named = dict(type='RidgeCompleter', rank=60, init_cfg=dict(
            type='Pretrained', checkpoint=str(path)))
        coco = _coco(_body(30))
        np.testing.assert_array_equal(
            complete(coco, completer=named).keypoints,
            complete(coco, completer=ridge).keypoints)

    def test_without_a_config(self, ridge, tmp_path):
        path = tmp_path / 'bare.pth'
        torch.save(ridge.state_dict(), path)
        with pytest.raises(ValueError, match='config='):
            load_completer(path)
        config = tmp_path / 'c.py'
        config.write_text("model = dict(type='RidgeCompleter', rank=60)\n")
        load_completer(path, config)

    def test_by_its_config(self, tmp_path):
        coco = _coco(_body(30))
        path = tmp_path / 'c.py'
        path.write_text("model = dict(type='InterpolationCompleter')\n")
        np.testing.assert_array_equal(
            complete(coco, completer=path).keypoints,
            complete(coco).keypoints)
        with pytest.raises(ValueError, match='RegressorCompleter names no'):
            complete(coco, completer=dict(type='RegressorCompleter'))
        a = complete(coco, completer=dict(type='InterpolationCompleter'))
        np.testing.assert_array_equal(a.keypoints,
                                      complete(coco).keypoints)
