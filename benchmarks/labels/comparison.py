"""The parts of the benchmark: rows of a group, and their differences."""
from __future__ import annotations

import json
import statistics as spread
from collections.abc import Iterable
from typing import Any

import numpy as np

from .data import DATA
from .evaluation import NORMS, mean_pose
from .ledger import Table, table_of
from .ledger import entry as line_of
from .plan import GROUPS, MIDDLE, facts, seen
from .rows import ROWS
from .runs import SEEDS, Name
from .statistics import difference, score

#: What every comparison of the main rows asks.
_MAIN = [('semi', 'supervised'), ('supervised', 'teacher'),
         ('semi', 'teacher')]
#: Differences of a group's table, beside those from the plain recognizer.
PAIRS: dict[str, list[tuple[str, str]]] = dict(
    tuning=[('tune-scenes-50', 'supervised'),
            ('tune-scenes-100', 'supervised'),
            ('tune-strong-colours', 'strong'),
            ('tune-strong-places', 'strong'),
            ('tune-teacher-3', 'teacher'), ('tune-teacher-999', 'teacher'),
            ('tune-terms-3', 'terms-coordinates'),
            ('tune-terms-1', 'terms-coordinates')],
    main=_MAIN, synthetic=_MAIN,
    terms=[('terms-coordinates', 'terms-maps'),
           ('terms-still', 'terms-coordinates')],
    compositions=[(f'mix-{a}-{32 - a}', 'terms-coordinates')
                  for a in (8, 12, 16, 20, 24)],
    parts=[('recombination', 'supervised'), ('supervised', 'capsules'),
           ('supervised', 'background'),
           ('recombination-filled', 'supervised'),
           ('recombination-occluders', 'supervised'),
           ('semi', 'recombination')],
    rivals=[('supervised', 'strong'), ('semi', 'strong'),
            ('semi', 'teacher'), ('teacher', 'strong'),
            ('teacher-recombination', 'supervised'),
            ('teacher-recombination', 'teacher'), ('float32', 'plain')],
    beyond=[('consistency', 'teacher'), ('consistency', 'supervised'),
            ('self-training', 'supervised'), ('self-training', 'semi'),
            ('self-training', 'self-training-still'),
            ('self-training', 'teacher'),
            ('supervised-terms', 'supervised'), ('semi-terms', 'semi'),
            ('sleep', 'supervised'), ('better-masks', 'semi'),
            ('fidelity-tight', 'supervised')],
    priors=[('prior-mocap', 'prior'), ('prior-all', 'prior')],
    prior_loss=[('maps-prior', 'maps'),
                ('coordinates-prior', 'coordinates')],
    unpaired=[],
    long=[*_MAIN, ('supervised', 'strong'), ('semi', 'strong'),
          ('consistency', 'supervised'), ('consistency', 'teacher'),
          ('self-training', 'supervised'), ('self-training', 'teacher')])
#: Rows of other groups that a group's table shows too.
GUESTS: dict[str, tuple[str, ...]] = dict(
    tuning=('plain', 'supervised', 'strong', 'teacher', 'terms-coordinates'),
    terms=('plain', ), compositions=('plain', 'terms-coordinates'),
    parts=('plain', 'supervised', 'semi'),
    rivals=('plain', 'supervised', 'semi', 'teacher'),
    beyond=('plain', 'supervised', 'semi', 'teacher'),
    priors=('plain', ))
Right = dict[int, Table]


def rows_of(group: str) -> dict[int, list[Name]]:
    """The first seed's runs of a group's table, by per cent of labels."""
    out: dict[int, list[Name]] = {}
    for name in GROUPS[group]:
        if name.seed == SEEDS[0]:
            out.setdefault(name.percent, []).append(name)
    guests = [Name('lsp', row, False, MIDDLE, SEEDS[0])
              for row in GUESTS.get(group, ())]
    if guests:
        out[MIDDLE] = guests + out[MIDDLE]
    return out


def by_seed(name: Name, side: str) -> Right:
    """Right joints of every seed of a row that is there."""
    found = {}
    for seed in SEEDS:
        run = name._replace(seed=seed)
        table = table_of(run, side)
        if table is not None:
            found[seed] = table
    return found


