"""The results of the benchmark as a page.

    python -m benchmarks.labels.tables

Writes ``docs/label_efficiency_tables.md`` from
``benchmarks/results/label_efficiency.json``.
"""
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..completion.tables import markdown
from .plan import GROUPS, RESULT
from .rows import ROWS, UNSUPPORTED
from .runs import ROOT

OUT = ROOT / 'docs' / 'label_efficiency_tables.md'
TITLES = dict(
    main='LSP + LSPET', synthetic='The embedded world',
    terms="MirrorNet's terms, one by one", compositions='Batches of Table 9',
    parts="Recombination's parts", rivals='Rivals',
    beyond='On top of recombination', priors='Poses without images',
    long='Three times the steps')
Values = Mapping[str, Any]


def _score(values: Values) -> str:
    """Mean over seeds, and their standard deviation."""
    sd = values['sd']
    return f'{values["mean"]:.1f}' + ('' if sd is None else f' ± {sd:.1f}')


def _difference(values: Values) -> str:
    """Mean, 95 % over people, 95 % over seeds."""
    low, high = values['people']
    text = f'{values["mean"]:+.1f} [{low:+.1f}, {high:+.1f}]'
    if values['seeds']:
        text += ' ({:+.1f}, {:+.1f})'.format(*values['seeds'])
    return text


def rows_table(rows: Values) -> str:
    """Scores of the rows of one share of labels."""
    return markdown(
        ('', 'torso', 'box', 'seeds', 'steps', 'annotated seen',
         'un-annotated seen', 'minutes'),
        [[v['title'], _score(v['torso']), _score(v['bbox']),
          str(len(v['seeds'])), str(v['steps']),
          f'{v["annotated_seen"]:,}', f'{v["unannotated_seen"]:,}',
          f'{v["cpu_minutes"]:.0f}'] for v in rows.values()])


def _called(row: str) -> str:
    return ROWS[row].title if row in ROWS else 'the start'


def differences_table(differences: Values) -> str:
    """Differences of the rows of one share of labels."""
    lines = []
    for key, values in differences.items():
        one, other = key.split(' - ')
        lines.append([f'{_called(one)} – {_called(other)}',
                      _difference(values['torso']),
                      _difference(values['bbox']),
                      str(len(values['seeds']))
                      + ' †' * bool(values.get('other_starts'))])
    return markdown(('', 'torso', 'box', 'seeds'), lines)


def group_tables(found: Values) -> list[str]:
    """Both tables of every share of labels of a group."""
    out = []
    for percent, held in found['percent'].items():
        out += [f'{percent} % of the labels, {found["side"]} people:',
                rows_table(held['rows'])]
        if held['differences']:
            out.append(differences_table(held['differences']))
    return out


def curves_table(curves: Values) -> str:
    """Torso score of the starts at every quarter."""
    starts = {k: v for k, v in curves.items() if 'start_' in k}
    return markdown(('start', 'torso (box) at steps'), [
        [name, ', '.join(f'{step}: {v["torso"]:.1f} ({v["bbox"]:.1f})'
                         for step, v in held.items())]
        for name, held in starts.items()])


def trust_table(held: Values) -> str:
    """Tests of trust, mean over seeds."""
    tests = list(dict.fromkeys(k for seeds in held.values()
                               for its in seeds.values() for k in its))

    def cell(row: str, test: str) -> str:
        known = [v for its in held[row].values()
                 if (v := its.get(test)) is not None]
        return f'{sum(known) / len(known):.3f}' if known else '–'

    return markdown(('', *(_called(row) for row in held)), [
        [test.replace('_', ' '), *(cell(row, test) for row in held)]
        for test in tests])


def _mean(values: list[float]) -> str:
    return f'{sum(values) / len(values):.3g}' if values else '–'


def own_errors_tables(held: Values) -> list[str]:
    """Priors against the recognizer's errors, and choosing; over seeds."""
    seeds = list(held.values())
    first = seeds[0]
    prefers = markdown(('', 'truth preferred', 'cosine'), [
        [name, *(_mean([s['prefers'][name][k] for s in seeds])
                 for k in ('truth_over_own', 'cosine'))]
        for name in first['prefers']])
    lines = [('the start', 'refined', 'before'),
             ('its poses refined', 'refined', 'after')]
    scores = markdown(('', 'torso', 'box'), [
        *([title, *(_mean([s[part][key][n] for s in seeds])
                    for n in ('torso', 'bbox'))]
          for title, part, key in lines),
        *([name, *(_mean([s['choice'][name][n] for s in seeds])
                   for n in ('torso', 'bbox'))]
          for name in first['choice'])])
    return [f'{len(seeds)} seeds, validation people. Wrong poses of the start '
            'against the truth:', prefers,
            'PCK@0.2 of the refined poses (one view of a person), and of the '
            'pose that is chosen from six views:', scores]


def page(held: Values) -> str:
    """The whole page."""
    out = [
        '# Label efficiency: all tables',
        'Made by `python -m benchmarks.labels.tables` from what `python '
        'benchmarks/label_efficiency.py` measured; what the rows and columns '
        'are stands there and in `benchmarks/labels/rows.py`. PCK@0.2, mean '
        'of 16 joints, ± standard deviation over seeds. Differences: mean, '
        '[95 % over people], (95 % over seeds). Images seen are those after '
        'the common start; minutes are of one core, without it. † marks '
        'differences of runs whose starts were trained on different '
        'machines.']
    last = held.get('final', {})
    for group in GROUPS:
        for found in (last.get(group), held.get(group)):
            if found and found['percent']:
                out += [f'## {TITLES[group]}, {found["side"]} people',
                        *group_tables(found)]
    if held.get('floor'):
        out += ['## The floor',
                'Everybody as the mean pose of the measured people, in the '
                'crop:', markdown(('', 'torso', 'box'), [
                    [f'{TITLES["main" if data == "lsp" else data]}, {side} '
                     'people', f'{v["torso"]:.1f}', f'{v["bbox"]:.1f}']
                    for data, sides in held['floor'].items()
                    for side, v in sides.items()])]
    if held.get('curves'):
        out += ['## Has the start saturated?', curves_table(held['curves'])]
    if held.get('trust'):
        out += ['## Which terms know what they are asked?',
                'On the validation people, with the parts as they are trained '
                'alone and the errors of the common start: shares of images '
                'on which the truth is preferred, cosine of the gradient with '
                'the way to the truth at wrong joints, median ratio of the '
                'gradients to recognition\'s. Rows lend their parts and their '
                'form of the pose.', trust_table(held['trust'])]
    if held.get('own_errors'):
        out += ["## A prior taught by the recognizer's own errors",
                *own_errors_tables(held['own_errors'])]
    out += ['## Not measured', 'There is no config value for:',
            '\n'.join(f'* {text}' for text in UNSUPPORTED)]
    return '\n\n'.join(out) + '\n'


def main() -> None:
    """Writes the page."""
    if not RESULT.is_file():
        raise SystemExit(f'{RESULT} is not there; run python benchmarks/'
                         'label_efficiency.py')
    OUT.write_text(page(json.loads(RESULT.read_text())))
    print('written to', OUT.relative_to(ROOT))


if __name__ == '__main__':
    main()
