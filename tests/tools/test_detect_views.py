"""Joints of views, by the command."""
from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tools'))
import cli  # noqa: E402
import detect_views  # noqa: E402

from mirrorpose.apis import load_model  # noqa: E402
from mirrorpose.datasets.multiview import MultiViewDataset  # noqa: E402

DATA = '''
_base_ = ['{root}/configs/metric_pose_synthetic.py']
train_dataloader = dict(dataset=dict(
    cache_dir='{cache}', source=dict(
        subjects=3, clips=1, seconds=2., num_cameras=2, image_size=48)))
'''


@pytest.fixture
def made(tmp_path):
    """A data config, and a recognizer that has learnt nothing."""
    (tmp_path / 'data.py').write_text(DATA.format(
        root=ROOT, cache=tmp_path / 'cache'))
    recognizer = str(ROOT / 'configs' / 'recognizer_views_synthetic.py')
    torch.manual_seed(0)
    torch.save(dict(state_dict=load_model(recognizer).state_dict()),
               tmp_path / 'some.pth')
    return [str(tmp_path / 'data.py'), recognizer,
            str(tmp_path / 'some.pth'), str(tmp_path / 'out.npz')]


def test_all_views_are_found(made, tmp_path, capsys):
    detect_views.main(made)
    shown = capsys.readouterr().out
    assert '24 views' in shown
    source = Config.fromfile(made[0]).train_dataloader.dataset.source
    data = MultiViewDataset(
        source, cache_dir=str(tmp_path / 'cache'), inputs='keypoints',
        detections=made[3])
    assert len(data) == 24 and np.isfinite(data.keypoints).all()
    assert (data.keypoints >= -2).all() and (data.keypoints <= 50).all()
    truth = MultiViewDataset(source, cache_dir=str(tmp_path / 'cache'))
    with np.load(made[3]) as found:
        off = np.linalg.norm(found['keypoints'] - truth.keypoints, axis=-1)[
            truth.visible == 2]
    assert f'{off.mean():.1f} pixels of 48' in shown


def test_mistakes_are_told(made, tmp_path):
    with pytest.raises(cli.UsageError, match='nowhere'):
        detect_views.main([made[0], made[1], 'nowhere.pth', made[3]])
    with pytest.raises(cli.UsageError, match='not on a MultiViewDataset'):
        detect_views.main([str(ROOT / 'configs/mirrornet_small_lsp.py'),
                           *made[1:]])
    assert not Path(made[3]).exists()
