"""The observatory's thresholds against trainings whose end is known.

    python benchmarks/keypointgan_observatory.py

For every finished run of benchmarks/keypoints/training.py, from its log: the
error on validation frames at the end (as predicted, and under the better
labelling of sides), and which monitors warned, first when and by what value.
Prints a table and writes ``benchmarks/results/keypointgan_observatory.json``.
"""
from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from keypoints.runs import (
    FOLDER,
    PRETRAINING,
    SUPERVISED,
    done,
    parts,
    result,
)

from mirrorpose.utils.files import write_text

OUT = result('keypointgan_observatory')
WARNED = re.compile(
    r'KeypointObservatory: iteration (\d+): (mon_\w+) is (\S+),')
SCORED = re.compile(r'Iter\(val\).*?/(?:error|NME): (\S+) .*?_oracle: (\S+)')


def looked(folder: Path) -> dict[str, Any]:
    """Last scores and first warnings of a run.

    Args:
        folder (Path): Its work dir, with the logs of all its starts.

    Returns:
        dict: ``error`` and ``oracle``, in the unit of the data, None where
        nothing was validated; ``warned``, by monitor iteration and value.
    """
    text = '\n'.join(p.read_text(errors='replace') for p in sorted(
        folder.glob('*/*.log')))
    scores = SCORED.findall(text)
    warned: dict[str, tuple[int, float]] = {}
    for iteration, monitor, value in WARNED.findall(text):
        warned.setdefault(monitor, (int(iteration), float(value)))
    last = [float(v) for v in scores[-1]] if scores else [None, None]
    return dict(error=last[0], oracle=last[1], warned=warned)


def main() -> None:
    """Prints and writes the table."""
    found = {}
    for folder in sorted(FOLDER.iterdir() if FOLDER.is_dir() else ()):
        kind = folder.name.split('-')[0].split('_')[0]
        if kind in (SUPERVISED, PRETRAINING) or not done(folder.name):
            continue
        parts(folder.name)
        found[folder.name] = looked(folder)
    print(f'{"run":42s} {"error":>7s} {"oracle":>7s}  warned')
    for name, its in found.items():
        told = ', '.join(f'{m} {v:g} at {i}' for m, (i, v)
                         in its['warned'].items())
        scores = ' '.join('      –' if its[k] is None else f'{its[k]:7.2f}'
                          for k in ('error', 'oracle'))
        print(f'{name:42s} {scores}  {told or "–"}')
    write_text(OUT, json.dumps(found, indent=1) + '\n')


if __name__ == '__main__':
    main()
