"""MPJPE against the number of 3D labels: what metric learning adds.

    python benchmarks/metric_pose_supervision.py tune lifting
    python benchmarks/metric_pose_supervision.py run lifting --seeds 3
    python benchmarks/metric_pose_supervision.py table lifting

Three methods from the same start with equal steps: ``baseline`` regresses
from the embedding and nothing else; ``metric`` adds the hardest-in-batch
loss over synchronised views of all training people; ``metric+identity`` the
identity adversary. Data: ``lifting`` (2D joints of captured motion under the
Human3.6M rigs), ``synthetic`` (the embedded world's images) and ``mocap``
(captured motion drawn by it). ``tune`` gives every method the same number of
trials at 5 % labels, judged on the validation part: the baseline's is its
learning rate, the others' the weight of their own loss; the learning rate
that it finds is everybody's. ``run`` trains and tests on held-out people,
row by row, resumed where it stopped; ``table`` prints what is there. Results:
``benchmarks/results/metric_pose_supervision.json``.
"""
from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

import mirrorpose  # noqa: F401  (registers everything)
from mirrorpose.engine.runner import PoseRunner
from mirrorpose.utils.files import write_text

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / 'benchmarks' / 'results' / 'metric_pose_supervision.json'
CONFIGS = dict(lifting='metric_pose_lifting_mocap',
               synthetic='metric_pose_synthetic', mocap='metric_pose_mocap')
#: Who has 3D labels; ``one`` is a single training person.
LABELS: dict[str, dict[str, Any]] = {
    'all': dict(), '10 %': dict(fraction=.1), '5 %': dict(fraction=.05),
    '1 %': dict(fraction=.01), 'one': dict(), 'one, 10 %': dict(fraction=.1)}
#: Epochs of a row, of 693, 80 and 80 iterations: minutes of a core.
EPOCHS = dict(lifting=2, synthetic=15, mocap=15)
METHODS = ('baseline', 'metric', 'metric+identity')
RATES = (3e-4, 1e-3, 3e-3)
WEIGHTS = dict(metric=(.03, .1, .3), identity=(.01, .03, .1))
KEY = 'canonical_frame/MPJPE'


def config(data: str, method: str, labels: str, seed: int,
           chosen: dict[str, float], tuning: bool = False) -> Config:
    """A row's config."""
    cfg = Config.fromfile(ROOT / 'configs' / f'{CONFIGS[data]}.py')
    plan = dict(LABELS[labels], seed=seed)
    if labels.startswith('one'):
        plan['subjects'] = [first_person(cfg)]
    cfg.train_dataloader.dataset.annotated = plan
    cfg.optim_wrapper.optimizer.lr = chosen['rate']
    if method == 'baseline':
        cfg.model.head.loss.loss_weight = 0.
    else:
        cfg.model.head.loss.loss_weight = chosen['metric']
    if method == 'metric+identity':
        cfg.model.adversary.loss_weight = chosen['identity']
    else:
        cfg.model.adversary = None
    cfg.randomness = dict(seed=seed)
    cfg.val_evaluator = [dict(type='PoseErrors3D', frame='canonical')]
    if tuning:
        cfg.test_dataloader = cfg.val_dataloader
        cfg.test_evaluator = cfg.val_evaluator
    epochs = EPOCHS[data]
    cfg.param_scheduler = [
        dict(type='LinearLR', start_factor=.01, begin=0, end=80,
             by_epoch=False),
        dict(type='CosineAnnealingLR', begin=0, end=epochs, T_max=epochs,
             eta_min=.02 * chosen['rate'], by_epoch=True,
             convert_to_iter_based=True)]
    cfg.train_cfg.max_epochs = cfg.train_cfg.val_interval = epochs
    cfg.default_hooks.logger.interval = 50
    return cfg


def first_person(cfg: Config) -> str:
    """The first training person, by name."""
    from mmengine.registry import init_default_scope
    from mmpose.registry import DATASETS
    init_default_scope('mmpose')
    data = DATASETS.build(dict(cfg.train_dataloader.dataset, annotated=None))
    return sorted(set(data.view_groups()['subject'].tolist()))[0]


