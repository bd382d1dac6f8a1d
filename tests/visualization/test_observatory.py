"""Curves of watched values with their thresholds, and what is said."""
from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mirrorpose.visualization.curves import Scalars
from mirrorpose.visualization.observatory import limits_of, observatory_html
from mirrorpose.visualization.work_dir import Stage


def stage(rows: list[dict], **hook: Any) -> Stage:
    hooks = [dict(type='NonFiniteGuard')] + (
        [dict(hook, type='KeypointObservatory')] if hook else [])
    lines = [dict(r, iter=50 * (i + 1), epoch=i + 1, step=50 * (i + 1))
             for i, r in enumerate(rows)]
    return Stage('keypointgan', Path('nowhere'), Config(dict(
        custom_hooks=hooks)), scalars=Scalars(train=lines))


def picture(html: str, key: str) -> np.ndarray:
    data = re.search(f'alt="{key}" src="data:image/png;base64,([^"]+)"', html)
    assert data is not None, key
    return cv2.imdecode(np.frombuffer(base64.b64decode(data[1]), np.uint8),
                        1)[..., ::-1]


def red(image: np.ndarray) -> np.ndarray:
    """Rows in which the dashed line is drawn."""
    line = (abs(image.astype(int) - (179, 38, 30)) < 30).all(-1)
    return np.nonzero(line.sum(1) > 50)[0]


def test_thresholds_are_those_of_the_config() -> None:
    own = limits_of(stage([], swap_ratio=1.5, gap=(None, .7)))
    assert {(x.key, x.side): x.value for x in own}[
        'mon_swap_ratio', 'below'] == 1.5
    assert [(x.side, x.value) for x in own
            if x.key == 'mon_discriminator_gap'] == [('above', .7)]
    assert len(limits_of(stage([]))) == 7  # the hook's own


def test_table_curves_and_advice() -> None:
    html = observatory_html(stage([
        dict(mon_swap_ratio=1., mon_sides_exchanged=.1),
        dict(mon_swap_ratio=1.02, mon_sides_exchanged=.2)]))
    cells = re.findall('<td>(.*?)</td>', html)
    assert cells[1:4] == ['1.02', 'below 1.1', 'bad']
    assert cells[5:] == ['0.2', 'above 0.25', 'good']
    assert 'model.bottleneck=True' in html
    assert 'left and right' not in html.lower()
    assert html.count('<img') == 2


@pytest.mark.parametrize('values', [
    [0., 0.], [.2, .3, .2], [5.] + [.2] * 30, [.2, 4000., 50.]])
def test_threshold_is_within_the_picture(values: list[float]) -> None:
    html = observatory_html(stage([dict(mon_sides_exchanged=v)
                                   for v in values], sides_exchanged=.25))
    rows = red(picture(html, 'mon_sides_exchanged'))
    height = picture(html, 'mon_sides_exchanged').shape[0]
    assert len(rows) and .1 * height < rows.min() < .85 * height


def test_what_was_not_logged_is_not_drawn() -> None:
    html = observatory_html(stage([dict(mon_swap_ratio=2.), {},
                                   dict(mon_swap_ratio=3.)]))
    assert html.count('<img') == 1 and '<td>3</td>' in html
    assert 'Nothing was logged' in observatory_html(stage([dict(loss=1.)]))
