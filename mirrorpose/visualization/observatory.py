"""What was watched while a KeypointGAN trained, with its thresholds."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from mmpose.registry import HOOKS

from ..engine.thresholds import Limit
from .curves import Curve, Panel, curves_figure, epochs_of, figure_png
from .curves import limits as axis_limits
from .drawing import data_uri
from .gallery import mmpose_scope
from .tables import plain_table
from .work_dir import Stage

#: The hook whose thresholds are drawn.
HOOK = 'KeypointObservatory'
_RED = '#b3261e'


def limits_of(stage: Stage) -> list[Limit]:
    """The thresholds that a stage was watched by.

    The hook's own ones where its config has no hook.
    """
    hooks = (stage.config or {}).get('custom_hooks') or []
    config = next((dict(h) for h in hooks if h.get('type') == HOOK),
                  dict(type=HOOK))
    with mmpose_scope():
        return HOOKS.build(config).limits


def observatory_html(stage: Stage) -> str:
    """Curves of the watched figures with their thresholds, and a table."""
    limits: dict[str, list[Limit]] = {}
    for limit in limits_of(stage):
        limits.setdefault(limit.key, []).append(limit)
    train, rows, images, advice = stage.scalars.train, [], '', ''
    for key, own in limits.items():
        there = [r for r in train if isinstance(r.get(key), (int, float))]
        if not there:
            continue
        last = there[-1][key]
        passed = [x for x in own if x.passed(last)]
        rows.append((own[0].title, f'{last:.3g}', ' or '.join(
            f'{x.side} {x.value:g}' for x in own),
            'bad' if passed else 'good'))
        advice += ''.join(
            f'<p><strong>{escape(x.title)}, {last:.3g}.</strong> '
            f'{escape(x.meaning[0].upper() + x.meaning[1:])}. '
            f'{escape(x.advice)}</p>' for x in passed)
        images += _curve(key, own, train)
    if not rows:
        return (f'<p>Nothing was logged by the hook {HOOK}: it is in '
                'custom_hooks of configs/_base_/schedules/keypointgan.py.'
                '</p>')
    return ('<p>What goes wrong with such models, watched in training. '
            'Values are the means that the log holds; dashed: thresholds, '
            'shaded where a value is bad.</p>'
            + plain_table(('figure', 'last value', 'bad when', ''), rows)
            + advice + f'<div class="curves">{images}</div>')


def _curve(key: str, limits: Sequence[Limit],
           train: Sequence[Mapping[str, Any]]) -> str:
    """A curve as an HTML image."""
    x = epochs_of([dict(r) for r in train])
    y = np.array([r.get(key, np.nan) for r in train], float)
    known = np.isfinite(y)
    by_epoch = all('epoch' in r for r in train)
    figure = curves_figure(Panel(
        key, '', [Curve('training', x[known], y[known])],
        'epoch' if by_epoch else 'iteration'))
    axes, marks = figure.axes[0], np.array([t.value for t in limits])
    both = np.concatenate([y[known], marks])
    if both.min() > 0 and both.max() > 100 * both.min():
        axes.set_yscale('log')
        low, high = both.min() / 2, both.max() * 2
    else:
        low, high = (axis_limits([y[known], marks]) or (0., 1.))[:2]
    for limit in limits:
        axes.axhline(limit.value, color=_RED, linewidth=1, linestyle='--')
        axes.axhspan(*((low, limit.value) if limit.side == 'below' else
                       (limit.value, high)), color=_RED, alpha=.08,
                     linewidth=0)
    axes.set_ylim(low, high)
    title = limits[0].title
    return (f'<figure><img alt="{escape(key)}" '
            f'src="{data_uri(figure_png(figure))}">'
            f'<figcaption>{escape(title)}</figcaption></figure>')
