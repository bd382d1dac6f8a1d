"""The command line: files of poses in, names and a sheet out."""
from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
RNG = np.random.default_rng(0)


@pytest.fixture(scope='module')
def tool():
    sys.path.insert(0, str(TOOLS))
    try:
        spec = importlib.util.spec_from_file_location(
            'search_poses', TOOLS / 'search_poses.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(TOOLS))


def write(path, poses, hidden=()):
    """mmpose's JSON, one person a frame."""
    content = []
    for t, pose in enumerate(poses):
        score = np.ones(17)
        score[list(hidden)] = 0
        content.append(dict(frame_id=t, instances=[dict(
            keypoints=pose.tolist(), keypoint_scores=score.tolist(),
            track_id=0)]))
    path.write_text(json.dumps(content))
    return str(path)


@pytest.fixture
def poses():
    return 90 * RNG.normal(size=(12, 17, 2)) + 300


def test_2d_files(tool, poses, tmp_path, capsys):
    index, sheet = str(tmp_path / 'i.npz'), tmp_path / 'out' / 'sheet.png'
    gallery = write(tmp_path / 'gallery.json', poses)
    query = write(tmp_path / 'query.json', poses[4:7] * .5 + 20, hidden=[3])
    with pytest.raises(tool.cli.UsageError, match='--from.*coco_17'):
        tool.main(['build', index, gallery])
    tool.main(['build', index, gallery, '--from', 'coco_17'])
    assert '12 poses' in capsys.readouterr().out
    tool.main(['find', index, query, '--from', 'coco_17', '-k', '3',
               '--sheet', str(sheet)])
    lines = capsys.readouterr().out.splitlines()
    for number, line in enumerate(lines[:3]):
        assert line.startswith(f'query:{number}: gallery:{number + 4} (')
        assert line.count('gallery:') == 3
    assert cv2.imread(str(sheet)).shape[0] > 3 * 160
    tool.main(['build', index, gallery, '--from', 'coco_17', '--add'])
    assert '24 poses' in capsys.readouterr().out


def test_3d_files(tool, tmp_path, capsys):
    index, gallery = str(tmp_path / 'i.npz'), tmp_path / 'g.npz'
    body = 250 * RNG.normal(size=(9, 17, 3))
    np.savez(gallery, keypoints_3d=body, joints='h36m_17')
    turn = np.array([[0, 0, 1.], [0, 1, 0], [-1, 0, 0]])
    query = tmp_path / 'q.npz'
    np.savez(query, keypoints_3d=body[5:6] @ turn.T, joints='h36m_17')
    tool.main(['build', index, str(gallery)])
    tool.main(['find', index, str(query), '--sheet', str(tmp_path / 's.png')])
    out = capsys.readouterr().out
    assert 'q:0: g:5 (' in out and ' mm)' in out
    # what was found is drawn as the query's camera would see it
    sheet = cv2.imread(str(tmp_path / 's.png')).astype(int)
    one, other = sheet[24:184, 6:166], sheet[24:184, 184:344]
    assert np.abs(one - other).mean() < 3
    assert np.abs(one - sheet[24:184, 350:510]).mean() > 10


def test_mistakes(tool, poses, tmp_path):
    index = str(tmp_path / 'i.npz')
    gallery = write(tmp_path / 'gallery.json', poses)
    for words, error in (
            (['build', index, 'nothing.json'], 'no file nothing.json'),
            (['build', index, gallery, '--from', 'lsp_14'], 'another number'),
            (['find', index, gallery, '--from', 'coco_17'], 'no index'),
            (['find', index, gallery, '--sheet', 'a.jpg'], 'png')):
        with pytest.raises(tool.cli.UsageError, match=error):
            tool.main(words)
    picture = tmp_path / 'a.png'
    cv2.imwrite(str(picture), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(tool.cli.UsageError, match='--model'):
        tool.main(['build', index, str(picture)])
    tool.main(['build', index, gallery, '--from', 'coco_17'])
    with pytest.raises(tool.cli.UsageError, match='ask it with poses'):
        tool.main(['find', index, str(picture)])


# -- with a model -------------------------------------------------------------
MODEL = '''
default_scope = 'mmpose'
custom_imports = dict(imports=['mirrorpose'])
model = dict(
    type='MetricPoseRegressor', backbone={backbone},
    data_preprocessor={preprocessor},
    head=dict(type='MetricPoseHead', in_channels=32, embedding_dim=8))
test_dataloader = dict(dataset=dict(
    type='MultiViewDataset', part='test', source=dict(
        type='SyntheticViews', image_size=48)))
'''
LIFTER = dict(type='PoseEncoder', num_keypoints=17, channels=32,
              num_blocks=1, dropout=0.)
RESNET = dict(type='ResNet', depth=18, base_channels=4, stem_channels=4)


def write_model(folder, name, backbone, seed=0):
    """A config and a checkpoint, as options of the command line."""
    from mirrorpose.apis import load_model
    pixels = dict(type='PoseDataPreprocessor', mean=[127.] * 3,
                  std=[60.] * 3)
    config, weights = folder / f'{name}.py', folder / f'{name}_{seed}.pth'
    config.write_text(MODEL.format(backbone=backbone, preprocessor=pixels
                                   if backbone is RESNET else
                                   dict(type='BaseDataPreprocessor')))
    torch.manual_seed(seed)
    torch.save(dict(state_dict=load_model(config).state_dict(), meta={}),
               weights)
    return ['--model', str(config), '--checkpoint', str(weights)]


def test_2d_files_by_a_lifting_model(tool, poses, tmp_path, capsys):
    """Detections of one joint set find those of another, by embeddings."""
    model = write_model(tmp_path, 'lifter', LIFTER)
    index, sheet = str(tmp_path / 'i.npz'), tmp_path / 'sheet.png'
    gallery = write(tmp_path / 'gallery.json', poses, hidden=[3])
    tool.main(['build', index, gallery, '--from', 'coco_17', *model])
    assert '12 embeddings' in capsys.readouterr().out
    from mirrorpose.apis import PoseIndex, embed_keypoints, load_model
    held = PoseIndex.load(index)
    seen = np.ones((12, 17))
    seen[:, 3] = 0
    np.testing.assert_allclose(
        held.values, embed_keypoints(load_model(model[1], model[3]), poses,
                                     seen, 'coco_17'), rtol=1e-5, atol=1e-6)
    assert held.model['model'] == 'MetricPoseRegressor'
    query = write(tmp_path / 'query.json', poses[4:7] * .5 + 20, hidden=[3])
    tool.main(['find', index, query, '--from', 'coco_17', '-k', '3',
               '--sheet', str(sheet), *model])
    for number, line in enumerate(capsys.readouterr().out.splitlines()[:3]):
        assert line.startswith(f'query:{number}: gallery:{number + 4} (')
        distance = float(line.split(' (')[1].split(')')[0])
        assert distance < 1e-3 and ' mm' not in line
        assert line.count('gallery:') == 3
    assert cv2.imread(str(sheet)).shape[0] > 3 * 160
    # Another joint set, and a pose that the model knows too little of.
    from mirrorpose.structures import Skeleton
    coco = Skeleton.from_name('coco_17')
    lsp, there = coco.convert(poses, np.ones((12, 17)), 'lsp_14', True)
    lsp[0, 2:] = there[0, 2:] = 0
    other = tmp_path / 'lsp.json'
    other.write_text(json.dumps([dict(frame_id=t, instances=[dict(
        keypoints=pose.tolist(), keypoint_scores=s.tolist(), track_id=0)])
        for t, (pose, s) in enumerate(zip(lsp, there))]))
    tool.main(['build', index, str(other), '--from', 'lsp_14', '--add',
               *model])
    out = capsys.readouterr().out
    assert '23 embeddings' in out
    tool.main(['find', index, query, '--from', 'coco_17', '-k', '2',
               *model])
    for number, line in enumerate(capsys.readouterr().out.splitlines()[:3]):
        # The same body joints under other names.
        assert f'gallery:{number + 4} (' in line and f'lsp:{number + 4} (' \
            in line


def test_poses_that_the_model_knows_too_little_of(tool, poses, tmp_path,
                                                  capsys):
    model = write_model(tmp_path, 'lifter', LIFTER)
    index = str(tmp_path / 'i.npz')
    face = write(tmp_path / 'face.json', poses, hidden=range(5, 17))
    with pytest.raises(tool.cli.UsageError, match='that the model knows'):
        tool.main(['build', index, face, '--from', 'coco_17', *model])
    gallery = write(tmp_path / 'g.json', poses)
    tool.main(['build', index, face, gallery, '--from', 'coco_17', *model])
    out = capsys.readouterr().out
    assert '12 poses have fewer than 3 joints' in out
    assert '12 embeddings' in out


@pytest.fixture
def pictures(tmp_path):
    files = []
    for i in range(4):
        files.append(str(tmp_path / f'p{i}.png'))
        cv2.imwrite(files[-1], RNG.integers(0, 255, (60, 40, 3)).astype(
            np.uint8))
    return files


def test_images(tool, pictures, tmp_path, capsys):
    """A model of views, whose config has no pipeline for single images."""
    model = write_model(tmp_path, 'images', RESNET)
    index, sheet = str(tmp_path / 'i.npz'), tmp_path / 'sheet.png'
    tool.main(['build', index, *pictures[:3], *model])
    assert '3 embeddings' in capsys.readouterr().out
    tool.main(['build', index, pictures[3], '--add', *model])
    tool.main(['find', index, pictures[2], pictures[3], '-k', '2',
               '--sheet', str(sheet), *model])
    lines = capsys.readouterr().out.splitlines()
    assert '4 embeddings' in lines[0]
    for line, file in zip(lines[1:], pictures[2:]):
        assert line.startswith(f'{file}: {file} (')
        assert float(line.split(' (')[1].split(')')[0]) < 1e-3
    # The query's picture and, beside it, the same picture.
    drawn = cv2.imread(str(sheet)).astype(int)
    assert np.abs(drawn[24:184, 6:166] - drawn[24:184, 184:344]).mean() < 3


def test_another_model_is_refused(tool, poses, pictures, tmp_path):
    model = write_model(tmp_path, 'lifter', LIFTER)
    other = write_model(tmp_path, 'lifter', LIFTER, seed=1)
    images = write_model(tmp_path, 'images', RESNET)
    index, plain = str(tmp_path / 'i.npz'), str(tmp_path / 'plain.npz')
    gallery = write(tmp_path / 'gallery.json', poses)
    named = ['--from', 'coco_17']
    tool.main(['build', index, gallery, *named, *model])
    tool.main(['build', plain, gallery, *named])
    solid = tmp_path / 'solid.npz'
    np.savez(solid, keypoints_3d=np.ones((2, 17, 3)), joints='h36m_17')
    for words, error in (
            (['find', index, gallery, *named, *other], 'another weights'),
            (['build', index, gallery, '--add', *named, *other],
             'different models'),
            (['find', index, pictures[0], *images], 'another config'),
            (['find', index, gallery, *named], 'needs the --model'),
            (['build', index, gallery, '--add', *named],
             'holds embeddings: add with'),
            (['find', plain, gallery, *named, *model], 'without --model'),
            (['build', plain, gallery, '--add', *named, *model],
             'not compared alike'),
            (['build', index, gallery, *named, *model[:2]],
             'needs --checkpoint'),
            (['build', index, gallery, *named, *images], 'PoseEncoder'),
            (['build', index, pictures[0], *model], 'no images'),
            (['build', index, str(solid), *model], r'got \(2, 17, 3\)'),
            (['build', index, gallery, '--turn', 'none', *named, *model],
             '--turn'),
            (['build', index, gallery, pictures[0], *model], 'mixed')):
        with pytest.raises(tool.cli.UsageError, match=error):
            tool.main(words)
