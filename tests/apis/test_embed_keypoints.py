"""Embeddings of anybody's 2D detections, and whose they are."""
from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mirrorpose.apis import PoseIndex, embed_keypoints, load_model
from mirrorpose.apis.embedding import embed_images, model_joints
from mirrorpose.apis.model_identity import model_digest
from mirrorpose.structures import Skeleton

RNG = np.random.default_rng(0)
COCO = Skeleton.from_name('coco_17')
H36M = Skeleton.from_name('h36m_17')
ENCODER = dict(type='PoseEncoder', num_keypoints=17, channels=32,
               num_blocks=1, dropout=0.)


def config(**changes):
    model = dict(
        type='MetricPoseRegressor', backbone=dict(ENCODER),
        data_preprocessor=dict(type='BaseDataPreprocessor'),
        head=dict(type='MetricPoseHead', in_channels=32, embedding_dim=8))
    model.update(changes)
    return Config(dict(default_scope='mmpose', model=model))


@pytest.fixture(scope='module')
def lifter():
    torch.manual_seed(0)
    return load_model(config())


@pytest.fixture
def poses():
    return 90 * RNG.normal(size=(12, 17, 2)) + 300


def by_hand(lifter, points, seen):
    """Training's normalisation, pose by pose: the longer side from -1 to 1."""
    rows = []
    for pose, there in zip(points, seen):
        held = pose[there]
        low, high = held.min(0), held.max(0)
        flat = (pose - (low + high) / 2) / ((high - low).max() / 2)
        rows.append(np.where(there[:, None], np.c_[flat, np.ones(17)], 0))
    with torch.no_grad():
        feature = lifter.backbone(torch.from_numpy(np.stack(rows)).float())
        raw = lifter.head.embed(feature[0].flatten(1))
    return torch.nn.functional.normalize(raw).numpy()


def test_of_the_model_s_joints(lifter, poses):
    seen = RNG.random((12, 17)) > .3
    made = embed_keypoints(lifter, poses, seen)
    assert made.shape == (12, 8) and made.dtype == np.float32
    np.testing.assert_allclose(made, by_hand(lifter, poses, seen),
                               rtol=1e-4, atol=1e-5)
    # Absent by NaN is absent; place and scale do not count.
    other = np.where(seen[..., None], .3 * poses - 70, np.nan)
    np.testing.assert_allclose(embed_keypoints(
        lifter, torch.from_numpy(other), batch_size=5), made, rtol=1e-3,
        atol=1e-5)
    assert np.abs(made - embed_keypoints(lifter, poses)).max() > 1e-2


def test_of_another_joint_set(lifter, poses):
    """COCO's joints by name: midpoints where it has none, no head."""
    def at(*names):
        return poses[:, COCO.index(*names)].mean(1)

    sides, shoulders = ('left_', 'right_'), ('left_shoulder',
                                             'right_shoulder')
    hips = ('left_hip', 'right_hip')
    want = np.zeros((12, 17, 2))
    seen = np.ones((12, 17), bool)
    for i, joint in enumerate(H36M.joints):
        if joint in ('head', 'neck_base'):
            seen[:, i] = False
            continue
        names = dict(root=hips, thorax=shoulders, spine=hips + shoulders
                     ).get(joint, (joint.replace('foot', 'ankle'), ))
        want[:, i] = at(*names)
    assert sum(j.startswith(sides) for j in H36M.joints) == 12
    visible = np.ones((12, 17))
    made = embed_keypoints(lifter, poses, visible, 'coco_17')
    np.testing.assert_allclose(made, by_hand(lifter, want, seen), rtol=1e-4,
                               atol=1e-5)
    # Without a hip there is no pelvis, and no spine.
    visible[:, COCO.index('left_hip')] = 0
    seen[:, H36M.index('left_hip', 'root', 'spine')] = False
    np.testing.assert_allclose(
        embed_keypoints(lifter, poses, visible, COCO),
        by_hand(lifter, want, seen), rtol=1e-4, atol=1e-5)


