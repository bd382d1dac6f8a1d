"""Entry configs: they build, and have the published sizes."""
from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config
from mmpose.registry import MODELS, RUNNERS

import mirrorpose  # noqa: F401
from mirrorpose.structures import Skeleton

ROOT = Path(__file__).resolve().parents[3]
ENTRIES = sorted(p.name for p in (ROOT / 'configs').glob('keypointgan_*.py'))


def load(name: str) -> Config:
    cfg = Config.fromfile(ROOT / 'configs' / name)
    # The published features are a file that is not at hand.
    cfg.model.perceptual = dict(type='PerceptualLoss', features='random',
                                width=4)
    return cfg


def count(module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_every_source_has_an_entry():
    """Issue and paper name them."""
    assert {n.removeprefix('keypointgan_').removesuffix('.py')
            for n in ENTRIES} == {
        'synthetic', 'simple_human36m', 'human36m', 'human36m_3dhp_prior',
        'penn_action', 'voxceleb2', 'w300', 'cathead', 'people', 'faces',
        'silhouettes'}


@pytest.mark.parametrize('name', ENTRIES)
def test_it_builds(name, tmp_path):
    cfg = load(name)
    cfg.work_dir = str(tmp_path)
    runner = RUNNERS.get(cfg.runner_type).from_cfg(cfg)
    model = MODELS.build(cfg.model)
    assert model.skeleton.joints == Skeleton.from_name(cfg.joints).joints
    assert model.renderer.size == (cfg.image_size, cfg.image_size)
    # What mmpose's inferencers make of an image is what the model reads.
    sizes = [step.input_size for step in cfg.test_dataloader.dataset.pipeline
             if step.type == 'TopdownAffine']
    assert sizes == [(cfg.image_size, cfg.image_size)]
    first = runner.stage_config('regressor')
    assert MODELS.build(first.model).head.skeleton.joints == \
        model.skeleton.joints
    assert first.train_dataloader.dataset.type == 'UnpairedPoseDataset'
    assert runner.stage_names[:2] == ['regressor', 'keypointgan']


def test_published_sizes():
    model = MODELS.build(load('keypointgan_simple_human36m.py').model)
    assert {k: count(getattr(model, k)) for k in (
        'head', 'backbone', 'generator', 'discriminator')} == dict(
            head=1_181_184, backbone=3_124_801, generator=4_825_635,
            discriminator=8_288_067)


def test_300w_is_fine_tuned_without_labels(tmp_path):
    cfg = load('keypointgan_w300.py')
    assert [s.name for s in cfg.stages][-1] == 'finetuned'
    data = cfg.stage_data.w300.train_dataloader.dataset
    assert data.type == 'UnpairedDataset'
    assert data.frames.type == 'StillPairDataset'
    assert data.frames.sources[0].subset == 'train'
    assert cfg.stages[-1].load_from_stage == 'keypointgan'
