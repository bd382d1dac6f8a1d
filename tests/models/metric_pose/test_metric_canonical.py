"""The canonical frame: against scipy's rotations, and where there is none."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from mirrorpose.structures import Skeleton
from mirrorpose.structures.canonical import (
    SKELETON,
    canonical_pose,
    decode_rotation,
    encode_rotation,
    mirrored,
    to_camera,
)

RIGHT, LEFT = SKELETON.index('right_hip', 'left_hip')
DOWN = torch.tensor([0., 1., 0.]).double()


def seen(views, number=50, seed=0):
    """World poses, cameras, and both as the cameras see them."""
    world = views.figures(number, seed)
    turns = torch.from_numpy(
        Rotation.random(number, random_state=seed).as_matrix())
    return world, turns, world @ turns.transpose(1, 2), \
        turns @ torch.tensor([0., -1., 0.]).double()


def test_the_definition(views):
    """Root at 0, hips along +x on the ground, y down, z = x cross y."""
    world, _, camera, down = seen(views)
    canonical, rotation = canonical_pose(camera, down)
    hips = canonical[:, LEFT] - canonical[:, RIGHT]
    assert (hips[:, 0] > 100).all() and hips[:, 2].abs().max() < 1e-9
    assert canonical[:, 0].abs().max() == 0
    root = camera - camera[:, :1]
    torch.testing.assert_close(to_camera(canonical, rotation), root)
    # y is the height in the world, upside down.
    torch.testing.assert_close(canonical[..., 1],
                               -(world - world[:, :1])[..., 1])
    eye = torch.eye(3).double().expand(50, -1, -1)
    torch.testing.assert_close(rotation @ rotation.transpose(1, 2), eye)
    torch.testing.assert_close(torch.linalg.det(rotation),
                               torch.ones(50).double())


def test_every_view_gives_the_same(views):
    """Any camera, and any turn of the person about the vertical."""
    world, _, camera, down = seen(views)
    _, _, other, other_down = seen(views, seed=0)
    spin = torch.from_numpy(Rotation.from_euler('y', 77, True).as_matrix())
    turns = torch.from_numpy(Rotation.random(50, random_state=9).as_matrix())
    other = (world @ spin.T) @ turns.transpose(1, 2) + 1000.
    other_down = turns @ torch.tensor([0., -3., 0.]).double()
    torch.testing.assert_close(canonical_pose(camera, down)[0],
                               canonical_pose(other, other_down)[0])


def test_person_from_the_front_stays(views):
    world = views.figures(1)
    upright, _ = canonical_pose(world * torch.tensor([1., -1., -1.]), DOWN)
    again, rotation = canonical_pose(upright, DOWN)
    torch.testing.assert_close(again, upright)
    torch.testing.assert_close(rotation[0], torch.eye(3).double())


@pytest.mark.parametrize('case', [
    'one point', 'no hips', 'hips upright', 'nothing across'])
def test_degenerate_poses(views, case):
    pose = views.figures(3) * torch.tensor([1., -1., -1.])
    hips, shoulders = (SKELETON.index(f'right_{p}', f'left_{p}')
                       for p in ('hip', 'shoulder'))
    if case == 'one point':
        pose = torch.zeros_like(pose)
    if case == 'no hips':
        pose[:, hips] = pose[:, :1]
    if case in ('hips upright', 'nothing across'):
        pose[:, hips, 0] = pose[:, hips, 2] = 0
        pose[:, hips[0], 1], pose[:, hips[1], 1] = 99., -99.
    if case == 'nothing across':
        pose[:, shoulders] = pose[:, :1]
    pose.requires_grad_()
    canonical, rotation = canonical_pose(pose, DOWN)
    assert canonical.isfinite().all() and rotation.isfinite().all()
    canonical.sum().backward()
    assert pose.grad.isfinite().all()
    if case in ('no hips', 'hips upright'):  # the shoulders' turn
        line = canonical[:, shoulders[1]] - canonical[:, shoulders[0]]
        assert (line[:, 0] > 0).all() and line[:, 2].abs().max() < 1e-9
    else:  # as seen
        torch.testing.assert_close(rotation, torch.eye(3).double().expand(
            3, -1, -1))


def test_camera_that_looks_straight_down():
    pose = torch.zeros(1, 17, 3).double()
    canonical, rotation = canonical_pose(
        pose, torch.tensor([0., 0., 1.]).double())
    assert canonical.isfinite().all() and rotation.isfinite().all()
    side, _ = canonical_pose(pose, torch.tensor([1., 0., 0.]).double())
    assert side.isfinite().all()


def test_unknown_joints_stay_unknown_and_alone(views):
    _, _, camera, down = seen(views, 4)
    camera[:, SKELETON.index('head')] = float('nan')
    canonical, rotation = canonical_pose(camera, down)
    assert rotation.isfinite().all()
    head = SKELETON.index('head')[0]
    assert canonical[:, head].isnan().all()
    rest = [i for i in range(17) if i != head]
    assert canonical[:, rest].isfinite().all()
    camera[:, LEFT] = float('nan')
    assert canonical_pose(camera, down)[0][..., 0].isnan().all()


def test_mirrored(views):
    """The image and the labels of a mirrored world."""
    _, _, camera, down = seen(views)
    sign = torch.tensor([-1., 1., 1.]).double()
    want = canonical_pose(camera[:, SKELETON.flip_indices] * sign,
                          down * sign)
    found = mirrored(*canonical_pose(camera, down))
    for a, b in zip(found, want):
        torch.testing.assert_close(a, b)


def test_angles_against_scipy():
    angles = np.random.default_rng(0).uniform(-1, 1, (40, 3)) * [
        np.pi, np.pi / 2, np.pi]
    turns = torch.from_numpy(Rotation.from_euler(
        'yxz', angles).as_matrix())  # extrinsic: y first, then x, then z
    code = encode_rotation(turns)
    torch.testing.assert_close(
        code, torch.from_numpy(np.stack([np.sin(angles), np.cos(angles)],
                                        -1)))
    torch.testing.assert_close(decode_rotation(code), turns)
    torch.testing.assert_close(decode_rotation(3 * code), turns)


def test_angles_of_any_rotation():
    turns = torch.from_numpy(Rotation.random(100, 1).as_matrix())
    torch.testing.assert_close(decode_rotation(encode_rotation(turns)),
                               turns)
    for down in (90, -90):  # looking straight down and up
        pole = torch.from_numpy(Rotation.from_euler(
            'yx', [[40, down]], True).as_matrix())
        torch.testing.assert_close(decode_rotation(encode_rotation(pole)),
                                   pole, atol=1e-6, rtol=0)


def test_one_angle_is_a_turn_about_the_vertical():
    turn = decode_rotation(torch.tensor([[[.6, .8]]]).double())
    want = Rotation.from_euler('y', np.arctan2(.6, .8)).as_matrix()
    torch.testing.assert_close(turn[0], torch.from_numpy(want))
    none = decode_rotation(torch.zeros(2, 3, 2))
    torch.testing.assert_close(none, torch.eye(3).expand(2, -1, -1))


@pytest.mark.parametrize('pose, down, part', [
    (torch.zeros(2, 16, 3), DOWN, 'h36m_17'),
    (torch.zeros(2, 17, 3), torch.zeros(3), 'calibrated'),
    (torch.zeros(2, 17, 3), torch.full((3, ), float('nan')), 'NaN'),
    (torch.zeros(2, 17, 3), torch.ones(2), 'vertical')])
def test_bad_input(pose, down, part):
    with pytest.raises(ValueError, match=part):
        canonical_pose(pose, down)


def test_joint_set_without_a_root():
    lsp = Skeleton.from_name('lsp_14')
    with pytest.raises(ValueError, match='root'):
        canonical_pose(torch.zeros(1, 14, 3), DOWN, lsp)
