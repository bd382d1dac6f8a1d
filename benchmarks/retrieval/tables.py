"""Metric pose: the supervision tables and the retrieval tables as a page.

    python -m benchmarks.retrieval.tables

Writes ``docs/metric_pose_tables.md`` from
``benchmarks/results/metric_pose_supervision.json`` and
``benchmarks/results/retrieval_table.json``, whichever is there.
"""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.completion.tables import markdown
from benchmarks.labels.statistics import over_seeds
from benchmarks.metric_pose_supervision import (
    COMPARED,
    KEY,
    LABELS,
    METHODS,
    OPTIONS,
    SURE,
)

from .data import MISSING
from .scores import COLUMNS

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / 'benchmarks' / 'results'
OUT = ROOT / 'docs' / 'metric_pose_tables.md'
TITLES = dict(lifting='Lifting: 2D joints of captured motion under the '
              'Human3.6M rigs', synthetic='The embedded world\'s images',
              mocap='Captured motion drawn by the embedded world',
              pixels='The embedded world, from pixels')
VARIANTS = dict(
    kept='kept: the synchronised frame is in the gallery',
    removed='removed: without a second around the query in its clip',
    cross_subject='cross-subject: other people only')
#: What the abstract of arXiv 1908.05293 (v1) says that metric learning
#: takes from the baseline's error where 3D supervision is limited.
PAPER_GAIN = 21
ERRORS = {'canonical_frame/MPJPE': 'MPJPE, canonical frame',
          'camera_frame/MPJPE': 'MPJPE, camera frame',
          'canonical_frame/P-MPJPE': 'P-MPJPE'}
#: Columns of the tables by pair of views, by variant.
BY_PAIR = dict(kept=('Recall@1', ), removed=('Hit@1', 'canonical-MPJPE@1'),
               cross_subject=('canonical-MPJPE@1', ))
Values = Mapping[str, Any]


def span(limits: Sequence[float] | None, brackets: str = '[]',
         sign: str = '') -> str:
    """An interval."""
    if limits is None:
        return ''
    low, high = (format(v, f'{sign}.1f') for v in limits)
    return f' {brackets[0]}{low}, {high}{brackets[1]}'


def cell(row: Values, column: str, sign: str = '') -> str:
    """Mean, [95 % over clips], (95 % over seeds)."""
    if column not in row['mean']:
        return '–'
    return (format(row['mean'][column], f'{sign}.1f')
            + span(row['clips'][column], '[]', sign)
            + span(row['seeds'][column], '()', sign))


def summary(rows: Values) -> str:
    """All rows of one variant."""
    columns = [c for c in COLUMNS if any(
        c in r['mean'] for r in rows.values())]
    return markdown(('', *columns, 'seeds'), [
        [name, *(cell(row, c) for c in columns),
         str(len(next(iter(row['each'].values()))))]
        for name, row in rows.items()])


def differences_table(rows: Values) -> str:
    """One row minus another."""
    columns = [c for c in COLUMNS if any(
        c in r['mean'] for r in rows.values())]
    return markdown(('', *columns, 'seeds'), [
        [name.replace(' - ', ' – '), *(cell(row, c, '+') for c in columns),
         str(len(row['of_seeds']))] for name, row in rows.items()])


def by_pair_table(rows: Values, column: str) -> str:
    """One column by ordered pair of views, named by their numbers."""
    pairs = list(next(iter(rows.values()))['pairs'])
    names = list(dict.fromkeys(n for p in pairs for n in p.split(' > ')))
    number = {name: str(i + 1) for i, name in enumerate(sorted(names))}
    return markdown(('', *(' > '.join(number[n] for n in p.split(' > '))
                           for p in pairs)), [
        [name, *(f'{row["pairs"][p].get(column, np.nan):.1f}'
                 for p in pairs)] for name, row in rows.items()])


