"""The only file that knows about versions and optional parts of the stack.

mmpose 1.3.2 imports three optional packages where nothing guards them:
``torchvision`` (in ``mmpose.visualization``), ``mmdet`` and the compiled
operators of mmcv (both in ``mmpose.models``). Where one of them is absent,
:func:`ensure_mmpose` imports mmpose once with a small stand-in for it, and
takes the stand-in away again. Three rules keep this honest:

- Probe first, import once. A failed ``import mmpose.models`` has registered
  half of its classes and cannot be repeated in the same process.
- Only a ``ModuleNotFoundError`` that names exactly the probed package means
  "absent". Everything else is a broken installation and is reported as such.
- A stand-in raises ``ImportError`` as soon as somebody uses it, and offers
  only the names that mmpose imports without a guard. Imports that mmpose
  guards itself keep failing, so its own messages stay.

This file imports nothing but the standard library at its top, so that it can
report a missing stack instead of dying of it.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

__all__ = ['OptionalPart', 'OPTIONAL_PARTS', 'ensure_mmpose', 'find_missing']

STRICT_VARIABLE = 'MIRRORPOSE_STRICT'
_INSTALL = ('Run `bash tools/install.sh` in the mirrorpose repository to '
            'install a tested set into .venv, or `bash tools/install.sh '
            '--here` to add only what the active environment lacks.')
#: What has to work, in the order in which it is imported.
_MMPOSE_PACKAGES = ('mmpose.models', 'mmpose.visualization', 'mmpose.apis')
_REQUIRED = ('torch', 'mmengine', 'mmcv', 'mmpose')
_said: set[str] = set()


def _unusable(name: str, reason: str) -> type:
    """Make a class that raises ``ImportError`` when it is instantiated."""

    def refuse(self: Any, *args: Any, **kwargs: Any) -> None:
        raise ImportError(f'{name} {reason}')

    return type(name, (), {
        '__init__': refuse,
        '__doc__': f'Stand-in: {name} {reason}',
        '__module__': __name__,
    })


def _unusable_function(name: str, reason: str) -> Callable[..., Any]:
    """Make a function that raises ``ImportError`` when it is called."""

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        raise ImportError(f'{name} {reason}')

    stand_in.__name__ = stand_in.__qualname__ = name
    stand_in.__doc__ = f'Stand-in: {name} {reason}'
    return stand_in


@dataclass(frozen=True)
class OptionalPart:
    """A package that mmpose imports unguarded although it can do without.

    Attributes:
        name: What a user calls it.
        probe: Module whose import tells whether it is there and works.
        absent: Names of a ``ModuleNotFoundError`` that mean "absent".
        disables: What does not work without it, for the one-line message.
        stand_ins: Maps module names to their attributes; they replace the
            absent modules while mmpose is imported.
        fix: Advice for an installation that is there but broken.
    """

    name: str
    probe: str
    absent: tuple[str, ...]
    disables: str
    stand_ins: Mapping[str, Mapping[str, Any]]
    fix: str


_NEEDS_OPS = ('needs compiled mmcv operators, and this mmcv has none '
              '(mmcv-lite, or a build without them). Install a compiled '
              'mmcv that fits your torch.')
_NEEDS_MMDET = ('needs mmdet, which is not installed. Install an mmdet that '
                'fits your mmcv.')
_NEEDS_VISION = ('needs torchvision, which is not installed. Install the '
                 'torchvision that fits your torch.')

OPTIONAL_PARTS: tuple[OptionalPart, ...] = (
    OptionalPart(
        name='torchvision',
        probe='torchvision.transforms',
        absent=('torchvision', ),
        disables='SimCC pictures, torchvision:// weights',
        stand_ins={
            'torchvision': {},
            'torchvision.transforms': {
                'ToPILImage': _unusable('ToPILImage', _NEEDS_VISION),
            },
        },
        fix='Its compiled part and torch come from different builds. Install '
        'the torchvision that was built for your torch (same release, same '
        'CPU or CUDA variant), or remove it: `python -m pip uninstall '
        'torchvision`. mirrorpose runs without it.'),
    OptionalPart(
        name='compiled mmcv operators',
        probe='mmcv._ext',
        absent=('mmcv._ext', 'mmcv.ops'),
        disables='EDPose and deformable layers',
        stand_ins={
            'mmcv.ops': {
                'MultiScaleDeformableAttention':
                _unusable('MultiScaleDeformableAttention', _NEEDS_OPS),
            },
        },
        fix='mmcv was compiled for another torch. Rebuild or reinstall it '
        'for this one, or replace it by mmcv-lite 2.2.0, which has no '
        'compiled operators and is enough for mirrorpose.'),
    OptionalPart(
        name='mmdet',
        probe='mmdet.utils',
        absent=('mmdet', ),
        disables='RTMO and person detectors',
        stand_ins={
            'mmdet': {},
            'mmdet.utils': {
                'ConfigType': dict,
                'reduce_mean': _unusable_function('reduce_mean', _NEEDS_MMDET),
            },
        },
        fix='mmdet 3.3.0 refuses mmcv 2.2.0 and newer, and every mmdet needs '
        'compiled mmcv operators. Install versions that fit each other, or '
        'remove it: `python -m pip uninstall mmdet`. mirrorpose runs without '
        'it.'),
)


def _is_strict() -> bool:
    value = os.environ.get(STRICT_VARIABLE, '').strip().lower()
    return value not in ('', '0', 'false', 'no', 'off')


def _describe(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f'{type(error).__name__}: {text[0] if text else "(no message)"}'


def _hint(error: BaseException) -> str:
    """Name the fix of a known fault in a required package, or ''."""
    text = str(error)
    if isinstance(error, ModuleNotFoundError):
        missing = (error.name or '').partition('.')[0]
        if missing == 'pkg_resources':
            return ('mmengine 0.10.7 needs pkg_resources: `python -m pip '
                    'install "setuptools<81"`.')
        if missing in ('chumpy', ):
            return 'mmpose never imports chumpy; another package does.'
        return f'A dependency is absent: {missing}. {_INSTALL}'
    if 'numpy.dtype size changed' in text:
        return ('A compiled package (often the xtcocotools wheel) was built '
                'for numpy 1: `python -m pip install "numpy<2"`, or build it '
                'from source.')
    if 'already registered' in text:
        return ('Two distributions may own one import name (for example '
                'mmengine and onedl-mmengine), or an earlier import failed '
                'half-way. Keep one distribution and start a new process.')
    return _INSTALL


def _import_required() -> None:
    """Import the packages that nothing can replace.

    Raises:
        ImportError: One is absent, or is there and cannot be imported.
    """
    for name in _REQUIRED:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name == name:
                raise ImportError(
                    f'mirrorpose needs {name}, which is not installed in '
                    f'{sys.prefix}. {_INSTALL}') from error
            raise ImportError(f'{name} is installed but cannot be imported '
                              f'({_describe(error)}). '
                              f'{_hint(error)}') from error
        except Exception as error:
            raise ImportError(f'{name} is installed but cannot be imported '
                              f'({_describe(error)}). '
                              f'{_hint(error)}') from error


def _is_absent(part: OptionalPart) -> bool:
    """Tell whether an optional part is absent, by importing it.

    Raises:
        ImportError: The part is there and cannot be imported.
    """
    try:
        # the package before its submodule: where sys.modules blocks the
        # package with None, only its own import names it in the error
        importlib.import_module(part.probe.partition('.')[0])
        importlib.import_module(part.probe)
    except ModuleNotFoundError as error:
        if error.name in part.absent:
            return True
        raise ImportError(f'{part.name}: installed, but its import fails '
                          f'({_describe(error)}). {part.fix}') from error
    except Exception as error:
        raise ImportError(f'{part.name}: installed, but its import fails '
                          f'({_describe(error)}). {part.fix}') from error
    return False


def find_missing() -> list[OptionalPart]:
    """Probe the optional parts of mmpose.

    Returns:
        list[OptionalPart]: Those that are not installed, in probing order.

    Raises:
        ImportError: A part is installed but broken; the message says how to
            mend it, and the original error is its cause.
    """
    return [part for part in OPTIONAL_PARTS if _is_absent(part)]


@contextmanager
def _stand_ins(parts: list[OptionalPart]) -> Iterator[None]:
    """Hold the stand-ins of ``parts`` in ``sys.modules``, then restore it."""
    nothing = object()
    before: dict[str, Any] = {}
    try:
        for part in parts:
            for name, attributes in part.stand_ins.items():
                module = ModuleType(name, f'Stand-in for the absent {name}.')
                is_package = any(
                    other.startswith(f'{name}.') for other in part.stand_ins)
                # importlib.util.find_spec() raises on a module without spec
                module.__spec__ = importlib.machinery.ModuleSpec(
                    name, None, is_package=is_package)
                if is_package:
                    module.__path__ = []
                for key, value in attributes.items():
                    setattr(module, key, value)
                before[name] = sys.modules.get(name, nothing)
                sys.modules[name] = module
        yield
    finally:
        for name, old in before.items():
            if old is nothing:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = old


@contextmanager
def _without_mmcv_warning() -> Iterator[None]:
    """Silence mmcv's warning of absent operators; our line says it."""
    warnings.filterwarnings('ignore', 'Fail to import ``MultiScaleDeformable')
    # not catch_warnings(): filters that mmpose's imports add have to stay
    ours = warnings.filters[0]
    try:
        yield
    finally:
        if ours in warnings.filters:
            warnings.filters.remove(ours)  # type: ignore[attr-defined]


