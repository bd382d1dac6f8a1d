"""Every bad input of issue 5, to every kind of completer.

All of them have weights; JUMPS' are as they were drawn, which is enough for
an error or a finite answer.
"""
from __future__ import annotations

import numpy as np
import pytest
import torch
from walkers import as_coco, small_completers, walk

from mirrorpose.apis.completion import complete
from mirrorpose.models.completion.completer import SKELETON

KINDS = ('interpolation', 'ridge', 'regressor', 'cascade', 'jumps')
pytestmark = pytest.mark.usefixtures('empty_folder')


@pytest.fixture(scope='module')
def completers():
    return small_completers()


@pytest.fixture(params=KINDS)
def completer(request, completers):
    return completers[request.param]


@pytest.mark.parametrize('change,message', [
    (dict(keypoints=np.zeros((0, 17, 2))), 'no frames'),
    (dict(keypoints=np.zeros((5, 16, 2))), '16 joints.*17'),
    (dict(keypoints=np.zeros((5, 17))), r'\(T, K, 2\)'),
    (dict(joints='coco_18'), 'unknown joint set.*coco_17'),
    (dict(to='smpl_24'), 'unknown joint set'),
    (dict(keypoints=np.full((5, 17, 2), np.nan)), 'observed in any'),
    (dict(keypoints=np.full((5, 17, 2), np.inf)), 'observed in any'),
    (dict(visible=np.zeros((5, 17))), 'observed in any'),
    (dict(keypoints=np.ones((5, 17, 2))), 'one place.*missing'),
    (dict(keypoints=np.arange(170.).reshape(5, 17, 2) * 1e30), 'missing'),
    (dict(confidence=np.ones((5, 12))), 'confidence is'),
    (dict(visible=np.ones((4, 17))), 'visible is'),
    (dict(overlap='mean'), 'blend'), (dict(batch_size=0), 'batch_size'),
    (dict(hypotheses=-1), 'hypotheses'),
])
def test_is_refused(completer, change, message):
    given = dict(keypoints=as_coco(walk(5))) | change
    with pytest.raises(ValueError, match=message):
        complete(completer=completer, **given)


def test_the_track_is_named(completer):
    with pytest.raises(ValueError, match='track 1: the sequence'):
        complete([as_coco(walk(5)), np.zeros((0, 17, 2))],
                 completer=completer)
    with pytest.raises(ValueError, match='1 arrays of confidence'):
        complete([as_coco(walk(5))] * 2, confidence=[None],
                 completer=completer)


def test_nobody(completer):
    assert complete([], completer=completer) == []


def kept(done, coco):
    """Finite everywhere, and in their places where they were observed."""
    assert np.isfinite(done.keypoints).all()
    rows = SKELETON.index(*('left_shoulder', 'right_knee'))
    seen = done.observed[:, rows]
    np.testing.assert_allclose(done.keypoints[:, rows][seen],
                               coco[:, [5, 14]][seen], atol=.05)


def test_one_frame(completer):
    coco = as_coco(walk(1))
    kept(complete(coco, completer=completer), coco)


def test_all_joints_missing_in_a_frame(completer):
    coco = as_coco(walk(30))
    coco[[0, 11, 12, 29]] = np.nan
    done = complete(coco, completer=completer)
    kept(done, coco)
    assert not done.observed[11].any()


def test_a_limb_missing_throughout(completer):
    coco = as_coco(walk(40))
    coco[:, [7, 9]] = np.nan
    done = complete(coco, completer=completer)
    kept(done, coco)
    assert not done.observed[:, SKELETON.index('left_wrist')[0]].any()


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_not_finite_is_missing(completer, bad):
    coco = as_coco(walk(30))
    coco[4:9, 9, 1] = bad
    done = complete(coco, completer=completer)
    kept(done, coco)
    wrist = SKELETON.index('left_wrist')[0]
    assert np.flatnonzero(~done.observed[:, wrist]).tolist() == [
        4, 5, 6, 7, 8]
    visible = np.isfinite(coco).all(-1)
    other = complete(np.nan_to_num(coco, posinf=7, neginf=7),
                     visible=visible, completer=completer)
    np.testing.assert_array_equal(done.keypoints, other.keypoints)


def test_zero_scale_in_some_windows(completer):
    coco = as_coco(walk(100))
    coco[30:60] = coco[30:60, 5:6]  # a detector that breaks down
    done = complete(coco, completer=completer)
    assert np.isfinite(done.keypoints).all()


def test_ten_thousand_frames(completer):
    coco = as_coco(walk(10_000))
    done = complete(coco, completer=completer)
    assert done.keypoints.shape == (10_000, 28, 2)
    kept(done, coco)


def test_fifty_people(completer):
    tracks = [as_coco(walk(25 + i % 3, i)) for i in range(50)]
    people = complete(tracks, completer=completer)
    assert len(people) == 50
    for coco, done in zip(tracks, people):
        kept(done, coco)
    alone = complete(tracks[31], completer=completer)
    np.testing.assert_allclose(people[31].keypoints, alone.keypoints,
                               atol=.05)


def test_windows_of_other_joints(completer):
    """Without complete() around it."""
    x = torch.zeros(1, 24, 17, 2)
    with pytest.raises(ValueError, match='mpi_inf_3dhp_28'):
        completer.complete(x, x[..., 0] == 0)
