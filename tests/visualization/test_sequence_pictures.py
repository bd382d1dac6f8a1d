"""Animations and paths, by what can be seen in them."""
from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

from mirrorpose.apis.completion import complete
from mirrorpose.apis.pose_files import PoseTrack
from mirrorpose.structures import Skeleton
from mirrorpose.visualization.sequences import (
    animate_completion,
    joint_paths_figure,
)

COCO, MPI = (Skeleton.from_name(n) for n in ('coco_17', 'mpi_inf_3dhp_28'))


@pytest.fixture(scope='module')
def scene():
    rng = np.random.default_rng(0)
    pose = rng.normal(0, 50, (17, 2))
    points = pose + np.arange(20)[:, None, None] * [4., 0.] + 300
    trust = np.ones((20, 17))
    trust[5:9, 9] = 0
    trust[:, :5] = 0
    tracks = [PoseTrack('0', 3, points, trust),
              PoseTrack('1', 8, points[:6] + [90., 0.], trust[:6])]
    done = complete([t.keypoints for t in tracks],
                    [t.confidence for t in tracks])
    return tracks, done


def test_gif(scene, tmp_path):
    path = tmp_path / 'a.gif'
    animate_completion(path, *scene, COCO, MPI, fps=20)
    with Image.open(path) as image:
        assert image.n_frames == 20 and image.info['duration'] == 50
        image.seek(7)
        pixels = np.asarray(image.convert('RGB')).astype(int)
    width = (pixels.shape[1] - 2) // 2
    lit = pixels.sum(-1) > 250
    left, right = lit[:, :width].sum(), lit[:, width + 2:].sum()
    assert right > left > 200  # the second side has more joints


def test_html_holds_the_poses(scene, tmp_path):
    path = tmp_path / 'a.html'
    tracks, done = scene
    animate_completion(path, tracks, done, COCO, MPI)
    text = path.read_text()
    assert 'http' not in text  # opens offline
    scenes = json.loads(re.search(r'const scenes = (.*), fps', text).group(1))
    assert [len(s['frames']) for s in scenes] == [20, 20]
    before, after = (s['frames'] for s in scenes)
    # absent joints and people are null; all else keeps its proportions
    assert before[5][0][9] is None and before[4][0][9] is not None
    assert after[0][1] == [None] * 28 and after[5][1][0] is not None
    drawn = np.array(after[10][0])
    real = done[0].keypoints[10]
    scale = np.ptp(drawn, 0) / np.ptp(real, 0)
    assert scale[0] == pytest.approx(scale[1], rel=.02)


def test_refuses(scene, tmp_path):
    with pytest.raises(ValueError, match='gif or .html'):
        animate_completion(tmp_path / 'a.mp4', *scene, COCO, MPI)
    with pytest.raises(ValueError, match='side by side'):
        animate_completion(tmp_path / 'a.gif', scene[0], [], COCO, MPI)
    with pytest.raises(ValueError, match='fps'):
        animate_completion(tmp_path / 'a.gif', *scene, COCO, MPI, fps=0)


def test_paths(scene):
    tracks, done = scene
    figure = joint_paths_figure(tracks[0], done[0], COCO, MPI,
                                ['left_wrist', 'left_hand'], fps=10)
    assert len(figure.axes) == 4
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    np.testing.assert_allclose(lines['completed'].get_xdata(),
                               np.arange(3, 23) / 10)
    seen = lines['observed'].get_xdata()
    assert len(seen) == 16 and not set(seen) & {.8, .9, 1., 1.1}
    np.testing.assert_allclose(
        lines['observed'].get_ydata(),
        tracks[0].keypoints[np.r_[0:5, 9:20], 9, 0])
    assert len(figure.axes[2].lines) == 1  # a hand was never observed
    with pytest.raises(ValueError, match='no joints of'):
        joint_paths_figure(tracks[0], done[0], COCO, MPI, ['tail'])
