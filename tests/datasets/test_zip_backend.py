import os
import zipfile
from pathlib import Path

import cv2
import mmcv
import mmengine.fileio as fileio
import numpy as np
import pytest

from mirrorpose.datasets.zip_backend import split_zip_path, zip_path


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / 'x.zip'
    with zipfile.ZipFile(path, 'w') as file:
        for i in range(20):
            file.writestr(f'a/{i}.txt', f'number {i} ' * 5000)

        image = np.full((4, 5, 3), 77, np.uint8)
        file.writestr('p.png', cv2.imencode('.png', image)[1].tobytes())
    return path


def test_reads_like_any_file(archive):
    path = zip_path(archive, 'a/3.txt')
    assert fileio.get_text(path).startswith('number 3 ')
    assert fileio.exists(path) and fileio.isfile(path)
    assert fileio.isdir(zip_path(archive, 'a'))
    assert not fileio.exists(zip_path(archive, 'a/99.txt'))
    assert fileio.join_path(zip_path(archive, 'a'), '3.txt') == path
    assert (mmcv.imread(zip_path(archive, 'p.png')) == 77).all()
    with fileio.get_local_path(path) as local:
        assert Path(local).read_text().startswith('number 3 ')
    assert not Path(local).exists()


def test_other_paths_are_untouched(tmp_path):
    (tmp_path / 'y.zip').write_bytes(b'raw')
    assert fileio.get(tmp_path / 'y.zip') == b'raw'


def test_errors(archive, tmp_path):
    with pytest.raises(FileNotFoundError, match='nope.txt.*x.zip'):
        fileio.get(zip_path(archive, 'nope.txt'))
    with pytest.raises(FileNotFoundError, match='dataset_converters/lsp.py'):
        fileio.get(zip_path(tmp_path / 'gone.zip', 'a'))
    with pytest.raises(ValueError, match='no member'):
        split_zip_path('zip:///a/b.txt')
    data = bytearray(archive.read_bytes())
    (tmp_path / 'cut.zip').write_bytes(data[:len(data) // 2])
    with pytest.raises(ValueError, match='no complete zip'):
        fileio.get(zip_path(tmp_path / 'cut.zip', 'a/0.txt'))
    data[60] ^= 255
    (tmp_path / 'bad.zip').write_bytes(data)
    with pytest.raises(ValueError, match='damaged'):
        fileio.get(zip_path(tmp_path / 'bad.zip', 'a/0.txt'))


def test_rewritten_archive_is_read_anew(archive):
    assert fileio.exists(zip_path(archive, 'a/1.txt'))
    with zipfile.ZipFile(archive, 'w') as file:
        file.writestr('new.txt', 'new')
    assert fileio.get_text(zip_path(archive, 'new.txt')) == 'new'


def test_folder_named_zip(tmp_path):
    inner = tmp_path / 'folder.zip'
    inner.mkdir()
    with zipfile.ZipFile(inner / 'b.zip', 'w') as file:
        file.writestr('m.txt', 'm')
    assert fileio.get_text(zip_path(inner / 'b.zip', 'm.txt')) == 'm'


def test_survives_a_fork(archive):
    """A child that reads at the same time must not move our offset."""
    fileio.get(zip_path(archive, 'a/0.txt'))
    child = os.fork()
    if child == 0:
        bad = 0
        for turn in range(200):
            i = turn % 20
            text = fileio.get_text(zip_path(archive, f'a/{i}.txt'))
            bad += not text.startswith(f'number {i} ')
        os._exit(min(bad, 1))
    for turn in range(200):
        i = (turn * 7) % 20
        text = fileio.get_text(zip_path(archive, f'a/{i}.txt'))
        assert text.startswith(f'number {i} ')
    assert os.waitpid(child, 0)[1] == 0
