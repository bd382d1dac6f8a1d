"""Sheets of edits: which tile stands where, and what an edit shows."""
from __future__ import annotations

import numpy as np
import pytest

from mirrorpose.structures import Skeleton
from mirrorpose.visualization.drawing import joint_colors
from mirrorpose.visualization.edit_sheets import (
    drawn_pose,
    move_rows,
    swap_rows,
    walk_rows,
)
from mirrorpose.visualization.sheets import picture_sheet

LSP = Skeleton.from_name('lsp_14')
WRIST = LSP.joints.index('left_wrist')


def flat(*shape: int) -> np.ndarray:
    """Pictures of 40 pixels, each of its own grey."""
    greys = np.arange(1, 1 + np.prod(shape, dtype=int)).reshape(shape)
    return np.broadcast_to(greys[..., None, None, None].astype(np.uint8),
                           (*shape, 40, 40, 3))


@pytest.fixture
def poses() -> np.ndarray:
    return np.random.default_rng(0).uniform(5, 30, (2, 14, 2))


def test_grid_of_poses_and_looks(poses):
    rows = swap_rows(flat(2), poses, ['a', 'b'], 50 + flat(3),
                     ['c', 'd', 'e'], 100 + flat(2, 3), LSP)
    greys = [[int(t.image[0, 0, 0]) for t in r.tiles] for r in rows]
    assert greys == [[255, 255, 51, 52, 53], [1, 28, 101, 102, 103],
                     [2, 28, 104, 105, 106]]
    assert [r.tiles[0].caption for r in rows] == ['', 'a', 'b']
    assert [t.caption for t in rows[0].tiles[2:]] == ['c', 'd', 'e']
    assert {t.image.shape for r in rows for t in r.tiles} == {(160, 160, 3)}
    # the two heads of a row stand apart from the grid
    sheet = picture_sheet(rows, heads=2)
    row = sheet[6 + 18 + 10 + 184, :, 0]
    assert row[6] == 1 and row[6 + 166] == 28
    assert (row[6 + 2 * 166 - 6:6 + 2 * 166 + 12] == 255).all()
    assert row[6 + 2 * 166 + 12] == 101


def test_moves_stand_beside_what_they_were(poses):
    after = poses.copy()
    after[:, WRIST] += 6
    row, other = move_rows(flat(2), poses, after, 50 + flat(2),
                           100 + flat(2), ['a', 'b'], LSP)
    assert [int(t.image[0, 0, 0]) for t in row.tiles] == [1, 28, 51, 28, 101]
    assert [int(t.image[0, 0, 0]) for t in other.tiles[::2]] == [2, 52, 102]
    # only the edited skeleton has a white line
    white = [(t.image == 255).all(-1).sum() for t in row.tiles]
    assert white[3] > 0 and not white[1]


def test_skeletons_shine_through(poses):
    pose = poses[0]
    moved = pose.copy()
    moved[WRIST] = (38, 38)
    before, after = drawn_pose(pose, 40, LSP), drawn_pose(moved, 40, LSP,
                                                           pose)
    assert before.shape == after.shape == (160, 160, 3)
    colour = joint_colors(LSP)[WRIST]
    x, y = (4 * 38 + 2, 4 * 38 + 2)
    assert (after[y, x] == colour).all()
    assert (before[y, x] == 28).all()
    assert np.array_equal(drawn_pose(pose, 40, LSP, pose), before)


def test_walks(poses):
    path = np.repeat(poses[:1], 3, 0)
    path[:, WRIST, 0] += [0, 2, 4]
    above, below = walk_rows(flat(1)[0], poses[0], path, 50 + flat(3), 'a',
                             'left_wrist', LSP)
    assert [t.caption for t in above.tiles] == [
        'a: left_wrist', '+0, +0', '+2, +0', '+4, +0']
    assert [int(t.image[0, 0, 0]) for t in below.tiles] == [1, 51, 52, 53]
    changed = [(t.image != above.tiles[0].image).any() for t in above.tiles]
    assert changed == [False, False, True, True]