def trained(cfg: Config, name: str) -> dict[str, float]:
    """Trains what is left of a row, and tests it."""
    folder = ROOT / 'work_dirs' / 'metric_pose' / name
    done = folder / 'scores.json'
    if done.is_file():
        return json.loads(done.read_text())
    cfg.work_dir, cfg.resume = str(folder), True
    cfg.experiment_name = name.replace('/', '_')
    start = time.process_time()
    runner = PoseRunner.from_cfg(cfg)
    runner.train()
    scores = {k: float(v) for k, v in runner.test().items()}
    scores['processor_minutes'] = (time.process_time() - start) / 60
    write_text(done, json.dumps(scores, indent=1))
    return scores


def held() -> dict[str, Any]:
    """What was measured so far."""
    return json.loads(OUT.read_text()) if OUT.is_file() else {}


def keep(data: str, part: str, values: Any) -> None:
    """Adds to the file."""
    everything = held()
    everything.setdefault(data, {})[part] = values
    OUT.write_text(json.dumps(everything, indent=1) + '\n')


def tune(data: str) -> None:
    """Three trials each, at 5 % labels, on the validation part."""
    chosen = dict(rate=1e-3, metric=.1, identity=.03)
    trials: dict[str, dict[str, float]] = {}
    for name, method, values in (
            ('rate', 'baseline', RATES),
            ('metric', 'metric', WEIGHTS['metric']),
            ('identity', 'metric+identity', WEIGHTS['identity'])):
        found = {}
        for value in values:
            cfg = config(data, method, '5 %', 100, {**chosen, name: value},
                         tuning=True)
            found[value] = trained(cfg, f'{data}/tune_{name}_{value}')[KEY]
            print(data, name, value, f'{found[value]:.1f} mm', flush=True)
        chosen[name] = min(found, key=lambda v: found[v])
        trials[name] = {str(k): v for k, v in found.items()}
        keep(data, 'tuning', dict(chosen=chosen, trials=trials))


def run(data: str, seeds: int, labels: list[str]) -> None:
    """All rows; those of the first seed first."""
    if 'tuning' not in held().get(data, {}):
        raise SystemExit(f'first: benchmarks/metric_pose_supervision.py tune '
                         f'{data}')
    chosen = held()[data]['tuning']['chosen']
    for seed in range(seeds):
        for share in labels:
            for method in METHODS:
                name = f'{method}/{share}/{seed}'
                scores = trained(
                    config(data, method, share, seed, chosen),
                    f'{data}/{name.replace(" ", "")}')
                rows = held().get(data, {}).get('rows', {})
                rows[name] = scores
                keep(data, 'rows', rows)
                print(data, name, f'{scores[KEY]:.1f} mm', flush=True)


def table(data: str) -> None:
    """Means and spreads over seeds, and the gain over the baseline."""
    rows = held()[data]['rows']
    for key in (KEY, 'camera_frame/MPJPE', 'canonical_frame/P-MPJPE'):
        print(f'\n{data}: {key}, mm; mean and s.d. over seeds')
        for share in LABELS:
            cells, means = [], []
            for method in METHODS:
                its = [v[key] for k, v in rows.items()
                       if k.startswith(f'{method}/{share}/') and key in v]
                means.append(np.mean(its) if its else np.nan)
                cells.append(f'{means[-1]:7.1f} ± {np.std(its):4.1f} '
                             f'({len(its)})' if its else f'{"–":>18s}')
            gain = 100 * (1 - np.array(means[1:]) / means[0])
            print(f'{share:10s}' + ''.join(cells) + '   gain '
                  + ', '.join(f'{g:+.1f} %' for g in gain))


def main() -> None:
    """Tune, run or print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('what', choices=['tune', 'run', 'table'])
    parser.add_argument('data', choices=list(CONFIGS))
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--labels', nargs='+', choices=list(LABELS),
                        default=list(LABELS))
    args = parser.parse_args()
    if args.what == 'tune':
        tune(args.data)
    elif args.what == 'run':
        run(args.data, args.seeds, args.labels)
    else:
        table(args.data)


if __name__ == '__main__':
    main()
