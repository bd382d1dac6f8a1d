"""A work dir as a curriculum leaves it, without any training."""
from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpose.registry import MODELS

from mirrorpose.engine.curriculum import MANIFEST, CurriculumRunner
from mirrorpose.engine.runner import set_everywhere

ROOT = Path(__file__).resolve().parents[2]
PARTS = ('Head', 'Shoulder', 'Elbow', 'Wrist', 'Hip', 'Knee', 'Ankle',
         'Total')
#: Total of both normalisers at the two validated epochs.
TOTALS = dict(baseline=((60., 62.), (30., 34.)),
              supervised_long=((61., 64.), (31., 33.)),
              semi_supervised=((65., 67.), (30., 30.)))


def scores_of(box, torso):
    return ({f'pck/{p}': box for p in PARTS}
            | {f'pck/{p}_torso': torso for p in PARTS})


def write_stage(folder, cfg, name):
    folder.mkdir(parents=True)
    # What cfg.dump writes, without its slow formatting.
    text = ''.join(f'{k} = {v!r}\n' for k, v in cfg.to_dict().items())
    for file in (f'{name}.py', 'some_curriculum.py'):
        (folder / file).write_text(text)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = MODELS.build(cfg.model)
    torch.save(dict(state_dict=model.state_dict(), meta={}),
               folder / 'epoch_2.pth')
    (folder / 'last_checkpoint').write_text('/elsewhere/epoch_2.pth')
    rows = [dict(loss=-1. / s, loss_recognition=-1. / s, lr=.1, time=6.,
                 epoch=(s + 4) // 5, iter=s, step=s) for s in (5, 10)]
    epochs = {}
    for i, (box, torso) in enumerate(zip(*TOTALS.get(name, ((), ())))):
        epochs[i + 1] = scores_of(box, torso)
        rows.append(dict(epochs[i + 1], step=i + 1))
    log = folder / '20260101_000000' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text(''.join(json.dumps(r) + '\n' for r in rows))
    if epochs:
        mean = {k: (epochs[1][k] + epochs[2][k]) / 2 for k in epochs[1]}
        (folder / 'scores.json').write_text(json.dumps(dict(
            mean=mean, averaged_epochs=[1, 2], epochs=epochs)))


@pytest.fixture(scope='session')
def finished_work_dir(tmp_path_factory):
    """Every stage with random weights, on a few synthetic images."""
    work = tmp_path_factory.mktemp('report') / 'small'
    cfg = Config.fromfile(
        str(ROOT / 'configs' / 'mirrornet_small_synthetic.py'))
    cfg.work_dir = str(work)
    set_everywhere(cfg._cfg_dict, 'num_samples', 8)
    runner = CurriculumRunner(cfg)
    state = {}
    for stage in runner.stages:
        stage['epochs'] = 2
        write_stage(work / stage['name'], runner.stage_config(stage['name']),
                    stage['name'])
        state[stage['name']] = dict(finished=True, epochs=2, seconds=90.)
    (work / MANIFEST).write_text(json.dumps(state))
    return work


@pytest.fixture
def work_dir(finished_work_dir, tmp_path):
    """A copy of it that a test may damage."""
    return Path(shutil.copytree(finished_work_dir, tmp_path / 'small'))
