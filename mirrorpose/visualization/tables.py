"""Scores as HTML tables, with differences to the baseline."""
from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np

from ..evaluation.pck import NORMS, PARTS
from .work_dir import Stage

COLUMNS = (*PARTS, 'Total')


class ScoreRow(NamedTuple):
    """One row of a table of PCK.

    Attributes:
        title (str): Its name.
        values (Mapping[str, float]): Column to percent.
        baseline (Mapping[str, float] | None): What it is compared with.
        cells (Sequence[str]): Text of further cells, before the columns.
        spread (float | None): Of Total over the averaged epochs, in points.
    """

    title: str
    values: Mapping[str, float]
    baseline: Mapping[str, float] | None = None
    cells: Sequence[str] = ()
    spread: float | None = None


def compared(stages: Sequence[Stage]) -> list[tuple[str, Stage]]:
    """The rows of the paper's table that exist: label and stage."""
    by_name = {s.name: s for s in stages}
    rows = []
    for label, names in (('baseline', ('baseline', )),
                         ('supervised', ('supervised_long', 'supervised')),
                         ('semi-supervised', ('semi_supervised', ))):
        for name in names:
            stage = by_name.get(name)
            if stage is not None and stage.scores.get('mean'):
                rows.append((label, stage))
                break
    return rows


def pck_of(scores: Mapping[str, float], norm: str,
           norms: Sequence[str]) -> dict[str, float]:
    """The columns of one normaliser out of a run's results.

    Keys end in the column, or in ``Column_norm`` where the normaliser is not
    the first of the metric.
    """
    suffix = '' if not norms or norm == norms[0] else f'_{norm}'
    out = {}
    for column in COLUMNS:
        for key, value in scores.items():
            if key.rpartition('/')[2] == column + suffix and \
                    key.startswith('pck'):
                out[column] = float(value)
    return out


def stage_table(rows: Sequence[tuple[str, Stage]], norm: str) -> str:
    """The table of one normaliser, from the stages' averaged scores."""
    norms = rows[0][1].norms or ['bbox']
    base = next((pck_of(s.scores['mean'], norm, norms)
                 for label, s in rows if label == 'baseline'), None)
    out = []
    for label, stage in rows:
        values = pck_of(stage.scores['mean'], norm, norms)
        used = stage.scores.get('averaged_epochs') or []
        totals = [pck_of(v, norm, norms).get('Total', math.nan)
                  for k, v in (stage.scores.get('epochs') or {}).items()
                  if int(k) in {int(u) for u in used}]
        out.append(ScoreRow(
            label, values, None if label == 'baseline' else base,
            (_span(used), ),
            float(np.std(totals, ddof=1)) if len(totals) > 1 else None))
    return score_table(out, ('epochs', ))


def norm_title(norm: str, threshold: float) -> str:
    """What a normaliser is called above its table."""
    return f'PCK@{threshold:g}, {NORMS.get(norm, norm)}'


def _span(epochs: Iterable[int]) -> str:
    numbers = sorted(int(e) for e in epochs)
    if not numbers:
        return '?'
    if len(numbers) == 1:
        return str(numbers[0])
    return f'{numbers[0]}–{numbers[-1]}'


def result_table(results: Sequence[Mapping[str, Any]]) -> str:
    """Rows of a ``report.json``: method, labelled, unlabelled, seed, pck.

    A row is compared with the baseline of its labelled images and seed.

    Raises:
        ValueError: A row has no method or no ``pck``.
    """
    def group(row: Mapping[str, Any]) -> tuple:
        return row.get('labelled'), row.get('seed')

    for row in results:
        if 'method' not in row or not isinstance(row.get('pck'), Mapping):
            raise ValueError(
                'a row of results is dict(method=..., labelled=..., '
                'unlabelled=..., seed=..., pck=dict(Head=..., Total=...)); '
                f'got {dict(row)!r}')
    base = {group(r): r['pck'] for r in results if r['method'] == 'baseline'}
    facts = ('labelled', 'unlabelled', 'seed')
    return score_table([
        ScoreRow(str(r['method']), r['pck'],
                 None if r['method'] == 'baseline' else base.get(group(r)),
                 tuple(_number(r.get(f)) for f in facts))
        for r in results], facts)


def _number(value: Any) -> str:
    if isinstance(value, int):
        return f'{value:,}'.replace(',', ' ')
    return '–' if value is None else str(value)


def score_table(rows: Sequence[ScoreRow],
                extra_columns: Sequence[str] = ()) -> str:
    """An HTML table of PCK; differences stand below the values."""
    head = ''.join(f'<th>{escape(c)}</th>' for c in
                   ('', *extra_columns, *COLUMNS))
    body = []
    for row in rows:
        cells = ''.join(f'<td>{escape(c)}</td>' for c in row.cells)
        for column in COLUMNS:
            cells += _score_cell(
                row.values.get(column), (row.baseline or {}).get(column),
                row.spread if column == 'Total' else None,
                column == 'Total')
        body.append(f'<tr><th>{escape(row.title)}</th>{cells}</tr>')
    return ('<div class="wide"><table class="scores"><thead><tr>'
            f'{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>')


def _score_cell(value: float | None, base: float | None,
                spread: float | None, total: bool) -> str:
    kind = ' class="total"' if total else ''
    if value is None or not math.isfinite(value):
        return f'<td{kind}>–</td>'
    text = f'{value:.1f}'
    if spread is not None:
        text += f' <small>± {spread:.1f}</small>'
    if base is not None and math.isfinite(base):
        gap = value - base
        color = 'better' if gap >= 0.05 else 'worse' if gap <= -0.05 else ''
        sign = '+' if gap > -0.05 else '−'
        text += f'<br><small class="{color}">{sign}{abs(gap):.1f}</small>'
    return f'<td{kind}>{text}</td>'


def plain_table(head: Sequence[str],
                rows: Sequence[Sequence[str]]) -> str:
    """A table of text."""
    top = ''.join(f'<th>{escape(c)}</th>' for c in head)
    body = ''.join(
        '<tr>' + ''.join(f'<td>{escape(c)}</td>' for c in row) + '</tr>'
        for row in rows)
    return (f'<div class="wide"><table><thead><tr>{top}</tr></thead>'
            f'<tbody>{body}</tbody></table></div>')
