"""Contact sheets."""
import cv2
import numpy as np
import pytest
from mmpose.registry import DATASETS

from mirrorpose.datasets.frames.pictures import (
    contact_sheet,
    dataset_sheet,
    pose_tiles,
    write_sheet,
)
from mirrorpose.structures import Skeleton

ARCHIVE = dict(type='FrameArchive', file='people/frames.npz')


def test_sheets_of_all_data_sets(prepared, tmp_path):
    root, _ = prepared
    common = dict(joints='lsp_14', size=20, data_root=str(root))
    split = dict(a=['p0'], b=['p1'])
    frames = dict(type='FramePairDataset', sources=[
        dict(ARCHIVE, split=split, part='a')], **common)
    poses = dict(type='UnpairedPoseDataset', sources=[dict(
        type='FramePoses', source=dict(ARCHIVE, split=split, part='b'))],
        **common)
    both = DATASETS.build(dict(type='UnpairedDataset', frames=frames,
                               poses=poses))
    sheet = dataset_sheet(both, 3, 2)
    assert sheet.shape == (3 * 42 + 2, 4 * 42 + 2, 3)
    # the first tile is the first frame, blue and green by clip and frame
    assert np.abs(sheet[10, 10].astype(int) - [99, 0, 0]).max() < 4
    assert dataset_sheet(both.frames, 2).shape == (2 * 22 + 2, 3 * 22 + 2, 3)
    assert dataset_sheet(both.poses, 5).shape == (2 * 22 + 2, 3 * 22 + 2, 3)
    write_sheet(tmp_path / 'sheet.png', sheet)
    np.testing.assert_array_equal(
        cv2.imread(str(tmp_path / 'sheet.png'))[..., ::-1], sheet)
    with pytest.raises(TypeError, match='no pictures'):
        dataset_sheet([1, 2, 3], 1)


def test_poses_are_drawn_where_they_lie():
    lsp = Skeleton.from_name('lsp_14')
    poses = np.zeros((1, 14, 2))
    present = np.zeros((1, 14))
    poses[0, 3], present[0, 3] = (-1, 1), 1
    (tile, ) = pose_tiles(poses, present, lsp, 32)
    y, x = np.nonzero(tile.any(-1))
    assert y.min() >= 29 and x.max() <= 2


def test_pictures_of_one_size():
    with pytest.raises(ValueError, match='one size'):
        contact_sheet([[np.zeros((4, 4, 3), np.uint8)],
                       [np.zeros((5, 4, 3), np.uint8)]])