def test_errors(lifter, poses):
    few = np.zeros((12, 17))
    few[:, COCO.index('nose', 'left_eye', 'left_hip', 'left_knee')] = 1
    with pytest.raises(ValueError, match='12 poses have fewer than 3 joints '
                       'that the model knows'):
        embed_keypoints(lifter, poses, few, 'coco_17')
    with pytest.raises(ValueError, match=r'\(N, 14, 2\), got'):
        embed_keypoints(lifter, poses, joints='lsp_14')
    with pytest.raises(ValueError, match='no poses'):
        embed_keypoints(lifter, poses[:0])
    with pytest.raises(ValueError, match='visible is'):
        embed_keypoints(lifter, poses, np.ones((12, 16)))
    with pytest.raises(TypeError, match='2D poses and no images'):
        embed_images(lifter, [np.zeros((8, 8, 3), np.uint8)])
    images = load_model(config(backbone=dict(
        type='ResNet', depth=18, base_channels=4, stem_channels=4)))
    with pytest.raises(TypeError, match='PoseEncoder'):
        embed_keypoints(images, poses)


def test_a_head_that_knows_no_joints(poses):
    """An EmbeddingHead alone: the data set's joints, or an error."""
    model = load_model(Config(dict(default_scope='mmpose', model=dict(
        type='TopdownPoseEstimator', backbone=dict(ENCODER),
        head=dict(type='EmbeddingHead', in_channels=32)))))
    with pytest.raises(ValueError, match='says which'):
        embed_keypoints(model, poses)
    model.dataset_meta = H36M.metainfo()
    assert model_joints(model).name == 'h36m_17'
    assert embed_keypoints(model, poses, joints='coco_17').shape == (12, 128)


class TestWhoseIndex:

    def test_digest(self, lifter):
        mine = model_digest(lifter)
        torch.manual_seed(0)
        again = load_model(config(adversary=dict(
            type='IdentityAdversary', num_subjects=3), test_cfg=dict(
                hide_joints=dict(a=['head']))))
        # What serves training alone has no part in an embedding.
        again.load_state_dict(lifter.state_dict(), strict=False)
        assert model_digest(again) == mine
        other = load_model(config())
        theirs = model_digest(other)
        assert theirs['config'] == mine['config']
        assert theirs['weights'] != mine['weights']
        wider = load_model(config(head=dict(
            type='MetricPoseHead', in_channels=32, embedding_dim=9)))
        assert model_digest(wider)['config'] != mine['config']
        assert model_digest(lambda images: images) is None

    def test_another_model_is_refused(self, lifter, poses, tmp_path):
        index = PoseIndex.from_keypoints(poses, lifter, joints='coco_17')
        index.save(tmp_path / 'i.npz')
        index = PoseIndex.load(tmp_path / 'i.npz')
        assert index.model == model_digest(lifter)
        assert index.joints == 'h36m_17' and index.drawn.shape == (12, 17, 3)
        asked = embed_keypoints(lifter, 2 * poses[3:5], joints='coco_17')
        found = index.search(asked, 1, model=lifter)
        assert found.items == [[3], [4]]
        other = load_model(config())
        with pytest.raises(ValueError, match='different models.*another '
                           'weights'):
            index.search(asked, 1, model=other)
        with pytest.raises(ValueError, match='different models'):
            index.extend(PoseIndex.from_keypoints(poses, other,
                                                  joints='coco_17'))
        index.extend(PoseIndex.from_keypoints(poses[:2], lifter))
        assert len(index) == len(index.drawn) == len(index.items) == 14
        with pytest.raises(ValueError, match='not compared alike'):
            index.extend(PoseIndex.from_embeddings(np.ones((2, 8))))
        # Nobody knows who made bare vectors.
        assert index.search(asked, 1).items == [[3], [4]]

    def test_an_index_of_the_first_version(self, tmp_path):
        path = tmp_path / 'i.npz'
        PoseIndex.from_embeddings(np.eye(4)).save(path)
        with np.load(path) as held:
            arrays = dict(held)
        head = json.loads(arrays['head'].tobytes())
        head['version'] = 1
        del head['model']
        np.savez(path, **dict(arrays, head=np.frombuffer(
            json.dumps(head).encode(), np.uint8)))
        index = PoseIndex.load(path)
        assert index.model is None and len(index) == 4
