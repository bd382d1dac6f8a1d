"""Which distributions are installed and who owns which import name.

Standard library only: it works where everything else is broken.
"""
from __future__ import annotations

import importlib.metadata as metadata
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: Import names that several distributions provide; the one installed later
#: overwrites files of the other.
SHARED_NAMES = ('cv2', 'mmcv', 'mmengine', 'mmpose', 'mmdet', 'torch',
                'torchvision', 'numpy', 'PIL', 'xtcocotools')

#: Distributions that may own a shared name, the one to keep first.
PREFERRED = {
    'cv2': ('opencv-python', 'opencv-python-headless',
            'opencv-contrib-python', 'opencv-contrib-python-headless'),
    'mmcv': ('mmcv', 'onedl-mmcv', 'mmcv-lite', 'mmcv-full'),
    'mmengine': ('mmengine', 'onedl-mmengine', 'mmengine-lite'),
    'mmpose': ('mmpose', 'onedl-mmpose'),
    'mmdet': ('mmdet', 'onedl-mmdet'),
    'PIL': ('pillow', 'Pillow-SIMD'),
}


@dataclass(frozen=True)
class Distribution:
    """An installed distribution.

    Attributes:
        name (str): As its metadata spells it.
        version (str): Its version.
        modules (frozenset[str]): Its top-level import names.
    """

    name: str
    version: str
    modules: frozenset[str]

    def __str__(self) -> str:
        return f'{self.name} {self.version}'


# Stands in tools/install.py, too: that has to run as a lone file, before
# there is a package, and this where tools/ was not installed. A test holds
# the two together.
def import_names(distribution: metadata.Distribution) -> frozenset[str]:
    """Top-level modules of an installed distribution.

    ``metadata.packages_distributions()`` of Python 3.10 misses those without
    ``top_level.txt``, numpy among them.
    """
    listed = (distribution.read_text('top_level.txt') or '').split()
    if listed:
        return frozenset(listed)
    names = set()
    for file in distribution.files or ():
        first = file.parts[0]
        if len(file.parts) > 1:
            if first != '..' and not first.endswith(('-info', '.libs')):
                names.add(first)
        elif file.suffix in ('.py', '.so', '.pyd'):
            names.add(first.partition('.')[0])
    return frozenset(names)


def installed(path: Iterable[str] | None = None) -> list[Distribution]:
    """All distributions, the first of each name as Python finds them.

    Args:
        path (Iterable[str], optional): Folders to look in. Defaults to
            ``sys.path``.
    """
    found: dict[str, Distribution] = {}
    source = metadata.distributions() if path is None else \
        metadata.distributions(path=list(path))
    for entry in source:
        name = entry.metadata['Name'] if entry.metadata else None
        if not name:
            continue
        key = normal(name)
        if key not in found:
            found[key] = Distribution(name, entry.version,
                                      import_names(entry))
    return sorted(found.values(), key=lambda d: d.name.lower())


def normal(name: str) -> str:
    """A distribution's name as PyPI compares it."""
    return re.sub(r'[-_.]+', '-', name).lower()


def owners(distributions: Iterable[Distribution],
           module: str) -> list[Distribution]:
    """The distributions that own an import name, the preferred one first."""
    found = [d for d in distributions if module in d.modules]
    order = PREFERRED.get(module, ())

    def rank(d: Distribution) -> tuple[int, str]:
        name = normal(d.name)
        known = [normal(o) for o in order]
        return (known.index(name) if name in known else len(known), name)

    return sorted(found, key=rank)


def version_of(distributions: Iterable[Distribution],
               module: str) -> str | None:
    """Version of the (first) owner of an import name."""
    found = owners(distributions, module)
    return found[0].version if found else None


def release(version: str | None) -> tuple[int, ...]:
    """The numbers a version begins with: ``'2.13.0+cpu'`` is (2, 13, 0)."""
    found = re.match(r'(\d+(?:\.\d+)*)', version or '')
    return tuple(int(n) for n in found.group(1).split('.')) if found else ()


def local_part(version: str | None) -> str:
    """What follows the ``+``: ``'cpu'``, ``'cu128'``, or ''."""
    return (version or '').partition('+')[2]


def reinstall(names: Mapping[str, str] | Iterable[str], keep: str) -> str:
    """The command that leaves one of several owners."""
    every = ' '.join(names)
    return (f'python -m pip uninstall -y {every} && python -m pip install '
            f'--no-deps {keep}')
