"""KeypointGAN's Table 4 and Table 5 on the embedded world.

    python -m benchmarks.keypoints.training keypointgan_all_0 cyclegan_all_0
    python benchmarks/keypointgan_ablation.py [--only PART ...]

64 x 64 images, half of the published widths, people of clips that no
training saw. Errors are means over all 16 joints in percent of the image's
side: as predicted, corrected by the frozen regressor (the primary figure,
spec 2.4), under the better of the two mirror labellings (oracle), and each
after a linear map that is fitted on labelled training frames (``post``),
which no row needs but all may have. ``mean pose`` predicts the average of
the prior: what is worse has learnt nothing. Parts: ``table4`` (its five rows,
and the bottleneck without the conditional decoder, which the paper says does
not converge), ``table5`` (50, 500 and 5,000 unpaired poses), ``prior`` (poses
of captured motion instead of the world's own). Rows that are not trained are
named and left out. Results are added to
``benchmarks/results/keypointgan_ablation.json`` part by part.
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from by_parts import run_parts
from keypoints.scores import FIGURES, mean_pose, scores
from keypoints.training import ROWS, trained

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / 'benchmarks' / 'results' / 'keypointgan_ablation.json'
#: The paper's humans, in percent.
PAPER = dict(cyclegan=3.54, conditional=3.60, bottleneck=2.86,
             keypointgan=2.73, one_cycle=3.39)


def table(rows: dict[str, Sequence[str]], title: str) -> dict[str, Any]:
    """Scores of runs, mean and standard deviation over seeds.

    Args:
        rows (dict): Title to the names of its runs.
        title (str): Printed above.
    """
    print(f'\n{title}\n{"":26s}{"seeds":>6s} ' + ' '.join(
        f'{f:>16s}' for f in FIGURES))
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
        cells = []
        for f in FIGURES:
            mean, spread = (out[row][k].get(f) for k in ('mean', 'spread'))
            cells.append('' if mean is None else f'{mean:.2f}' if spread
                         is None else f'{mean:.2f} ± {spread:.2f}')
        print(f'{row:26s}{len(names):6d} ' + ' '.join(
            f'{c:>16s}' for c in cells), flush=True)
    return out


def table4() -> dict[str, Any]:
    """The paper's five rows, and the one that it says diverges."""
    found = table({r: trained(r, 'all') for r in ROWS}, 'Table 4')
    found['mean pose'] = dict(mean=mean_pose('all'))
    print(f'{"mean pose":26s}{"":6s} {found["mean pose"]["mean"]}')
    return dict(found, paper=PAPER)


def table5() -> dict[str, Any]:
    """How many unpaired poses it needs."""
    return table({f'{p} poses': trained('keypointgan', p)
                  for p in ('50', '500', '5000', 'all')}, 'Table 5')


def prior() -> dict[str, Any]:
    """Poses from another source than the images."""
    found = table({f'poses: {p}': trained('keypointgan', p)
                   for p in ('all', 'mocap')}, 'Whose poses')
    found['mean pose of mocap'] = dict(mean=mean_pose('mocap'))
    print(f'{"mean pose of mocap":26s}', found['mean pose of mocap']['mean'])
    return found


PARTS = dict(table4=table4, table5=table5, prior=prior)


if __name__ == '__main__':
    run_parts(__doc__, PARTS, OUT)
