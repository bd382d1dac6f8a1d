"""The results of the completers' benchmarks as a page.

    python -m benchmarks.completion.tables

Writes ``docs/jumps_tables.md`` from ``benchmarks/results/jumps_*.json``.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / 'benchmarks' / 'results'
OUT = ROOT / 'docs' / 'jumps_tables.md'
PLACES = dict(cmu='CMU, subject 01', bandai='Bandai-Namco, four styles')
Values = Mapping[str, Any]


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; numbers to the right."""
    lines = ['| ' + ' | '.join(head) + ' |',
             '| --- |' + ' ---: |' * (len(head) - 1)]
    return '\n'.join([*lines, *('| ' + ' | '.join(r) + ' |' for r in rows)])


def number(value: Any) -> str:
    """Three places; a dash where there is none."""
    return '–' if value is None or value != value else f'{value:.3f}'


def area(values: Values, joints: str) -> str:
    """Area with its interval."""
    its = values.get(joints)
    if not its:
        return '–'
    low, high = its['interval']
    return f'{its["AUC"]:.3f} [{low:.3f}, {high:.3f}]'


def paper_columns(values: Values) -> list[str]:
    """PCKh .1, .5, 1 and area over all joints, then the unseen."""
    return [*(number(values['all'][c]) for c in ('.1', '.5', '1', 'AUC')),
            area(values, 'unseen'), number(values['measured']['AUC'])]


PAPER_HEAD = ('', '@0.1', '@0.5', '@1', 'AUC, all 28', 'AUC, unseen',
              'unseen and measured')


def by_place(found: Values, head: Sequence[str],
             columns: Callable[[Values], list[str]]) -> str:
    """A table for each collection."""
    return '\n\n'.join(
        f'{title}:\n\n' + markdown(head, [
            [name, *columns(values)] for name, values in found[place].items()
        ]) for place, title in PLACES.items() if place in found)


def upsampling(held: Values) -> list[str]:
    """All parts of ``jumps_upsampling.json``."""
    out = []
    if 'table1' in held:
        out += ['## 12 joints to 28 (the paper\'s Table I)', by_place(
            held['table1'], (*PAPER_HEAD, 'velocity', 's / s of video'),
            lambda v: [*paper_columns(v), number(10 * v['unseen'][
                'velocity']), number(v['seconds'])]),
            '`velocity` is the mean error of the motion from frame to frame '
            'of the unseen joints, in tenths of a head.']
    if 'literal' in held:
        out += ['## Eqs. 9 and 10 to the letter', by_place(
            held['literal'], PAPER_HEAD, paper_columns)]
    for name, found in held.get('holes', {}).items():
        out += [f'## Holes: {name}', by_place(
            found, ('', 'AUC, lost of the twelve', 'AUC, unseen', 'AUC, all'),
            lambda v: [area(v, 'lost'), area(v, 'unseen'), number(
                v['all']['AUC'])])]
    if 'crossed' in held:
        out.append('## Trained on another collection')
        out += [f'{name}:\n\n' + markdown(PAPER_HEAD, [
            [row, *paper_columns(v)] for row, v in found.items()])
            for name, found in held['crossed'].items()]
    for part, title in (('seeds', 'Seeds'), ('variants', 'What the training '
                                             'of JUMPS has beyond the '
                                             'paper')):
        if part in held:
            out += [f'## {title}', 'AUC of the unseen joints:\n\n' + markdown(
                ('', *PLACES.values()), [[name, *(number(
                    v[p]['unseen']) for p in PLACES)]
                    for name, v in held[part].items()])]
    for name, found in held.get('options', {}).items():
        out += [f'## Options of the search, {name} input', by_place(
            found, ('', 'AUC, unseen', 'AUC, twelve', 'AUC, all'),
            lambda v: [area(v, 'unseen'), area(v, 'twelve'), number(
                v['all']['AUC'])])]
    if 'hypotheses' in held:
        out += ['## A limb that is never seen', by_place(
            held['hypotheses'], ('', 'AUC, lost', 'Spearman of spread and '
                                 'error', 'mean error', 'mean spread',
                                 'within 2 spreads'),
            lambda v: [number(v['lost']), number(v['spearman']),
                       f'{v["error"]:.1f}', f'{v["spread"]:.1f}',
                       number(v['within_2_spreads'])])]
    return out


def detector(held: Values) -> list[str]:
    """All parts of ``jumps_detector.json``."""
    titles = dict(noise='the statistics of real detectors',
                  replayed="BlazePose's own errors on LSP",
                  openpose='OpenPose on the real four-camera clip')
    head = ('', '@0.1', '@0.5', '@1', 'AUC, twelve', 'AUC, unseen',
            'AUC, damaged', 'gain there', 'AUC, good', 'gain there')

    def gain(values: Values) -> str:
        its = values.get('gain')
        return '' if its is None else '{:+.3f} [{:+.3f}, {:+.3f}]'.format(
            *its)

    def table(found: Values) -> str:
        return markdown(head, [[
            name, *(number(v['twelve'][c]) for c in ('.1', '.5', '1', 'AUC')),
            number(v.get('unseen', {}).get('AUC')),
            number(v['damaged']['AUC']), gain(v['damaged']),
            number(v['good']['AUC']), gain(v['good'])]
            for name, v in found.items()])

    out = []
    for part, title in titles.items():
        if part not in held:
            continue
        out.append(f'## Detectors: {title} (the paper\'s Table II)')
        if part == 'openpose':
            out.append(table(held[part]))
        else:
            out += [f'{place}:\n\n' + table(held[part][key])
                    for key, place in PLACES.items() if key in held[part]]
    return out


def prior(held: Values) -> list[str]:
    """``jumps_prior.json``."""
    sides = [k for k in held if k != 'windows']
    return ['## What priors of sequences can tell apart', markdown(
        ('', *(f'{s}, {w}' for s in sides for w in ('pairs', 'ROC'))),
        [[name, *(number(held[s][name][w]) for s in sides
                  for w in ('pairs', 'ROC'))] for name in held[sides[0]]])]


def main() -> None:
    """Writes the page."""
    parts = [
        '# Completers of pose sequences: all tables',
        'Made by `python -m benchmarks.completion.tables` from what '
        '`python benchmarks/jumps_upsampling.py`, `benchmarks/'
        'jumps_detector.py` and `benchmarks/jumps_prior.py` measured; what '
        'the columns are stands there. Held out are CMU\'s subject 01, who '
        'climbs and swings, and four styles of Bandai-Namco (their actors '
        'are known, their styles are not). Intervals are 95 % over clips.']
    for file, pages in (('jumps_upsampling', upsampling),
                        ('jumps_detector', detector),
                        ('jumps_prior', prior)):
        path = RESULTS / f'{file}.json'
        if path.is_file():
            parts += pages(json.loads(path.read_text()))
    OUT.write_text('\n\n'.join(parts) + '\n')
    print('written to', OUT.relative_to(ROOT))


if __name__ == '__main__':
    main()
