"""The command line: files of poses in, names and a sheet out."""
from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

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
