"""Every config of a completer, as users meet it."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

import mirrorpose  # noqa: F401  (registers)
from mirrorpose.apis.completers import as_completer
from mirrorpose.models.completion import CascadeCompleter
from mirrorpose.models.completion.completer import Completer

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = ROOT / 'configs'
TRAINED = [p for kind in ('ridge', 'regressor', 'jumps')
           for p in sorted(CONFIGS.glob(f'{kind}*.py'))
           if not p.stem.startswith('jumps_search')]
USED = [*sorted(CONFIGS.glob('cascade*.py')),
        *sorted(CONFIGS.glob('jumps_search*.py'))]


@pytest.fixture(scope='module')
def trained(tmp_path_factory, make_windows, twelve):
    """Where all of their parts were trained."""
    init_default_scope('mmpose')
    folder = tmp_path_factory.mktemp('trained')
    for name in ('ridge_mocap', 'regressor_mocap', 'jumps_mocap'):
        model = MODELS.build(Config.fromfile(CONFIGS / f'{name}.py').model)
        if name == 'ridge_mocap':
            model.fit([dict(inputs=make_windows(40), observed=twelve(40))])
        work = folder / 'work_dirs' / name
        work.mkdir(parents=True)
        torch.save(dict(state_dict=model.state_dict(), meta={}),
                   work / 'epoch_3.pth')
    return folder


def test_none_is_left_out():
    assert len(TRAINED) >= 9 and len(USED) >= 4


@pytest.mark.parametrize('path', TRAINED, ids=lambda p: p.stem)
def test_what_is_trained_is_built(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    init_default_scope('mmpose')
    cfg = Config.fromfile(path)
    model = MODELS.build(cfg.model)
    found = model.as_completer() if hasattr(model, 'as_completer') else model
    assert isinstance(found, Completer)
    for part in ('train', 'val', 'test'):
        assert cfg[f'{part}_dataloader'].dataset.part == part
    with pytest.raises(ValueError, match='names no weights'):
        as_completer(str(path))


@pytest.mark.parametrize('path', USED, ids=lambda p: p.stem)
def test_what_is_used_completes(path, trained, make_windows, twelve,
                                monkeypatch):
    monkeypatch.chdir(trained)
    cfg = Config.fromfile(path)
    completer = as_completer(str(path))
    x, seen = make_windows(2, 5), twelve(2)
    seen[0, :, 11] = False  # a wrist, throughout
    if 'paper' in path.stem:
        return  # its 200 steps
    done = completer.complete(x, seen).keypoints
    assert done.isfinite().all()
    if not cfg.model.get('first', {}).get('robust'):
        torch.testing.assert_close(done[seen], x[seen])
    if isinstance(completer, CascadeCompleter):
        assert (completer.never is not None) == ('detector' not in
                                                 path.stem)
