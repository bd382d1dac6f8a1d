"""complete(): any joints, any length, any source of a completer."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from walkers import (
    COCO,
    JUMPS,
    as_coco,
    drawn_jumps,
    drawn_regressor,
    fitted_ridge,
    walk,
)

from mirrorpose.apis.completers import find_completer, load_completer
from mirrorpose.apis.completion import CompletedTrack, complete
from mirrorpose.models.completion import RidgeCompleter
from mirrorpose.models.completion.completer import SKELETON, Completion
from mirrorpose.structures import Skeleton

#: None shall be interpolation, whatever was trained in this folder.
pytestmark = pytest.mark.usefixtures('empty_folder')


@pytest.fixture(scope='module')
def ridge():
    return fitted_ridge()


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
        body = walk(frames)
        windows = cut(torch.from_numpy(body), plan_windows(
            [frames], stride=24 if overlap == 'none' else None))
        done = complete(as_coco(body), completer=Truth(windows),
                        overlap=overlap)
        assert isinstance(done, CompletedTrack)
        np.testing.assert_allclose(done.keypoints, body, atol=.02)
        assert np.isnan(done.spread).all()

    @pytest.mark.parametrize('factor,shift', [(1e-3, 0.), (40., -3e4)])
    def test_unit_and_place_do_not_matter(self, ridge, factor, shift):
        coco = as_coco(walk(40))
        one = complete(coco, completer=ridge)
        two = complete(coco * factor + shift, completer=ridge)
        np.testing.assert_allclose((two.keypoints - shift) / factor,
                                   one.keypoints, atol=.1)
        np.testing.assert_allclose(two.spread / factor, one.spread,
                                   rtol=1e-2, atol=1e-3)

    def test_observed_joints_stay(self, ridge):
        coco = as_coco(walk(50))
        done = complete(coco, completer=ridge)
        rows = SKELETON.index(*COCO.joints[5:])
        np.testing.assert_allclose(done.keypoints[:, rows], coco[:, 5:],
                                   atol=1e-2)
        assert done.observed[:, rows].all() and done.observed.sum() == 600
        assert (done.spread[:, rows] < 1e-3).all()

    def test_people_do_not_know_each_other(self, ridge):
        tracks = [as_coco(walk(t, t)) for t in (3, 24, 57, 1)]
        whole = complete(tracks, completer=ridge)
        for track, got in zip(tracks, whole):
            one = complete(track, completer=ridge)
            for a, b in zip(one[:3], got[:3]):
                np.testing.assert_allclose(a, b, atol=1e-2)

    def test_ridge_beats_interpolation(self, ridge):
        body = walk(48, 5)
        error = [np.linalg.norm(complete(
            as_coco(body), completer=c).keypoints - body, axis=-1).mean()
            for c in (ridge, None)]
        assert error[0] < .5 * error[1]


class TestHoles:

    @pytest.mark.parametrize('gap', [3, 20, 90])
    @pytest.mark.parametrize('overlap', ['blend', 'select', 'none'])
    def test_whole_frames_missing(self, ridge, gap, overlap):
        body = walk(40 + gap)
        coco = as_coco(body)
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

        coco = as_coco(walk(140))
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
            complete(as_coco(walk(60)), completer=Broken(), overlap=overlap)

    def test_without_errors_the_middle_of_a_window_wins(self):
        """Whatever the size of the body in it."""
        class Numbered:
            def complete(self, keypoints, observed, confidence=None):
                number = torch.arange(len(keypoints)).to(keypoints)
                return Completion(number[:, None, None, None].expand_as(
                    keypoints))

        coco = as_coco(walk(36)) * np.linspace(1, 4, 36)[:, None, None]
        done = complete(coco, completer=Numbered(), overlap='select')
        # In its own frame all joints of a window are in one place.
        place = done.keypoints[:, 0]
        one, two = place[:18], place[18:]
        assert (one == one[0]).all() and (two == two[0]).all()
        assert (one[0] != two[0]).any()

    @pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
    def test_not_finite_is_missing(self, ridge, bad):
        coco = as_coco(walk(30))
        coco[4:9, 9] = bad
        visible = np.isfinite(coco).all(-1)
        done = complete(coco, completer=ridge)
        other = complete(np.nan_to_num(coco, posinf=7, neginf=7),
                         visible=visible, completer=ridge)
        np.testing.assert_array_equal(done.keypoints, other.keypoints)
        assert np.isfinite(done.keypoints).all()

    def test_confidence(self, ridge):
        coco = np.nan_to_num(as_coco(walk(30)))
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
        coco[7, 5:] = as_coco(walk(1))[0, 5:]
        done = complete(coco)
        np.testing.assert_allclose(done.keypoints, np.repeat(
            done.keypoints[7:8], 30, 0), atol=1e-3)
        assert np.isfinite(done.keypoints).all()


class TestJoints:

    @pytest.mark.parametrize('source', ['mpii_16', 'lsp_14', 'halpe_26',
                                        'alphapose_12', 'h36m_17',
                                        'coco_wholebody_feet_23', 'body_25',
                                        'mpi_inf_3dhp_28'])
    def test_from_any_set(self, source):
        body = walk(30)
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
        done = complete(as_coco(walk(24)), completer=ridge)
        assert not done.observed[:, SKELETON.index('pelvis')[0]].any()

    def test_the_inputs_own_joints_are_passed_through(self):
        coco = as_coco(walk(30))
        coco[:, 0] = np.linspace(0, 58, 60).reshape(30, 2)
        coco[10:20, 0] = np.nan
        done = complete(coco, to='coco_17')
        straight = np.linspace(0, 58, 60).reshape(30, 2)
        np.testing.assert_allclose(done.keypoints[:, 0], straight, atol=1e-3)
        assert np.isnan(done.keypoints[:, 1]).all()  # never seen
        assert done.observed[:, 0].sum() == 20

    def test_to_sets_with_middles(self):
        body = walk(30)
        done = complete(body, joints='mpi_inf_3dhp_28', to='mpii_16')
        want, _ = SKELETON.convert(body, np.ones(body.shape[:2]), 'mpii_16')
        np.testing.assert_allclose(done.keypoints, want, atol=1e-2)

    def test_what_cannot_be_had_is_named(self):
        with pytest.raises(ValueError, match='left_heel.*alphapose_12'):
            complete(as_coco(walk(3))[:, 5:], joints='alphapose_12',
                     to='halpe_26')

    def test_no_joint_in_common(self):
        faces = Skeleton('faces', ('nose', 'chin'))
        with pytest.raises(ValueError, match="'faces' has no joint"):
            complete(np.ones((3, 2, 2)) * np.arange(2)[:, None],
                     joints=faces)


class TestCheckpoints:

    def test_what_completes_nothing(self, tmp_path):
        with pytest.raises(TypeError, match='Linear neither'):
            complete(as_coco(walk(5)), completer=torch.nn.Linear(2, 2))
        with pytest.raises(FileNotFoundError, match='no checkpoint'):
            complete(as_coco(walk(5)), completer=str(tmp_path / 'no.pth'))

    def test_config_inside(self, ridge, tmp_path):
        path = tmp_path / 'ridge.pth'
        text = "model = dict(type='RidgeCompleter', rank=60)\n"
        torch.save(dict(state_dict=ridge.state_dict(), meta=dict(cfg=text)),
                   path)
        coco = as_coco(walk(30))
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
        coco = as_coco(walk(30))
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
        coco = as_coco(walk(30))
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

    def saved(self, folder, **models):
        paths = {}
        for name, model in models.items():
            paths[name] = str(folder / f'{name}.pth')
            torch.save(dict(state_dict=model.state_dict(), meta={}),
                       paths[name])
        return paths

    def test_every_part_that_learns_needs_weights(self, ridge, tmp_path):
        """One trained part does not make a trained completer."""
        small = dict(width=8, dilations=(1, ))
        files = self.saved(tmp_path, ridge=ridge, jumps=drawn_jumps(),
                           regressor=drawn_regressor(**small))
        first = dict(type='RidgeCompleter', rank=60)
        known = dict(first, init_cfg=dict(type='Pretrained',
                                          checkpoint=files['ridge']))
        second = dict(type='RegressorCompleter', **small)
        jumps = dict(type='JumpsCompleter', model=JUMPS,
                     search=dict(steps=1))
        cascade = dict(type='CascadeCompleter', first=first, second=second)
        for config, part in (
                (dict(jumps, first=known), r'of model \(Jumps\)'),
                (dict(jumps, checkpoint=files['jumps'], first=first),
                 r'of first \(RidgeCompleter\)'),
                (dict(cascade, first_checkpoint=files['ridge']),
                 r'of second \(RegressorCompleter\)'),
                (dict(cascade, second_checkpoint=files['regressor']),
                 r'of first \(RidgeCompleter\)'),
                (dict(cascade, first=known, second_checkpoint=files[
                    'regressor'], never=jumps), r'of never \('),
                (cascade, 'CascadeCompleter names no weights, and')):
            with pytest.raises(ValueError, match=part):
                complete(as_coco(walk(5)), completer=config)
        coco = as_coco(walk(30))
        for config in (
                dict(jumps, checkpoint=files['jumps'], first=known),
                dict(jumps, checkpoint=files['jumps'], first=first,
                     first_checkpoint=files['ridge']),
                dict(cascade, first_checkpoint=files['ridge'],
                     second_checkpoint=files['regressor'], never=jumps,
                     never_checkpoint=files['jumps'])):
            done = complete(coco, completer=config)
            assert np.isfinite(done.keypoints).all()

    def test_named_weights_have_to_fit(self, ridge, tmp_path):
        """mmengine would warn, and go on with weights as they were drawn."""
        files = self.saved(tmp_path, ridge=ridge)
        with pytest.raises(ValueError, match='not of this model'):
            complete(as_coco(walk(5)), completer=dict(
                type='RegressorCompleter', init_cfg=dict(
                    type='Pretrained', checkpoint=files['ridge'])))