def missing_table(held: Values, variant: str, column: str) -> str:
    """Whole queries, and those that lack joints."""
    whole = held['variants'][variant]
    names = [n for n in whole if any(
        n in held['missing'][what].get(variant, {}) for what in MISSING)]
    return markdown(('', 'whole', *MISSING), [
        [name, cell(whole[name], column),
         *(cell(held['missing'][what][variant][name], column)
           if name in held['missing'][what].get(variant, {}) else '–'
           for what in MISSING)] for name in names])


def retrieval(held: Values) -> list[str]:
    """All tables of one kind of data."""
    out = [f'{held["samples"]:,} views of {held["instants"]:,} instants, '
           f'{held["clips"]} clips, {held["subjects"]} people, '
           f'{len(held["views"])} cameras: ' + ', '.join(
               f'{i + 1} is {v}' for i, v in enumerate(sorted(
                   held['views']))) + '.']
    if held['left_out']:
        out.append('Left out: ' + '; '.join(
            f'{row}: {why}' for row, why in held['left_out'].items()) + '.')
    for variant, rows in held['variants'].items():
        first = next(iter(rows.values()))
        text = f'### {VARIANTS[variant][0].upper()}{VARIANTS[variant][1:]}'
        out += [text, f'{first["queries"]:,} queries'
                + (f', and {first["unanswered"]:,} without an eligible item'
                   if first['unanswered'] else '') + '.', summary(rows)]
        made = held['differences'].get(variant)
        if made:
            out += ['What each adds:', differences_table(made)]
        for column in BY_PAIR[variant]:
            out += [f'{column} by pair of views (query > gallery):',
                    by_pair_table(rows, column)]
    if 'missing' in held:
        out += ['### Queries with missing joints', 'Lacking: ' + '; '.join(
            f'*{k}*: {v}' for k, v in MISSING.items())
            + '. The gallery is whole.']
        for variant, column in (('kept', 'Recall@1'), ('removed', 'Hit@1'),
                                ('removed', 'canonical-MPJPE@1')):
            out += [f'{column}, {variant}:',
                    missing_table(held, variant, column)]
    return out


# -- supervision ------------------------------------------------------------
def supervision(rows: Values, key: str) -> str:
    """Error against labels of the methods, and their gain.

    Args:
        rows (Mapping): ``'METHOD/LABELS/SEED'`` to scores.
        key (str): Which.
    """
    methods = [*METHODS, *(m for m in COMPARED if any(
        errors_of(rows, m, share, key) for share in LABELS))]
    baseline, *others = methods
    lines = []
    for share in LABELS:
        errors = {m: errors_of(rows, m, share, key) for m in methods}
        if not any(errors.values()):
            continue
        line = [share, *(spread(errors[m]) for m in methods)]
        for method in others:
            line.append(gain(errors[baseline], errors[method]))
        lines.append(line)
    return markdown(('labels', *methods, *(f'gain of {m}' for m in others)),
                    lines)


def errors_of(rows: Values, method: str, share: str,
              key: str) -> dict[str, float]:
    """Seed to score of one method with one share of labels."""
    found = {}
    for name, row in rows.items():
        head, _, seed = name.rpartition('/')
        if head == f'{method}/{share}' and key in row:
            found[seed] = row[key]
    return found


def spread(errors: Mapping[str, float]) -> str:
    """Mean ± standard deviation (seeds)."""
    its = list(errors.values())
    if not its:
        return '–'
    return f'{np.mean(its):.1f}' + (
        f' ± {np.std(its, ddof=1):.1f}' if len(its) > 1 else ''
    ) + f' ({len(its)})'


def beyond(rows: Values) -> str | None:
    """Options beyond the paper against ``metric``; None without any."""
    lines = []
    for method in sorted(set(OPTIONS) - set(COMPARED)):
        for share in LABELS:
            its = errors_of(rows, method, share, KEY)
            if not its:
                continue
            plain = errors_of(rows, METHODS[1], share, KEY)
            sure = [errors_of(rows, method, share, key) for key in SURE]
            lines.append([f'{method}, {share}', spread(plain), spread(its),
                          gain(plain, its), *(
                              f'{np.mean(list(s.values())):.2f}' if s else
                              '–' for s in sure)])
    return markdown(('', METHODS[1], 'with it', 'gain', *(
        k.partition('/')[2] for k in SURE)), lines) if lines else None


