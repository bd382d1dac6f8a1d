"""Files of pose indices: an ``.npz`` of plain arrays and a JSON head."""
from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.files import write_atomically

_MAGIC = 'mirrorpose pose index'
#: 2: the model of embeddings, and the 2D poses that they were made of.
_VERSION = 2


def write_index(path: str | Path, head: dict[str, Any],
                arrays: dict[str, np.ndarray]) -> None:
    """Writes an index in one piece.

    Args:
        path (str | Path): An ``.npz``.
        head (dict): What JSON holds.
        arrays (dict[str, np.ndarray]): Plain arrays.

    Raises:
        ValueError: The name does not end in ``.npz``.
    """
    path = Path(path)
    if path.suffix != '.npz':
        raise ValueError(f'an index is written as .npz, got {path}')
    head = dict(head, format=_MAGIC, version=_VERSION,
                digest=_digest(arrays))
    text = np.frombuffer(json.dumps(head).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, head=text, **arrays)
    write_atomically(path, lambda part: part.write_bytes(
        buffer.getvalue()))


def read_index(path: str | Path) -> tuple[dict[str, Any],
                                          dict[str, np.ndarray]]:
    """Reads what :func:`write_index` has written.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no index, damaged, or of a later version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'there is no index {path}')
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {k: file[k] for k in file.files}
        head = json.loads(arrays.pop('head').tobytes())
        if head['format'] != _MAGIC:
            raise KeyError(head['format'])
    except (OSError, ValueError, KeyError, TypeError, EOFError,
            AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f'{path} is no index of mirrorpose, or damaged; '
                         f'build it again ({error!r})') from error
    if head['version'] > _VERSION:
        raise ValueError(f'{path} is an index of version '
                         f'{head["version"]}, this mirrorpose reads up '
                         f'to {_VERSION}: update it')
    if head.get('digest') != _digest(arrays):
        raise ValueError(f'{path} is damaged: its content is not what '
                         'was written. Build it again')
    return head, arrays


def _digest(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f'{name}{array.dtype.str}{array.shape}'.encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
