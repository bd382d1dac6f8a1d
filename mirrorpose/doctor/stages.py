"""The runs that a config stands for, made small enough to try them."""
from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmpose.registry import DATASETS

from mirrorpose.engine.consistency.reading import (
    children,
    defaults,
    resolve_type,
)
from mirrorpose.engine.curriculum import CurriculumRunner

#: Name of the only run of a config without stages.
WHOLE = 'the config'


def stage_configs(cfg: Config, only: str | None = None) -> dict[str, Config]:
    """The complete config of every stage, without weights of others.

    Args:
        cfg (Config): A config, with ``work_dir``.
        only (str, optional): One stage.

    Returns:
        dict[str, Config]: By name; a config without stages is one.

    Raises:
        ValueError: The stage list is wrong, or ``only`` is not in it.
    """
    if not cfg.get('stages'):
        if only:
            raise ValueError(f'the config has no stages, so no {only!r}')
        return {WHOLE: cfg}
    cfg = copy.deepcopy(cfg)
    runner = CurriculumRunner(cfg)
    for stage in runner.stages:
        stage.pop('init_from', None)
        stage.pop('load_from_stage', None)
    if only and only not in runner.stage_names:
        raise ValueError(f'there is no stage {only!r}; the stages are '
                         f'{runner.stage_names}')
    return {name: runner.stage_config(name) for name in runner.stage_names
            if only in (None, name)}


def smallest_batch(loader: Mapping, at_least: int = 2) -> int:
    """The smallest batch size that a loader's sampler can compose.

    Args:
        loader (Mapping): Config of the loader.
        at_least (int): Batch normalisation needs two samples.
    """
    ratio = (loader.get('sampler') or {}).get('source_ratio')
    if not ratio:
        return at_least
    parts = [int(r) for r in ratio]
    if list(ratio) != parts:
        return int(loader.get('batch_size', at_least))
    unit = sum(parts) // math.gcd(*parts)
    return unit * math.ceil(at_least / unit)


def set_batch(loader: Any, batch: int, workers: int | None = None) -> None:
    """Sets batch size (the sampler's too) and workers of a loader."""
    loader['batch_size'] = batch
    if 'batch_size' in (loader.get('sampler') or {}):
        loader['sampler']['batch_size'] = batch
    if workers is not None:
        loader['num_workers'] = workers
        loader['persistent_workers'] = bool(workers)
        if not workers:
            loader.pop('prefetch_factor', None)


def limit_samples(node: Any, count: int) -> None:
    """Lets every leaf data set below an entry have a few samples only."""
    inner = children(node, '')
    for _, child in inner:
        limit_samples(child, count)
    if inner:
        return
    kind = resolve_type(node, DATASETS)
    if kind is not None and 'indices' in defaults(kind):
        node['indices'] = count


def make_small(cfg: Config, work_dir: str, batch: int | None = None,
               samples: int = 16) -> Config:
    """A copy that trains a few samples, without workers and pictures.

    Args:
        cfg (Config): Of one stage.
        work_dir (str): Folder that it may write to.
        batch (int, optional): Batch size. Defaults to the smallest one that
            the sampler allows.
        samples (int): Samples of each leaf data set. Defaults to 16.
    """
    cfg = copy.deepcopy(cfg)
    cfg.work_dir = work_dir
    if cfg.get('visualizer'):
        # mmengine keeps one visualizer a name, with its first folder.
        cfg.visualizer.name = f'doctor_{time.monotonic_ns()}'
    loader = cfg.train_dataloader
    size = batch or smallest_batch(loader)
    set_batch(loader, size, 0)
    limit_samples(loader['dataset'], max(samples, size))
    for split in ('val', 'test'):
        held = cfg.get(f'{split}_dataloader')
        if isinstance(held, Mapping):
            set_batch(held, 2, 0)
            limit_samples(held['dataset'], samples)
    redirect_caches(cfg._cfg_dict, work_dir)
    cfg.load_from, cfg.resume = None, False
    cfg.log_level = 'ERROR'
    return cfg


def redirect_caches(node: Any, folder: str) -> None:
    """Lets caches of crops be made in a folder that goes away."""
    if isinstance(node, dict):
        if isinstance(node.get('crop_cache'), dict):
            node['crop_cache']['cache_dir'] = folder
        if node.get('type') == 'CachedCropDataset':
            node['cache_dir'] = folder
        for value in node.values():
            redirect_caches(value, folder)
    elif isinstance(node, (list, tuple)):
        for value in node:
            redirect_caches(value, folder)
