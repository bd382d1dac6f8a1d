"""KeypointGAN's joint sets against the published lists and mmpose's."""
from __future__ import annotations

from pathlib import Path

import mmpose
import numpy as np
import torch
from mmengine.config import Config

from mirrorpose.structures import Skeleton

BASE = Path(mmpose.__file__).parent / '.mim/configs/_base_/datasets'


def test_human36m_32_is_the_published_list() -> None:
    s = Skeleton.from_name('human36m_32')
    assert len(s) == 32
    # 'human36m_simple2' and the pairs of the published code, by index.
    assert s.limb_indices == [
        (1, 11), (2, 1), (3, 2), (5, 3), (6, 11), (7, 6), (8, 7), (10, 8),
        (13, 11), (15, 13), (17, 13), (18, 17), (19, 18), (25, 13),
        (26, 25), (27, 26)]
    pairs = [(6, 1), (7, 2), (8, 3), (9, 4), (10, 5), (16, 24), (17, 25),
             (18, 26), (19, 27), (20, 28), (21, 29), (22, 30), (23, 31)]
    assert {tuple(s.index(*p)) for p in s.pairs} == set(pairs)


def test_human36m_32_gives_the_usual_17() -> None:
    # mmpose's own selection from the 32 (its converter of Human3.6M).
    usual = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
    s = Skeleton.from_name('human36m_32')
    matrix = s.matrix(Skeleton.from_name('h36m_17'))
    chosen = matrix.argmax(1).tolist()
    assert np.array_equal(matrix.sum(1), np.ones(17))
    assert chosen[1:] == usual[1:]
    assert chosen[0] == 11  # the same place as 0


def test_ibug_68_is_mmposes() -> None:
    s = Skeleton.from_name('ibug_68')
    info = Config.fromfile(BASE / '300w.py').dataset_info.to_dict()
    theirs = Skeleton.from_metainfo(info)
    assert theirs.name == 'ibug_68' and theirs.joints == s.joints
    assert theirs.flip_indices == s.flip_indices
    assert theirs.limbs == s.limbs
    # Six open lines or five, and four closed: every point is drawn.
    assert {i for limb in s.limb_indices for i in limb} == set(range(68))
    assert len(s.limbs) == 16 + 4 + 4 + 3 + 4 + 6 + 6 + 12 + 8


def test_cathead_7() -> None:
    s = Skeleton.from_name('cathead_7')
    assert len(s) == 7
    keypoints = torch.arange(14.).view(1, 7, 2)
    flipped = keypoints[:, s.flip_indices]
    torch.testing.assert_close(flipped[:, s.flip_indices], keypoints)
    assert s.flip_indices == [1, 0, 2, 6, 5, 4, 3]
