"""One self-contained HTML file about everything in a work dir."""
from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import mmcv
import mmengine
import mmpose
import numpy as np
import torch
from mmpose.registry import DATASETS

from ..evaluation.pck import NORMS
from ..utils.files import write_text
from ..version import __version__
from . import gallery, tables
from .curves import (
    QUIET,
    Curve,
    Panel,
    curves_figure,
    figure_png,
    panels_of,
)
from .drawing import data_uri
from .keypoint_gallery import shows_keypoints
from .label_efficiency import efficiency_section
from .page import Section, page
from .report_pictures import picture_sections
from .sequence_gallery import shows_sequences
from .work_dir import CURRICULUM, Stage, find, read_stages


def build_report(work_dir: str | Path,
                 out: str | Path | None = None,
                 images: int = 8,
                 results: Sequence[Mapping[str, Any]] | Mapping[str, Any]
                 | None = None,
                 title: str | None = None,
                 extra_sections: Mapping[str, str] | None = None,
                 compare: Sequence[str | Path] = ()) -> Path:
    """Writes the report of a curriculum's work dir.

    What is not there yet, or cannot be read or drawn, is said in a box at
    the top; the rest is shown.

    Args:
        work_dir (str | Path): What ``tools/train.py`` wrote.
        out (str | Path, optional): The HTML file. Defaults to
            ``report.html`` in the work dir.
        images (int): Test images in the gallery; 0 for no pictures.
            Defaults to 8.
        results (Sequence[Mapping] | Mapping, optional): Rows ``{method,
            labelled, unlabelled, seed, pck: {Head ... Total}}``, or a dict
            with them under ``results``, to be shown as a table first.
        title (str, optional): Defaults to one with the work dir's name.
        extra_sections (Mapping[str, str], optional): Title to HTML of
            further sections, which stand after the tables. The HTML is
            trusted.
        compare (Sequence[str | Path]): Further work dirs of the same
            curriculum, with other shares of labels or seeds: scores of all
            are drawn against the share of labels. Defaults to none.

    Returns:
        Path: The file.

    Raises:
        FileNotFoundError: There is no such work dir.
        ValueError: It holds no stage, ``images`` is negative, or a row of
            ``results`` is incomplete.
    """
    if images < 0:
        raise ValueError(f'images must not be negative, got {images}')
    root = Path(work_dir)
    stages, notes = read_stages(root)
    out = Path(out) if out else root / 'report.html'
    sections = [Section('What was run', run_section(stages, notes))]
    found = results['results'] if isinstance(results, Mapping) else results
    if found:
        sections.append(Section('Results', tables.result_table(found)))
    sections.append(Section('Scores on the test set',
                            score_section(stages, notes)))
    if compare:
        sections.append(Section('Label efficiency', efficiency_section(
            [root, *compare], notes)))
    sections += [Section(*item) for item in (extra_sections or {}).items()]
    sections.append(Section('Learning curves', curve_section(stages)))
    if images:
        sections += picture_sections(stages, images, notes)
    text = page(title or f'mirrorpose: {root.resolve().name}', sections,
                notes)
    write_text(out, text)
    return out


def run_section(stages: Sequence[Stage], notes: list[str]) -> str:
    """Facts about the run, and a table of the stages."""
    facts: dict[str, str] = {}
    configs = [s.config for s in stages if s.config is not None]
    names = sorted({p.name for s in stages for p in s.folder.glob('*.py')
                    if p.stem != s.name})
    if names:
        facts['Config'] = ', '.join(names)
    if configs:
        cfg = configs[-1]
        if cfg.get('label_fraction') is not None:
            facts['Annotated share'] = f'{cfg.label_fraction:.0%}' + (
                f', split seed {cfg.split_seed}'
                if cfg.get('split_seed') is not None else '')
        facts['Images'] = count_text(stages, notes)
        codec = next((e for e in find(cfg.get('train_dataloader'), 'encoder')
                      if 'heatmap_size' in e), None)
        if codec:
            facts['Resolution'] = 'input {} × {} px, heatmaps {} × {}'.format(
                *codec['input_size'], *codec['heatmap_size'])
        seed = (cfg.get('randomness') or {}).get('seed')
        facts['Seed'] = 'not fixed' if seed is None else str(seed)
    seconds = [s.seconds for s in stages if s.seconds]
    if seconds:
        facts['Training time'] = f'{sum(seconds) / 60:.0f} min in all'
    facts['Versions'] = (
        f'mirrorpose {__version__}, mmpose {mmpose.__version__}, mmengine '
        f'{mmengine.__version__}, mmcv {mmcv.__version__}, PyTorch '
        f'{torch.__version__}, Python {platform.python_version()} (of this '
        'report)')
    facts['Report made'] = time.strftime('%Y-%m-%d %H:%M')
    items = ''.join(f'<dt>{escape(k)}</dt><dd>{escape(v)}</dd>'
                    for k, v in facts.items() if v)
    rows = []
    for stage in stages:
        minutes = f'{stage.seconds / 60:.1f}' if stage.seconds else '–'
        rows.append((stage.title, CURRICULUM.get(stage.name, ('', ''))[1],
                     f'{stage.done} of {stage.planned or "?"}', minutes,
                     'finished' if stage.finished else 'unfinished'))
    return f'<dl class="facts">{items}</dl>' + tables.plain_table(
        ('stage', 'learns from', 'epochs', 'minutes', ''), rows)


