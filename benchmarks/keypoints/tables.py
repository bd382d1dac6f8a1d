"""Scores of runs as tables, mean and spread over seeds."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .scores import FIGURES, scores


def table(rows: dict[str, Sequence[str]], title: str) -> dict[str, Any]:
    """Scores of runs, mean and standard deviation over seeds.

    Args:
        rows (dict): Title to the names of its runs.
        title (str): Printed above.
    """
    print(f'\n{title}\n{"":26s}{"seeds":>6s} ' + ' '.join(
        f'{f.removeprefix("error_"):>16s}' for f in FIGURES))
    out: dict[str, Any] = {}
    for row, names in rows.items():
        found = {n: scores(n) for n in names}
        if not found:
            print(f'{row:26s} not trained')
            continue
        values = {f: [float(s[f]) for s in found.values() if f in s]
                  for f in FIGURES}
        out[row] = dict(runs=found, mean={
            f: float(np.mean(v)) for f, v in values.items() if v}, spread={
            f: float(np.std(v, ddof=1)) for f, v in values.items()
            if len(v) > 1})
        line(row, len(names), out[row])
    return out


def line(title: str, seeds: int, found: Mapping[str, Any]) -> None:
    """Prints a row.

    Args:
        title (str): Of the row.
        seeds (int): How many; 0 leaves the place empty.
        found (Mapping): ``mean`` and ``spread`` by figure.
    """
    cells = []
    for f in FIGURES:
        mean, spread = (found.get(k, {}).get(f) for k in ('mean', 'spread'))
        cells.append('' if mean is None else f'{mean:.2f}' if spread
                     is None else f'{mean:.2f} ± {spread:.2f}')
    print(f'{title:26s}{seeds or "":>6} ' + ' '.join(
        f'{c:>16s}' for c in cells), flush=True)
