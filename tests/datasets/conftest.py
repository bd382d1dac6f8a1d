"""Tiny data in the prepared layout, made by the tests themselves."""
from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope, init_default_scope

import mirrorpose  # noqa: F401
import mirrorpose.datasets.codecs
import mirrorpose.datasets.transforms  # noqa: F401
from mirrorpose.structures.skeleton import Skeleton

SIZE = 80
LSP = Skeleton.from_name('lsp_14')


@pytest.fixture(autouse=True, scope='session')
def mmpose_scope():
    """Transforms are built by mmpose's names."""
    if DefaultScope.get_current_instance() is None:
        init_default_scope('mmpose')


def write_layout(root: Path, name: str, count: int, extended: bool,
                 masks: bool = True) -> Path:
    """Writes ``count`` random people; some joints of LSPET unannotated."""
    rng = np.random.default_rng(7)
    folder = root / name
    folder.mkdir(parents=True)
    joints = rng.uniform(10, SIZE - 10, (count, 14, 2)).astype(np.float32)
    names = [f'im{i + 1:05d}' for i in range(count)]
    with zipfile.ZipFile(folder / 'images.zip', 'w') as images:
        for stem in names:
            image = rng.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
            images.writestr(stem + '.jpg',
                            cv2.imencode('.jpg', image)[1].tobytes())
    arrays = dict(names=np.array(names), joints=joints,
                  joint_names=np.array(LSP.joints))
    if extended:
        visible = (rng.random((count, 14)) > .2).astype(np.uint8)
        visible[:, LSP.index('left_hip', 'right_shoulder')] = 1
        visible[0, LSP.index('right_hip')] = 0
        arrays['visible'] = visible
    else:
        arrays['occluded'] = (rng.random((count, 14)) > .8).astype(np.uint8)
        arrays['train'] = np.arange(count) < count // 2
    if masks:
        arrays['mask_quality'] = np.tile(
            np.array([1, 0, .3], np.float32), (count, 1))
        arrays['mask_quality'][1] = .5, 0, .3
        arrays['mask_quality'][2] = 1, .4, .3
        with zipfile.ZipFile(folder / 'masks.zip', 'w') as archive:
            for i, stem in enumerate(names):
                mask = np.zeros((SIZE, SIZE), np.uint8)
                low, high = joints[i].min(0), joints[i].max(0)
                mask[int(low[1]):int(high[1]) + 1,
                     int(low[0]):int(high[0]) + 1] = 255
                archive.writestr(stem + '.png',
                                 cv2.imencode('.png', mask)[1].tobytes())
    np.savez(folder / f'{name}.npz', **arrays)
    return root


def edit_npz(path: Path, **changes) -> None:
    """Rewrites an npz with some arrays changed; None removes one."""
    with np.load(path) as data:
        arrays = {k: data[k] for k in data.files}
    arrays.update(changes)
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})


@pytest.fixture
def lsp_root(tmp_path):
    """A data root with 20 people of LSP and 12 of LSPET."""
    write_layout(tmp_path, 'lsp', 20, extended=False)
    return write_layout(tmp_path, 'lspet', 12, extended=True)


@pytest.fixture
def edit():
    """The function that rewrites an npz."""
    return edit_npz
