"""Checkpoints that load without trust and are never half written.

The one room for what is saved, how it is written and how it is read back.
mmengine's own files hold pickled objects, which newest torch refuses; ours
hold tensors, numbers, strings, lists and dicts alone, so
``torch.load(..., weights_only=True)`` reads them, in stock mmengine too.
"""
from __future__ import annotations

import _codecs
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

Location = str | torch.device | Callable | None


def plain(value: Any) -> Any:
    """Copies a checkpoint with every object made of plain types.

    numpy arrays become tensors, numpy scalars become numbers, tuples, lists
    and mappings are walked.

    Raises:
        TypeError: Something else is inside; the message says where.
    """
    return _plain(value, 'checkpoint')


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, np.generic):  # before float: float64 is one
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, np.ndarray):
        if value.dtype.kind in 'US':
            return value.tolist()
        return torch.from_numpy(value.copy())
    if isinstance(value, Mapping):
        return {_key(k, where): _plain(v, f'{where}[{k!r}]')
                for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_plain(v, f'{where}[{i}]') for i, v in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, (torch.dtype, torch.Size, torch.device)):
        return value
    raise TypeError(f'{where} holds a {type(value).__module__}.'
                    f'{type(value).__qualname__}, which cannot be loaded '
                    'safely; store numbers, strings or tensors instead')


def _key(key: Any, where: str) -> Any:
    if isinstance(key, np.generic):
        return key.item()
    if isinstance(key, (str, int, float, bool, tuple)):
        return key
    raise TypeError(f'{where} has the key {key!r} of type {type(key)}')


def make_safe(checkpoint: dict) -> None:
    """Turns a checkpoint of mmengine's Runner into a safe one, in place.

    The message hub keeps what a resumed run needs (its plain runtime
    values); the histories of logged scalars stay in the log files.
    """
    hub = checkpoint.get('message_hub')
    if hub is not None:
        runtime = {k: v for k, v in hub['runtime_info'].items()
                   if isinstance(v, (bool, int, float, str))}
        checkpoint['message_hub'] = dict(
            log_scalars={}, runtime_info=runtime,
            resumed_keys={k: v for k, v in hub['resumed_keys'].items()
                          if k in runtime})
    for key in list(checkpoint):
        if key != 'state_dict':
            checkpoint[key] = _plain(checkpoint[key],
                                     f'checkpoint[{key!r}]')


class DamagedCheckpointError(ValueError):
    """A checkpoint file that is not whole."""


