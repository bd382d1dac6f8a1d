"""KeypointGAN's pictures, and its sections of the report."""
from __future__ import annotations

import copy
import json
import math
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from mirrorpose.visualization import build_report
from mirrorpose.visualization.drawing import denormalise
from mirrorpose.visualization.keypoint_gallery import (
    _log,
    frame_rows,
    held_out,
    keypoint_sections,
    shows_keypoints,
    swapped_rows,
)
from mirrorpose.visualization.work_dir import Stage, read_stages

sys.path.insert(0, str(Path(__file__).parents[1] / 'models' / 'keypointgan'))
from stick_figures import model_cfg  # noqa: E402

SIZE = 32
CLIPS = dict(type='SyntheticClips', clips=4, frames=3, shots=1,
             image_size=SIZE, joints='mpii_16')
FRAMES = dict(type='FramePairDataset', joints='mpii_16', size=SIZE,
              masks=True, order='any', test_mode=True)


def config(**changes: Any) -> dict[str, Any]:
    model = model_cfg(**changes)
    model['head']['skeleton'] = model['renderer']['skeleton'] = 'mpii_16'
    held = dict(FRAMES, sources=[dict(CLIPS, world_split='test')])
    return dict(
        default_scope='mmpose', custom_imports=dict(imports=['mirrorpose']),
        model=model, train_cfg=dict(max_epochs=1),
        custom_hooks=[dict(type='KeypointObservatory', swap_ratio=7.)],
        test_dataloader=dict(dataset=dict(type='ConcatDataset', datasets=[
            dict(FRAMES, sources=[CLIPS], role='fit'), held])))


def write(root: Path, cfg: dict[str, Any], weights: bool = True) -> Path:
    folder = root / 'keypointgan'
    folder.mkdir(parents=True)
    (folder / 'keypointgan.py').write_text(''.join(
        f'{k} = {v!r}\n' for k, v in cfg.items()))
    log = folder / '20260101_000000' / 'vis_data'
    log.mkdir(parents=True)
    (log / 'scalars.json').write_text(json.dumps(dict(
        mon_swap_ratio=1.25, epoch=1, iter=4, step=4)) + '\n')
    if weights:
        init_default_scope('mmpose')
        torch.manual_seed(0)
        torch.save(dict(state_dict=MODELS.build(copy.deepcopy(
            cfg['model'])).state_dict(), meta={}), folder / 'epoch_1.pth')
        (folder / 'last_checkpoint').write_text('epoch_1.pth')
    return root


@pytest.fixture(scope='module')
def work_dir(tmp_path_factory: Any) -> Path:
    return write(tmp_path_factory.mktemp('report') / 'small', config())


@pytest.fixture(scope='module')
def batch(work_dir: Path) -> dict[str, Any]:
    stage, = read_stages(work_dir)[0]
    found, total = held_out(stage, 3)
    assert total == 12
    return found


def built(**changes: Any) -> Any:
    init_default_scope('mmpose')
    torch.manual_seed(1)
    return MODELS.build(config(**changes)['model']).eval()


# -- the whole ---------------------------------------------------------------
def test_sections_of_the_report(work_dir: Path, tmp_path: Path) -> None:
    out = build_report(work_dir, tmp_path / 'r.html', images=3)
    text = out.read_text()
    for title in ('Observatory: keypointgan', 'Keypoints on held-out frames',
                  'Swapped appearances'):
        assert f'<h2>{title}</h2>' in text
    assert '3 of 12 held-out frames, evenly spaced, not chosen' in text
    assert 'below 7' in text and 'model.bottleneck=True' in text
    assert 'cannot be drawn' not in text and 'VAE' not in text
    for caption in ('input', 'appearance', 'skeleton image', 'its log',
                    'drawn keypoints', 'their log', 'reconstruction',
                    'truth'):
        assert text.count(f'<figcaption>{caption}</figcaption>') == 1
    # 10 a row, 3 rows; 5 a row, 4 rows, and a threshold's curve.
    images = text[text.index('<h2>Observatory'):].count('<img')
    assert images == 30 + 20 + 1
    again = build_report(work_dir, tmp_path / 's.html', images=3)
    sections = [t.read_text().partition('<h2>Observatory')[2]
                for t in (out, again)]
    assert sections[0] == sections[1]


def test_nothing_to_draw(tmp_path: Path) -> None:
    work = write(tmp_path / 'early', config(), weights=False)
    notes: list[str] = []
    stages = read_stages(work)[0]
    assert all(shows_keypoints(s) for s in stages)
    sections = keypoint_sections(stages, 2, notes)
    assert [s.title for s in sections] == [
        'Observatory: keypointgan', 'Keypoints on held-out frames']
    assert any('no weights yet' in n for n in notes)
    folder = work / 'keypointgan'
    (folder / 'epoch_1.pth').write_bytes(b'no weights')
    (folder / 'last_checkpoint').write_text('epoch_1.pth')
    notes = []
    keypoint_sections(read_stages(work)[0], 2, notes)
    assert any('cannot be drawn' in n for n in notes)


def test_data_that_name_no_frames(tmp_path: Path) -> None:
    cfg = config()
    cfg['test_dataloader']['dataset']['datasets'].pop()
    notes: list[str] = []
    keypoint_sections(read_stages(write(tmp_path / 'fit', cfg))[0], 2, notes)
    assert any('no frames to test on' in n for n in notes)


