"""What makes two runs the same run: config, splits, processes.

A checkpoint holds it, so that a resumed run can say what has changed.
"""
from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

#: Config entries that do not change what is learnt, at any depth.
HARMLESS = frozenset({
    'work_dir', 'resume', 'load_from', 'launcher', 'experiment_name',
    'timestamp', 'log_level', 'log_processor', 'visualizer', 'vis_backends',
    'env_cfg', 'runner_type', 'resume_changed', 'trust_checkpoint',
    'num_workers', 'persistent_workers', 'pin_memory', 'prefetch_factor',
    'stages', 'stage_data', 'only_stage', 'default_hooks', 'dist_cfg',
    'model_wrapper_cfg', 'custom_imports', 'cache_dir', 'data_root',
    'val_dataloader', 'val_evaluator', 'val_cfg', 'val_interval',
    'val_begin', 'dynamic_intervals', 'test_dataloader', 'test_evaluator',
    'test_cfg', 'find_unused_parameters', 'batch_size_is_global'})
#: Hooks that only watch.
WATCHING = frozenset({'AdversarialMonitor', 'AverageScores',
                      'CurriculumProgress', 'KeypointObservatory',
                      'NonFiniteGuard', 'TermTrust'})


def config_entries(cfg: Any) -> dict[str, Any]:
    """The entries of a config that change what is learnt, flat.

    Args:
        cfg (Config): The config of a runner.

    Returns:
        dict: ``'optim_wrapper.optimizer.lr': 0.001`` and so on; values are
        what JSON knows. Only what the runner reads counts: variables that
        a config file builds its entries from are left out.
    """
    wanted = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper',
              'param_scheduler', 'auto_scale_lr', 'custom_hooks',
              'randomness', 'channels_last', 'compile')
    raw = cfg.to_dict() if hasattr(cfg, 'to_dict') else dict(cfg)
    out: dict[str, Any] = {}
    for key in wanted:
        value = raw.get(key)
        if key == 'custom_hooks':
            value = [h for h in value or [] if not (
                isinstance(h, dict) and h.get('type') in WATCHING)]
        out.update(_flat(key, value))
    return out


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name in sorted(value, key=str):
            if name not in HARMLESS:
                yield from _flat(f'{key}.{name}', value[name])
    elif isinstance(value, (list, tuple)) and any(
            isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            yield from _flat(f'{key}[{number}]', item)
    elif value is not None:
        plain = json.loads(json.dumps(value, default=_named))
        if plain != []:
            yield key, plain


def _named(value: Any) -> str:
    """A class or function by its name: addresses differ between runs."""
    return getattr(value, '__qualname__', None) or type(value).__qualname__


def config_hash(entries: dict[str, Any]) -> str:
    """16 hex digits of the entries."""
    text = json.dumps(entries, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def splits(dataset: Any) -> dict[str, dict[str, Any]]:
    """The splits inside a data set: who is in, by digest.

    Args:
        dataset: A data set, or one made of others. Parts that have a
            ``split_digest`` are named; others are counted.

    Returns:
        dict: Name of a part to ``digest``, ``samples`` and, where known,
        ``label_fraction``, ``part`` and ``seed``.
    """
    out: dict[str, dict[str, Any]] = {}
    for number, leaf in enumerate(_leaves(dataset)):
        ann = str(getattr(leaf, 'ann_file', '')).rsplit('/', 2)[-2:]
        name = f'{number}: {type(leaf).__name__} {"/".join(ann)}'.strip()
        out[name] = dict(digest=str(getattr(leaf, 'split_digest', '')),
                         samples=len(leaf))
        for field in ('label_fraction', 'part', 'split_seed'):
            value = getattr(leaf, field, None)
            if isinstance(value, (int, float, str)):
                out[name][field] = value
    return out


def _leaves(dataset: Any) -> Iterator[Any]:
    held = vars(dataset) if hasattr(dataset, '__dict__') else {}
    if 'dataset' in held:
        yield from _leaves(held['dataset'])
    elif 'datasets' in held:
        for part in held['datasets']:
            yield from _leaves(part)
    else:
        yield dataset


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs, one readable line each.

    Args:
        before (dict): Flat entries of the checkpoint.
        now (dict): Those of this run.
    """
    lines = []
    for key in sorted(set(before) | set(now)):
        old, new = before.get(key, 'absent'), now.get(key, 'absent')
        if old != new:
            lines.append(f'{key}: {old} in the checkpoint, {new} now')
    return lines


def check_same_run(saved: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Compares the identity in a checkpoint with that of this run.

    Args:
        saved (dict): ``config``, ``splits`` and ``world_size`` as saved.
        now (dict): The same of this run.

    Returns:
        list[str]: What differs in the config, to be said.

    Raises:
        ValueError: Another split (samples that were un-annotated or test
            may be training samples now), or another number of processes
            (batches, noise and learning rate would differ).
    """
    if saved['world_size'] != now['world_size']:
        raise ValueError(
            f'the checkpoint is of a run with {saved["world_size"]} '
            f'process(es), this one has {now["world_size"]}: batches and '
            'random streams are not those of the run that was stopped. '
            f'Resume with {saved["world_size"]} process(es), or begin a new '
            'run from its weights (load_from=CHECKPOINT, without resume)')
    flat_before = dict(_flat('split', saved['splits']))
    flat_now = dict(_flat('split', now['splits']))
    changed = differences(flat_before, flat_now)
    if changed:
        raise ValueError(
            'the training data are not those of the checkpoint: '
            + '; '.join(changed) + '. What was held out then may be trained '
            'on now. Use the same split, or begin a new run from the weights '
            '(load_from=CHECKPOINT, without resume), or set resume_changed='
            'True if that is what you mean')
    return differences(saved['config'], now['config'])
