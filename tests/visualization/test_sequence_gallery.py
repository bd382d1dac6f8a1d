"""The report of a completer's training."""
import json

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS

from mirrorpose.visualization.report import build_report

MOTIONS = dict(type='SyntheticMotions', clips=8, people=4, seconds=2.,
               held_out=dict(val=.25, test=.25))


def _config():
    data = dict(type='PoseSequenceDataset', sources=[MOTIONS], part='test',
                stride=24, holes=[dict(type='UnseenJoints')])
    return dict(
        default_scope='mmpose', custom_imports=dict(imports=['mirrorpose']),
        model=dict(type='RidgeCompleter', rank=8),
        train_cfg=dict(max_epochs=1), test_dataloader=dict(dataset=data))


@pytest.fixture
def work_dir(tmp_path):
    folder = tmp_path / 'ridge'
    folder.mkdir()
    Config(_config()).dump(folder / 'ridge.py')
    init_default_scope('mmpose')
    model = MODELS.build(_config()['model'])
    data = DATASETS.build(dict(_config()['test_dataloader']['dataset'],
                               part='all'))
    model.fit([data.get_batch(range(len(data)),
                              data.fixed_keys(range(len(data))))])
    torch.save(dict(state_dict=model.state_dict(), meta={}),
               folder / 'epoch_1.pth')
    (folder / 'last_checkpoint').write_text('epoch_1.pth')
    log = folder / '20260101_000000' / 'vis_data'
    log.mkdir(parents=True)
    (log / 'scalars.json').write_text(json.dumps(
        {'pckh/unseen/AUC': .5, 'step': 1}) + '\n')
    return folder


def test_shows_sequences_in_motion(work_dir):
    text = build_report(work_dir, images=2).read_text()
    assert text.count('data:image/gif;base64') == 2
    assert text.count('alt="joint paths"') == 2
    assert 'pckh: unseen: AUC' in text and '0.5000' in text
    assert 'unfinished' not in text and 'not finished' not in text


def test_says_what_cannot_be_drawn(work_dir):
    (work_dir / 'epoch_1.pth').unlink()
    (work_dir / 'last_checkpoint').unlink()
    assert 'There are no weights yet' in build_report(
        work_dir, images=2).read_text()


def test_a_folder_with_neither_is_named(tmp_path):
    with pytest.raises(ValueError, match='no training'):
        build_report(tmp_path)
