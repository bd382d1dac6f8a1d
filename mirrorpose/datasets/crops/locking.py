"""Folders that are built once, whole or not at all, by one of many."""
from __future__ import annotations

import logging
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from mirrorpose.utils.files import sync_folder

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

#: Endings of a folder that is being written, and of one that is thrown away.
PART, OLD = '.part', '.old'


def build_once(folder: Path, flaw: Callable[[Path], str | None],
               build: Callable[[Path], None], what: str) -> bool:
    """Has a folder built by whoever comes first; the others wait.

    It is written beside its place under another name, synced and renamed:
    whenever a process is killed, there is the whole folder or none. The lock
    is the system's and ends with its process.

    Args:
        folder (Path): The folder.
        flaw (Callable): What is wrong with an existing folder, or None.
        build (Callable): Fills the empty folder that it is given.
        what (str): What is built, for messages.

    Returns:
        bool: Whether this call built it.

    Raises:
        OSError: It cannot be written. Nothing is left behind.
    """
    if folder.is_dir() and flaw(folder) is None:
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder, what) as held:
        if held:
            sweep(folder.parent, folder.name)
        if folder.is_dir():
            why = flaw(folder)
            if why is None:  # another process was faster
                return False
            print_log(f'{what} in {folder} is damaged ({why}): it is built '
                      'anew', logger='current', level=logging.WARNING)
            _discard(folder)
        part = folder.with_name(f'.{folder.name}.{os.getpid()}{PART}')
        try:
            part.mkdir()
            build(part)
            for path in part.iterdir():
                with path.open('rb') as file:
                    os.fsync(file.fileno())
            sync_folder(part)
            _place(part, folder, flaw)
            sync_folder(folder.parent)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return True


def sweep(root: Path, own: str) -> None:
    """Removes what killed processes left.

    Args:
        root (Path): Folder of the folders.
        own (str): Name of the one whose lock this process holds. What
            belongs to others is removed where their lock is free.
    """
    for ending in (PART, OLD):
        for stale in root.glob(f'.*{ending}'):
            name = stale.name[1:].rsplit('.', 2)[0]
            if name == own:
                shutil.rmtree(stale, ignore_errors=True)
                continue
            with (root / f'.{name}.lock').open('a+') as file:
                if _try(file):
                    shutil.rmtree(stale, ignore_errors=True)


def _discard(folder: Path) -> None:
    """Takes a folder away at once, then deletes it."""
    old = folder.with_name(f'.{folder.name}.{os.getpid()}{OLD}')
    folder.rename(old)
    shutil.rmtree(old, ignore_errors=True)


def _place(part: Path, folder: Path,
           flaw: Callable[[Path], str | None]) -> None:
    """Gives the finished folder its name."""
    try:
        part.rename(folder)
    except OSError:
        # Without locks another process may have been faster.
        if not folder.is_dir() or flaw(folder) is not None:
            raise
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _lock(folder: Path, what: str) -> Iterator[bool]:
    """Holds the lock of a folder; says who does while it waits.

    Yields:
        bool: False where the file system has no locks. Two processes may
        then both build: more work, no damage.
    """
    with folder.with_name(f'.{folder.name}.lock').open('a+') as file:
        held = _try(file)
        if held is False:
            file.seek(0)
            print_log(f'{what}: {file.read().strip() or "another process"} '
                      'is building it; waiting', logger='current')
            started = said = time.monotonic()
            while (held := _try(file)) is False:
                time.sleep(.1)
                if time.monotonic() - said > 60:
                    said = time.monotonic()
                    print_log(f'{what}: still being built, waiting since '
                              f'{said - started:.0f} s', logger='current')
        file.seek(0)
        file.truncate()
        file.write(f'process {os.getpid()} on {socket.gethostname()}')
        file.flush()
        yield bool(held)  # closing the file gives the lock up


def _try(file: Any) -> bool | None:
    """Takes the lock if it is free; None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
