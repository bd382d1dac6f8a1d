"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

import mirrorpose  # noqa: F401  (makes mmpose importable, registers all)

# more threads than cores only slow small models down
torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', '2')))


@pytest.fixture(scope='session', autouse=True)
def crop_cache(tmp_path_factory):
    """Crop caches of the tests go away with them."""
    folder = tmp_path_factory.mktemp('crops')
    before = os.environ.get('MIRRORPOSE_CACHE')
    os.environ['MIRRORPOSE_CACHE'] = str(folder)
    yield folder
    if before is None:
        del os.environ['MIRRORPOSE_CACHE']
    else:
        os.environ['MIRRORPOSE_CACHE'] = before


@pytest.fixture(scope='session')
def data_root() -> Path:
    """Folder of the prepared data; skips where there is none."""
    value = os.environ.get('MIRRORPOSE_DATA')
    if not value:
        pytest.skip('MIRRORPOSE_DATA is not set: no real data')
    root = Path(value).expanduser().resolve()
    if not root.is_dir():
        pytest.skip(f'MIRRORPOSE_DATA={value} is no folder')
    return root