def entry(name: Name, right: Right) -> dict[str, Any]:
    """A line of a table."""
    row = ROWS.get(name.row)
    annotated, other = seen(name)
    minutes = [facts(name._replace(seed=s)).get('cpu_seconds', 0) / 60
               for s in right]
    out: dict[str, Any] = dict(
        title=row.title if row else 'where all begin', steps=name.steps,
        seeds=sorted(right), annotated_seen=annotated,
        unannotated_seen=other,
        cpu_minutes=round(float(np.mean(minutes)), 1))
    for norm in NORMS:
        each = [round(score(*right[s][norm]), 2) for s in sorted(right)]
        out[norm] = dict(
            mean=round(float(np.mean(each)), 2), each=each,
            sd=round(spread.stdev(each), 2) if len(each) > 1 else None)
    return out


def against(one: Right, other: Right) -> dict[str, Any] | None:
    """Differences by normaliser over the seeds that both have."""
    both = sorted(set(one) & set(other))
    if not both:
        return None
    out: dict[str, Any] = dict(seeds=both)
    for norm in NORMS:
        out[norm] = difference([one[s][norm][0] for s in both],
                               [other[s][norm][0] for s in both],
                               one[both[0]][norm][1])
    return out


def _start(first: Name, row: str, seed: int) -> str | None:
    """Digest of what a row of a table began at."""
    line = line_of(first._replace(row=row, seed=seed, long=(
        first.long and row != 'start')))
    return None if line is None else line.get('start')


def missing(group: str) -> list[Name]:
    """Runs of a group's table, its guests and starts, that are not done."""
    wanted = {n._replace(seed=s) for names in rows_of(group).values()
              for n in names for s in {g.seed for g in GROUPS[group]}}
    wanted |= {n.other('start') for n in wanted if ROWS[n.row].started}
    return sorted(n for n in wanted if line_of(n) is None)


def compare(group: str, side: str) -> dict[str, Any]:
    """A group's tables, as far as its runs are done.

    Args:
        group (str): Key of ``plan.GROUPS``.
        side (str): ``'validation'`` or ``'test'``.

    Returns:
        dict: By per cent ``rows`` and ``differences`` ('one - other';
        ``other_starts`` are seeds whose two runs began at different weights,
        trained on different machines).
    """
    out: dict[str, Any] = dict(side=side, percent={})
    for percent, names in rows_of(group).items():
        first = names[0]
        found = {n.row: by_seed(n, side)
                 for n in (first.other('start'), *names)}
        found = {row: right for row, right in found.items() if right}
        if not set(found) - {'start'}:
            continue
        rows = {n.row: entry(n, found[n.row])
                for n in (first.other('start'), *names) if n.row in found}
        pairs = [(n.row, 'plain') for n in names if n.row != 'plain']
        if not first.long and ('plain' in found):
            pairs.insert(0, ('plain', 'start'))
        differences = {}
        for one, other in dict.fromkeys((*pairs, *PAIRS[group])):
            if one in found and other in found:
                value = against(found[one], found[other])
                if value:
                    value['other_starts'] = [
                        s for s in value['seeds'] if _start(
                            first, one, s) != _start(first, other, s)]
                    differences[f'{one} - {other}'] = value
        out['percent'][str(percent)] = dict(rows=rows,
                                            differences=differences)
    return out


def floor() -> dict[str, dict[str, dict[str, float]]]:
    """Scores of the mean pose, by data and side; no run has to be there."""
    return {data: {side: {norm: round(score(*its), 2) for norm, its in
                          mean_pose(data, side).items()}
                   for side in ('validation', 'test')} for data in DATA}


def curve(name: Name) -> dict[int, dict[str, float]]:
    """Validation scores of a run while it was trained, by step."""
    found: dict[int, dict[str, float]] = {}
    for path in sorted(name.folder.glob('*/vis_data/*.json')):
        for line in path.read_text().splitlines():
            try:
                held = json.loads(line)
            except json.JSONDecodeError:  # cut by a kill, or a whole config
                continue
            if isinstance(held, dict) and 'pck/Total' in held:
                found[int(held['step'])] = dict(
                    bbox=round(held['pck/Total'], 2),
                    torso=round(held['pck/Total_torso'], 2))
    return dict(sorted(found.items()))


def curves(names: Iterable[Name]) -> dict[str, Any]:
    """Curves of the runs that have one: has the start saturated?"""
    return {str(n): held for n in names
            if (held := (line_of(n) or {}).get('curve'))}
