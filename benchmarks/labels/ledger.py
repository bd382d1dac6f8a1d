"""What finished runs recognized, kept where their weights are not.

``benchmarks/results/label_efficiency_runs.json``, a line a run: steps,
processor time, precision, the curve of its training, digests of its settings
and of the weights that it began at, and of every held-out person which joints
were right. Weights lie in ``work_dirs`` and may be lost; the tables need this
file alone, so the benchmark can be run over days and machines. A line counts
as long as the run's settings are the same. The bits of the test people are
written when a run ends, and read by ``--final``.
"""
from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from mirrorpose.engine import checkpoint as checkpoints
from mirrorpose.engine.identity import config_entries, config_hash
from mirrorpose.utils.files import locked, write_text

from .rows import TAIL
from .runs import ROOT, Name, settings

LEDGER = ROOT / 'benchmarks' / 'results' / \
    f'label_efficiency_runs{TAIL}.json'
#: Right and counted joints, (N, K) bool each, by normaliser.
Table = dict[str, tuple[np.ndarray, np.ndarray]]


def _packed(table: np.ndarray) -> str:
    return base64.b64encode(np.packbits(table)).decode()


def _unpacked(text: str, shape: list[int]) -> np.ndarray:
    bits = np.frombuffer(base64.b64decode(text), np.uint8)
    return np.unpackbits(bits, count=shape[0] * shape[1]).reshape(
        shape).astype(bool)


def read() -> dict[str, Any]:
    """``runs`` and ``counted``, see :func:`enter`."""
    return json.loads(LEDGER.read_text()) if LEDGER.is_file() else dict(
        counted={}, runs={})


@cache
def digest(name: Name) -> str:
    """Of what a run's config says, paths and hooks that watch aside."""
    return config_hash(config_entries(settings(name, started=False)))


def start_digest(name: Name) -> str | None:
    """Of the weights that a run begins at; None where it has none."""
    path = name.other('start').checkpoint()
    if path is None or name.other('start') not in name.needs():
        return None
    found = hashlib.sha256()
    for key, value in sorted(checkpoints.load(path)['state_dict'].items()):
        found.update(key.encode() + value.float().numpy().tobytes())
    return found.hexdigest()[:16]


def entry(name: Name) -> dict[str, Any] | None:
    """A finished run's line; None where there is none of its settings."""
    found = read()['runs'].get(str(name))
    return found if found and (found['steps'], found.get('settings')) == (
        name.steps, digest(name)) else None


def enter(name: Name, sides: Mapping[str, Table],
          **facts: Any) -> None:
    """Writes a finished run's line.

    Args:
        name (Name): Of the run.
        sides (Mapping[str, Table]): What is right, and what counts, of the
            sides that were recognized.
        facts: Kept beside them.

    Raises:
        ValueError: Others were measured on different people.
    """
    with locked(LEDGER):
        held = read()
        line: dict[str, Any] = dict(steps=name.steps,
                                    settings=digest(name), **facts)
        for side, table in sides.items():
            line[side] = {}
            for norm, (right, counted) in table.items():
                known = held['counted'].setdefault(
                    f'{name.data}/{side}/{norm}', dict(
                        shape=list(counted.shape), bits=_packed(counted)))
                if not (known['shape'] == list(counted.shape)
                        and known['bits'] == _packed(counted)):
                    raise ValueError(
                        f'{name} was measured on different people of the '
                        f'{side} side than other runs in {LEDGER.name}: has '
                        'the data changed?')
                line[side][norm] = _packed(right)
        held['runs'][str(name)] = line
        write_text(LEDGER, _text(held))


def _text(held: Mapping[str, Mapping[str, Any]]) -> str:
    """JSON of one line an entry, which version control can tell apart."""
    parts = []
    for key, entries in held.items():
        lines = (f'  {json.dumps(k)}: {json.dumps(v)}'
                 for k, v in sorted(entries.items()))
        parts.append(f' {json.dumps(key)}: {{\n' + ',\n'.join(lines) + '\n }')
    return '{\n' + ',\n'.join(parts) + '\n}\n'


def table_of(name: Name, side: str) -> Table | None:
    """What was right of a finished run; None where it is not there."""
    line = entry(name)
    if line is None or side not in line:
        return None
    counted = read()['counted']
    out = {}
    for norm, bits in line[side].items():
        who = counted[f'{name.data}/{side}/{norm}']
        out[norm] = tuple(_unpacked(b, who['shape'])
                          for b in (bits, who['bits']))
    return out  # type: ignore[return-value]
