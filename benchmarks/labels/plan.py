"""Which runs there are to do, and what they cost."""
from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from .. import run_folders
from . import ledger
from .rows import (
    BEYOND,
    COMPOSITIONS,
    LONGER,
    MAIN,
    PARTS,
    PRIOR_LOSS,
    PRIORS,
    RIVALS,
    TAIL,
    TERMS,
    TUNING,
    UNPAIRED,
)
from .runs import PART_STEPS, PERCENT, ROOT, SEEDS, Name

RESULT = ROOT / 'benchmarks' / 'results' / f'label_efficiency{TAIL}.json'
#: Where all rows meet.
MIDDLE = 20


def _names(rows: Iterable[str], percent: Iterable[int] = (MIDDLE, ),
           seeds: Iterable[int] = SEEDS, data: str = 'lsp',
           long: bool = False) -> list[Name]:
    percent, rows = tuple(percent), tuple(rows)
    return [Name(data, row, long, p, seed) for seed in seeds
            for p in percent for row in rows]


#: The tables' runs; a part of the JSON each. ``tuning`` comes first.
GROUPS: dict[str, list[Name]] = dict(
    tuning=_names(TUNING, seeds=SEEDS[:1]),
    main=_names(MAIN, PERCENT),
    synthetic=_names(MAIN, PERCENT, data='synthetic'),
    terms=_names(TERMS),
    compositions=_names(COMPOSITIONS),
    parts=_names(PARTS),
    rivals=_names(RIVALS),
    beyond=_names(BEYOND),
    priors=_names(PRIORS),
    prior_loss=_names(PRIOR_LOSS),
    unpaired=_names(UNPAIRED, long=True),
    long=_names(LONGER, long=True))


def planned(groups: Iterable[str]) -> list[Name]:
    """The runs of groups, first seeds first."""
    return sorted((n for g in groups for n in GROUPS[g]),
                  key=lambda n: n.seed)


def with_needs(runs: Iterable[Name]) -> list[Name]:
    """The runs and what they begin at, in an order that works."""
    out: dict[Name, None] = {}
    for run in runs:
        for before in with_needs(run.needs()):
            out.setdefault(before)
        out.setdefault(run)
    return list(out)


def seconds_a_step() -> dict[str, float]:
    """Measured by ``--only cost``; empty before."""
    held = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    return {k: v['seconds'] for k, v in held.get('cost', {}).get(
        'rows', {}).items()}


def facts(name: Name) -> dict[str, Any]:
    """What a run has taken so far."""
    return ledger.entry(name) or run_folders.facts(name.folder)


def seen(name: Name) -> tuple[int, int]:
    """Annotated and un-annotated images after the start, with repeats."""
    one, other = name.counts
    return one * name.steps, other * name.steps


def costs(group: str) -> list[tuple[Name, float | None, str]]:
    """Runs of a group, minutes of processor time, and how far they are."""
    step, out = seconds_a_step(), []
    for name in with_needs(GROUPS[group]):
        held = facts(name)
        minutes = step.get(name.row)
        minutes = None if minutes is None else minutes * name.steps / 60
        state = 'begun' if held else ''
        if name.checkpoint() is not None or ledger.entry(name):
            state = 'done'
            minutes = held.get('cpu_seconds', 0) / 60 or minutes
        out.append((name, minutes, state))
    return out


def plan(groups: Iterable[str] = GROUPS) -> str:
    """A table of all runs, and one of the groups."""
    lines = ['| run | steps | minutes | |', '| --- | ---: | ---: | --- |']
    totals, seen_runs = [], set[Name]()
    for group in groups:
        whole = left = 0.
        number = unknown = 0
        for name, minutes, state in costs(group):
            if name in seen_runs:
                continue
            seen_runs.add(name)
            lines.append(f'| {name} | {name.steps} | '
                         + ('–' if minutes is None else f'{minutes:.1f}')
                         + f' | {state} |')
            number += 1
            unknown += minutes is None
            whole += minutes or 0
            left += (minutes or 0) * (state != 'done')
        totals.append(f'| {group} | {number} | {whole / 60:.1f} | '
                      f'{left / 60:.1f} |' + (
            f' and {unknown} runs of unknown cost' if unknown else ''))
    lines += ['', '| group (what it begins at counted once) | runs | hours '
              'of one core | to do |', '| --- | ---: | ---: | ---: |',
              *totals]
    if not seconds_a_step():
        lines += ['', 'No cost is known: benchmarks/label_efficiency.py '
                  '--only cost measures it.']
    return '\n'.join(lines)


def preparations() -> list[str]:
    """Rows that only make a start."""
    return ['start', *PART_STEPS]
