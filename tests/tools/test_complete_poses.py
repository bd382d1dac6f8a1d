"""The command line, from one process to the next file."""
from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mirrorpose.models.completion import InterpolationCompleter, RidgeCompleter
from mirrorpose.models.completion.completer import SKELETON
from mirrorpose.structures import Skeleton

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture(scope='module')
def tool():
    sys.path.insert(0, str(TOOLS))
    try:
        spec = importlib.util.spec_from_file_location(
            'complete_poses', TOOLS / 'complete_poses.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(TOOLS))


@pytest.fixture(autouse=True)
def nothing_trained(tmp_path, monkeypatch):
    """The default is interpolation, whatever was trained in this folder."""
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')


@pytest.fixture
def poses(tmp_path):
    """AlphaPose's file of one person whose left arm is hidden."""
    coco = Skeleton.from_name('coco_17')
    body = InterpolationCompleter().mean_pose.double().numpy()
    points, seen = SKELETON.convert(body[None] * 150, np.ones((1, 28)), coco,
                                    allow_missing=True)
    entries = []
    for t in range(30):
        score = seen[0].copy()
        if 10 <= t < 20:
            score[coco.index('left_wrist', 'left_elbow')] = 0
        rows = np.concatenate([points[0] + [200 + 3 * t, 200],
                               score[:, None]], 1)
        entries.append(dict(image_id=f'{t}.jpg', category_id=1, score=1.,
                            idx=7, keypoints=rows.ravel().tolist()))
    path = tmp_path / 'in.json'
    path.write_text(json.dumps(entries))
    return path


def test_as_a_command(poses, tmp_path):
    out = tmp_path / 'out' / 'dense.json'
    done = subprocess.run(
        [sys.executable, str(TOOLS / 'complete_poses.py'), str(poses),
         str(out), '--from', 'coco_17', '--to', 'mpi_inf_3dhp_28'],
        capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '1 tracks, 30 frames' in done.stdout
    entries = json.loads(out.read_text())
    assert len(entries) == 30 and all(e['idx'] == 7 for e in entries)
    points = np.array([e['keypoints'] for e in entries]).reshape(30, 28, 3)
    wrist = SKELETON.index('left_wrist')[0]
    assert (points[10:20, wrist, 2] == .5).all()
    # hidden while walking evenly: on a straight line
    np.testing.assert_allclose(np.diff(points[:, wrist, 0]), 3, atol=.01)


@pytest.mark.parametrize('ending', ['.gif', '.html'])
def test_pictures(tool, poses, tmp_path, ending, capsys):
    picture = tmp_path / f'p{ending}'
    tool.main([str(poses), str(tmp_path / 'o.npz'), '--from', 'coco_17',
               '--picture', str(picture)])
    assert picture.stat().st_size > 1000
    assert '30 frames' in capsys.readouterr().out


@pytest.mark.parametrize('arguments,message', [
    (['IN', 'o.txt'], 'OUT must end'),
    (['nowhere.json', 'o.json'], 'no file'),
    (['IN', 'o.json'], r"--from.*coco_17"),
    (['IN', 'o.json', '--from', 'coco_18'], 'unknown joint set'),
    (['IN', 'o.json', '--from', 'mpii_16'], '17 joints'),
    (['IN', 'o.json', '--from', 'coco_17', '--to', 'x'], 'unknown joint'),
    (['IN', 'o.json', '--from', 'coco_17', '--completer', 'no.pth'],
     'does not exist'),
    (['IN', 'o.json', '--from', 'coco_17', '--picture', 'a.mp4'],
     'must end in'),
    (['IN', 'o.json', '--from', 'coco_17', '--hypotheses', '4'],
     'alphapose.*no place for --hypotheses.*npz'),
    (['IN', 'o.npz', '--from', 'coco_17', '--hypotheses', '4'],
     'no hypotheses')])
def test_mistakes_in_one_line(tool, poses, tmp_path, monkeypatch, arguments,
                              message):
    monkeypatch.chdir(tmp_path)
    import cli
    with pytest.raises(cli.UsageError, match=message):
        tool.main([str(poses) if a == 'IN' else a for a in arguments])
    assert not (tmp_path / 'o.json').exists()


def test_several_answers(tool, poses, tmp_path):
    """Of what a config names, in npz."""
    windows = torch.from_numpy(np.random.default_rng(0).normal(
        0, .1, (40, 24, 28, 2))).float() + \
        InterpolationCompleter().mean_pose
    ridge = RidgeCompleter(rank=8).fit([dict(
        inputs=windows, observed=windows[..., 0] < 9)])
    torch.save(dict(state_dict=ridge.state_dict(), meta={}),
               tmp_path / 'epoch_1.pth')
    config = tmp_path / 'ridge.py'
    config.write_text(
        "model = dict(type='RidgeCompleter', rank=8, init_cfg=dict("
        f"type='Pretrained', checkpoint={str(tmp_path)!r}))\n")
    out = tmp_path / 'o.npz'
    tool.main([str(poses), str(out), '--from', 'coco_17', '--completer',
               str(config), '--hypotheses', '3'])
    found = np.load(out)
    assert found['hypotheses'].shape == (1, 3, 30, 28, 2)
    assert found['hypotheses'].std(1).max() > 1
