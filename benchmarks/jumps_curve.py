"""How JUMPS learns: held-out error against hours of one core.

    python benchmarks/jumps_curve.py [WORK_DIR]

Reads what ``tools/train.py configs/jumps_mocap.py`` logged. Hours are sums of
the logged seconds an iteration, on a core that other work shared. Writes
``benchmarks/results/jumps_curve.json`` and ``docs/images/jumps_curve.png``.
"""
from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mirrorpose.visualization.curves import read_scalars

ROOT = Path(__file__).resolve().parents[1]
SHOWN = {'bound/mpjpe': 'G(E(x)) of whole windows: mean error',
         'bound/unseen_auc': 'G(E(x)) of 12 joints: AUC of the unseen'}


def main() -> None:
    """Reads, prints, draws and writes."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else (
        ROOT / 'work_dirs' / 'jumps_mocap')
    scalars = read_scalars(folder)
    rows = sorted(scalars.train, key=lambda r: r['iter'])
    steps = np.array([r['iter'] for r in rows], float)
    spent = np.array([r['time'] for r in rows])
    hours = np.cumsum(np.diff(steps, prepend=0) * spent) / 3600
    epochs = np.array([r['epoch'] for r in rows], float)
    points = []
    for row in scalars.val:
        at = float(np.interp(row['step'], epochs, hours))
        points.append(dict(epoch=row['step'], core_hours=round(at, 2), **{
            k.partition('/')[2]: round(row[k], 4) for k in SHOWN
            if k in row}))
    points.sort(key=lambda p: p['epoch'])
    for point in points[::4]:
        print(point)
    out = ROOT / 'benchmarks/results/jumps_curve.json'
    out.write_text(json.dumps(points, indent=0) + '\n')
    figure = Figure(figsize=(9, 3), dpi=120)
    for axes, (key, title) in zip(figure.subplots(1, 2), SHOWN.items()):
        name = key.partition('/')[2]
        axes.plot([p['core_hours'] for p in points],
                  [p[name] for p in points], '.-', color='#1f6fb4')
        axes.set_title(title, fontsize=9)
        axes.set_xlabel('hours of a core', fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(color='#e3e3e3', linewidth=.6)
    figure.tight_layout()
    figure.savefig(ROOT / 'docs/images/jumps_curve.png')
    print('written to', out.relative_to(ROOT))


if __name__ == '__main__':
    main()
