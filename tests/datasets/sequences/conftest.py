"""Small motion archives in the layout of the real ones."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import DefaultScope, init_default_scope

import mirrorpose  # noqa: F401
from mirrorpose.structures.skeleton import Skeleton

JOINTS = Skeleton.from_name('mpi_inf_3dhp_28').joints


@pytest.fixture(autouse=True, scope='session')
def mmpose_scope():
    """Sources and holes are built by mmpose's names."""
    if DefaultScope.get_current_instance() is None:
        init_default_scope('mmpose')


def write_archive(path: Path, clips: dict[str, int], fps: float = 30.,
                  **changes) -> dict[str, np.ndarray]:
    """Smooth motion of 29 nodes; spine3 is the mean of two of them."""
    rng = np.random.default_rng(sum(clips.values()))
    total = sum(clips.values())
    rest = rng.normal(0, .4, (29, 3))
    rest[4] = 0
    rest[7] = 0, .6, 0
    phase = rng.uniform(0, 6.28, (29, 3))
    time = np.arange(total)[:, None, None] / fps
    pos = rest + .1 * np.sin(2 * np.pi * .8 * time + phase)
    pos[:, 4] = 0
    to28 = np.zeros((28, 29), np.float32)
    to28[np.arange(28), np.arange(28)] = 1
    to28[0, [0, 28]] = .5
    lengths = np.array(list(clips.values()), np.int32)
    arrays = dict(
        pos=pos.astype(np.float16), root=np.cumsum(
            rng.normal(0, .01, (total, 3)), 0).astype(np.float32),
        to28=to28, names28=np.array(JOINTS), clip_name=np.array(list(clips)),
        clip_start=(np.cumsum(lengths) - lengths).astype(np.int32),
        clip_len=lengths, fps=np.float32(fps)) | changes
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return arrays


@pytest.fixture
def archive():
    """The function that writes an archive."""
    return write_archive


@pytest.fixture
def motion_root(tmp_path):
    """A data root with 12 clips of 6 subjects at 30 frames per second."""
    write_archive(tmp_path / 'motion.npz', {
        f's{i % 6}_{i:02d}': 60 + 7 * i for i in range(12)})
    return tmp_path


@pytest.fixture
def source():
    """Config of that archive, split by subject."""
    return dict(type='MocapArchive', file='motion.npz', groups=r'^(s\d+)_',
                held_out=dict(val=['s1'], test=['s2', 's3']))
