"""People of LSP's layout as clips of one masked frame."""
from __future__ import annotations

import zipfile

import cv2
import numpy as np
import pytest
from mmpose.registry import DATASETS

from mirrorpose.datasets.frames import SilhouetteStills, StillPairDataset
from mirrorpose.structures.skeleton import Skeleton

LSPET = dict(type='LspDataset', ann_file='lspet/lspet.npz')
SOURCE = dict(type='SilhouetteStills', dataset=LSPET)
STILLS = dict(type='StillPairDataset', joints='lsp_14', size=32, masks=True)


def test_who_is_taken(lsp_root):
    """All whose silhouette is good, each by the name of the data set."""
    source = SilhouetteStills(LSPET)
    clips = source.select(str(lsp_root))
    with np.load(lsp_root / 'lspet' / 'lspet.npz') as raw:
        names, joints, visible = raw['names'], raw['joints'], raw['visible']
        good = (raw['mask_quality'][:, 0] > .85) & (
            raw['mask_quality'][:, 1] < .35)
    assert 0 < good.sum() < len(good)
    assert [c.name for c in clips] == names[good].tolist()
    assert all(len(c) == 1 and c.group == c.name for c in clips)
    lsp = Skeleton.from_name('lsp_14')
    for clip, points, seen in zip(clips, joints[good], visible[good]):
        found, there = source.skeleton.convert(
            clip.keypoints, clip.visible.astype(float), 'lsp_14')
        np.testing.assert_array_equal(there[0] > 0, seen > 0)
        np.testing.assert_allclose(found[0][seen > 0], points[seen > 0],
                                   rtol=1e-6)
        assert found.shape == (1, len(lsp), 2)


def test_masks_are_the_persons_own(lsp_root, tmp_path):
    """Black outside; inside as the image is."""
    clips = SilhouetteStills(LSPET).select(str(lsp_root))

    def read(kind, name):
        with zipfile.ZipFile(lsp_root / 'lspet' / f'{kind}.zip') as file:
            member = next(m for m in file.namelist() if m.startswith(name))
            return cv2.imdecode(np.frombuffer(file.read(member), np.uint8),
                                cv2.IMREAD_COLOR)

    side = read('images', clips[0].name).shape[0]
    data = StillPairDataset(
        [dict(SOURCE, crop='centre')], 'lsp_14', size=side, masks=True,
        data_root=str(lsp_root), test_mode=True,
        cache_dir=str(tmp_path / 'cache'))
    assert len(data) == len(clips)
    for i, clip in enumerate(clips):
        image = np.asarray(data[i]['inputs']).transpose(1, 2, 0)
        np.testing.assert_array_equal(
            image, read('images', clip.name) * (read('masks', clip.name)
                                                > 0))


def test_poses_of_the_same_people_are_refused(lsp_root, tmp_path):
    """By name, whether read as frames or as an annotated data set."""
    kept = dict(data_root=str(lsp_root), cache_dir=str(tmp_path / 'cache'))
    split = dict(images=.5, poses=.5)
    frames = dict(STILLS, **kept, sources=[dict(
        SOURCE, crop='centre', split=split, part='images')])

    def build(pile):
        return DATASETS.build(dict(
            type='UnpairedDataset', frames=frames, poses=dict(
                type='UnpairedPoseDataset', joints='lsp_14', size=32,
                data_root=str(lsp_root), sources=[pile])))
    assert len(build(dict(type='FramePoses', source=dict(
        SOURCE, crop='centre', split=split, part='poses')))) > 0
    with pytest.raises(ValueError, match='lspet/im0'):
        build(dict(type='DatasetPoses', dataset=dict(
            LSPET, data_root=str(lsp_root))))


def test_missing_silhouettes(lsp_root):
    (lsp_root / 'lspet' / 'masks.zip').unlink()
    with pytest.raises(FileNotFoundError, match='silhouettes'):
        SilhouetteStills(LSPET).select(str(lsp_root))
