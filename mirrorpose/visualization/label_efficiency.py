"""Scores against the share of annotated images, over several work dirs."""
from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from .curves import Curve, Panel, curves_figure, figure_png
from .drawing import data_uri
from .tables import compared, norm_title, pck_of, plain_table
from .work_dir import read_stages

#: A work dir's share in percent, and Total by normaliser and row.
Scores = dict[tuple[str, float], dict[str, list[float]]]


def read_scores(work_dirs: Sequence[str | Path], notes: list[str]
                ) -> tuple[Scores, list[str], float]:
    """Total PCK of the compared recognizers of several work dirs.

    Args:
        work_dirs (Sequence[str | Path]): Of one curriculum with different
            ``label_fraction`` or seeds.
        notes (list[str]): Gets a line for each that has no scores.

    Returns:
        tuple: By (row, percent of labels) and normaliser the values of all
        runs; the normalisers in order; the threshold of PCK.
    """
    found: Scores = {}
    norms: list[str] = []
    threshold = .2
    for root in map(Path, work_dirs):
        stages, _ = read_stages(root)
        rows = compared(stages)
        share = next((s.config.get('label_fraction') for s in stages[::-1]
                      if s.config is not None), None)
        if not rows or share is None:
            notes.append(f'{root.name} is not in the label-efficiency curve: '
                         + ('its config has no label_fraction' if rows else
                            'none of its recognizers has scores'))
            continue
        first = rows[0][1]
        norms, threshold = norms or first.norms or ['bbox'], first.threshold
        for label, stage in rows:
            cell = found.setdefault((label, round(100 * share, 3)), {})
            for norm in norms:
                value = pck_of(stage.scores['mean'], norm,
                               stage.norms).get('Total')
                if value is not None:
                    cell.setdefault(norm, []).append(value)
    return found, norms, threshold


def efficiency_section(work_dirs: Sequence[str | Path],
                       notes: list[str]) -> str:
    """A curve for each recognizer, mean over runs, and the same as a table.

    Args:
        work_dirs (Sequence[str | Path]): See :func:`read_scores`.
        notes (list[str]): What is left out, and why.

    Returns:
        str: HTML.
    """
    found, norms, threshold = read_scores(work_dirs, notes)
    if not found:
        return '<p>There are no scores yet.</p>'
    labels = list(dict.fromkeys(label for label, _ in found))
    shares = sorted({share for _, share in found})
    html = ('<p>Mean over the runs of each share of annotated images; ± is '
            'the standard deviation between runs, in brackets their '
            'number.</p>')
    for norm in norms:
        title = norm_title(norm, threshold)
        curves = []
        for label in labels:
            known = [s for s in shares if found.get((label, s), {}).get(norm)]
            curves.append(Curve(label, np.array(known), np.array([
                np.mean(found[label, s][norm]) for s in known]), True))
        figure = curves_figure(Panel(
            f'Correct keypoints, {title}', 'PCK in %', curves,
            'annotated images in %'))
        html += (f'<h3>{escape(title)}</h3><div class="curves">'
                 f'<img alt="{escape(title)} by share of labels" '
                 f'src="{data_uri(figure_png(figure))}"></div>'
                 + plain_table(('', *(f'{s:g} %' for s in shares)), [
                     (label, *(_cell(found.get((label, s), {}).get(norm))
                               for s in shares)) for label in labels]))
    return html


def _cell(values: Sequence[float] | None) -> str:
    if not values:
        return '–'
    text = f'{np.mean(values):.1f}'
    if len(values) > 1:
        text += f' ± {np.std(values, ddof=1):.1f}'
    return f'{text} ({len(values)})'
