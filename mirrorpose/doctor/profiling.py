"""The profile of a run: pipeline, loader, step, limits, bottleneck."""
from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mirrorpose.engine.amp import AutocastOptimWrapper
from mirrorpose.engine.runner import PoseRunner

from . import machine
from .limits import measure_limits
from .loading import (
    endless,
    profile_loader,
    profile_parts,
    some_files,
    take_batches,
    whole_batches,
)
from .stages import limit_samples, redirect_caches, set_batch
from .stepping import StepProfiler
from .trial import built_optimizer, silence
from .verdict import judge


def prepare(cfg: Config, folder: str, iterations: int,
            batch_size: int | None = None) -> Config:
    """The config of a run that is going to be measured.

    Few enough samples that every batch can be read once before it counts;
    workers, precision and layout stay as they are.

    Args:
        cfg (Config): Of one run, as it would train; changed in place.
        folder (str): Work dir and place of caches.
        iterations (int): Batches that are measured.
        batch_size (int, optional): Instead of the config's.
    """
    loader = cfg.train_dataloader
    if batch_size is not None:
        set_batch(loader, batch_size)
    size = int(loader.get('batch_size') or 1)
    limit_samples(loader['dataset'], size * iterations)
    redirect_caches(cfg._cfg_dict, folder)
    cfg.work_dir = folder
    cfg.load_from, cfg.resume = None, False
    cfg.log_level = 'ERROR'
    for split in ('val', 'test'):
        for key in ('dataloader', 'evaluator', 'cfg'):
            cfg[f'{split}_{key}'] = None
    return cfg


@contextlib.contextmanager
def ready(cfg: Config, iterations: int, batch_size: int | None = None
          ) -> Iterator[tuple[PoseRunner, Any, StepProfiler]]:
    """Builds runner, loader and step profiler in a folder that goes away."""
    with tempfile.TemporaryDirectory(prefix='profile-') as folder:
        silence()
        runner = PoseRunner.from_cfg(prepare(cfg, folder, iterations,
                                             batch_size))
        silence()
        loop: Any = runner.train_loop
        wrapper = built_optimizer(runner)
        runner.model.train()
        device = next(runner.model.parameters()).device
        yield runner, loop.dataloader, StepProfiler(runner.model, wrapper,
                                                    device)


def precision(wrapper: Any) -> torch.dtype:
    """What an optimizer wrapper lets convolutions run in."""
    name = type(wrapper).__name__
    if isinstance(wrapper, AutocastOptimWrapper):
        return wrapper.precision
    if name == 'AmpOptimWrapper':
        cast = getattr(wrapper, 'cast_dtype', None)
        return cast if isinstance(cast, torch.dtype) else torch.float16
    return torch.float32


def profile_run(cfg: Config, iterations: int = 10,
                batch_size: int | None = None,
                trace: str | Path | None = None) -> dict[str, Any]:
    """Measures a run from files to weights.

    Args:
        cfg (Config): Of one run; changed in place.
        iterations (int): Batches, and steps, that are measured. Defaults to
            10.
        batch_size (int, optional): Instead of the config's.
        trace (str | Path, optional): Where to write a trace of three steps.

    Returns:
        dict: Plain numbers; rates in images/s, times in seconds.
    """
    channels_last = bool(cfg.get('channels_last'))
    with ready(cfg, iterations, batch_size) as (runner, loader, profiler):
        batches = take_batches(loader, iterations)
        size = sum(len(b) for b in batches) / len(batches)
        pipeline = profile_parts(loader, batches)
        alone = profile_loader(loader, batches)
        held = list(islice(endless(loader, batches, 0), min(iterations, 4)))
        step = profiler.profile(held, iterations)
        together = profiler.train(loader, batches)
        limits = measure_limits(
            profiler.device, precision(profiler.wrapper), channels_last,
            some_files(loader.dataset))
        if trace is not None:
            profiler.trace(held, trace)
        rate = step['operations'] / step['seconds'] / 1e9
        facts = dict(
            device=profiler.device.type,
            device_name=torch.cuda.get_device_name(profiler.device)
            if profiler.device.type == 'cuda' else 'CPU',
            torch=torch.__version__, threads=torch.get_num_threads(),
            model=type(runner.model).__name__,
            batch_size=size, iterations=iterations,
            workers=loader.num_workers, cores=machine.cores(),
            cached=whole_batches(loader, batches), pipeline=pipeline,
            single=1 / max(sum(pipeline.values()), 1e-12), loader=alone,
            step=size / step['seconds'], step_seconds=step['seconds'],
            parts=step['parts'], training=together,
            gflop_per_image=step['operations'] / size / 1e9,
            gflop_s=rate, efficiency=rate / limits['convolution_gflop_s'],
            limits=limits, convolution=limits['convolution'],
            convolutions=limits['convolutions'])
    facts['verdict'] = judge(facts)._asdict()
    return facts


def _row(name: str, rate: float, note: str = '') -> str:
    return f'  {name:<28}{rate:>12,.0f} images/s  {note}'.rstrip()


def _limit(name: str, value: float, unit: str) -> str:
    return f'  {name:<38}{value:>10,.1f} {unit}'


def render(facts: Mapping[str, Any], title: str) -> str:
    """The profile as text."""
    limits, size = facts['limits'], facts['batch_size']
    cores = f'{facts["cores"]} {"core" if facts["cores"] == 1 else "cores"}'
    lines = [f'{title}: {facts["model"]}, batches of {size:g}, '
             f'{facts["convolution"]} on {facts["device_name"]}, {cores}, '
             f'{facts["threads"]} threads', '',
             'Data, one process (after the first pass)']
    total = sum(facts['pipeline'].values())
    for name, seconds in facts['pipeline'].items():
        lines.append(_row(name, 1 / max(seconds, 1e-9),
                          f'{1e3 * seconds:8.3f} ms {seconds / total:6.1%}'))
    lines += [_row('all of it', facts['single'], f'{1e3 * total:8.3f} ms'),
              _row(f'the loader, {facts["workers"]} workers',
                   facts['loader']), '', 'Step']
    for name, seconds in facts['parts'].items():
        share = seconds / sum(facts['parts'].values())
        lines.append(_row(name, size / seconds,
                          f'{1e3 * seconds:8.1f} ms {share:6.1%}'))
    lines += [_row('the step', facts['step'],
                   f'{1e3 * facts["step_seconds"]:8.1f} ms'),
              _row('training, loader and step', facts['training']), '',
              'Limits of this machine, measured now']
    decode = 'the data\'s images' if limits['own_images'] else '640 x 480'
    lines.append(_limit('copy in memory', limits['copy_gb_s'], 'GB/s'))
    if limits['transfer_gb_s'] is not None:
        lines.append(_limit('pinned memory to the device',
                            limits['transfer_gb_s'], 'GB/s'))
    lines += [_limit(f'convolutions, {name}', rate, 'GFLOP/s'
                     + (' (this run)' if name == facts['convolution']
                        else ''))
              for name, rate in limits['convolutions'].items()]
    lines += [
        _row('JPEG decoding, one core', limits['decode_images_s'],
             f'({decode}, {limits["decode_megapixels_s"]:.0f} megapixels/s)'),
        '', f'  the step computes {facts["gflop_per_image"]:.3g} GFLOP an '
        f'image, {facts["gflop_s"]:,.1f} GFLOP/s: '
        f'{facts["efficiency"]:.0%} of the convolution rate', '',
        f'Bottleneck: {facts["verdict"]["bottleneck"]}',
        f'  {facts["verdict"]["reason"]}',
        f'  -> {facts["verdict"]["advice"]}']
    return '\n'.join(lines)