def test_the_regressors_stage_is_one_too(tmp_path: Path) -> None:
    cfg = config()
    cfg['model'] = dict(type='SkeletonRegressorPretraining')
    work = write(tmp_path / 'first', cfg, weights=False)
    stage, = read_stages(work)[0]
    assert shows_keypoints(stage)
    stage.config = Config(dict(model=dict(type='MirrorNet')))
    assert not shows_keypoints(stage)


# -- pictures ----------------------------------------------------------------
def test_frames_are_held_out_pairs_of_a_clip(batch: dict) -> None:
    clips = [n.rpartition(':')[0] for n in batch['names']]
    assert len(set(clips)) == 3 and len(set(batch['names'])) == 3
    assert batch['images'].shape == (3, 3, SIZE, SIZE)
    assert not torch.equal(batch['images'], batch['conditions'])


def test_clips_of_one_frame_have_no_pair_and_are_left_out(
        tmp_path: Path) -> None:
    for clip, count in dict(a=1, b=3, c=1, d=2).items():
        (tmp_path / 'frames' / clip).mkdir(parents=True)
        for i in range(count):
            cv2.imwrite(str(tmp_path / 'frames' / clip / f'{i}.png'),
                        np.full((40, 40, 3), 20 * i, np.uint8))
    cfg = Config(dict(test_dataloader=dict(dataset=dict(
        FRAMES, masks=False, data_root=str(tmp_path),
        sources=[dict(type='FrameFolders', folder='frames')]))))
    found, total = held_out(Stage('one', tmp_path, cfg), 9)
    assert total == 5
    assert {n.rpartition(':')[0][-1] for n in found['names']} == {'b', 'd'}


def test_a_row_shows_every_stage_of_the_cycle(batch: dict) -> None:
    model = built()
    model.train()
    rows = frame_rows(model, batch)
    assert model.training
    model.eval()
    data = model.data_preprocessor(dict(inputs=dict(
        image=batch['images'], condition=batch['conditions'])))['inputs']
    with torch.no_grad():
        out = model.cycle(data['image'], data['condition'])
    made = denormalise(out.image, model.data_preprocessor)
    factor = -(-240 // SIZE)
    for i, row in enumerate(rows):
        assert row.title == batch['names'][i]
        tiles = {t.caption: t.image for t in row.tiles}
        bgr = batch['images'][i].permute(1, 2, 0).numpy()
        assert (tiles['input'][::factor, ::factor] == bgr[..., ::-1]).all()
        assert (tiles['reconstruction'][::factor, ::factor] == made[i]).all()
        grey = (out.drawn[i, 0] * 255).round().numpy()
        assert (tiles['drawn keypoints'][::factor, ::factor, 0]
                == grey).all()
        # Errors, written out: a side is 2 long, and S - 1 pixels.
        pixels = (out.keypoints[i].numpy() + 1) / 2 * (SIZE - 1)
        there = batch['visible'][i] > 0
        error = np.linalg.norm(pixels - batch['keypoints'][i],
                               axis=1)[there].mean() / SIZE * 100
        caption, = [c for c in tiles if c.startswith('predicted')]
        assert caption == f'predicted {error:.1f}\u202f%'
        assert (tiles[caption] != tiles['truth']).any()


def test_logarithm_from_black_to_white() -> None:
    values = torch.tensor([[[0., 1 / 255, math.sqrt(1 / 255), 1., -1.]]])
    got = _log(values.repeat(1, 5, 1))
    assert got[0, ::got.shape[1] // 5, 0].tolist() == [0, 0, 128, 255, 255]


@pytest.mark.parametrize('bottleneck', [True, False])
def test_swaps_one_by_one(batch: dict, bottleneck: bool) -> None:
    model = built(bottleneck=bottleneck)
    rows = swapped_rows(model, batch)
    assert [len(r.tiles) for r in rows] == [5] * 4
    frames = model.data_preprocessor(dict(inputs=dict(
        image=batch['images'], condition=batch['conditions'])))['inputs']
    for i in range(3):
        for j in range(3):
            with torch.no_grad():
                made = model.cycle(frames['image'][i:i + 1],
                                   frames['condition'][j:j + 1]).image
            want = denormalise(made, model.data_preprocessor)[0]
            tile = rows[i + 1].tiles[j + 2].image
            factor = len(tile) // SIZE
            # A batch is summed in another order than one sample.
            assert abs(tile[::factor, ::factor].astype(int)
                       - want.astype(int)).max() <= 1


def test_without_appearance(batch: dict, tmp_path: Path) -> None:
    plain = dict(type='ConditionalDecoder', width=4, conditional=False)
    captions = [t.caption for t in frame_rows(
        built(generator=plain, correct_sides=False), batch)[0].tiles]
    assert 'appearance' not in captions
    assert not any(c.startswith('corrected') for c in captions)
    work = write(tmp_path / 'plain', config(generator=plain,
                                            bottleneck=False))
    sections = keypoint_sections(read_stages(work)[0], 1, [])
    assert 'nothing can be swapped' in sections[-1].html
    assert 'there is no bottleneck' in sections[-2].html


def test_channels_of_limbs(batch: dict) -> None:
    renderer = dict(type='SkeletonRenderer', skeleton='mpii_16', size=SIZE,
                    channels='side')
    model = built(
        renderer=renderer,
        backbone=dict(type='SkeletonTranslator', width=4, out_channels=3),
        head=dict(type='SkeletonRegressor', skeleton='mpii_16', width=4,
                  in_channels=3),
        generator=dict(type='ConditionalDecoder', width=4, in_channels=3),
        discriminator=dict(type='MultiScaleDiscriminator', width=4,
                           scales=1, in_channels=3))
    assert len(frame_rows(model, batch)) == 3
