"""The table of a finished curriculum, for the docs.

    python tools/train.py configs/mirrornet_small_lsp.py
    python benchmarks/small_lsp.py [WORK_DIR]

Prints PCK@0.2 of the compared recognizers (mean over the averaged epochs, and
their standard deviation) as Markdown, and writes table and learning curves to
``benchmarks/results/``.
"""
from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROWS = {'recognizer': 'recognizer, where all three begin',
        'baseline': 'baseline (recognizer goes on alone)',
        'supervised_long': 'supervised MirrorNet',
        'semi_supervised': 'semi-supervised MirrorNet'}
COLUMNS = ('Head', 'Shoulder', 'Elbow', 'Wrist', 'Hip', 'Knee', 'Ankle',
           'Total')


def read(work_dir: Path, stage: str) -> dict:
    """Averaged scores of a stage, their spread over epochs, all epochs."""
    held = json.loads((work_dir / stage / 'scores.json').read_text())
    rows = [held['epochs'][str(e)] for e in held['averaged_epochs']]
    spread = {k: statistics.stdev(r[k] for r in rows) if len(rows) > 1
              else 0. for k in held['mean']}
    return dict(mean=held['mean'], spread=spread, epochs=held['epochs'],
                averaged_epochs=held['averaged_epochs'])


def main() -> None:
    """Prints and writes."""
    work_dir = Path(sys.argv[1]) if len(sys.argv) > 1 else \
        ROOT / 'work_dirs' / 'mirrornet_small_lsp'
    stages = {s: read(work_dir, s) for s in ROWS
              if (work_dir / s / 'scores.json').is_file()}
    for suffix, title in (('', 'tight box'), ('_torso', 'torso')):
        print(f'| PCK@0.2, {title} | ' + ' | '.join(COLUMNS)
              + ' |\n|' + ' --- |' + ' ---: |' * len(COLUMNS))
        for stage, held in stages.items():
            cells = [f'{held["mean"][f"pck/{c}{suffix}"]:.1f}'
                     for c in COLUMNS]
            cells[-1] += f' ± {held["spread"][f"pck/Total{suffix}"]:.1f}'
            print(f'| {ROWS[stage]} | ' + ' | '.join(cells) + ' |')
        print()
    others = {s: json.loads((work_dir / s / 'scores.json').read_text())
              ['epochs'] for s in ('image_vae', 'pose_vae')
              if (work_dir / s / 'scores.json').is_file()}
    done = json.loads((work_dir / 'curriculum.json').read_text())
    path = ROOT / 'benchmarks' / 'results' / f'{work_dir.name}.json'
    path.write_text(json.dumps(dict(stages=done, recognizers=stages,
                                    held_out_bounds=others), indent=1) + '\n')


if __name__ == '__main__':
    main()
