"""Files that are whole or absent, and folders with one owner.

A file is written beside its place, synced, and renamed over it. Whatever
moment a process is killed at, a reader finds the old file or the new one.
"""
from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

#: Ending of a file that is being written.
PART = '.part'


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Runs ``write`` on a temporary beside ``path``, syncs and renames it.

    Whatever stood at ``path`` is there until the new file is complete. The
    temporary goes away when writing fails.

    Args:
        path (Path): The file to write.
        write (Callable): Gets the path of the temporary and writes it.

    Raises:
        OSError: The file cannot be written; on a full disk the message says
            how much is free.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + PART)
    try:
        write(part)
        with part.open('rb') as file:
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except Exception as error:
        part.unlink(missing_ok=True)
        if is_disk_full(error, path.parent):
            free = shutil.disk_usage(path.parent).free
            raise OSError(
                errno.ENOSPC,
                f'no space to write {path}: {free / 2**20:.0f} MiB are free '
                'there. Nothing that stood before is lost. Make room, and '
                'start the same command again') from error
        raise


def is_disk_full(error: BaseException, folder: Path) -> bool:
    """Whether an error while writing means that the disk is full.

    torch reports a full disk as a RuntimeError of its own stream writer.
    """
    number = getattr(error, 'errno', None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return True
    torchs = isinstance(error, RuntimeError) and any(
        word in str(error) for word in ('PytorchStreamWriter', 'iostream',
                                        'unexpected pos'))
    return torchs and shutil.disk_usage(folder).free < 2**20


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically, in UTF-8."""
    write_atomically(path, lambda part: part.write_text(text,
                                                        encoding='utf-8'))


def sync_folder(folder: Path) -> None:
    """Makes a rename in a folder survive a power cut, where that exists."""
    if os.name != 'posix':
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:  # some network file systems cannot
        pass
    finally:
        os.close(handle)


def remove_stale(folder: Path) -> list[str]:
    """Removes what a killed process left half written.

    Args:
        folder (Path): A folder that this process owns (see :class:`Owned`).

    Returns:
        list[str]: Names of the files that were removed.
    """
    stale = sorted(folder.glob(f'*{PART}'))
    for path in stale:
        path.unlink(missing_ok=True)
    return [path.name for path in stale]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Reads and writes a shared file alone; waits for the others.

    Args:
        path (Path): The file; the lock is beside it.
    """
    if fcntl is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f'.{path.name}.lock').open('a') as file:
        with suppress(OSError):  # a file system without locks
            fcntl.lockf(file, fcntl.LOCK_EX)
        yield


class Owned:
    """A folder in which one process at a time may write.

    Two runs in one folder would replace each other's checkpoints. The lock
    is the system's: it ends with the process, however that ends, and data
    workers do not inherit it.

    Args:
        folder (Path): Made where it does not exist.

    Raises:
        RuntimeError: Another process owns the folder.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / '.owner'
        self._file = None
        if fcntl is None:
            return
        file = self.path.open('a+')
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            owner = file.read().strip()
            file.close()
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise RuntimeError(
                    f'another process ({owner}) trains in {folder}: two runs '
                    'in one folder would replace each other\'s checkpoints. '
                    'Wait for it, stop it, or give this run another '
                    '--work-dir') from error
            return  # a file system without locks
        file.truncate(0)
        file.write(f'process {os.getpid()}')
        file.flush()
        self._file = file

    def release(self) -> None:
        """Gives the folder up."""
        if self._file is not None:
            self._file.close()
            self._file = None
