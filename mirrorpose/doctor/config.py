"""Everything about a config, its data, its splits and its run.

Runs in a process of its own, which ``tools/doctor.py`` starts when the
packages work.
"""
from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

import mirrorpose  # noqa: F401
from mirrorpose.engine.consistency import find_inconsistencies

from . import data, machine, trial
from .findings import Report
from .stages import WHOLE, stage_configs

CONFIG, RESOURCES = 'Config', 'Room for the run'
GIB = 2**30


def read(options: argparse.Namespace) -> Config:
    """Reads the config as ``tools/train.py`` would."""
    cfg = Config.fromfile(options.config)
    if options.work_dir is not None:
        cfg.work_dir = options.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(options.config).stem)
    init_default_scope(cfg.get('default_scope') or 'mmpose')
    return cfg


def examine(options: argparse.Namespace) -> Report:
    """All checks of a config.

    Args:
        options: Those of ``tools/doctor.py``.
    """
    report = Report()
    try:
        cfg = read(options)
        stages = stage_configs(cfg, options.stage)
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        report.add(CONFIG, 'problem', f'{options.config} cannot be used: '
                   f'{lines[0]}', '', lines[1:6])
        return report
    trial.silence()
    names = [n for n in stages if n != WHOLE]
    report.add(CONFIG, 'ok', f'{options.config} is read'
               + (f', {len(names)} stages: {", ".join(names)}' if names
                  else ''))
    _check_parts(stages, report)
    collections = data.collect(stages)
    data.build(collections, report)
    data.check_annotations(collections, report)
    data.check_images(collections, report, None if options.images == 'all'
                      else int(options.images))
    data.summarise(collections, report)
    data.check_ids(collections, report)
    data.check_leakage(collections, report, options.near_duplicates)
    data.check_label_leakage(collections, report)
    steps: dict[str, dict[str, float]] = {}
    if options.no_step:
        report.add(trial.TRAINING, 'note', 'no step was trained (--no-step)')
    elif all(c.dataset is not None for c in collections):
        steps = trial.check_steps(stages, report)
    else:
        report.add(trial.TRAINING, 'note', 'no step was trained: data are '
                   'missing')
    report.facts['steps'] = steps
    check_disk(cfg, stages, steps, report)
    check_workers(stages, report)
    return report


def _check_parts(stages: Mapping[str, Config], report: Report) -> None:
    """The parts of each stage's config against each other."""
    found: dict[str, tuple[Any, list[str]]] = {}
    for name, cfg in stages.items():
        for finding in find_inconsistencies(cfg):
            found.setdefault(str(finding), (finding, []))[1].append(name)
    for finding, where in found.values():
        first, *rest = finding.what.splitlines()
        stage = '' if where == [WHOLE] else f' (in {", ".join(where)})'
        report.add(CONFIG, 'problem' if finding.fatal else 'note',
                   f'{finding.where}: {first}{stage}', finding.fix, rest)
    if not found:
        report.add(CONFIG, 'ok', 'joint names, counts, flips, limbs, codec, '
                   'metrics and model fit together')


def checkpoint_bytes(stages: Mapping[str, Config],
                     steps: Mapping[str, Mapping[str, float]]) -> int:
    """Disk that the checkpoints of all stages take at most.

    Weights, and the optimizer's state, four bytes each; every stage keeps
    ``max_keep_ckpts``, and one more while it writes.
    """
    total = 0
    for name, facts in steps.items():
        hook = (stages[name].get('default_hooks') or {}).get('checkpoint')
        kept = (hook or {}).get('max_keep_ckpts', -1)
        if kept < 0:
            epochs = (stages[name].get('train_cfg') or {}).get('max_epochs')
            kept = int(epochs or 10) // int((hook or {}).get('interval', 1)
                                            or 1)
        best = 1 if (hook or {}).get('save_best') else 0
        total += int(4 * (facts['state'] + facts['moments'])
                     * (kept + best + 1))
    return total