def count_text(stages: Sequence[Stage], notes: list[str]) -> str:
    """How many annotated, un-annotated and test images there were."""
    configs = [s.config for s in stages if s.config is not None
               and s.config.get('train_dataloader')]
    if any(shows_sequences(s) or shows_keypoints(s) for s in stages):
        return ''
    counts = {'annotated': 0, 'un-annotated': 0}
    try:
        # The last stage has both; a leaf is a data set that holds no others.
        for leaf in _leaves(configs[-1].train_dataloader.dataset):
            free = leaf.get('part') == 'unlabelled' or 'DropLabels' in set(
                find(leaf.get('pipeline', ()), 'type'))
            counts['un-annotated' if free else 'annotated'] += _length(leaf)
        tests = [s.image_data for s in stages if s.image_data is not None]
        if tests:
            counts['for testing'] = sum(_length(leaf) for leaf in _leaves(
                tests[-1]['dataset']))
    except (IndexError, *gallery.BROKEN) as error:
        notes.append('the images cannot be counted: '
                     + gallery.one_line(error))
        return ''
    return ', '.join(f'{n:,} {what}'.replace(',', ' ')
                     for what, n in counts.items() if n)


def _leaves(dataset: Mapping) -> list[Mapping]:
    if 'datasets' in dataset:
        return [leaf for d in dataset['datasets'] for leaf in _leaves(d)]
    if isinstance(dataset.get('dataset'), Mapping):
        return _leaves(dataset['dataset'])
    return [dataset]


def _length(leaf: Mapping) -> int:
    with gallery.mmpose_scope():
        return len(DATASETS.build(dict(leaf, pipeline=[])))


# -- scores ---------------------------------------------------------------
def score_section(stages: Sequence[Stage], notes: list[str]) -> str:
    """The table of the paper, once a normaliser."""
    rows = tables.compared(stages)
    if not rows and stages and not any(
            s.name in CURRICULUM and not s.alone for s in stages):
        return last_scores(stages[-1])
    if not rows:
        notes.append('no scores yet: none of the stages baseline, '
                     'supervised_long and semi_supervised was validated')
        return '<p>There are no scores yet.</p>'
    html = ('<p>Mean over the averaged epochs of each stage. Below a value: '
            'the difference to the baseline, in points. ± is the standard '
            'deviation of Total over these epochs (of one run; it says '
            'nothing about other seeds).</p>')
    for label, stage in rows:
        if label == 'supervised' and stage.name == 'supervised':
            notes.append('the row "supervised" is that of the shorter stage '
                         '(supervised); supervised_long has no scores yet')
    for norm in rows[0][1].norms or list(NORMS)[:1]:
        html += (f'<h3>{tables.norm_title(norm, rows[0][1].threshold)}</h3>'
                 + tables.stage_table(rows, norm))
    return html


def last_scores(stage: Stage) -> str:
    """All figures of the last validation."""
    if not stage.scalars.val:
        return '<p>There are no scores yet.</p>'
    last = stage.scalars.val[-1]
    return (f'<p>Validation after epoch {last.get("step", "?")}.</p>'
            + tables.plain_table(('figure', 'value'), [
                (key.replace('/', ': ').replace('_', ' '), f'{value:.4f}')
                for key, value in last.items() if key not in QUIET
                and isinstance(value, (int, float))]))


# -- curves ---------------------------------------------------------------
def curve_section(stages: Sequence[Stage]) -> str:
    """Panels of every stage, after one that compares the recognizers."""
    html = ('<p>A term that is a negative log-likelihood of a density may be '
            'below zero. Held-out curves are of the data that the stage '
            'validates on.</p>')
    both = comparison_panel(stages)
    if both is not None:
        html += '<h3>All recognizers</h3>' + _figures([both])
    cells = heatmap_cells(stages)
    for stage in stages:
        panels = panels_of(stage.scalars, cells, stage.norms)
        html += f'<h3>{escape(stage.title)}</h3>' + (
            _figures(panels) if panels else '<p>Nothing was logged yet.</p>')
    return html


def _figures(panels: Sequence[Panel]) -> str:
    images = ''.join(
        f'<img alt="{escape(p.title)}" '
        f'src="{data_uri(figure_png(curves_figure(p)))}">' for p in panels)
    return f'<div class="curves">{images}</div>'


def comparison_panel(stages: Sequence[Stage]) -> Panel | None:
    """PCK of every recognizer over the epochs that it has been trained."""
    by_name = {s.name: s for s in stages}
    curves = []
    for stage in stages:
        rows = [r for r in stage.scalars.val if 'pck/Total' in r]
        if not rows:
            continue
        before, parent = 0, by_name.get(stage.parent or '')
        for _ in stages:  # a chain is no longer
            if parent is None:
                break
            before += parent.planned or parent.done
            parent = by_name.get(parent.parent or '')
        curves.append(Curve(
            stage.title, np.array([before + r['step'] for r in rows], float),
            np.array([r['pck/Total'] for r in rows], float), True))
    if len(curves) < 2:
        return None
    norms = next((s.norms for s in stages if s.norms), ['?'])
    return Panel('Correct keypoints on the test set, all joints',
                 f'PCK in %, {NORMS.get(norms[0], norms[0])}', curves,
                 'epochs that the recognizer has been trained')


def heatmap_cells(stages: Sequence[Stage]) -> int | None:
    """Joints times cells of a heatmap: what the losses are divided by."""
    for stage in stages:
        if stage.config is None:
            continue
        sizes = list(find(stage.config.get('train_dataloader') or {},
                          'heatmap_size'))
        model = stage.config.model
        joints = (model.get('head') or {}).get('out_channels') or next(
            find(model.get('pose_vae'), 'in_channels'), None)
        if sizes and joints:
            return int(joints * sizes[0][0] * sizes[0][1])
    return None
