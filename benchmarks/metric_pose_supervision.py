"""MPJPE against the number of 3D labels: what metric learning adds.

    python benchmarks/metric_pose_supervision.py tune lifting
    python benchmarks/metric_pose_supervision.py run lifting --seeds 0 1 2
    python benchmarks/metric_pose_supervision.py table lifting

Methods from the same start with equal steps and the same batches, pairs and
labelled images: ``baseline`` regresses from the embedding and nothing else;
``metric`` adds the hardest-in-batch loss over synchronised views of all
training people; ``metric+identity`` the identity adversary. Beyond the paper:
``infonce``, the loss over all negatives instead of the hardest;
``triangulated``, which on detections lets the calibrated cameras tell the
poses of un-annotated instants, with no metric loss, and both; and at 5 %
labels alone ``metric+uncertainty`` (poses get no gradient of it; the errors
of the surest are measured) and ``metric+consistency`` (of calibrated
cameras).

Data: ``lifting`` (2D joints of captured motion under the Human3.6M rigs),
``synthetic`` (the embedded world's images) and ``mocap`` (captured motion
drawn by it). Of images the methods read the 2D joints that one recognizer
found, which learnt from other people (configs/metric_pose_detected_*.py say
how they are made). ``pixels``, as the paper: the embedded world's images
themselves, by a ResNet-18 of half the width that begins at the recognizer's
backbone; three minutes a row, so only the baseline and the two losses, at
two shares of labels. ``tune`` gives every method the same number of trials at
5 % labels, judged on the validation part: the baseline's is its learning rate,
the others' the weight of their own loss; the learning rate that it finds is
everybody's. ``run`` trains and tests on held-out people, row by row, resumed
where it stopped; a run of other settings that lies in a row's folder is moved
aside. ``table`` prints what is there. Results:
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
from mirrorpose.engine.identity import config_entries, config_hash
from mirrorpose.engine.runner import PoseRunner
from mirrorpose.utils.files import locked, write_text

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / 'benchmarks' / 'results' / 'metric_pose_supervision.json'
CONFIGS = dict(lifting='metric_pose_lifting_mocap',
               synthetic='metric_pose_detected_synthetic',
               mocap='metric_pose_detected_mocap',
               pixels='metric_pose_synthetic')
#: What a row of pixels begins at (configs/recognizer_views_synthetic.py).
RECOGNIZER = 'work_dirs/recognizer_views_synthetic/epoch_16.pth'
#: Who has 3D labels; ``one`` is a single training person.
LABELS: dict[str, dict[str, Any]] = {
    'all': dict(), '10 %': dict(fraction=.1), '5 %': dict(fraction=.05),
    '1 %': dict(fraction=.01), 'one': dict(), 'one, 10 %': dict(fraction=.1)}
#: Epochs of a row, of 693, 80, 80 and 80 iterations: minutes of a core.
EPOCHS = dict(lifting=2, synthetic=15, mocap=15, pixels=10)
METHODS = ('baseline', 'metric', 'metric+identity')
#: Beyond the paper, and the labels at which they are run by default.
OPTIONS: dict[str, tuple[str, ...]] = {
    'infonce': tuple(LABELS), 'triangulated': tuple(LABELS)[1:],
    'infonce+triangulated': tuple(LABELS)[1:],
    'metric+uncertainty': ('5 %', ), 'metric+consistency': ('5 %', )}
#: Of these, what stands beside the baseline.
COMPARED = ('infonce', 'triangulated', 'infonce+triangulated')
#: All that is run of data whose rows take long.
ONLY = dict(pixels=(('baseline', 'metric', 'infonce'), ('5 %', 'one')))
#: 2D joints without noise: to triangulate them is to read the labels.
TRUE_JOINTS = ('lifting', )
RATES = (1e-3, 3e-3, 1e-2)
WEIGHTS = dict(metric=(.03, .1, .3), identity=(.01, .03, .1),
               consistency=(.03, .1, .3), infonce=(.1, .3, 1.))
#: Where nothing is tuned.
CHOSEN = dict(rate=1e-3, metric=.1, identity=.03, consistency=.1,
              infonce=.1)
KEY = 'canonical_frame/MPJPE'
SURE = tuple(f'canonical_sureness/{k}' for k in (
    'MPJPE@25', 'MPJPE@50', 'MPJPE@100', 'best@50', 'rank_correlation'))


def config(data: str, method: str, labels: str, seed: int,
           chosen: dict[str, float], tuning: bool = False) -> Config:
    """A row's config.

    Args:
        data (str): Of ``CONFIGS``.
        method (str): Of ``METHODS`` or ``OPTIONS``.
        labels (str): Of ``LABELS``.
        seed (int): Of weights, batches and of who is annotated.
        chosen (dict[str, float]): Learning rate and weights, see ``CHOSEN``.
        tuning (bool): Test on the validation part.
    """
    cfg = Config.fromfile(ROOT / 'configs' / f'{CONFIGS[data]}.py')
    plan = dict(LABELS[labels], seed=seed)
    if labels.startswith('one'):
        plan['subjects'] = [first_person(cfg)]
    cfg.train_dataloader.dataset.annotated = plan
    cfg.optim_wrapper.optimizer.lr = chosen['rate']
    loss, parts = cfg.model.head.loss, method.split('+')
    for part in ('infonce', 'metric'):
        if part in parts:
            loss.loss_weight = chosen[part]
            break
    else:
        loss.loss_weight = 0.
    begin(cfg, data)
    # The configs have the forms that measured best.
    loss.pop('form', None)
    cfg.train_dataloader.dataset.pop('triangulated', None)
    if 'infonce' in parts:
        loss.form = 'infonce'
    if 'triangulated' in parts:
        cfg.train_dataloader.dataset.triangulated = True
    if 'identity' in parts:
        cfg.model.adversary.loss_weight = chosen['identity']
    else:
        cfg.model.adversary = None
    if 'consistency' in parts:
        cfg.model.consistency_weight = chosen['consistency']
    cfg.randomness = dict(seed=seed)
    cfg.val_evaluator = [dict(type='PoseErrors3D', frame='canonical')]
    # Retrieval is measured by retrieval_table.py.
    cfg.test_evaluator = [*cfg.val_evaluator,
                          dict(type='PoseErrors3D', frame='camera')]
    if 'uncertainty' in parts:
        cfg.model.head.uncertainty = dict()
        cfg.test_evaluator.append(dict(type='PoseSureness'))
    # It only warns, of what the tables show.
    cfg.custom_hooks = [h for h in cfg.custom_hooks
                        if h['type'] != 'EmbeddingWatch']
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


def begin(cfg: Config, data: str) -> None:
    """Lets a model of pixels begin at the recognizer's backbone."""
    if data != 'pixels':
        return
    if not (ROOT / RECOGNIZER).is_file():
        raise SystemExit(f'{RECOGNIZER} is missing; make it by python '
                         'tools/train.py '
                         'configs/recognizer_views_synthetic.py')
    cfg.model.backbone.init_cfg = dict(
        type='Pretrained', prefix='backbone.', checkpoint=RECOGNIZER)


