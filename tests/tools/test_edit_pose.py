"""The command line: images and moves in, a sheet out."""
from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope
from mmpose.registry import MODELS

import mirrorpose  # noqa: F401

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
SIZE = 32
MODEL: dict[str, Any] = dict(
    type='KeypointGAN',
    backbone=dict(type='SkeletonTranslator', width=4),
    head=dict(type='SkeletonRegressor', skeleton='lsp_14', width=4),
    generator=dict(type='ConditionalDecoder', width=4),
    discriminator=dict(type='MultiScaleDiscriminator', width=4, scales=1),
    renderer=dict(type='SkeletonRenderer', skeleton='lsp_14', size=SIZE),
    perceptual=dict(type='PerceptualLoss', features='random', width=2),
    pool_size=4)


@pytest.fixture(scope='module')
def tool():
    sys.path.insert(0, str(TOOLS))
    try:
        spec = importlib.util.spec_from_file_location(
            'edit_pose', TOOLS / 'edit_pose.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(TOOLS))


def write(folder: Path, model: dict, name: str = 'model', **more: Any
          ) -> list[str]:
    """A config and a checkpoint of a model."""
    if DefaultScope.get_current_instance() is None:
        init_default_scope('mmpose')
    torch.manual_seed(0)
    built = MODELS.build(Config(dict(model=model)).model)
    with torch.no_grad():
        for weight in built.parameters():
            if weight.ndim == 4:
                torch.nn.init.kaiming_normal_(weight)
    Config(dict(model=model, **more)).dump(folder / f'{name}.py')
    torch.save(dict(state_dict=built.state_dict(), meta={}),
               folder / f'{name}.pth')
    return [str(folder / f'{name}.py'), str(folder / f'{name}.pth')]


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A folder of five images, some large, and a model."""
    folder = tmp_path_factory.mktemp('edit')
    (folder / 'images').mkdir()
    rng = np.random.default_rng(0)
    for i, shape in enumerate([(32, 32), (48, 32), (90, 70), (32, 64),
                               (20, 20)]):
        cv2.imwrite(str(folder / 'images' / f'{i}.png'), cv2.resize(
            rng.integers(0, 255, (4, 4, 3), np.uint8), shape))
    return folder, write(folder, MODEL)


def run(tool, place, *words: str) -> np.ndarray:
    folder, model = place
    out = folder / 'out' / 'sheet.png'
    tool.main([*model, *words, '--out', str(out)])
    return cv2.imread(str(out))


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal but for rounding, which the size of a batch changes."""
    return np.abs(one.astype(int) - other).max() <= 1


def tile(sheet: np.ndarray, row: int, column: int, heads: int = 1
         ) -> np.ndarray:
    """A tile of 160 pixels, at its own 32."""
    top = 6 + row * 184 + 18
    left = 6 + column * 166 + (12 if column >= heads else 0)
    return sheet[top:top + 160, left:left + 160][2::5, 2::5]


def test_grid(tool, place, capsys):
    folder, _ = place
    sheet = run(tool, place, str(folder / 'images'), '--most', '3',
                '--appearance', str(folder / 'images/1.png'),
                str(folder / 'images/4.png'))
    said = capsys.readouterr().out.splitlines()
    assert said[-1].startswith(str(folder / 'out' / 'sheet.png'))
    assert '3 poses (rows) x 2 looks (columns)' in said[-1]
    assert sheet.shape[:2] == (4 * 184 + 6, 4 * 166 + 18)
    # what stands in the grid is the decoder's own picture
    from mirrorpose.apis import PoseEditor, load_model
    editor = PoseEditor(load_model(*place[1]))
    files = [str(folder / 'images' / f'{i}.png') for i in (0, 2, 4, 1)]
    poses, looks = editor.read(files[:3]), editor.read(
        [files[3], files[2]])
    made = editor.swap(poses, looks)
    for row in range(3):
        assert np.array_equal(tile(sheet, row + 1, 0, 2), poses.images[row])
        for column in range(2):
            assert alike(tile(sheet, row + 1, 2 + column, 2),
                         made[row, column])
    assert np.array_equal(tile(sheet, 0, 2, 2), looks.images[0])


def test_moves_and_sweeps(tool, place, capsys):
    folder, _ = place
    images = [str(folder / 'images' / f'{i}.png') for i in (0, 1)]
    sheet = run(tool, place, *images, '--move', 'left_wrist=+2,-3',
                '--move', 'right_knee=-1,0')
    said = capsys.readouterr().out
    assert 'left_wrist, right_knee moved in 2 images' in said
    from mirrorpose.apis import PoseEditor, load_model
    editor = PoseEditor(load_model(*place[1]))
    people = editor.read(images)
    moved = editor.move(people, dict(left_wrist=(2, -3),
                                     right_knee=(-1, 0)))
    plain = editor.decode(people.keypoints, people.images)
    edited = editor.decode(moved, people.images)
    for row in range(2):
        assert np.array_equal(tile(sheet, row, 0), people.images[row])
        assert alike(tile(sheet, row, 2), plain[row])
        assert alike(tile(sheet, row, 4), edited[row])
    assert not alike(plain, edited)
    # the same in shares of the side, and with another's look
    other = run(tool, place, *images, '--move', 'left_wrist=.0625,-.09375',
                '--move', 'right_knee=-.03125,0', '--unit', 'fraction',
                '--appearance', images[1])
    assert alike(tile(other, 1, 4), edited[1])
    assert not alike(tile(other, 0, 4), edited[0])
    sweep = run(tool, place, images[0], '--sweep', 'left_wrist=4,0',
                '--steps', '3')
    path = editor.walk(people, 'left_wrist', (4, 0), 3)[0]
    made = editor.decode(path, people.images[[0] * 3])
    for step in range(3):
        assert alike(tile(sweep, 1, 1 + step), made[step])
    ring = run(tool, place, images[0], '--sweep', 'left_wrist')
    assert ring.shape[:2] == (2 * 184 + 6, 9 * 166 + 18)
    assert 'left_wrist in 8 places in 1 images' in capsys.readouterr().out


def test_frames_of_the_config(tool, place, monkeypatch):
    folder, _ = place
    monkeypatch.setenv('MIRRORPOSE_CACHE', str(folder / 'cache'))
    for clip in 'ab':
        (folder / 'clips' / clip).mkdir(parents=True)
        for i in range(3):
            cv2.imwrite(str(folder / 'clips' / clip / f'{i}.png'), np.full(
                (SIZE, SIZE, 3), 40 * i + (100 if clip == 'a' else 0),
                np.uint8))
    frames = dict(type='FramePairDataset', joints='lsp_14', size=SIZE,
                  data_root=str(folder), sources=[
                      dict(type='FrameFolders', folder='clips')])
    both = write(folder, MODEL, 'framed', val_dataloader=dict(
        dataset=frames))
    sheet = run(tool, (folder, both), '--validation', '3')
    greys = [int(tile(sheet, r, 0, 2)[5, 5, 0]) for r in (1, 2, 3)]
    # both clips' middles come before a second frame of any
    assert greys[:2] == [140, 40] and greys[2] in (0, 80, 100, 180)
    none = write(folder, MODEL, 'other', val_dataloader=dict(dataset=dict(
        type='SyntheticPoseDataset', num_samples=1, lazy_init=True)))
    with pytest.raises(tool.cli.UsageError, match='no frames: give images'):
        run(tool, (folder, none), '--validation', '3')


@pytest.mark.parametrize('words, message', [
    (['{a}', '--move', 'left_wirst=1,1'], "mean 'left_wrist'"),
    (['{a}', '--sweep', 'tail'], "no joint 'tail'.*left_wrist"),
    (['{a}', '--move', 'left_wrist'], 'JOINT=DX,DY is wanted'),
    (['{a}', '--move', 'left_wrist=1'], 'JOINT=DX,DY is wanted'),
    (['{a}', '--move', 'left_wrist=1,nan'], 'JOINT=DX,DY is wanted'),
    (['{a}', '--move', 'left_wrist=500,0'],
     r'0\.png: left_wrist would stand at \(5.*outside of the picture'),
    (['{a}', '--sweep', 'left_wrist', '--steps', '1'], 'at least 2'),
    (['{a}', '--move', 'left_wrist=1,0', '--appearance', '{a}', '{a}'],
     'one --appearance'),
    (['{a}', '--out', 'sheet.jpg'], 'must end in .png'),
    (['{a}', '--validation', '3'], 'give images'),
    (['--validation', '3'], 'no validation data'),
    ([], 'give images'),
    (['{empty}'], 'empty holds no image'),
    (['nobody.png'], 'no image nobody.png'),
    (['{broken}'], r'broken\.png cannot be edited.*cannot be decoded')])
def test_mistakes(tool, place, words, message):
    folder, model = place
    (folder / 'empty').mkdir(exist_ok=True)
    (folder / 'broken.png').write_bytes(b'<html>')
    named = dict(a=str(folder / 'images/0.png'), empty=str(folder / 'empty'),
                 broken=str(folder / 'broken.png'))
    out = str(folder / 'never.png')
    words = [w.format(**named) for w in words]
    with pytest.raises(tool.cli.UsageError, match=message):
        tool.main([*model, '--out', out, *words])
    assert not Path(out).exists()


def test_wrong_models(tool, place):
    folder, (config, checkpoint) = place
    image = str(folder / 'images/0.png')
    blind = write(folder, dict(MODEL, generator=dict(
        type='ConditionalDecoder', width=4, conditional=False)), 'blind')
    small = write(folder, dict(type='SkeletonRegressorPretraining',
                               head=MODEL['head'],
                               renderer=MODEL['renderer']), 'stage')
    for words, message in (
            (blind, 'generator.conditional=True'),
            ([config, small[1]], 'stage that trains all of it'),
            ([config, blind[1]], 'of another size|stage that trains'),
            (small, 'SkeletonRegressorPretraining makes no images'),
            (['none.py', checkpoint], 'config none.py does not exist'),
            ([config, 'none.pth'], 'none.pth does not exist')):
        with pytest.raises(tool.cli.UsageError, match=message):
            tool.main([*words, image, '--out', str(folder / 'n.png')])