def load(filename: str | Path, map_location: Location = 'cpu',
         trust: bool = False) -> dict:
    """Reads a checkpoint file without running any code that it holds.

    Args:
        filename (str | Path): A local file.
        map_location: As for ``torch.load``.
        trust (bool): Unpickle whatever the file holds, which can run any
            code: for files whose origin you know. Defaults to False.

    Returns:
        dict: The checkpoint, with at least a ``state_dict``; a file that is
        a bare state dict is wrapped in one.

    Raises:
        FileNotFoundError: No such file.
        DamagedCheckpointError: The file is not whole; a ValueError.
        ValueError: The file holds objects that would have to be unpickled
            (the message names the first), or is no checkpoint.
    """
    path = Path(filename)
    if not path.is_file():
        raise FileNotFoundError(f'there is no checkpoint {path}')
    try:
        checkpoint = torch.load(path, map_location=map_location,
                                weights_only=not trust)
    except pickle.UnpicklingError as error:
        found = re.search(r'GLOBAL ([\w.]+)',
                          str(error))
        if found is None:
            raise DamagedCheckpointError(
                f'checkpoint {path} cannot be read, it is damaged or no '
                f'checkpoint: {str(error).splitlines()[0]}') from error
        if found.group(1).startswith(('mmengine.', 'numpy.', '_codecs.',
                                      'builtins.getattr')):
            return _load_mmengine(path, map_location)
        raise ValueError(
            f'checkpoint {path} holds a {found.group(1)}, which only code '
            'could rebuild. If you know where the file comes from, allow it '
            'with --trust-checkpoint (trust_checkpoint=True in the config)'
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # torch's unpickler raises anything
        raise DamagedCheckpointError(
            f'checkpoint {path} cannot be read, it is damaged or no '
            f'checkpoint: {error}') from error
    return _checked(checkpoint, path)


def verify(filename: str | Path) -> None:
    """Reads a file of ours to its end against its checksums.

    torch itself looks at the structure of a file, not at its numbers.

    Raises:
        DamagedCheckpointError: The file is not whole.
        FileNotFoundError, ValueError: As :func:`load`.
    """
    load(filename)
    sums = getattr(torch.serialization, 'get_crc32_options', lambda: True)
    if not zipfile.is_zipfile(filename) or not sums():
        return
    with zipfile.ZipFile(filename) as archive:
        bad = archive.testzip()
    if bad is not None:
        raise DamagedCheckpointError(
            f'checkpoint {filename} is damaged: the checksum of its part '
            f'{bad} is wrong')


def _checked(checkpoint: Any, path: Path) -> dict:
    if not isinstance(checkpoint, dict):
        raise ValueError(f'{path} holds a {type(checkpoint).__name__}, not a '
                         'checkpoint')
    if 'state_dict' not in checkpoint:
        checkpoint = {'state_dict': checkpoint, 'meta': {}}
    return checkpoint


def _load_mmengine(path: Path, map_location: Location) -> dict:
    """Stock mmengine files: its history buffers and numpy are harmless."""
    from mmengine.logging import HistoryBuffer
    dtypes = [type(np.dtype(kind)) for kind in
              ('f4', 'f8', 'i4', 'i8', 'u1', 'b1', 'U1', 'S1')]
    multiarray: Any
    try:
        multiarray = import_module('numpy._core.multiarray')  # numpy 2
    except ImportError:
        multiarray = import_module('numpy.core.multiarray')
    allowed: list[Any] = [HistoryBuffer, np.ndarray, np.dtype, getattr,
                          _codecs.encode, *dtypes]
    # The file names the numpy that wrote it.
    allowed += [(function, f'numpy.{core}.multiarray.{function.__name__}')
                for core in ('core', '_core')
                for function in (multiarray._reconstruct, multiarray.scalar)]
    try:
        with torch.serialization.safe_globals(allowed):
            return _checked(torch.load(path, map_location=map_location,
                                       weights_only=True), path)
    except pickle.UnpicklingError as error:
        raise ValueError(f'checkpoint {path} holds objects that are not '
                         f'loaded: {error}') from error


def give_weights(model: torch.nn.Module, checkpoint: dict,
                 filename: str | Path) -> None:
    """Gives a model all the weights of a checkpoint of it.

    Args:
        model (nn.Module): The model.
        checkpoint (dict): Of :func:`load`.
        filename (str | Path): Its file, for messages.

    Raises:
        ValueError: See :func:`check_fits`.
        RuntimeError: A part of the model is not in it.
    """
    check_fits(model, checkpoint, str(filename))
    model.load_state_dict({k.removeprefix('module.'): v
                           for k, v in checkpoint['state_dict'].items()})


def check_fits(model: torch.nn.Module, checkpoint: dict, filename: str,
               revise_keys: Sequence[tuple[str, str]] = (
                   (r'^module\.', ''), )) -> None:
    """Refuses a checkpoint that has nothing in common with the model.

    mmengine loads with ``strict=False`` and only warns, so a foreign file
    would train or test random weights.

    Raises:
        ValueError: No parameter matches by name and shape.
    """
    mine = {k: v.shape for k, v in model.state_dict().items()}
    theirs = {}
    for key, value in checkpoint['state_dict'].items():
        for pattern, replacement in revise_keys:
            key = re.sub(pattern, replacement, key)
        theirs[key] = value.shape
    if any(mine.get(k) == shape for k, shape in theirs.items()):
        wrong = [f'{k}: {tuple(s)} in the file, {tuple(mine[k])} in the model'
                 for k, s in theirs.items() if k in mine and mine[k] != s]
        if wrong:
            raise ValueError(f'checkpoint {filename} is of another size: '
                             f'{wrong[:4]} ({len(wrong)} in all); use the '
                             'config that it was trained with')
        return
    raise ValueError(
        f'checkpoint {filename} is not of this model: none of its '
        f'{len(theirs)} tensors matches (it has {sorted(theirs)[:3]}, the '
        f'model {sorted(mine)[:3]})')
