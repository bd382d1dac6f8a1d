"""MirrorNet's whole curriculum on the embedded world, and a report.

    bash tools/quickstart.sh [--minutes N]

calls this after the installation. It trains on the CPU, goes on where it
was when it is interrupted, and leaves ``report.html`` and ``report.json`` in
the work dir.
"""
from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from mmengine.config import Config
from mmpose.registry import RUNNERS

import mirrorpose  # noqa: F401
from mirrorpose.engine.curriculum import CurriculumRunner
from mirrorpose.utils.files import write_text
from mirrorpose.visualization import build_report

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs' / 'mirrornet_small_synthetic.py'
#: What the config's own epochs were measured to take on two CPU cores.
MINUTES = 8.
METHODS = {'baseline': 'baseline', 'supervised': 'supervised_long',
           'semi-supervised': 'semi_supervised'}
COLUMNS = ('Head', 'Shoulder', 'Elbow', 'Wrist', 'Hip', 'Knee', 'Ankle',
           'Total')


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--minutes', type=float, default=MINUTES,
                        help='about how long to train; the epochs of every '
                        'stage are scaled by it (default: %(default)g)')
    parser.add_argument('--work-dir', type=Path,
                        default=ROOT / 'work_dirs' / 'quickstart')
    parser.add_argument('--seed', type=int, default=0,
                        help='of weights, batches and of who is annotated')
    args = parser.parse_args()
    if args.minutes <= 0:
        parser.error(f'--minutes must be positive, got {args.minutes}')
    return args


def quickstart_config(minutes: float, work_dir: Path, seed: int) -> Config:
    """The small synthetic config with scaled epochs and a quiet log."""
    cfg = Config.fromfile(CONFIG)
    for stage in cfg.stages:
        stage['epochs'] = max(1, round(stage['epochs'] * minutes / MINUTES))
    # Averaged over the last fifth of the epochs, which are validated.
    last = max(1, round(cfg.stages[-1]['epochs'] / 5))
    for stage in cfg.stages:
        if stage.get('average_last'):
            stage['average_last'] = last
    cfg.train_cfg.val_interval = 5
    cfg.randomness.seed = cfg.split_seed = seed
    cfg.log_level = 'ERROR'  # our own lines tell the progress
    cfg.work_dir = str(work_dir)
    return cfg


def results(runner: CurriculumRunner, seed: int) -> list[dict]:
    """One row a method: images and the averaged scores of its last epochs."""
    images, fraction = runner.cfg.images, runner.cfg.label_fraction
    labelled = round(images * fraction)
    rows = []
    for method, stage in METHODS.items():
        scores = json.loads(
            (runner.work_dir / stage / 'scores.json').read_text())['mean']
        rows.append(dict(
            method=method, labelled=labelled,
            unlabelled=images - labelled if method == 'semi-supervised'
            else 0, seed=seed,
            pck={name: round(scores[f'pck/{name}'], 2) for name in COLUMNS}))
    return rows


def main() -> None:
    """Trains what is left to train and writes the report."""
    args = parse_args()
    started = time.monotonic()
    cfg = quickstart_config(args.minutes, args.work_dir, args.seed)
    args.work_dir.mkdir(parents=True, exist_ok=True)
    # Another length or seed must not go on with this one's stages.
    asked = json.dumps(dict(minutes=args.minutes, seed=args.seed))
    marker = args.work_dir / 'quickstart.json'
    if marker.is_file() and marker.read_text() != asked:
        raise SystemExit(
            f'{args.work_dir} holds a quickstart with other settings '
            f'({marker.read_text()}); choose another --work-dir or delete it')
    marker.write_text(asked)
    runner = RUNNERS.build(cfg)
    print(f'{len(runner.stages)} stages, about {args.minutes:g} minutes in '
          f'all; everything goes to {args.work_dir}', flush=True)
    runner.train()
    rows = results(runner, args.seed)
    seconds = sum(s['seconds'] for s in runner.state().values())
    text = json.dumps(dict(results=rows, seconds=round(seconds, 1),
                           command=f'bash tools/quickstart.sh --minutes '
                           f'{args.minutes:g} --seed {args.seed}'), indent=1)
    write_text(args.work_dir / 'report.json', text)
    page = build_report(args.work_dir, results=rows,
                        title='mirrorpose quickstart')
    print('PCK@0.2 (tight box), mean of the last epochs:')
    for row in rows:
        print(f'  {row["method"]:16s} {row["pck"]["Total"]:6.2f}')
    print(f'{page} after {time.monotonic() - started:.0f} s')


if __name__ == '__main__':
    main()
