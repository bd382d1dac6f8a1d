"""Every entry config builds, stage by stage, as users will meet it."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS, RUNNERS

ROOT = Path(__file__).resolve().parents[1]
ENTRIES = sorted(ROOT.glob('configs/mirrornet_*.py'))
STAGES = ['mask_estimator', 'recognizer', 'image_vae', 'pose_vae',
          'baseline', 'supervised', 'supervised_long', 'semi_supervised']


def curriculum(path, work_dir):
    cfg = Config.fromfile(path)
    cfg.work_dir = str(work_dir)
    init_default_scope('mmpose')
    return RUNNERS.build(cfg)


@pytest.mark.parametrize('path', ENTRIES, ids=lambda p: p.stem)
def test_every_stage_builds_its_model(path, tmp_path):
    runner = curriculum(path, tmp_path)
    assert runner.stage_names == STAGES
    for stage in runner.stages:  # weights of earlier stages are not here
        stage.pop('init_from', None)
        stage.pop('load_from_stage', None)
    kinds = {}
    for name in STAGES:
        cfg = runner.stage_config(name)
        assert 'stages' not in cfg and 'stage_data' not in cfg
        with torch.device('meta'):
            kinds[name] = type(MODELS.build(cfg.model)).__name__
        # The codec is one: what draws targets decodes predictions.
        if kinds[name] in ('PoseRecognition', 'MirrorNet'):
            encoders = [t.encoder for t in
                        cfg.train_dataloader.dataset.pipeline
                        if t.type == 'GenerateTarget']
            assert encoders == [cfg.model.head.decoder]
    assert kinds == dict(
        mask_estimator='MaskEstimation', recognizer='PoseRecognition',
        image_vae='ImageAutoencoding', pose_vae='PoseAutoencoding',
        baseline='PoseRecognition', supervised='MirrorNet',
        supervised_long='MirrorNet', semi_supervised='MirrorNet')


@pytest.mark.parametrize('path', ENTRIES, ids=lambda p: p.stem)
def test_pose_vae_draws_what_the_codec_draws(path):
    cfg = Config.fromfile(path)
    codec, vae = cfg.model.head.decoder, cfg.model.pose_vae
    assert tuple(vae.map_size) == tuple(codec.heatmap_size)[::-1]
    if codec.type == 'MSRAHeatmap':
        assert vae.sigma == codec.sigma
        assert cfg.model.get('sigma', 2.) == codec.sigma
        # mmpose shifts the peak by a cell where 3 * sigma is no integer.
        assert (3 * codec.sigma) % 1 == 0


@pytest.mark.parametrize('path', ENTRIES, ids=lambda p: p.stem)
def test_recognizers_are_compared_at_equal_epochs(path):
    epochs = {s.name: s.epochs for s in Config.fromfile(path).stages}
    start = epochs['recognizer']
    assert start + epochs['baseline'] == start + epochs['supervised'] + \
        epochs['supervised_long'] == start + epochs['supervised'] + \
        epochs['semi_supervised']


def test_label_fraction_reaches_every_data_set():
    from mirrorpose.engine.runner import resolve
    cfg = Config.fromfile(ROOT / 'configs/mirrornet_hrnet_lsp.py')
    cfg.label_fraction = 0.6
    found = []

    def walk(node):
        if isinstance(node, dict):
            found.extend([node['label_fraction']]
                         if 'label_fraction' in node else [])
            for value in node.values():
                walk(value)
        elif isinstance(node, (list, tuple)):
            for value in node:
                walk(value)

    walk(dict(resolve(cfg)._cfg_dict))
    assert len(found) > 5 and set(found) == {0.6}


@pytest.mark.parametrize('folder', ['/somewhere', '/somewhere/'])
def test_data_folder_with_and_without_a_slash(folder, monkeypatch):
    monkeypatch.setenv('MIRRORPOSE_DATA', folder)
    cfg = Config.fromfile(ROOT / 'configs/mirrornet_hrnet_mpii.py')
    found = Path(cfg.test_dataloader.dataset.headbox_file)
    assert found == Path('/somewhere/mpii/annotations/mpii_gt_val.mat')
    silhouettes = cfg.stage_data.silhouettes.train_dataloader.dataset
    assert Path(silhouettes.data_root) == Path('/somewhere/up_s1h')


def test_missing_data_names_the_command(tmp_path):
    """mmpose's own entry, a data folder that is not there."""
    env = dict(os.environ, MIRRORPOSE_DATA=str(tmp_path / 'nowhere'))
    done = subprocess.run(
        [sys.executable, ROOT / 'tools/train.py',
         ROOT / 'configs/mirrornet_small_lsp.py', '--work-dir',
         tmp_path / 'work'], env=env, capture_output=True, text=True)
    assert done.returncode != 0
    assert 'tools/dataset_converters/lsp.py' in done.stdout + done.stderr
