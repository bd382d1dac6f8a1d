"""Which runs KeypointGAN's tables want, and what they cost.

    python -m benchmarks.keypoints.plan [--measure]

``--measure`` times a step of every row in processor time of one thread, in
plain float32 and in the precision and layout of the runs, rows and forms
taking turns, and writes ``benchmarks/results/keypointgan_cost.json``, by
which the plan estimates.
"""
from __future__ import annotations

import argparse
import copy
import json
import platform
import statistics
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS

from mirrorpose.datasets.keyed import sample_keys
from mirrorpose.utils.files import write_text

from .. import run_folders
from .runs import (
    CHANNELS_LAST,
    FOLDER,
    PRETRAINING,
    REAL,
    ROOT,
    ROWS,
    SUPERVISED,
    done,
    iterations,
    needs,
    parts,
    settings,
)

RESULT = ROOT / 'benchmarks' / 'results' / 'keypointgan_cost.json'
SEEDS = (0, 1, 2)
#: The tables' runs.
GROUPS: dict[str, list[str]] = dict(
    table4=[f'{row}_all_{seed}' for seed in SEEDS for row in ROWS],
    table5=[f'keypointgan_{poses}_0' for poses in ('50', '500', '5000')],
    prior=['keypointgan_mocap_0', 'keypointgan-adversarial2_mocap_0'],
    options=[*(f'keypointgan-paper_all_{seed}' for seed in SEEDS),
             'keypointgan-channels_all_0', *(
                 f'keypointgan{form}-random_all_0'
                 for form in ('', '-paper', '-channels'))],
    frames=[f'{row}_{poses}_0' for poses in REAL
            for row in ('keypointgan', 'keypointgan-adversarial2', SUPERVISED)]
    + ['keypointgan-adversarial2_faces_1', 'keypointgan-adversarial2_faces_2',
       'keypointgan-adversarial05_faces_1', 'keypointgan-tps_faces_0',
       'keypointgan-adversarial2-tps_faces_1',
       *(f'bottleneck-adversarial2_faces_{seed}' for seed in SEEDS),
       f'{SUPERVISED}_all_0', 'keypointgan-adversarial2_all_0'])
#: How networks compute: whether in bfloat16, and which are channels-last.
FORMS: dict[str, tuple[bool, tuple[str, ...] | None]] = {
    'float32': (False, ()), 'bfloat16, all channels-last': (True, None),
    'as trained': (True, CHANNELS_LAST)}


def with_needs(names: Iterable[str]) -> list[str]:
    """The runs and what they begin at, in an order that works."""
    out: dict[str, None] = {}
    for name in names:
        for before in needs(name):
            out.setdefault(before)
        out.setdefault(name)
    return list(out)


def facts(name: str) -> dict[str, Any]:
    """What a run has taken so far."""
    return run_folders.facts(FOLDER / name)


def seconds(name: str, held: dict[str, Any]) -> float | None:
    """Of a step, by the row measured on the same data, or on any.

    Args:
        name (str): Of a run.
        held (dict): What was measured.
    """
    row, poses, _ = parts(name)
    row = row.partition('-')[0]
    rows = held.get('rows', {})
    found = rows.get(f'{row}_{poses}') or rows.get(f'{row}_all')
    return found['as trained']['seconds'] if found else None


def plan(groups: Iterable[str] = GROUPS) -> str:
    """A table of all runs, and one of the groups."""
    held = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    lines = ['| run | iterations | s each | minutes | |',
             '| --- | ---: | ---: | ---: | --- |']
    totals, listed = [], set[str]()
    everything = 0.
    for group in groups:
        whole = left = 0.
        new = [n for n in with_needs(GROUPS[group]) if n not in listed]
        listed.update(new)
        for name in new:
            step, spent = seconds(name, held), facts(name)
            minutes = None if step is None else step * iterations(name) / 60
            state = 'done' if done(name) else 'begun' if spent else ''
            if state == 'done':
                minutes = spent.get('cpu_seconds', 0) / 60 or minutes
            lines.append(
                f'| {name} | {iterations(name)} | '
                + ('–' if step is None else f'{step:.3f}') + ' | '
                + ('–' if minutes is None else f'{minutes:.1f}')
                + f' | {state} |')
            whole += minutes or 0
            left += (minutes or 0) * (state != 'done')
        everything += whole
        totals.append(f'| {group} | {len(new)} | {whole / 60:.1f} | '
                      f'{left / 60:.1f} |')
    lines += ['', '| group (what it begins at counted once) | runs | hours '
              'of one core | to do |', '| --- | ---: | ---: | ---: |',
              *totals, '', f'{everything / 60:.1f} hours of one core, steps '
              'alone: reading the data and validating come on top']
    if not held:
        lines += ['', 'No cost is known: python -m benchmarks.keypoints.plan '
                  '--measure']
    return '\n'.join(lines)