def first_person(cfg: Config) -> str:
    """The first training person, by name."""
    from mmengine.registry import init_default_scope
    from mmpose.registry import DATASETS
    init_default_scope('mmpose')
    # Without images, which need not be drawn for that.
    data = DATASETS.build(dict(cfg.train_dataloader.dataset, annotated=None,
                               inputs='keypoints'))
    return data.subjects[0]


def trained(cfg: Config, name: str) -> dict[str, float]:
    """Trains what is left of a row, and tests it."""
    folder = ROOT / 'work_dirs' / 'metric_pose' / name
    done, mark = folder / 'scores.json', folder / 'settings.txt'
    digest = config_hash(config_entries(cfg))
    if folder.exists() and not (mark.is_file()
                                and mark.read_text() == digest):
        aside = folder.with_name(f'{folder.name}.before-{digest}')
        print(f'{folder} is of other settings: moved to {aside.name}',
              flush=True)
        folder.rename(aside)
    if done.is_file():
        return json.loads(done.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    write_text(mark, digest)
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
    with locked(OUT):
        everything = held()
        its = everything.setdefault(data, {})
        # Another process may have added rows meanwhile.
        its[part] = {**its.get(part, {}), **values}
        write_text(OUT, json.dumps(everything, indent=1) + '\n')


def tune(data: str) -> None:
    """Three trials each, at 5 % labels, on the validation part."""
    chosen = dict(CHOSEN)
    trials: dict[str, dict[str, float]] = {}
    for name, method, values in (
            ('rate', 'baseline', RATES),
            ('metric', 'metric', WEIGHTS['metric']),
            ('identity', 'metric+identity', WEIGHTS['identity']),
            ('consistency', 'metric+consistency', WEIGHTS['consistency']),
            ('infonce', 'infonce', WEIGHTS['infonce'])):
        if method not in methods_at(data, '5 %', None):
            continue
        found = {}
        for value in values:
            cfg = config(data, method, '5 %', 100, {**chosen, name: value},
                         tuning=True)
            found[value] = trained(cfg, f'{data}/tune_{name}_{value}')[KEY]
            print(data, name, value, f'{found[value]:.1f} mm', flush=True)
        chosen[name] = min(found, key=lambda v: found[v])
        trials[name] = {str(k): v for k, v in found.items()}
        keep(data, 'tuning', dict(chosen=chosen, trials=trials))


def floor(data: str) -> None:
    """The error of the mean of all training poses, on the test part."""
    from mmengine.registry import init_default_scope
    from mmpose.registry import DATASETS
    init_default_scope('mmpose')
    cfg = Config.fromfile(ROOT / 'configs' / f'{CONFIGS[data]}.py')
    train, test = (DATASETS.build(dict(loader.dataset, **changes))
                   for loader, changes in (
        (cfg.train_dataloader, dict(annotated=None, augmentation=None)),
        (cfg.test_dataloader, dict())))
    truth = test.labels(np.arange(len(test)))['keypoints_3d_canonical']
    off = np.linalg.norm(truth.numpy() - train.pose_statistics()[0], axis=-1)
    keep(data, 'floor', {KEY: float(np.nanmean(off))})


def methods_at(data: str, labels: str, methods: list[str] | None
               ) -> list[str]:
    """What is trained with these labels; by default all that belongs."""
    return [m for m in (*METHODS, *OPTIONS)
            if m in (methods or (*METHODS, *OPTIONS))
            and labels in OPTIONS.get(m, LABELS)
            and (data not in ONLY or m in ONLY[data][0]
                 and labels in ONLY[data][1])
            and not ('triangulated' in m and data in TRUE_JOINTS)]


def run(data: str, seeds: list[int], labels: list[str],
        methods: list[str] | None = None) -> None:
    """All rows; those of the first seed first."""
    if 'tuning' not in held().get(data, {}):
        raise SystemExit(f'first: benchmarks/metric_pose_supervision.py tune '
                         f'{data}')
    chosen = {**CHOSEN, **held()[data]['tuning']['chosen']}
    if 'floor' not in held()[data]:
        floor(data)
    for seed in seeds:
        for share in labels:
            for method in methods_at(data, share, methods):
                name = f'{method}/{share}/{seed}'
                scores = trained(
                    config(data, method, share, seed, chosen),
                    f'{data}/{name.replace(" ", "")}')
                keep(data, 'rows', {name: scores})
                print(data, name, f'{scores[KEY]:.1f} mm', flush=True)


def table(data: str) -> None:
    """Means and spreads over seeds, and the gain over the baseline."""
    rows = held()[data]['rows']
    columns = [*METHODS, *(m for m in COMPARED if any(
        k.startswith(f'{m}/') for k in rows))]
    print('        ' + ''.join(f'{m:>24s}' for m in columns))
    if 'floor' in held()[data]:
        print(f'mean of all training poses: {held()[data]["floor"][KEY]:.1f}'
              ' mm')
    for key in (KEY, 'camera_frame/MPJPE', 'canonical_frame/P-MPJPE'):
        print(f'\n{data}: {key}, mm; mean and s.d. over seeds')
        for share in LABELS:
            cells, means = [], []
            for method in columns:
                its = [v[key] for k, v in rows.items()
                       if k.startswith(f'{method}/{share}/') and key in v]
                means.append(np.mean(its) if its else np.nan)
                gain = '' if method == METHODS[0] or not its else \
                    f'{100 * (1 - means[-1] / means[0]):+5.1f} %'
                cells.append(f'{means[-1]:6.1f} ± {np.std(its):3.1f} '
                             f'({len(its)}){gain:>8s}' if its
                             else f'{"–":>24s}')
            print(f'{share:10s}' + ''.join(cells))
    beyond(rows)


def beyond(rows: dict[str, dict[str, float]]) -> None:
    """Prints what options add to ``metric``, over common seeds."""
    for method in sorted(set(OPTIONS) - set(COMPARED)):
        for share in LABELS:
            its, plain = ({k.rpartition('/')[2]: v for k, v in rows.items()
                           if k.startswith(f'{name}/{share}/')}
                          for name in (method, 'metric'))
            seeds = sorted(set(its) & set(plain))
            if not seeds:
                continue
            print(f'\n{method}, {share}, {len(seeds)} seeds')
            for key in (KEY, 'camera_frame/MPJPE'):
                gain = [100 * (1 - its[s][key] / plain[s][key])
                        for s in seeds]
                print(f'  {key}: {np.mean([its[s][key] for s in seeds]):.1f}'
                      f' mm, {np.mean(gain):+.1f} ± {np.std(gain):.1f} % '
                      'less than metric')
            for key in SURE:
                found = [its[s][key] for s in seeds if key in its[s]]
                if found:
                    print(f'  {key}: {np.mean(found):.2f}')


def main() -> None:
    """Tune, run or print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('what', choices=['tune', 'run', 'table'])
    parser.add_argument('data', choices=list(CONFIGS))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2],
                        help='processes side by side want seeds of their '
                        'own')
    parser.add_argument('--labels', nargs='+', choices=list(LABELS),
                        default=list(LABELS))
    parser.add_argument('--methods', nargs='+',
                        choices=[*METHODS, *OPTIONS],
                        help='default: all; options at the labels where '
                        'they belong')
    args = parser.parse_args()
    if args.what == 'tune':
        tune(args.data)
    elif args.what == 'run':
        run(args.data, args.seeds, args.labels, args.methods)
    else:
        table(args.data)


if __name__ == '__main__':
    main()
