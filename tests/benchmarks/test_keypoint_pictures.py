"""The picture sheet and the profile, on models that have learnt nothing."""
from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

# As scripts import each other.
sys.path.append(str(Path(__file__).resolve().parents[2] / 'benchmarks'))

import keypointgan_pictures as pictures  # noqa: E402
import keypointgan_profile as profiling  # noqa: E402
from keypoints import runs  # noqa: E402


@pytest.fixture(scope='module')
def cfg():
    """A quarter of the widths of the benchmarks."""
    init_default_scope('mmpose')
    cfg = runs.base('all')
    for part in ('backbone', 'head', 'generator'):
        cfg.model[part].width = 2
    cfg.model.discriminator.width = 4
    cfg.model.perceptual.update(features='random', width=2)
    cfg.train_dataloader.batch_size = 4
    return cfg


@pytest.fixture(scope='module')
def model(cfg):
    torch.manual_seed(0)
    return MODELS.build(cfg.model).eval()


@pytest.fixture
def batch(model):
    rng = np.random.default_rng(0)
    shape, joints = (3, 3, runs.SIZE, runs.SIZE), len(model.skeleton)
    return dict(
        images=torch.from_numpy(rng.integers(0, 256, shape, np.uint8)),
        conditions=torch.from_numpy(rng.integers(0, 256, shape, np.uint8)),
        keypoints=rng.uniform(0, 63, (3, joints, 2)),
        visible=np.ones((3, joints)), names=['a', 'b', 'c'])


def test_sheet(model, batch):
    """3 frames, 3 + 1 rows of swaps beside 3 of moves, 2 of a walk."""
    sheet = pictures.sheet(model, batch)
    assert sheet.dtype == np.uint8 and sheet.shape[2] == 3
    rows = 3 + 4 + 2
    assert sheet.shape[0] > rows * 160
    assert sheet.std() > 10


def test_sheet_without_appearance(cfg, batch):
    without = dict(cfg.model, generator=dict(cfg.model.generator,
                                             conditional=False))
    with pytest.raises(ValueError, match='reads no appearance frame'):
        pictures.sheet(MODELS.build(without).eval(), batch)


def test_which_joint(model):
    assert pictures.joint_of(model.skeleton) == 'left_wrist'
    assert pictures.joint_of(model.skeleton, 'head_top') == 'head_top'
    for name, joint in pictures.EDITED.items():
        assert joint in pictures.Skeleton.from_name(name).joints
    with pytest.raises(ValueError, match='Name it by --joint'):
        pictures.joint_of(pictures.Skeleton.from_name('cathead_7'))


def test_stacked():
    found = pictures.stacked([np.zeros((2, 3, 3), np.uint8),
                              np.ones((1, 5, 3), np.uint8)])
    assert found.shape == (3, 5, 3)
    assert (found[:2, 3:] == 255).all() and (found[2] == 1).all()
    beside = pictures.stacked([np.zeros((2, 3, 3), np.uint8),
                               np.ones((1, 5, 3), np.uint8)], axis=1)
    assert beside.shape == (2, 8, 3)
    assert (beside[1, 3:] == 255).all() and not beside[:, :3].any()


def test_captions_can_be_written():
    tile = pictures.Tile('predicted 3.1\u202f%', np.zeros((1, 1, 3)))
    row, = pictures.legible([pictures.Row('x', [tile])])
    assert row.tiles[0].caption == 'predicted 3.1 %'


def test_real_people_stay_outside(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['x', 'keypointgan_people_0'])
    with pytest.raises(SystemExit):
        pictures.main()
    assert 'real people' in capsys.readouterr().err


def test_renderers_in_disguise(model):
    """Watched draws and pulls back as the renderer; Costless does not pull.
    """
    renderer = model.renderer
    watched = profiling.Watched(renderer)
    costless = profiling.Costless(renderer)
    poses = torch.rand(2, len(model.skeleton), 2) - .5
    weight = torch.rand(2, 1, runs.SIZE, runs.SIZE)
    gradients = []
    for draw in (renderer, watched, costless):
        points = poses.clone().requires_grad_()
        image = draw(points)
        assert torch.equal(image, renderer(poses))
        (image * weight).sum().backward()
        gradients.append(points.grad)
    assert torch.equal(gradients[0], gradients[1])
    assert gradients[0].abs().max() > 0
    assert not gradients[2].any()
    # It does not draw again, whatever it is given.
    assert torch.equal(costless(-poses), renderer(poses))


def test_profile(cfg):
    """Rendering is a part of the step, of four drawings."""
    row = profiling.measure(cfg, 2, 1)
    assert (row['batch'], row['size']) == (4, runs.SIZE)
    assert row['images_per_second'] == pytest.approx(
        4 / row['seconds'], rel=.01)
    traced = row['rendering_by_profiler']
    assert traced['calls'] == 4
    assert 0 < traced['backward'] < traced['share'] < 1
    assert traced['share'] == pytest.approx(
        traced['forward'] + traced['backward'], abs=2e-4)
    assert 'by the clock' in profiling.show('x', row)


def test_the_papers_case():
    paper = profiling.cases()["the paper's size, float32"]
    with torch.device('meta'):
        backbone = MODELS.build(paper.model.backbone)
    assert sum(p.numel() for p in backbone.parameters()) == 3_124_801
    assert paper.train_dataloader.batch_size == 16
    assert paper.model.renderer.size == 128
