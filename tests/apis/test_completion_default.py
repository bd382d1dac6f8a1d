"""What complete() takes where nobody names a completer."""
from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from walkers import (
    as_coco,
    drawn_jumps,
    drawn_regressor,
    fitted_ridge,
    walk,
)

from mirrorpose.apis import completion_default
from mirrorpose.apis.completion import complete
from mirrorpose.apis.completion_default import default_completer
from mirrorpose.models.completion import InterpolationCompleter

CASCADE = Path(__file__).resolve().parents[2] / 'configs/cascade_mocap.py'
pytestmark = pytest.mark.usefixtures('empty_folder')


@pytest.fixture(scope='module')
def parts():
    """Of the sizes that the configs have; ridge, regressor and JUMPS."""
    return dict(ridge=fitted_ridge(rank=192), regressor=drawn_regressor(),
                jumps=drawn_jumps())


@pytest.fixture
def said(monkeypatch):
    """Lines of the log."""
    lines = []
    monkeypatch.setattr(completion_default, '_said', [])
    monkeypatch.setattr(completion_default, 'print_log',
                        lambda text, **_: lines.append(text))
    return lines


def train(model, kind, epoch=1):
    folder = Path('work_dirs') / f'{kind}_mocap'
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict=model.state_dict(), meta={}),
               folder / f'epoch_{epoch}.pth')


def without_a_forearm():
    coco = as_coco(walk(40))
    coco[:, [7, 9]] = np.nan
    return coco


def test_nothing_was_trained(said):
    coco = without_a_forearm()
    np.testing.assert_array_equal(
        complete(coco).keypoints,
        complete(coco, completer=InterpolationCompleter()).keypoints)
    complete(coco)
    assert len(said) == 1
    for part in ('interpolates', 'configs/ridge_mocap.py',
                 'configs/regressor_mocap.py'):
        assert part in said[0]


@pytest.mark.parametrize('one', ['ridge', 'regressor', 'jumps'])
def test_a_part_alone_is_not_enough(parts, said, one):
    train(parts[one], one)
    assert isinstance(default_completer(), InterpolationCompleter)
    assert f'work_dirs/{one}_mocap' not in said[0]


def test_what_the_config_names(parts, said):
    """With JUMPS where it is there; as the config does it itself."""
    coco = without_a_forearm()
    train(parts['ridge'], 'ridge')
    train(parts['regressor'], 'regressor', 60)
    two = complete(coco)
    assert 'regressor_mocap/epoch_60.pth' in said[0]
    assert 'configs/jumps_mocap.py' in said[0]
    np.testing.assert_array_equal(two.keypoints, complete(
        coco, completer=str(CASCADE)).keypoints)
    train(parts['jumps'], 'jumps', 7)
    three = complete(coco)
    assert 'jumps_mocap/epoch_7.pth' in said[1] and len(said) == 2
    np.testing.assert_array_equal(three.keypoints, complete(
        coco, completer=str(CASCADE)).keypoints)
    np.testing.assert_array_equal(three.keypoints,
                                  complete(coco).keypoints)
    assert np.isfinite(three.spread).all()
    # A limb that is hidden throughout is JUMPS', and nothing else changes.
    wrist = 11
    assert np.abs(three.keypoints - two.keypoints)[:, wrist].max() > 1
    whole = as_coco(walk(40))
    default = complete(whole)
    named = Config.fromfile(CASCADE).model
    named.update(never=None, never_checkpoint=None)
    np.testing.assert_array_equal(default.keypoints, complete(
        whole, completer=named).keypoints)


def test_newer_weights_count(parts, said):
    coco = without_a_forearm()
    train(parts['ridge'], 'ridge')
    train(parts['regressor'], 'regressor', 1)
    before = complete(coco).keypoints
    other = drawn_regressor()
    torch.nn.init.constant_(other.network.last.bias, .1)
    train(other, 'regressor', 2)
    assert np.abs(complete(coco).keypoints - before).max() > 1
    assert 'epoch_2' in said[-1]
    # ... and a file that was written anew.
    train(parts['regressor'], 'regressor', 2)
    path = Path('work_dirs/regressor_mocap/epoch_2.pth')
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))
    np.testing.assert_array_equal(complete(coco).keypoints, before)


def test_weights_that_do_not_fit(parts, said):
    train(fitted_ridge(rank=8), 'ridge')
    train(parts['regressor'], 'regressor')
    assert isinstance(default_completer(), InterpolationCompleter)
    assert 'cannot be used' in said[0] and 'another size' in said[0]


def test_it_is_found_in_a_built_package(tmp_path, monkeypatch):
    """Where configs lie in .mim, and where they are missing."""
    monkeypatch.setattr(completion_default, '_PACKAGE', tmp_path / 'p')
    completion_default._config.cache_clear()
    try:
        assert isinstance(default_completer(), InterpolationCompleter)
        completion_default._config.cache_clear()
        (tmp_path / 'p/.mim').mkdir(parents=True)
        (tmp_path / 'p/.mim/configs').symlink_to(CASCADE.parent)
        assert completion_default._config() == Config.fromfile(CASCADE).model
    finally:
        completion_default._config.cache_clear()
