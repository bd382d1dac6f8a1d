"""One self-contained HTML file about everything in a work dir."""
from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import mmcv
import mmengine
import mmpose
import numpy as np
import torch
from mmpose.registry import DATASETS

from ..evaluation.pck import NORMS
from ..utils.files import write_text
from ..version import __version__
from . import gallery, prior_gallery, tables
from .curves import (
    QUIET,
    Curve,
    Panel,
    curves_figure,
    figure_png,
    panels_of,
)
from .drawing import data_uri, png
from .sequence_gallery import sequence_html, shows_sequences
from .work_dir import CURRICULUM, Stage, find, read_stages

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem 1.2rem 4rem; max-width: 1180px;
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; color: #1d2329;
  background: #fff; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: .6rem 0 .3rem; }
h2 { font-size: 1.3rem; margin: 2.4rem 0 .6rem; padding-top: .7rem;
  border-top: 1px solid #d9dee3; }
h3 { font-size: 1.05rem; margin: 1.4rem 0 .4rem; }
p { max-width: 75ch; margin: .4rem 0 .8rem; }
nav a { margin-right: 1rem; } a { color: #1f5fa8; }
small, .faint { color: #5b6670; }
small { font-size: .82em; }
.better { color: #1d7a35; } .worse { color: #b3261e; }
.notes { background: #fff6e0; border: 1px solid #ecd9a4; border-radius: 6px;
  padding: .6rem 1rem; margin: 1rem 0; }
.notes ul { margin: .3rem 0; padding-left: 1.2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .4rem 0 1rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid #e4e8ec; }
thead th { border-bottom: 2px solid #aab4bd; font-weight: 600; }
.scores td, .scores thead th { text-align: right; white-space: nowrap; }
.scores .total { font-weight: 600; background: #f4f7fa; }
dl.facts { display: grid; grid-template-columns: max-content 1fr;
  gap: .15rem 1rem; margin: .4rem 0 1rem; }
dl.facts dt { color: #5b6670; } dl.facts dd { margin: 0;
  overflow-wrap: anywhere; }
.curves { display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr)); }
.curves img { width: 100%; height: auto; border: 1px solid #e4e8ec;
  border-radius: 4px; }
.row { display: grid; gap: .5rem; margin: .3rem 0 1.2rem;
  grid-template-columns: repeat(auto-fill, minmax(132px, 1fr)); }
.sheet { display: grid; gap: 4px; margin: .3rem 0; min-width: 34rem; }
figure { margin: 0; } figure img, .sheet img { width: 100%; height: auto;
  display: block; border-radius: 3px; image-rendering: pixelated; }
.sheet figure { display: flex; flex-direction: column;
  justify-content: flex-end; }
figcaption { font-size: .78rem; line-height: 1.3; color: #48525b;
  padding: .15rem 0; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px;
  margin: 0 .3em 0 .8em; }
"""

_COLOR_KEY = ('<p class="faint">Limbs and joints: '
              '<span class="key" style="background:#00ff00"></span>left '
              '<span class="key" style="background:#ff8000"></span>right '
              '<span class="key" style="background:#3399ff"></span>middle'
              '</p>')


class Section(NamedTuple):
    """A section of the report; ``html`` is inserted as it is."""

    title: str
    html: str


def build_report(work_dir: str | Path,
                 out: str | Path | None = None,
                 images: int = 8,
                 results: Sequence[Mapping[str, Any]] | Mapping[str, Any]
                 | None = None,
                 title: str | None = None,
                 extra_sections: Mapping[str, str] | None = None) -> Path:
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
    sections += [Section(*item) for item in (extra_sections or {}).items()]
    sections.append(Section('Learning curves', curve_section(stages)))
    if images:
        sections += picture_sections(stages, images, notes)
    text = page(title or f'mirrorpose: {root.resolve().name}', sections,
                notes)
    write_text(out, text)
    return out


def page(title: str, sections: Sequence[Section],
         notes: Sequence[str]) -> str:
    """The whole HTML page."""
    links = ''.join(f'<a href="#s{i}">{escape(s.title)}</a>'
                    for i, s in enumerate(sections))
    body = ''.join(f'<section id="s{i}"><h2>{escape(s.title)}</h2>{s.html}'
                   '</section>' for i, s in enumerate(sections))
    box = ''
    if notes:
        items = ''.join(f'<li>{escape(n)}</li>'
                        for n in dict.fromkeys(notes))
        box = ('<div class="notes"><strong>What is missing</strong>'
               f'<ul>{items}</ul></div>')
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, '
            f'initial-scale=1"><title>{escape(title)}</title>'
            f'<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>'
            f'<nav>{links}</nav>{box}{body}</body></html>\n')


# -- what was run ---------------------------------------------------------
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
    if any(shows_sequences(s) for s in stages):
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
    if not rows and any(s.alone for s in stages):
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


# -- pictures -------------------------------------------------------------
def picture_sections(stages: Sequence[Stage], number: int,
                     notes: list[str]) -> list[Section]:
    """Gallery, pose samples and image samples, as far as there are any.

    Of a completer: sequences in motion.
    """
    if any(shows_sequences(stage) for stage in stages):
        return [Section('Completed sequences', sequence_html(
            stages, number, notes))]
    networks, problems = gallery.load_networks(stages)
    notes += problems
    if networks.preprocessor is None:
        notes.append('no pictures: no stage has weights that can be loaded')
        return [Section('Gallery', '<p>There are no weights yet.</p>')]
    sections = []
    try:
        batch, total, skeleton = gallery.load_samples(stages, number)
    except gallery.BROKEN as error:
        notes.append('no test images to draw: ' + gallery.one_line(error))
        batch = None
        sections.append(Section(
            'Gallery', '<p>There are no test images here.</p>'))
    if batch is not None:
        try:
            rows = gallery.people(networks, batch, skeleton)
            sections.append(Section('Gallery', gallery_html(
                networks, rows, total)))
        except gallery.BROKEN as error:
            notes.append('the gallery cannot be drawn: '
                         + gallery.one_line(error))
        sections += prior_sections(stages, networks, number, notes)
    sections.append(Section('Poses from the pose VAE', pose_html(
        networks, notes)))
    sections.append(Section('Images from the image VAE', image_html(
        networks, batch, notes)))
    return sections


def gallery_html(networks: gallery.Networks, rows: Sequence[gallery.Row],
                 total: int) -> str:
    """The gallery of test images."""
    html = (f'<p>{len(rows)} of the {total} test images, evenly spaced, not '
            'chosen. Joints that are not annotated are not drawn; counted '
            'are joints within 0.2 of the tight box (PCK). The generators '
            'work on the reduced image.</p>' + _COLOR_KEY
            + _sources(networks))
    return html + gallery_rows(rows)


def prior_sections(stages: Sequence[Stage], networks: gallery.Networks,
                   number: int, notes: list[str]) -> list[Section]:
    """Poses before and after the prior, and the least plausible ones."""
    if networks.recognizer is None or networks.pose_vae is None:
        return []
    try:
        batch, total, skeleton = gallery.load_samples(
            stages, prior_gallery.POOL * number)
        judged = prior_gallery.judge(networks, batch)
        count = len(judged.samples)
        error = prior_gallery.errors(judged)
        worst = prior_gallery.least_plausible(judged, number)
        # Those of the gallery are spread the same way.
        spread = ((np.arange(min(number, count)) + 0.5) * count
                  / min(number, count)).astype(int).tolist()
        shown = [gallery_rows(prior_gallery.prior_rows(
            judged, chosen, skeleton)) for chosen in (spread, worst)]
    except gallery.BROKEN as error_:
        notes.append('the pose prior cannot be shown: '
                     + gallery.one_line(error_))
        return []
    return [
        Section('Poses before and after the prior', (
            '<p>The recognized pose, and what the pose VAE gives back for '
            'it. Nats are the bound of its log-probability: comparable '
            'between images, not calibrated. A pose that looks more usual '
            'need not be nearer to the truth: compare the counts.</p>'
            + _COLOR_KEY + shown[0])),
        Section('Worst cases by plausibility', (
            f'<p>The {len(worst)} least plausible of {count} test images '
            f'(evenly spaced over {total}). Mean error over the side of the '
            f'input: {np.nanmean(error[worst]):.3f} here, '
            f'{np.nanmean(error):.3f} over all {count}.</p>' + shown[1]))]


def gallery_rows(rows: Sequence[gallery.Row]) -> str:
    """Rows of pictures under their titles."""
    return ''.join(
        f'<h3>{escape(row.title)}</h3><div class="row">'
        + ''.join(_tile(t) for t in row.tiles) + '</div>' for row in rows)


def pose_html(networks: gallery.Networks, notes: list[str]) -> str:
    """Samples of the pose VAE."""
    if networks.pose_vae is None:
        notes.append('no pose samples: the pose VAE is not trained yet')
        return '<p>The pose VAE is not trained yet.</p>'
    try:
        rows = gallery.sampled_poses(networks.pose_vae)
    except gallery.BROKEN as error:
        notes.append('poses cannot be sampled: ' + gallery.one_line(error))
        return '<p>There are no samples.</p>'
    return ('<p>Drawn from its prior: a standard normal latent, decoded. '
            'Joints whose map stays below 0.2 are not drawn as peaks.</p>'
            + _COLOR_KEY + ''.join(
                f'<h3>{escape(row.title)}</h3>' + _sheet([row])
                for row in rows))


def image_html(networks: gallery.Networks, batch: dict[str, list] | None,
               notes: list[str]) -> str:
    """Samples of the image VAE."""
    if networks.image_vae is None or networks.mask_estimator is None:
        notes.append('no image samples: the image VAE is not trained yet')
        return '<p>The image VAE is not trained yet.</p>'
    if batch is None:
        return '<p>There are no test images whose poses could be used.</p>'
    few = {k: v[:5] for k, v in batch.items()}
    try:
        drawn = gallery.sampled_images(networks, few)
        swapped = gallery.swapped_appearances(networks, few)
    except gallery.BROKEN as error:
        notes.append('images cannot be sampled: ' + gallery.one_line(error))
        return '<p>There are no samples.</p>'
    return ('<p>Every row has one annotated pose. Latents that are drawn '
            'come from a standard normal; the others are those of the image.'
            '</p><h3>Appearance and scene drawn</h3>' + _sheet(drawn)
            + '<h3>Appearance of another person</h3><p>Rows: pose and scene; '
            'columns: whose appearance.</p>' + _sheet(swapped))


def _sources(networks: gallery.Networks) -> str:
    names = dict(recognizer='recognizer', mask_estimator='mask estimator',
                 image_vae='image VAE', pose_vae='pose VAE')
    known = [f'{names[k]}: {v}' for k, v in networks.sources.items()]
    return f'<p class="faint">Weights. {escape("; ".join(known))}.</p>'


def _tile(tile: gallery.Tile) -> str:
    return (f'<figure><img alt="{escape(tile.caption)}" '
            f'src="{data_uri(png(tile.image))}">'
            f'<figcaption>{escape(tile.caption)}</figcaption></figure>')


def _sheet(rows: Sequence[gallery.Row]) -> str:
    """Rows of equal length on one grid; captions above the first."""
    width = max(len(row.tiles) for row in rows)
    cells = ''
    for i, row in enumerate(rows):
        for tile in row.tiles:
            caption = f'<figcaption>{escape(tile.caption)}</figcaption>' \
                if i == 0 and tile.caption else ''
            cells += (f'<figure>{caption}<img alt="{escape(tile.caption)}" '
                      f'src="{data_uri(png(tile.image))}"></figure>')
    return (f'<div class="wide"><div class="sheet" style="grid-template-'
            f'columns:repeat({width},minmax(0,150px))">{cells}</div></div>')
