"""What the quickstart says, seed by seed.

    python benchmarks/quickstart_seeds.py [--seeds 0 1 2 3 4] [--minutes N]

Runs ``tools/quickstart.py`` once a seed (of weights, batches and of who is
annotated), each in ``work_dirs/quickstart_seeds``, resumed where it stopped,
and prints PCK@0.2 by the tight box and the differences from the baseline:
mean, each seed, 95 % by Student's t. Written to
``benchmarks/results/quickstart_seeds.json``.
"""
from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
OUT = ROOT / 'benchmarks' / 'results' / 'quickstart_seeds.json'


def run(seed: int, minutes: float) -> dict[str, Any]:
    """The report of a seed, made if it is not there."""
    folder = ROOT / 'work_dirs' / 'quickstart_seeds' / str(seed)
    report = folder / 'report.json'
    if not report.is_file():
        subprocess.run([sys.executable, '-W', 'ignore',
                        ROOT / 'tools' / 'quickstart.py', '--seed', str(seed),
                        '--minutes', str(minutes), '--work-dir', folder],
                       check=True)
    return json.loads(report.read_text())


def summary(reports: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Scores and differences by method, over seeds.

    Args:
        reports (dict[int, dict]): ``report.json`` of the quickstart, by
            seed.

    Returns:
        dict: Method to ``each`` (points, in the order of the seeds),
        ``mean``, ``sd``, and, but for the baseline, ``gain`` with ``each``,
        ``mean`` and ``seeds`` (95 %, None of a single seed).
    """
    from benchmarks.labels.statistics import over_seeds
    scores: dict[str, list[float]] = {}
    for report in reports.values():
        for row in report['results']:
            scores.setdefault(row['method'], []).append(row['pck']['Total'])
    out: dict[str, Any] = {}
    for method, each in scores.items():
        out[method] = dict(each=each, mean=round(float(np.mean(each)), 2),
                           sd=round(float(np.std(each, ddof=1)), 2)
                           if len(each) > 1 else None)
        if method != 'baseline':
            gains = [round(a - b, 2)
                     for a, b in zip(each, scores['baseline'])]
            out[method]['gain'] = dict(
                each=gains, mean=round(float(np.mean(gains)), 2),
                seeds=over_seeds(gains))
    return out


def table(found: dict[str, Any]) -> str:
    """As Markdown."""
    lines = ['| | PCK@0.2 | over the baseline | 95 % over seeds | each |',
             '| --- | ---: | ---: | ---: | --- |']
    for method, held in found.items():
        sd = '' if held['sd'] is None else f' ± {held["sd"]:.1f}'
        cells = [method, f'{held["mean"]:.1f}{sd}', '', '', '']
        if 'gain' in held:
            gain = held['gain']
            cells[2] = f'{gain["mean"]:+.1f}'
            if gain['seeds']:
                cells[3] = '[{:+.1f}, {:+.1f}]'.format(*gain['seeds'])
            cells[4] = ', '.join(f'{g:+.1f}' for g in gain['each'])
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def main() -> None:
    """Runs what is missing and prints."""
    from mirrorpose.utils.files import write_text
    from tools.quickstart import MINUTES
    parser = argparse.ArgumentParser(
        description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('--seeds', type=int, nargs='+',
                        default=[0, 1, 2, 3, 4])
    parser.add_argument('--minutes', type=float, default=MINUTES)
    args = parser.parse_args()
    reports = {seed: run(seed, args.minutes) for seed in args.seeds}
    found = summary(reports)
    write_text(OUT, json.dumps(dict(
        seeds=args.seeds, minutes=args.minutes,
        seconds=[r['seconds'] for r in reports.values()], methods=found),
        indent=1) + '\n')
    print(table(found))
    print('written to', OUT)


if __name__ == '__main__':
    main()
