"""What is on a sheet, pixel by pixel where it matters."""
from __future__ import annotations

import numpy as np
import pytest

from mirrorpose.structures import Skeleton
from mirrorpose.visualization.drawing import draw_skeleton, joint_colors
from mirrorpose.visualization.gallery import Row, Tile
from mirrorpose.visualization.sheets import (
    image_tile,
    picture_sheet,
    pose_tile,
)

LSP = Skeleton.from_name('lsp_14')
POSE = 900 * np.random.default_rng(0).random((14, 3))


def test_a_pose_fills_its_tile():
    tile = pose_tile('a', POSE, np.ones(14), LSP, 200)
    low, high = POSE[:, :2].min(0), POSE[:, :2].max(0)
    for j, color in enumerate(joint_colors(LSP)):
        # ten percent free on each side of the longer edge
        x, y = ((POSE[j, :2] - (low + high) / 2) / (high - low).max() * 160
                + 99.5).round().astype(int)
        near = tile.image[y - 2:y + 3, x - 2:x + 3].reshape(-1, 3).astype(int)
        assert (np.abs(near - color).sum(1) < 120).any() or j < 13
    lit = (tile.image != 28).any(2)
    columns, rows = np.flatnonzero(lit.any(0)), np.flatnonzero(lit.any(1))
    longest = max(np.ptp(columns), np.ptp(rows))
    assert 156 <= longest <= 172


def test_absent_joints_leave_no_trace():
    seen = np.ones(14)
    seen[6] = 0
    hidden = POSE.copy()
    hidden[6] = np.nan
    far = POSE.copy()
    far[6] = 1e6
    one, other = (pose_tile('', p, seen, LSP).image for p in (hidden, far))
    assert (one == other).all()
    assert (pose_tile('', POSE, np.zeros(14), LSP).image == 28).all()
    assert draw_skeleton(one, POSE[:, :2], np.zeros(14), LSP).shape == (
        160, 160, 3)


def test_images_are_whole():
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, :40] = [255, 0, 0]
    tile = image_tile('', image, 160).image
    assert (tile[80, 10] == [255, 0, 0]).all()
    assert (tile[80, 150] == 0).all() and (tile[:39] == 0).all()


def test_sheet():
    tiles = [Tile('query', np.full((30, 40, 3), v, np.uint8))
             for v in (10, 90, 170)]
    sheet = picture_sheet([Row('', tiles), Row('', tiles[:2])])
    for value, count in ((10, 2), (90, 2), (170, 1)):
        assert (sheet == value).all(2).sum() >= count * 30 * 40
    assert (sheet[24:54, 6:46] == 10).all()
    assert (sheet[24:54, 64:104] == 90).all()
    dark = (sheet[:24] < 128).any()
    assert dark  # the captions
    with pytest.raises(ValueError, match='one size'):
        picture_sheet([Row('', [*tiles, Tile('', sheet)])])
    with pytest.raises(ValueError, match='one size'):
        picture_sheet([])


def test_long_captions_stay_in_their_column():
    blank = np.full((30, 60, 3), 255, np.uint8)
    sheet = picture_sheet([Row('', [Tile('x' * 200, blank), Tile('', blank)])])
    assert (sheet[:, 68:] == 255).all() and (sheet[:, :66] < 200).any()