def _failed_half_way(name: str) -> bool:
    """Tell whether an earlier import of package ``name`` was broken off.

    Python removes a package whose import fails from ``sys.modules``, but
    leaves those of its submodules that had succeeded.
    """
    return name not in sys.modules and any(
        other.startswith(f'{name}.') for other in sys.modules)


def _say_once(text: str) -> None:
    """Print one line to stderr, in the first process of a run only.

    A logger is not asked: it would have to be created or reconfigured for
    the line to be seen, and an import must not do that to other people's
    programs.
    """
    rank = os.environ.get('RANK', os.environ.get('SLURM_PROCID', '0'))
    is_first = (rank in ('', '0')
                and multiprocessing.parent_process() is None)
    if is_first and text not in _said:
        print(f'mirrorpose INFO: {text}', file=sys.stderr, flush=True)
    _said.add(text)


def ensure_mmpose() -> list[str]:
    """Make ``mmpose.models``, ``.visualization`` and ``.apis`` importable.

    Imports them, with stand-ins for optional parts that are absent, and
    leaves no stand-in in ``sys.modules``. Does nothing where mmpose has been
    imported completely. ``import mirrorpose`` calls it, so a config needs
    only ``custom_imports = dict(imports=['mirrorpose'])``.

    With the environment variable ``MIRRORPOSE_STRICT=1`` nothing is stood in
    for, and an absent optional part is an error.

    Returns:
        list[str]: Names of the optional parts that were stood in for.

    Raises:
        ImportError: A required package is absent or broken; an optional part
            is broken (or absent, where strict); an earlier import of mmpose
            in this process failed half-way. The message names the fix.
    """
    if all(name in sys.modules for name in _MMPOSE_PACKAGES):
        return []
    _import_required()
    broken_off = [name for name in _MMPOSE_PACKAGES if _failed_half_way(name)]
    if broken_off:
        raise ImportError(
            f'An earlier `import {broken_off[0]}` failed half-way in this '
            'process: some of its classes are registered, and it cannot be '
            'imported a second time. Start a new process and `import '
            'mirrorpose` before anything that imports mmpose.models.')
    missing = find_missing()
    if missing and _is_strict():
        names = ', '.join(part.name for part in missing)
        raise ImportError(
            f'{STRICT_VARIABLE} is set, and optional parts of mmpose are not '
            f'installed: {names}. Install them, or unset {STRICT_VARIABLE} '
            'to go on without.')
    with _stand_ins(missing), _without_mmcv_warning():
        for name in _MMPOSE_PACKAGES:
            try:
                importlib.import_module(name)
            except Exception as error:
                raise ImportError(f'`import {name}` failed '
                                  f'({_describe(error)}). '
                                  f'{_hint(error)}') from error
    if missing:
        _say_once('not installed: ' + '; '.join(
            f'{part.name} (off: {part.disables})' for part in missing) +
                  '. All else works.')
    return [part.name for part in missing]
