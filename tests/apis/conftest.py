"""The tests here share modules; pytest imports them by path."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """A current folder in which nothing was trained."""
    folder = tmp_path / 'here'
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