def gain(baseline: Mapping[str, float], other: Mapping[str, float]) -> str:
    """Per cent of the baseline's error that the other has less.

    The mean over common seeds of each seed's gain, and its 95 %.
    """
    common = sorted(set(baseline) & set(other))
    if not common:
        return '–'
    each = [100 * (1 - other[s] / baseline[s]) for s in common]
    return f'{np.mean(each):+.1f} %' + span(over_seeds(each), '()', '+')


def supervision_pages(held: Values) -> list[str]:
    """Of all kinds of data that have rows."""
    out = []
    for data, title in TITLES.items():
        rows = held.get(data, {}).get('rows')
        if not rows:
            continue
        out.append(f'### {title}')
        chosen = held[data].get('tuning', {}).get('chosen')
        floor = held[data].get('floor', {}).get(KEY)
        if floor:
            out.append('The mean of all training poses is off by '
                       f'{floor:.1f} mm (MPJPE, canonical frame).')
        if chosen:
            out.append('Chosen on the validation part at 5 % labels, three '
                       'trials a loss (`triangulated` has nothing to tune): '
                       + ', '.join(f'{k} {v:g}' for k, v in chosen.items())
                       + '.')
        for key, name in ERRORS.items():
            if any(key in row for row in rows.values()):
                out += [f'{name}, mm:', supervision(rows, key)]
        options = beyond(rows)
        if options:
            out += ['Beyond the paper: MPJPE, canonical frame, mm, against '
                    '`metric`; and how well the uncertainty of an embedding '
                    'tells the error of its pose (`PoseSureness`):', options]
    return out


def page(labels: Values, found: Values) -> str:
    """The whole page.

    Args:
        labels (Mapping): Of benchmarks/metric_pose_supervision.py.
        found (Mapping): Of benchmarks/retrieval_table.py.
    """
    out = [
        '# Metric pose: all tables',
        'Made by `python -m benchmarks.retrieval.tables` from what `python '
        'benchmarks/metric_pose_supervision.py` and `python benchmarks/'
        'retrieval_table.py` measured; what the rows and columns are stands '
        'there. Held out are whole people and, of captured motion, whole '
        'subjects or styles. The method is a reconstruction of Mitra et '
        'al., arXiv 1908.05293, from its abstract (docs/metric_pose.md).',
        '## Error against 3D labels']
    made = supervision_pages(labels)
    if made:
        out += ['Mean over seeds ± standard deviation (seeds). Gain: per '
                'cent of the baseline\'s error, mean over seeds, (95 % by '
                'Student\'s t). The abstract\'s relative gain, on its own '
                f'data, is {PAPER_GAIN} % where 3D supervision is limited.',
                *made]
    else:
        out.append('Not measured yet.')
    out += ['## Retrieval across views']
    if found:
        out += ['Means over queries, then over ordered pairs of views, then '
                'over seeds; [95 % over clips of the queries], (95 % over '
                'seeds). Recall and Hit in per cent, errors in mm, '
                '`turned` in degrees between the sides from which the query '
                'and what it finds are seen: small where what is seen is '
                'compared and not the pose. '
                '`oracle` is ranked by the true canonical pose: the least '
                'canonical MPJPE that there is, not quite the most hits. '
                'Rows named *3D pose* rank by the regressed canonical pose '
                'in place of the embedding.']
        for data, title in TITLES.items():
            if data in found:
                out += [f'## {title}', *retrieval(found[data])]
    else:
        out.append('Not measured yet.')
    return '\n\n'.join(out) + '\n'


def main() -> None:
    """Writes the page."""
    held = [json.loads(path.read_text()) if path.is_file() else {}
            for path in (RESULTS / 'metric_pose_supervision.json',
                         RESULTS / 'retrieval_table.json')]
    OUT.write_text(page(*held))
    print('written to', OUT.relative_to(ROOT))


if __name__ == '__main__':
    main()