class Stepper:
    """A run without its runner: batches, model, optimizers.

    Args:
        name (str): Of the run; nothing of it has to be trained.
        form (str): Key of ``FORMS``.
        data (Dataset, optional): Its training data, where they are built.
    """

    def __init__(self, name: str, form: str = 'as trained',
                 data: Any = None) -> None:
        init_default_scope('mmpose')
        cfg = settings(name)
        narrow, last = FORMS[form]
        self.data: Any = DATASETS.build(
            cfg.train_dataloader.dataset) if data is None else data
        torch.manual_seed(0)
        self.model: Any = MODELS.build(copy.deepcopy(cfg.model)).train()
        for child, module in self.model.named_children():
            if last is None or child in last:
                module.to(memory_format=torch.channels_last)
        if not narrow:
            _widen(cfg.optim_wrapper)
        self.wrapper = build_optim_wrapper(self.model, cfg.optim_wrapper)
        self.batch, self.count = cfg.train_dataloader.batch_size, 0

    def read(self) -> dict[str, Any]:
        """The next batch."""
        rows = np.random.default_rng(self.count).integers(
            0, len(self.data), self.batch).tolist()
        self.count += 1
        return self.data.get_batch(rows, sample_keys(
            0, 0, rows, [self.count] * len(rows)))

    def __call__(self) -> float:
        """One step; its seconds, reading the batch included."""
        begun = time.process_time()
        self.model.train_step(self.read(), self.wrapper)
        return time.process_time() - begun


def _widen(node: Any) -> None:
    """Lets optimizer wrappers compute in float32."""
    for key, value in list(node.items()):
        if key == 'type' and value == 'AutocastOptimWrapper':
            node[key] = 'OptimWrapper'
        elif isinstance(value, dict):
            _widen(value)


def measure(rounds: int = 7, warm: int = 2) -> dict[str, Any]:
    """Median seconds of a step of every row in every form.

    Args:
        rounds (int): Steps that count.
        warm (int): Steps before them.
    """
    names = [f'{row}_all_0' for row in (*ROWS, SUPERVISED)]
    names += [f'{PRETRAINING}_all']
    names += [f'{row}_{poses}_0' for poses in REAL
              for row in ('keypointgan', SUPERVISED)]
    found: dict[str, Any] = {}
    data: dict[tuple[str, str], Any] = {}
    for name in names:
        row, poses, _ = parts(name)
        kind = (poses, row if row not in ROWS else 'rows')
        steppers = {}
        for form in FORMS:
            steppers[form] = Stepper(name, form, data.get(kind))
            data[kind] = steppers[form].data
        times: dict[str, list[float]] = {form: [] for form in FORMS}
        for number in range(warm + rounds):
            for form, stepper in steppers.items():
                spent = stepper()
                if number >= warm:
                    times[form].append(spent)
        found[f'{row}_{poses}'] = {
            form: dict(seconds=round(statistics.median(t), 4),
                       fastest=round(min(t), 4)) for form, t in times.items()}
        print(f'{row}_{poses:14s}', {
            form: f[
                'seconds'] for form, f in found[f'{row}_{poses}'].items()},
            flush=True)
    return dict(rows=found, rounds=rounds, torch=torch.__version__,
                threads=torch.get_num_threads(),
                machine=platform.processor() or platform.machine())


def main() -> None:
    """Prints the plan."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('--measure', action='store_true')
    if parser.parse_args().measure:
        torch.set_num_threads(1)
        write_text(RESULT, json.dumps(measure(), indent=1) + '\n')
    print(plan())


if __name__ == '__main__':
    main()
