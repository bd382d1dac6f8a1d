"""Learning curves from the scalars that mmengine logs."""
from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

#: What people call the logged names, and the unit of the axis.
CELL, NATS = 'nats per heatmap cell', 'nats per sample'
NAMES: dict[str, tuple[str, str]] = {
    'loss': ('Sum of all terms', CELL),
    'loss_recognition': ('Pose recognition, negative log-likelihood', CELL),
    'loss_fidelity': ('Image reconstruction, negative log-likelihood', CELL),
    'loss_kl_appearance': ('KL of the appearance latent', CELL),
    'loss_kl_scene': ('KL of the scene latent', CELL),
    'loss_plausibility': ('Pose reconstruction, negative log-likelihood',
                          CELL),
    'loss_kl_primitive': ('KL of the pose latent (primitive)', CELL),
    'loss_mask': ('Silhouette, squared error', 'mean squared error'),
    'mon_bound': ('Bound on the log-probability', NATS),
    'mon_truth_over_swapped': ("Truth over another image's pose, image VAE",
                               'share of images'),
    'mon_truth_over_moved': ('Truth over one joint moved, image VAE',
                             'share of images'),
    'mon_truth_over_own': ("Truth over the recognizer's wrong pose",
                           'share of images'),
    'mon_cosine': ('Gradient of a term and the way to the truth', 'cosine'),
    'mon_gradient_ratio': ("Gradient of a term over recognition's", 'ratio'),
    'bound/bound': ('Bound on the log-probability', NATS),
    'bound/fidelity': ('Image reconstruction, log-likelihood', NATS),
    'bound/kl_appearance': ('KL of the appearance latent, negative', NATS),
    'bound/kl_scene': ('KL of the scene latent, negative', NATS),
    'bound/plausibility': ('Pose reconstruction, log-likelihood', NATS),
    'bound/kl_primitive': ('KL of the pose latent, negative', NATS),
    'bound/squared_error': ('Silhouette, squared error',
                            'mean squared error'),
    'bound/swap_gap': ("What a neighbour's pose costs in fidelity", NATS),
    'bound/explained': ('Share of the pose maps that is explained', 'share'),
    'bound/iou': ('Silhouette, intersection over union', 'share'),
    'pck': ('Correct keypoints, all joints', 'PCK in %'),
}
#: Curves that share a panel, and what each is called there.
TOGETHER: dict[str, tuple[str, str]] = {
    'mon_bound_labelled': ('mon_bound', 'annotated images'),
    'mon_bound_unlabelled': ('mon_bound', 'un-annotated images'),
    **{f'mon_{test}_{term}': (f'mon_{test}', term) for test in (
        'truth_over_own', 'cosine', 'gradient_ratio')
        for term in ('plausibility', 'fidelity')},
    'pck/Total': ('pck', 'first normaliser'),
    'pck/Total_torso': ('pck', 'torso normaliser'),
    'pck/Total_bbox': ('pck', 'box normaliser'),
}
_COLORS = ('#1f5fa8', '#d9730d', '#2e8540', '#8b3fa0', '#7a5c3e')
QUIET = {'lr', 'base_lr', 'time', 'data_time', 'memory', 'grad_norm',
          'step', 'iter', 'epoch'}


