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


def difference(its: Sequence[float] | None) -> str:
    """A paired difference with its interval."""
    return '–' if its is None else '{:+.3f} [{:+.3f}, {:+.3f}]'.format(*its)


def by_place(found: Values, head: Sequence[str],
             columns: Callable[[Values], list[str]],
             against: Values | None = None) -> str:
    """A table for each collection.

    Args:
        found (Mapping): By collection and row.
        head (Sequence[str]): Of all columns.
        columns (Callable): Of a row; the last, of differences, is made of
            ``against``, if that is there.
        against (Mapping, optional): By collection and row.
    """
    def last(place: str, name: str) -> list[str]:
        return [] if against is None else [
            difference(against.get(place, {}).get(name))]

    return '\n\n'.join(
        f'{title}:\n\n' + markdown(head, [
            [name, *columns(values), *last(place, name)]
            for name, values in found[place].items()])
        for place, title in PLACES.items() if place in found)


def table1(held: Values) -> list[str]:
    """The paper's Table I, and errors of the unseen joints."""
    shaken = any('jitter' in v['unseen'] for place in PLACES
                 for v in held.get(place, {}).values())

    def columns(v: Values) -> list[str]:
        its = v['unseen']
        return [*(number(its[c]) for c in ('.1', '.5', '1')),
                number(its['error']), number(10 * its['velocity']), *(
            [number(10 * its.get('jitter', float('nan')))] if shaken else []),
            number(v['seconds'])]

    truth = ', '.join(f'{10 * v["unseen"]["jitter_truth"]:.3f} in {title}'
                      for place, title in PLACES.items() if shaken
                      for v in list(held.get(place, {}).values())[:1])
    return ['## 12 joints to 28 (the paper\'s Table I)', by_place(
        held, (*PAPER_HEAD, 'unseen, against the regressor'), paper_columns,
        held.get('against_regressor', {})),
        'The last column is the difference of that area, paired over clips.',
        by_place(held, ('', '@0.1, unseen', '@0.5', '@1', 'MPJPE', 'MPJVE', *(
            ['jitter'] if shaken else []), 's / s of video'),
            columns),
        'MPJPE in heads (errors beyond ten count as ten), MPJVE (the error '
        'of the motion from frame to frame) in tenths of a head' + (
            f', jitter (the mean change of velocity; truth: {truth}) too.'
            if shaken else '.')]


def answers(held: Values) -> list[str]:
    """Several answers to windows in which a limb is never seen."""
    return ['## Several answers for a limb that is never seen', by_place(
        held, ('', 'one answer', 'mean of 8', 'best of 8', 'windows'),
        lambda v: [*(number(v.get(k)) for k in (
            'one', 'mean_of_8', 'best_of_8')), str(v['windows'])]),
        'Mean distance of the lost joints in heads, over windows. Ridge\'s '
        'eight are samples, JUMPS\' its starts; the best is the nearest to '
        'the truth, which nobody knows in use.']


def upsampling(held: Values) -> list[str]:
    """All parts of ``jumps_upsampling.json``."""
    out = []
    if 'table1' in held:
        out += table1(held['table1'])
    if 'literal' in held:
        out += ['## Eqs. 9 and 10 to the letter', by_place(
            held['literal'], PAPER_HEAD, paper_columns)]
    for name, found in held.get('holes', {}).items():
        out += [f'## Holes: {name}', by_place(
            found, ('', 'AUC, lost of the twelve', 'AUC, unseen', 'AUC, all',
                    'lost, against interpolation'),
            lambda v: [area(v, 'lost'), area(v, 'unseen'), number(
                v['all']['AUC'])], found.get('lost_against_interpolation',
                                             {}))]
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
            found, ('', 'AUC, unseen', 'AUC, twelve', 'AUC, all',
                    'unseen, against JUMPS'),
            lambda v: [area(v, 'unseen'), area(v, 'twelve'), number(
                v['all']['AUC'])], found.get('against_default', {}))]
    if 'hypotheses' in held:
        out += ['## A limb that is never seen', by_place(
            held['hypotheses'], ('', 'AUC, lost', 'Spearman of spread and '
                                 'error', 'mean error', 'mean spread',
                                 'within 2 spreads'),
            lambda v: [number(v['lost']), number(v['spearman']),
                       f'{v["error"]:.1f}', f'{v["spread"]:.1f}',
                       number(v['within_2_spreads'])])]
    if 'answers' in held:
        out += answers(held['answers'])
    return out


def detector(held: Values) -> list[str]:
    """All parts of ``jumps_detector.json``."""
    titles = dict(noise='the statistics of real detectors',
                  replayed="BlazePose's own errors on " + held.get(
                      'replayed', {}).get('people', 'LSP'),
                  openpose='OpenPose on the real four-camera clip')

    def counted(found: Values) -> str:
        its = next(iter(found.values()))
        return ', '.join(
            f'{its[k]["joints"]:,} {k} joints' + (
                f' of {its[k]["clips"]} clips' if 'clips' in its[k] else '')
            for k in ('damaged', 'good') if k in its) + '.'

    def tables(found: Values) -> str:
        rows = found.items()
        return '\n\n'.join([
            markdown(('', *(f'twelve @{c}' for c in ('0.1', '0.5', '1')),
                      'AUC, twelve', *(f'unseen @{c}' for c in (
                          '0.1', '0.5', '1')), 'AUC, unseen'), [
                [name, *(text for k in ('twelve', 'unseen') for text in (
                    *(number(v.get(k, {}).get(c)) for c in ('.1', '.5', '1')),
                    area(v, k)))] if name != 'input' else
                # The detector has no others.
                [name, *(number(v['twelve'][c]) for c in ('.1', '.5', '1')),
                 area(v, 'twelve'), *'––––'] for name, v in rows]),
            counted(found),
            markdown(('', 'AUC, damaged', 'against the input', 'AUC, good',
                      'against the input'), [
                [name, *(text for k in ('damaged', 'good') for text in (
                    area(v, k), difference(v.get(k, {}).get('gain'))))]
                for name, v in rows])])

    out = []
    for part, title in titles.items():
        if part not in held:
            continue
        out.append(f'## Detectors: {title} (the paper\'s Table II)')
        if part == 'openpose':
            out.append(tables(held[part]))
        else:
            out += [f'{place}:\n\n' + tables(held[part][key])
                    for key, place in PLACES.items() if key in held[part]]
    if 'keep' in held:
        found = held['keep']
        out += ["## Detectors: the robust ridge's `keep`, on validation clips",
                markdown(('`keep`', *(f'{m}, {k}' for m in found
                                      for k in ('damaged', 'good'))), [
                    [limit, *(difference(found[m][limit][k]) for m in found
                              for k in ('damaged', 'good'))]
                    for limit in next(iter(found.values()))])]
    return out


def prior(held: Values) -> list[str]:
    """``jumps_prior.json``."""
    sides = [k for k in held if k != 'windows']
    return ['## What priors of sequences can tell apart', markdown(
        ('', *(f'{s}, {w}' for s in sides for w in ('pairs', 'ROC'))),
        [[name, *(number(held[s][name][w]) for s in sides
                  for w in ('pairs', 'ROC'))] for name in held[sides[0]]])]


def page() -> str:
    """All tables of the results that there are."""
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
    return '\n\n'.join(parts) + '\n'


def main() -> None:
    """Writes the page."""
    OUT.write_text(page())
    print('written to', OUT.relative_to(ROOT))


if __name__ == '__main__':
    main()
