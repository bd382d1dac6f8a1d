"""Files that are whole or absent."""
from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from mirrorpose.utils.files import (
    Owned,
    is_disk_full,
    remove_stale,
    write_atomically,
    write_text,
)


class TestWriteAtomically:

    def test_writes_and_replaces(self, tmp_path):
        path = tmp_path / 'deep/er/file.txt'
        for text in ('one', 'zwei ä'):
            write_text(path, text)
            assert path.read_text(encoding='utf-8') == text
        assert [p.name for p in path.parent.iterdir()] == ['file.txt']

    def test_the_old_file_survives_a_failure(self, tmp_path):
        path = tmp_path / 'file.txt'
        path.write_text('old')

        def fail(part: Path) -> None:
            part.write_text('half')
            assert path.read_text() == 'old'
            raise ValueError('broken')

        with pytest.raises(ValueError, match='broken'):
            write_atomically(path, fail)
        assert path.read_text() == 'old'
        assert [p.name for p in tmp_path.iterdir()] == ['file.txt']

    def test_says_what_a_full_disk_needs(self, tmp_path):
        path = tmp_path / 'file.txt'
        path.write_text('old')

        def full(part: Path) -> None:
            raise OSError(errno.ENOSPC, 'No space left on device')

        with pytest.raises(OSError, match='no space.*MiB are free.*Make room'):
            write_atomically(path, full)
        assert path.read_text() == 'old'

    def test_syncs_before_it_renames(self, tmp_path, monkeypatch):
        done = []
        monkeypatch.setattr(os, 'fsync', lambda f: done.append('sync'))
        real = Path.replace
        monkeypatch.setattr(Path, 'replace', lambda self, other: (
            done.append('rename'), real(self, other))[1])
        write_text(tmp_path / 'file.txt', 'x')
        assert done == ['sync', 'rename', 'sync']  # file, rename, folder


def _mount_tmpfs(folder: Path) -> bool:
    folder.mkdir()
    if shutil.which('mount') is None:
        return False
    return subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', str(folder)],
        capture_output=True).returncode == 0


def test_a_truly_full_disk_keeps_the_checkpoint_before(tmp_path):
    """torch's own writer reports a full disk in its own words."""
    disk = tmp_path / 'disk'
    if not _mount_tmpfs(disk):
        # No rights to mount: the system's device that is always full.
        if not Path('/dev/full').exists():
            pytest.skip('neither a small disk nor /dev/full')
        with pytest.raises(OSError) as caught, \
                Path('/dev/full').open('wb') as f:
            f.write(b'x' * 100_000)
        assert is_disk_full(caught.value, tmp_path)
        return
    try:
        path = disk / 'epoch_1.pth'
        write_atomically(path, lambda p: torch.save(torch.zeros(1000), p))
        with pytest.raises(OSError, match='no space'):
            write_atomically(path, lambda p: torch.save(
                torch.randn(2_000_000), p))
        assert torch.load(path).shape == (1000, )
        assert [p.name for p in disk.iterdir()] == ['epoch_1.pth']
    finally:
        subprocess.run(['umount', str(disk)], check=True)


def test_other_errors_are_not_a_full_disk(tmp_path):
    assert not is_disk_full(ValueError('x'), tmp_path)
    assert not is_disk_full(RuntimeError('PytorchStreamWriter failed'),
                            tmp_path)  # there is room here


def test_stale_parts_are_removed(tmp_path):
    (tmp_path / 'epoch_2.pth.part').write_text('half')
    (tmp_path / 'epoch_1.pth').write_text('whole')
    assert remove_stale(tmp_path) == ['epoch_2.pth.part']
    assert [p.name for p in tmp_path.iterdir()] == ['epoch_1.pth']


HOLDER = '''
import sys, time
from pathlib import Path
from mirrorpose.utils.files import Owned
owned = Owned(Path(sys.argv[1]))
print('owned', flush=True)
time.sleep(60)
'''


def test_a_folder_has_one_owner(tmp_path):
    job = subprocess.Popen([sys.executable, '-W', 'ignore', '-c', HOLDER,
                            str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert job.stdout.readline().strip() == 'owned'
        with pytest.raises(RuntimeError,
                           match=f'process {job.pid}.*--work-dir'):
            Owned(tmp_path)
    finally:
        job.kill()
        job.wait()
    deadline = time.monotonic() + 5
    while True:  # the lock ends with the process
        try:
            Owned(tmp_path).release()
            break
        except RuntimeError:
            assert time.monotonic() < deadline
