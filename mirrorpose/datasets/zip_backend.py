"""Files inside zip archives, for everything that reads through mmengine.

``zip:///data/lsp/images.zip/im0001.jpg`` names the member ``im0001.jpg`` of
the archive ``/data/lsp/images.zip``. mmpose's ``LoadImage`` and its
visualization hook read such paths unchanged, and 2,000 images stay one file.

Only the new prefix is registered; no other path is read differently.
"""
from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.fileio import register_backend
from mmengine.fileio.backends import BaseStorageBackend, backends

PREFIX = 'zip://'

# One open archive a process and file: a file offset that is shared with a
# forked worker would mix up the reads of the two. The file's stamp is part
# of the key, so an archive that was rewritten is opened anew.
_ARCHIVES: dict[tuple, zipfile.ZipFile] = {}


def zip_path(archive: str | Path, member: str) -> str:
    """Names a member of an archive.

    Args:
        archive (str | Path): The archive; it is made absolute.
        member (str): Name of the member.

    Returns:
        str: ``zip://<archive>/<member>``.
    """
    return f'{PREFIX}{Path(archive).absolute().as_posix()}/{member}'


def split_zip_path(filepath: str | Path) -> tuple[str, str]:
    """Splits a ``zip://`` path into archive and member.

    The archive ends at the first path component that ends in ``.zip`` and
    is no folder.

    Raises:
        ValueError: No component ends in ``.zip``, or nothing follows it.
    """
    text = str(filepath)
    if text.startswith(PREFIX):
        text = text[len(PREFIX):]
    start = 0
    while (end := text.find('.zip/', start)) >= 0:
        archive, member = text[:end + 4], text[end + 5:]
        if member and not Path(archive).is_dir():
            return archive, member
        start = end + 5
    raise ValueError(f'{str(filepath)!r} names no member of a zip archive; '
                     'expected zip:///path/archive.zip/member')


def open_archive(archive: str | Path) -> zipfile.ZipFile:
    """Returns the open archive of this process.

    Raises:
        FileNotFoundError: The archive does not exist.
        ValueError: The file is no zip archive, or is cut off.
    """
    archive = str(archive)
    try:
        stat = Path(archive).stat()
    except FileNotFoundError:
        raise FileNotFoundError(
            f'archive {archive!r} does not exist; prepare the data with the '
            'converters in tools/dataset_converters/ (for LSP: python '
            'tools/dataset_converters/lsp.py lsp_dataset.zip --out DATA) and '
            'point the environment variable MIRRORPOSE_DATA, or data_root in '
            'the config, to DATA') from None
    key = (os.getpid(), archive, stat.st_mtime_ns, stat.st_size)
    if key not in _ARCHIVES:
        for old in [k for k in _ARCHIVES if k[0] != key[0] or k[1] == archive]:
            # Not closed: a parent's handle is the parent's to close.
            del _ARCHIVES[old]
        try:
            _ARCHIVES[key] = zipfile.ZipFile(archive)
        except zipfile.BadZipFile as error:
            raise ValueError(f'{archive!r} is no complete zip archive '
                             f'({error}); write it anew') from error
    return _ARCHIVES[key]


class ZipBackend(BaseStorageBackend):
    """Read-only mmengine file backend for the prefix ``zip://``.

    Forked and spawned data loading workers each open their own archive.
    """

    def get(self, filepath: str | Path) -> bytes:
        """Reads a member.

        Raises:
            FileNotFoundError: Archive or member is missing.
            ValueError: The archive is damaged (the check sum of every
                member is verified).
        """
        archive, member = split_zip_path(filepath)
        try:
            return open_archive(archive).read(member)
        except KeyError:
            raise FileNotFoundError(
                f'{member!r} is no member of the archive {archive!r}'
            ) from None
        except zipfile.BadZipFile as error:
            raise ValueError(f'{member!r} of the archive {archive!r} is '
                             f'damaged: {error}') from error

    def get_text(self, filepath: str | Path, encoding: str = 'utf-8') -> str:
        """Reads a member as text; raises as :meth:`get` does."""
        return self.get(filepath).decode(encoding)

    def exists(self, filepath: str | Path) -> bool:
        """Whether both archive and member exist."""
        try:
            archive, member = split_zip_path(filepath)
            open_archive(archive).getinfo(member)
        except (KeyError, FileNotFoundError, ValueError):
            return False
        return True

    def isfile(self, filepath: str | Path) -> bool:
        """Whether the path names a member (folders are no members)."""
        return not str(filepath).endswith('/') and self.exists(filepath)

    def isdir(self, filepath: str | Path) -> bool:
        """Whether some member lies below the path."""
        try:
            archive, folder = split_zip_path(filepath)
            names = open_archive(archive).namelist()
        except (FileNotFoundError, ValueError):
            return False
        return any(n.startswith(folder.rstrip('/') + '/') for n in names)

    def join_path(self, filepath: str | Path, *filepaths: str | Path) -> str:
        """Joins path components with ``/``."""
        parts = [str(filepath).rstrip('/')] + [str(p) for p in filepaths]
        return '/'.join(p.strip('/') if i else p for i, p in enumerate(parts))

    @contextmanager
    def get_local_path(self, filepath: str | Path) -> Iterator[str]:
        """Gives the member as a temporary file, removed afterwards."""
        data = self.get(filepath)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(str(filepath)).name
            path.write_bytes(data)
            yield str(path)


if 'zip' not in backends:
    register_backend('zip', ZipBackend, prefixes='zip')