@dataclass
class Scalars:
    """What one stage has logged, in order, later runs over earlier ones.

    Attributes:
        train (list[dict]): Lines with ``iter`` (or ``epoch``).
        val (list[dict]): Lines of validations; ``step`` is their epoch.
        notes (list[str]): What could not be read.
    """

    train: list[dict] = field(default_factory=list)
    val: list[dict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Curve(NamedTuple):
    """One line of a panel; ``held_out`` ones are drawn with markers."""

    label: str
    x: np.ndarray
    y: np.ndarray
    held_out: bool = False


class Panel(NamedTuple):
    """One pair of axes."""

    title: str
    unit: str
    curves: list[Curve]
    x_label: str = 'epoch'


def read_scalars(folder: str | Path) -> Scalars:
    """Reads ``*/vis_data/scalars.json`` of a stage.

    Every run has its own sub-folder, named by its start. Runs are merged by
    step. Where a resumed run went back, the steps that it did again, or has
    still to do again, are the later run's.

    Args:
        folder (str | Path): The folder of the stage.

    Returns:
        Scalars: Empty where nothing was logged. Lines that are no JSON
        objects are left out and counted in ``notes``.
    """
    out = Scalars()
    train: dict[int, dict] = {}
    val: dict[int, dict] = {}
    for path in sorted(Path(folder).glob('*/vis_data/scalars.json')):
        rows, damaged = _rows(path)
        if damaged:
            run = path.parent.parent
            out.notes.append(
                f'{run.parent.name}/{run.name}: {damaged} line'
                f'{"s" if damaged > 1 else ""} of scalars.json could not be '
                'read and left no point in the curves')
        here_train = {r['step']: r for r in rows if 'iter' in r}
        here_val = {r['step']: r for r in rows if 'iter' not in r}
        if here_train:
            first = min(here_train)
            epoch = here_train[first].get('epoch', math.inf)
            train = {k: r for k, r in train.items() if k < first}
            val = {k: r for k, r in val.items() if k < epoch}
        train.update(here_train)
        val.update(here_val)
    out.train = [train[k] for k in sorted(train)]
    out.val = [val[k] for k in sorted(val)]
    return out


def _rows(path: Path) -> tuple[list[dict], int]:
    rows, damaged = [], 0
    for line in path.read_text(errors='replace').splitlines():
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            damaged += 1
            continue
        if isinstance(row, dict) and isinstance(row.get('step'), int):
            rows.append(row)
        else:
            damaged += 1
    return rows, damaged


def epochs_of(train: Sequence[dict]) -> np.ndarray:
    """Where training lines lie on an axis of epochs, (n,).

    Iterations stay iterations where no epochs were logged.
    """
    steps = np.array([r['iter'] for r in train], float)
    if not len(steps) or any('epoch' not in r for r in train):
        return steps
    # The last line of an epoch has iter = epoch * length.
    length = max(r['iter'] / r['epoch'] for r in train)
    return steps / length


def panels_of(scalars: Scalars, cells: int | None = None,
              norms: Sequence[str] = ()) -> list[Panel]:
    """The panels of one stage: each loss term, then the held-out figures.

    Args:
        scalars (Scalars): What it has logged.
        cells (int, optional): K * h * w. Where it is known, the held-out
            terms of a bound (nats per sample) are drawn into the panel of
            their loss (negative, per cell).
        norms (Sequence[str]): Names of the normalisers of PCK; the first
            one's results have the plain keys.
    """
    x_train = epochs_of(scalars.train)
    by_epoch = all('epoch' in r for r in scalars.train)
    x_val = np.array([r['step'] for r in scalars.val], float)
    train_keys = _keys(scalars.train)
    val_keys = _keys(scalars.val)
    losses = [k for k in train_keys if 'loss' in k]
    if len(losses) == 2 and 'loss' in losses:  # the sum, and its only term
        losses.remove('loss')
    panels: dict[str, list[Curve]] = {}
    for key in losses:
        y = _values(scalars.train, key)
        panels[key] = [Curve('training', x_train, y)]
        twin, scale = _twin(key, cells)
        if twin in val_keys:
            panels[key].append(Curve('held out', x_val, scale * _values(
                scalars.val, twin), True))
            val_keys.remove(twin)
    for key in train_keys:
        if key.startswith('mon_'):
            panel, label = TOGETHER.get(key, (key, 'training'))
            panels.setdefault(panel, []).append(
                Curve(label, x_train, _values(scalars.train, key)))
    names = dict(TOGETHER)
    if norms:
        names['pck/Total'] = ('pck', f'{norms[0]} normaliser')
    for key in val_keys:
        if key.startswith('pck/') and key not in names:
            continue  # single joints stand in the table
        panel, label = names.get(key, (key, 'held out'))
        panels.setdefault(panel, []).append(
            Curve(label, x_val, _values(scalars.val, key), True))
    x_label = 'epoch' if by_epoch else 'iteration'
    out = []
    for key, lines in panels.items():
        title, unit = NAMES.get(key, (_plain_name(key), ''))
        if unit in (CELL, NATS) and not cells:
            unit = ''  # another system's terms
        elif key.startswith('bound/') and not unit and cells:
            unit = NATS
        out.append(Panel(title, unit, lines, x_label))
    return out


def _keys(rows: Iterable[dict]) -> list[str]:
    found = {k: None for r in rows for k, v in r.items()
             if k not in QUIET and isinstance(v, (int, float))}
    return list(found)


def _values(rows: Sequence[dict], key: str) -> np.ndarray:
    return np.array([r.get(key, math.nan) for r in rows], float)


def _twin(key: str, cells: int | None) -> tuple[str, float]:
    """The held-out key of a loss, and the factor to its unit."""
    if key == 'loss_mask':
        return 'bound/squared_error', 1.
    if not cells:
        return '', 0.
    name = 'bound' if key == 'loss' else key.removeprefix('loss_')
    return f'bound/{name}', -1. / cells


def _plain_name(key: str) -> str:
    words = key.removeprefix('loss_').removeprefix('mon_').replace('_', ' ')
    return words.replace('/', ': ')


def limits(values: Sequence[np.ndarray]) -> tuple[float, float, bool] | None:
    """A y axis that the first steps do not spoil.

    Returns:
        tuple: low, high, and whether something lies outside; None where
        there is no finite value.
    """
    def extent(arrays: Iterable[np.ndarray]) -> tuple[float, float]:
        seen = np.concatenate([np.empty(0), *arrays])
        seen = seen[np.isfinite(seen)]
        return (float(seen.min()), float(seen.max())) if len(seen) else (
            math.nan, math.nan)

    low, high = extent(values)
    if not math.isfinite(low):
        return None
    cut = False
    settled = extent(v[math.ceil(len(v) / 10):] if len(v) >= 10 else v
                     for v in values)
    if 0 < settled[1] - settled[0] < (high - low) / 3:
        (low, high), cut = settled, True
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.
    return low - margin, high + margin, cut


def curves_figure(panel: Panel) -> Figure:
    """Draws one panel.

    The axis is fitted to what comes after the first tenth of a curve where
    the start would flatten the rest; the figure says so.
    """
    figure = Figure(figsize=(4.6, 3.0), dpi=150)
    # A fixed frame: a fitted one draws twice.
    figure.subplots_adjust(left=0.17, right=0.97, top=0.9, bottom=0.16)
    axes = figure.add_subplot()
    for i, curve in enumerate(panel.curves):
        few = len(curve.x) < 40
        axes.plot(curve.x, curve.y, label=curve.label,
                  color=_COLORS[i % len(_COLORS)],
                  linewidth=1.6,
                  marker='o' if curve.held_out or len(curve.x) < 4 else None,
                  markersize=3.5 if few else 2)
    box = limits([c.y for c in panel.curves])
    if box is not None:
        axes.set_ylim(box[0], box[1])
        if box[2]:
            axes.annotate('the first epochs lie outside', (0.98, 0.96),
                          xycoords='axes fraction', ha='right', va='top',
                          fontsize=7.5, color='#666666')
    axes.set_title(panel.title, fontsize=9.5, loc='left')
    axes.set_xlabel(panel.x_label, fontsize=8.5)
    axes.set_ylabel(panel.unit, fontsize=8.5)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True,
                                               steps=[1, 2, 5, 10]))
    axes.tick_params(labelsize=8)
    axes.grid(color='#e3e3e3', linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ('top', 'right'):
        axes.spines[side].set_visible(False)
    if len(panel.curves) > 1:
        axes.legend(fontsize=8, frameon=False)
    return figure


def figure_png(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file (matplotlib's Agg)."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png')
    return buffer.getvalue()
