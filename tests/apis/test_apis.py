"""What Python users call, on a model from a config and a checkpoint."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.apis import inference_topdown

from mirrorpose import testing
from mirrorpose.apis import load_model, recognize, score_poses
from mirrorpose.models.pose import PosePrior
from mirrorpose.structures import Skeleton

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs' / 'mirrornet_small_synthetic.py'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('apis') / 'model.pth'
    torch.save(dict(state_dict=load_model(CONFIG).state_dict(), meta={}),
               path)
    return path


@pytest.fixture(scope='module')
def model(checkpoint):
    return load_model(CONFIG, checkpoint)


class TestLoadModel:

    def test_the_weights_are_those_of_the_file(self, model, checkpoint):
        held = torch.load(checkpoint, weights_only=True)['state_dict']
        assert not model.training
        for key, value in model.state_dict().items():
            assert torch.equal(value, held[key])

    def test_a_stage(self):
        prior = load_model(CONFIG, stage='pose_vae')
        assert type(prior).__name__ == 'PoseAutoencoding'

    def test_errors(self, checkpoint, tmp_path):
        with pytest.raises(ValueError, match="no stage 'x'.*pose_vae"):
            load_model(CONFIG, stage='x')
        with pytest.raises(FileNotFoundError, match='no checkpoint'):
            load_model(CONFIG, tmp_path / 'none.pth')
        part = {k: v for k, v in torch.load(
            checkpoint, weights_only=True)['state_dict'].items()
            if k.startswith('pose_vae.')}
        torch.save(dict(state_dict=part), tmp_path / 'part.pth')
        with pytest.raises(ValueError, match="lacks .*stage='pose_vae'"):
            load_model(CONFIG, tmp_path / 'part.pth')
        load_model(CONFIG, tmp_path / 'part.pth', stage='pose_vae')


@pytest.fixture(scope='module')
def people():
    rng = np.random.default_rng(0)
    images = [cv2.resize(rng.integers(0, 255, (9, 7, 3), np.uint8),
                         (90 + 20 * i, 110)) for i in range(3)]
    boxes = [np.array([[5, 5, 60, 90], [20, 10, 80, 100]], np.float32),
             np.zeros((0, 4), np.float32),
             np.array([[0, 0, 90, 110]], np.float32)]
    return images, boxes


class TestRecognize:

    @pytest.mark.parametrize('batch_size', [1, 2, 32])
    def test_as_mmpose_one_by_one(self, model, people, batch_size):
        images, boxes = people
        got = recognize(model, images, boxes, batch_size)
        assert [len(g) for g in got] == [2, 0, 1]
        for number in (0, 2):
            wanted = inference_topdown(model, images[number], boxes[number])
            for a, b in zip(got[number], wanted):
                np.testing.assert_allclose(a.pred_instances.keypoints,
                                           b.pred_instances.keypoints,
                                           atol=1e-3)

    def test_paths_and_whole_images(self, model, people, tmp_path):
        path = tmp_path / 'a.png'
        cv2.imwrite(str(path), people[0][0])
        one = recognize(model, [path])[0][0].pred_instances
        two = recognize(model, [people[0][0]])[0][0].pred_instances
        np.testing.assert_array_equal(one.keypoints, two.keypoints)
        assert one.keypoints.shape == (1, 16, 2)

    def test_errors(self, model, people, tmp_path):
        with pytest.raises(ValueError, match='3 images, but boxes for 1'):
            recognize(model, people[0], people[1][:1])
        with pytest.raises(ValueError, match='x1 < x2'):
            recognize(model, people[0][:1], [np.array([[9, 9, 2, 2]])])
        (tmp_path / 'empty.jpg').touch()
        with pytest.raises(ValueError, match='empty.jpg'):
            recognize(model, [tmp_path / 'empty.jpg'])


class TestScorePoses:

    def test_is_the_priors_score(self, model):
        rng = np.random.default_rng(1)
        points = rng.uniform(20, 80, (5, 16, 2)).astype(np.float32)
        boxes = np.tile(np.float32([10, 10, 90, 90]), (5, 1))
        prior = model.pose_vae
        assert isinstance(prior, PosePrior)
        wanted = prior.score(torch.as_tensor((points - 50) / 50))
        np.testing.assert_allclose(
            score_poses(model, points, boxes=boxes, batch_size=2),
            wanted.detach().numpy(), rtol=1e-5)

    def test_neither_place_nor_size_matters(self, model):
        points = np.random.default_rng(2).uniform(0, 1, (3, 16, 2))
        a = score_poses(model, 50 * points)
        np.testing.assert_allclose(a, score_poses(model, 7 + 200 * points),
                                   rtol=1e-4)

    def test_absent_joints_do_not_matter(self, model):
        points = np.random.default_rng(3).uniform(0, 99, (2, 16, 2))
        visible = np.ones((2, 16))
        visible[:, 3] = 0
        a = score_poses(model, points, visible)
        points[:, 3] = np.nan
        np.testing.assert_array_equal(a, score_poses(model, points, visible))

    def test_other_joints_by_name(self, model):
        points = np.random.default_rng(4).uniform(0, 99, (2, 14, 2))
        whole, present = Skeleton.from_name('lsp_14').convert(
            points.astype(np.float32), np.ones((2, 14), np.float32),
            'mpii_16')
        np.testing.assert_allclose(
            score_poses(model, points, joints='lsp_14'),
            score_poses(model, whole, present))

    def test_errors(self, model):
        points = np.zeros((2, 16, 2))
        with pytest.raises(ValueError, match=r'\(N, K, 2\)'):
            score_poses(model, points[0])
        with pytest.raises(ValueError, match='fewer than two'):
            score_poses(model, points, np.eye(2, 16))
        with pytest.raises(TypeError, match='nor holds a pose prior'):
            score_poses(torch.nn.Linear(1, 1), points)
        assert score_poses(model, points[:0]).shape == (0, )


def test_toys_are_there_for_users(tmp_path):
    cfg = testing.toy_cfg(tmp_path)
    assert isinstance(cfg, Config) and cfg.model.type == 'MirrorNet'
