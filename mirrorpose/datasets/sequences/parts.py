"""Splits of motion by whole groups: subjects, styles, people.

A window shares frames with its neighbours, and clips of one person share the
body and the habits. So what is held out is whole groups, by name or by a hash
of the name.
"""
from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np

#: What ``part`` can be; ``'all'`` are the three together.
PARTS = ('train', 'val', 'test', 'all')


def assign_parts(groups: Sequence[str],
                 held_out: Mapping[str, float | Sequence[str]],
                 seed: int, where: str = 'motion') -> dict[str, str]:
    """Says which part each group belongs to.

    Groups that are named come first. Shares then take from the rest, ranked
    by ``sha256(f'{seed}:{group}')``: the first ``round(share * groups)``, at
    least one, for the test, the next for validation. So a split does not
    depend on the machine, on the order of the files, or on any generator.

    Args:
        groups (Sequence[str]): Groups of the clips, with repetitions.
        held_out (Mapping[str, float | Sequence[str]]): ``val`` and ``test``,
            each a share of the groups in [0, 1), or names (patterns as of
            ``fnmatch``). What is not held out is for training.
        seed (int): Seed of the shares.
        where (str): The source, for messages.

    Returns:
        dict: Group to ``'train'``, ``'val'`` or ``'test'``.

    Raises:
        ValueError: An unknown key or name, a group on two sides, shares out
            of range, or nothing left to train on.
    """
    names = sorted(set(groups))
    unknown = sorted(set(held_out) - {'val', 'test'})
    if unknown:
        raise ValueError(f'{where}: held_out has the keys {unknown}; only '
                         '"val" and "test" are known')
    parts: dict[str, str] = {}
    for part in ('test', 'val'):
        wanted = held_out.get(part, ())
        if isinstance(wanted, str):
            wanted = [wanted]
        if isinstance(wanted, (int, float)):
            continue
        for pattern in wanted:
            hits = [n for n in names if fnmatchcase(n, pattern)]
            if not hits:
                raise ValueError(f'{where}: held_out["{part}"] names '
                                 f'{pattern!r}, but the groups are {names}')
            for name in hits:
                if parts.setdefault(name, part) != part:
                    raise ValueError(f'{where}: the group {name!r} is held '
                                     'out for val and for test')
    rest = sorted((n for n in names if n not in parts), key=lambda n:
                  hashlib.sha256(f'{seed}:{n}'.encode()).digest())
    total = len(names)
    for part in ('test', 'val'):
        share = held_out.get(part, ())
        if not isinstance(share, (int, float)) or share == 0:
            continue
        if not 0 < share < 1:
            raise ValueError(f'{where}: held_out["{part}"] must be names or '
                             f'a share in [0, 1), got {share}')
        count = max(1, int(share * total + .5))
        if len(rest) < count:
            raise ValueError(f'{where}: {total} groups are too few to hold '
                             f'out {dict(held_out)}')
        parts.update(dict.fromkeys(rest[:count], part))
        rest = rest[count:]
    parts.update(dict.fromkeys(rest, 'train'))
    return parts


def in_part(groups: Sequence[str], part: str,
            held_out: Mapping[str, float | Sequence[str]], seed: int,
            where: str = 'motion') -> np.ndarray:
    """(C,) bool: which clips belong to a part; see :func:`assign_parts`.

    Raises:
        ValueError: The part is unknown, or see :func:`assign_parts`.
    """
    if part not in PARTS:
        raise ValueError(f'part must be one of {PARTS}, got {part!r}')
    parts = assign_parts(groups, held_out, seed, where)
    return np.array([part in ('all', parts[g]) for g in groups], bool)
