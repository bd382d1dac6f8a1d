"""The world's skin on joints alone, against the world's own frames."""
from __future__ import annotations

import numpy as np
import pytest

from mirrorpose.datasets.multiview.driven import (
    captured_body,
    drive,
    segment_frames,
    world_joints,
)
from mirrorpose.datasets.synthetic import mesh
from mirrorpose.datasets.synthetic.appearance import make_appearance
from mirrorpose.datasets.synthetic.body import (
    JOINT_INDEX,
    SKELETON_28,
    make_body,
)
from mirrorpose.datasets.synthetic.motion import perform

LIMBS = [f'{s}_{j}' for s in ('left', 'right')
         for j in ('shoulder', 'elbow', 'hip', 'knee')]


@pytest.fixture(scope='module', params=['walk', 'throw', 'squat', 'dance'])
def performed(request):
    body = make_body(0, 4)
    joints, frames, _ = perform(0, body, request.param, 3,
                                np.arange(60) / 5)
    return body, joints, frames


def test_frames_are_rotations(performed):
    frames = segment_frames(performed[1])
    eye = np.broadcast_to(np.eye(3), frames.shape)
    np.testing.assert_allclose(frames @ frames.swapaxes(-1, -2), eye,
                               atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(frames), 1)


def test_bones_are_the_worlds(performed):
    _, joints, true = performed
    made = segment_frames(joints)
    for name in LIMBS:
        j = JOINT_INDEX[name]
        np.testing.assert_allclose(made[:, j, :, 2], true[:, j, :, 2],
                                   atol=1e-6, err_msg=name)


def test_twists_are_near_the_worlds(performed):
    """Angle about the bone; joints alone cannot tell it of straight limbs."""
    _, joints, true = performed
    made = segment_frames(joints)
    for name in LIMBS + ['pelvis', 'spine4', 'left_ankle']:
        j = JOINT_INDEX[name]
        cos = (np.trace(made[:, j] @ true[:, j].swapaxes(-1, -2), axis1=-2,
                        axis2=-1) - 1) / 2
        angle = np.degrees(np.arccos(np.clip(cos, -1, 1)))
        assert np.median(angle) < 35, (name, np.median(angle))


def test_the_skeleton_comes_back(performed):
    body, joints, _ = performed
    frames = segment_frames(joints)
    made = captured_body(joints, frames, body)
    assert made.stature == pytest.approx(body.stature, rel=.06)
    for a, b in SKELETON_28.limb_indices:
        want = np.linalg.norm(body.rest[a] - body.rest[b])
        assert np.linalg.norm(made.rest[a] - made.rest[b]) == pytest.approx(
            want, abs=.05 * want + 12)


def test_the_skin_lies_where_the_worlds_does(performed):
    body, joints, frames = performed
    clip = drive(joints, 0, 4)
    look = make_appearance(0, 4)
    rest = mesh.rest_vertices(body, look.loose)
    gaps = []
    for t in range(0, 60, 7):
        want = mesh.pose_vertices(rest, joints[t], frames[t])
        gaps.append(np.linalg.norm(clip.vertices(t) - want, axis=1))
    gaps = np.array(gaps)
    assert np.median(gaps) < 30  # millimetres
    assert np.percentile(gaps, 95) < 120


def test_limbs_end_at_the_joints(performed):
    _, joints, _ = performed
    clip = drive(joints, 0, 9)
    for side in ('left', 'right'):
        for start, end in (('shoulder', 'elbow'), ('knee', 'ankle')):
            mine = np.flatnonzero(
                np.isin(mesh.FOLLOW, JOINT_INDEX[f'{side}_{start}']))
            for t in (0, 20, 40):
                points = clip.vertices(t)[mine]
                a = joints[t, JOINT_INDEX[f'{side}_{start}']]
                b = joints[t, JOINT_INDEX[f'{side}_{end}']]
                along = (points - a) @ (b - a) / ((b - a) @ (b - a))
                assert -.3 < along.min() < .05 and .95 < along.max() < 1.3


def test_turns_with_the_joints(performed):
    """A rotated capture gives rotated frames."""
    _, joints, _ = performed
    turn = np.array([[0., -1, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(segment_frames(joints @ turn.T),
                               turn @ segment_frames(joints), atol=1e-9)


def test_axes():
    np.testing.assert_allclose(world_joints(np.array([[1., 2., 3.]])),
                               [[3000, 1000, 2000]])


def test_unknown_joints_are_an_error(performed):
    joints = performed[1].copy()
    joints[2, 3] = np.nan
    with pytest.raises(ValueError, match='not known'):
        drive(joints, 0, 1)