def check_disk(cfg: Config, stages: Mapping[str, Config],
               steps: Mapping[str, Mapping[str, float]],
               report: Report) -> None:
    """Permission to write, and room for checkpoints."""
    folder = Path(cfg.work_dir)
    refused = machine.can_write(folder)
    if refused:
        report.add(RESOURCES, 'problem', 'the work dir cannot be written to: '
                   f'{refused}', '--work-dir DIR, or: chmod u+w '
                   f'{machine.existing_parent(folder)}')
        return
    need = checkpoint_bytes(stages, steps)
    free = shutil.disk_usage(machine.existing_parent(folder)).free
    report.facts['checkpoint_bytes'] = need
    text = (f'{free / GIB:.1f} GiB free for {folder}; checkpoints take up to '
            f'{need / GIB:.2f} GiB')
    if free < need + GIB // 10:
        report.add(RESOURCES, 'problem', text,
                   'lower default_hooks.checkpoint.max_keep_ckpts, or '
                   '--work-dir on another disk')
    elif need:
        report.add(RESOURCES, 'ok', text)
    else:
        report.add(RESOURCES, 'ok', f'{free / GIB:.1f} GiB free for {folder}')
    _check_caches(stages, report)


def _check_caches(stages: Mapping[str, Config], report: Report) -> None:
    """Room for the caches of crops."""
    seen: dict[str, int] = {}
    folder: Path | None = None
    for cfg in stages.values():
        for key in ('train', 'val', 'test'):
            node = (cfg.get(f'{key}_dataloader') or {}).get('dataset') or {}
            if node.get('type') != 'CachedCropDataset':
                continue
            try:
                built: Any = DATASETS.build(node)
                folder = Path(built.cache_dir)
                seen[repr(node)] = len(built) * 3 * built.size**2
            except Exception:  # the data set's own check tells it
                continue
    if folder is None:
        return
    free = shutil.disk_usage(machine.existing_parent(folder)).free
    need = max(seen.values())
    text = (f'{free / GIB:.1f} GiB free for caches of crops in {folder}; the '
            f'largest takes up to {need / GIB:.2f} GiB')
    report.add(RESOURCES, 'ok' if free > need else 'problem', text,
               '' if free > need else 'export MIRRORPOSE_CACHE=DIR on another '
               'disk, or a smaller size in CachedCropDataset')


def batch_bytes(cfg: Config) -> int:
    """Size of a training batch as a data worker hands it over, about.

    uint8 images of the codec's input size, and float32 heatmaps.
    """
    from mirrorpose.engine.consistency.codecs import input_size
    from mirrorpose.engine.consistency.reading import codecs_below
    found = codecs_below(cfg.train_dataloader, '') + codecs_below(
        cfg.model, '')
    size = next((s for s in (input_size(c) for _, c in found) if s), None)
    if size is None:
        return 0
    maps = next((c['heatmap_size'] for _, c in found
                 if len(c.get('heatmap_size') or ()) == 2), (0, 0))
    sample = 3 * size[0] * size[1] + 4 * 17 * maps[0] * maps[1]
    return int(cfg.train_dataloader.get('batch_size') or 1) * sample


def check_workers(stages: Mapping[str, Config], report: Report) -> None:
    """Workers against cores, and their batches against shared memory."""
    count = machine.cores()
    loaders = {n: c.train_dataloader for n, c in stages.items()}
    most = max(int(v.get('num_workers', 0)) for v in loaders.values())
    report.facts['num_workers'] = most
    if most > count:
        report.add(
            RESOURCES, 'note', f'{most} data workers on {count} cores wait '
            'for each other', f'python tools/train.py ... --cfg-options '
            f'train_dataloader.num_workers={max(count - 1, 1)}')
    elif most == 0 and count > 1:
        report.add(RESOURCES, 'note', 'num_workers=0: the step waits for the '
                   f'data, and {count - 1} of {count} cores idle',
                   'python tools/train.py ... --cfg-options '
                   f'train_dataloader.num_workers={count - 1}')
    else:
        report.add(RESOURCES, 'ok', f'{most} data workers on {count} cores')
    shm = machine.shared_memory()
    if shm is None or not most:
        return
    need = max(batch_bytes(c) * int(loaders[n].get('num_workers', 0))
               * int(loaders[n].get('prefetch_factor') or 2)
               for n, c in stages.items())
    text = (f'/dev/shm has {shm[1] / 2**20:.0f} MiB free; workers hold up to '
            f'{need / 2**20:.0f} MiB of batches in it')
    if need > shm[1]:
        report.add(RESOURCES, 'problem', text,
                   'docker run --shm-size=8g ...  # or fewer workers, or '
                   'num_workers=0')
    else:
        report.add(RESOURCES, 'ok', text)


def main(argv: list[str] | None = None) -> None:
    """Examines a config and writes the report.

    Args:
        argv (list[str], optional): Options as JSON, and the file for the
            answer.
    """
    options, answer = sys.argv[1:] if argv is None else argv
    examine(argparse.Namespace(**json.loads(options))).write(answer)
