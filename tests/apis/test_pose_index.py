"""The index against sorting all distances; files that are not it."""
from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from mirrorpose.apis.embedding import embed_images
from mirrorpose.apis.pose_index import PoseIndex

RNG = np.random.default_rng(0)
POSES = 250 * RNG.normal(size=(40, 17, 3)) + 3000


def kabsch_rms(a, b):
    a, b = a - a.mean(0), b - b.mean(0)
    u, s, vt = np.linalg.svd(a.T @ b)
    turn = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
    return np.sqrt(np.square(a @ turn - b).sum(1).mean())


def unit_rms(a, b):
    a, b = a - a.mean(0), b - b.mean(0)
    a, b = (p / np.sqrt(np.square(p).sum(1).mean()) for p in (a, b))
    return np.sqrt(np.square(a - b).sum(1).mean())


class TestSearch:

    def test_embeddings(self):
        values = RNG.normal(size=(50, 8))
        index = PoseIndex.from_embeddings(values)
        found = index.search(torch.from_numpy(3 * values[:5] + .1), 4)
        unit = values / np.linalg.norm(values, axis=1, keepdims=True)
        for q, (d, i, items) in zip(3 * values[:5] + .1, zip(*found)):
            off = np.linalg.norm(q / np.linalg.norm(q) - unit, axis=1)
            assert i.tolist() == np.argsort(off)[:4].tolist() == items
            np.testing.assert_allclose(d, np.sort(off)[:4], atol=1e-6)

    def test_3d_poses_from_any_side(self):
        index = PoseIndex.from_poses(POSES, joints='h36m_17')
        turns = Rotation.random(6, random_state=0).as_matrix()
        noisy = POSES[:6] + RNG.normal(size=(6, 17, 3))
        asked = np.einsum('nij,nkj->nki', turns, noisy) + 500
        found = index.search(asked, 3, joints='h36m_17')
        assert found.indices[:, 0].tolist() == list(range(6))
        for q, (d, i) in zip(asked, zip(found.distances, found.indices)):
            off = np.array([kabsch_rms(p, q) for p in POSES])
            assert i.tolist() == np.argsort(off)[:3].tolist()
            np.testing.assert_allclose(d, np.sort(off)[:3], rtol=1e-4)

    def test_2d_poses_with_missing_joints(self):
        poses = POSES[..., :2] * RNG.uniform(.5, 2, (40, 1, 1))
        seen = RNG.random((40, 17)) > .3
        index = PoseIndex.from_poses(poses, seen, joints='coco_17')
        asked = np.where(RNG.random((7, 17, 1)) > .3, 2 * poses[:7] - 90,
                         np.nan)
        found = index.search(asked, 40)
        for q, (d, i) in zip(asked, zip(found.distances, found.indices)):
            off = np.full(40, np.inf)
            for j, (p, s) in enumerate(zip(poses, seen)):
                both = s & np.isfinite(q).all(1)
                if both.sum() >= 3:
                    off[j] = unit_rms(q[both], p[both])
            np.testing.assert_allclose(d, np.sort(off), atol=2e-5)
            for place, distance in zip(i, d):
                assert place < 0 or off[place] == pytest.approx(distance,
                                                                abs=2e-5)
        assert (found.distances[np.arange(7), 0] < 1e-3).all()

    def test_2d_turned(self):
        angle = np.deg2rad(70)
        turn = np.array([[np.cos(angle), -np.sin(angle)],
                         [np.sin(angle), np.cos(angle)]])
        poses = POSES[..., :2]
        index = PoseIndex.from_poses(poses, turn='rotation')
        found = index.search(poses[3:5] @ turn.T, 1)
        assert found.indices[:, 0].tolist() == [3, 4]
        assert found.distances.max() < 1e-3
        plain = PoseIndex.from_poses(poses).search(poses[3:5] @ turn.T, 1)
        assert plain.distances.min() > .3

    def test_fewer_than_k(self):
        index = PoseIndex.from_poses(POSES[:2], items=['a', 'b'])
        found = index.search(POSES[:1], 5)
        assert found.items == [['a', 'b']]
        assert found.indices[0, 2:].tolist() == [-1] * 3
        assert np.isinf(found.distances[0, 2:]).all()

    def test_images(self):
        images = [np.full((4, 5, 3), i, np.uint8) for i in range(1, 8)]

        def model(batch):
            assert len(batch) <= 3
            return torch.tensor([[float(b.mean()), 3.] for b in batch])

        index = PoseIndex.from_images(images, model, batch_size=3)
        assert index.search(np.array([[4., 3]]), 1).items == [[3]]
        with pytest.raises(ValueError, match=r'\(n, D\)'):
            embed_images(lambda b: np.ones(3), images)
        with pytest.raises(ValueError, match='no images'):
            embed_images(model, [])


class TestAdd:

    def test_as_built_at_once(self):
        index = PoseIndex.from_poses(POSES[:30], joints='h36m_17')
        index.add(POSES[30:], joints='h36m_17')
        whole = PoseIndex.from_poses(POSES, joints='h36m_17')
        assert index.items == whole.items == list(range(40))
        one, other = (i.search(POSES, 3) for i in (index, whole))
        np.testing.assert_array_equal(one.indices, other.indices)
        assert len(index) == 40 and 'poses' in repr(index)

    def test_what_does_not_fit(self):
        index = PoseIndex.from_poses(POSES, joints='h36m_17')
        with pytest.raises(ValueError, match="not of 'coco_17'"):
            index.add(POSES, joints='coco_17')
        with pytest.raises(ValueError, match=r'\(17, 3\), not \(16, 3\)'):
            index.search(POSES[:, :16])
        with pytest.raises(ValueError, match='items'):
            index.add(POSES, items=['one'])
        vectors = PoseIndex.from_embeddings(np.ones((2, 4)))
        with pytest.raises(ValueError, match='another model'):
            vectors.search(np.ones((1, 5)))
        with pytest.raises(ValueError, match=r'\(N, D\)'):
            vectors.add(POSES)
        assert len(index) == 40 and len(vectors) == 2


class TestFiles:

    @pytest.mark.parametrize('kind', ['embeddings', 'poses'])
    def test_round_trip(self, kind, tmp_path):
        items = [dict(name=f'p{i}', at=i) for i in range(40)]
        seen = RNG.random((40, 17)) > .2
        index = PoseIndex.from_embeddings(
            POSES.reshape(40, -1), items) if kind == 'embeddings' else \
            PoseIndex.from_poses(POSES, seen, items, 'h36m_17', least=4)
        index.save(tmp_path / 'new' / 'i.npz')
        again = PoseIndex.load(tmp_path / 'new' / 'i.npz')
        assert vars(again).keys() == vars(index).keys()
        for name, value in vars(index).items():
            np.testing.assert_array_equal(vars(again)[name], value)
        asked = POSES[:4].reshape(4, -1) if kind == 'embeddings' else \
            POSES[:4]
        assert again.search(asked).items == index.search(asked).items
        assert [p.name for p in (tmp_path / 'new').iterdir()] == ['i.npz']

    def test_foreign_and_damaged_files(self, tmp_path):
        path = tmp_path / 'i.npz'
        with pytest.raises(FileNotFoundError):
            PoseIndex.load(path)
        path.write_bytes(b'no zip at all')
        with pytest.raises(ValueError, match='no index'):
            PoseIndex.load(path)
        np.savez(path, values=POSES)
        with pytest.raises(ValueError, match='no index'):
            PoseIndex.load(path)
        np.savez(path, head=np.array([{}], object))
        with pytest.raises(ValueError, match='no index'):
            PoseIndex.load(path)
        PoseIndex.from_poses(POSES).save(path)
        whole = path.read_bytes()
        for at in (len(whole) // 2, len(whole) - 200, 40):
            path.write_bytes(whole[:at])
            with pytest.raises(ValueError, match='no index.*damaged'):
                PoseIndex.load(path)
        broken = bytearray(whole)
        broken[len(whole) // 2] ^= 1
        path.write_bytes(broken)
        with pytest.raises(ValueError, match='damaged'):
            PoseIndex.load(path)

    def test_content_that_was_exchanged(self, tmp_path):
        """Valid arrays that are not those that were written."""
        path = tmp_path / 'i.npz'
        PoseIndex.from_poses(POSES).save(path)
        with np.load(path) as held:
            arrays = dict(held)
        np.savez(path, **dict(arrays, values=arrays['values'] + 1))
        with pytest.raises(ValueError, match='not what was written'):
            PoseIndex.load(path)
        head = json.loads(arrays['head'].tobytes())
        head['version'] = 99
        np.savez(path, **dict(arrays, head=np.frombuffer(
            json.dumps(head).encode(), np.uint8)))
        with pytest.raises(ValueError, match='version 99'):
            PoseIndex.load(path)

    def test_a_failed_write_leaves_the_old(self, tmp_path, monkeypatch):
        path = tmp_path / 'i.npz'
        PoseIndex.from_poses(POSES).save(path)
        old = path.read_bytes()

        def fail(*_):
            raise OSError('the disk is gone')

        monkeypatch.setattr(Path, 'write_bytes', fail)
        with pytest.raises(OSError, match='disk'):
            PoseIndex.from_poses(POSES[:3]).save(path)
        assert path.read_bytes() == old
        assert list(tmp_path.iterdir()) == [path]

    def test_no_code_inside(self, tmp_path):
        PoseIndex.from_poses(POSES, items=list('ab') * 20).save(
            tmp_path / 'i.npz')
        assert set(zipfile.ZipFile(tmp_path / 'i.npz').namelist()) == {
            'head.npy', 'values.npy', 'visible.npy'}


class TestErrors:

    def test_poses(self):
        with pytest.raises(ValueError, match='2 or 3'):
            PoseIndex.from_poses(POSES[..., :1])
        hidden = POSES.copy()
        hidden[4, 2:] = np.nan
        with pytest.raises(ValueError, match='1 poses.*number 4'):
            PoseIndex.from_poses(hidden)
        with pytest.raises(ValueError, match='visible'):
            PoseIndex.from_poses(POSES, np.ones((40, 16)))
        with pytest.raises(ValueError, match="'lsp_14' has 14"):
            PoseIndex.from_poses(POSES, joints='lsp_14')
        with pytest.raises(ValueError, match='turn'):
            PoseIndex.from_poses(POSES, turn='upside down')

    def test_embeddings(self):
        values = np.ones((4, 3))
        values[2] = 0
        with pytest.raises(ValueError, match='number 2'):
            PoseIndex.from_embeddings(values)
        with pytest.raises(ValueError, match='k must'):
            PoseIndex.from_embeddings(values[:2]).search(values[:1], 0)

    def test_items(self, tmp_path):
        with pytest.raises(TypeError, match='JSON'):
            PoseIndex.from_poses(POSES[:1], items=[object()])
        assert PoseIndex.from_poses(POSES[:1], items=[Path('a/b')]).items == [
            'a/b']
        with pytest.raises(ValueError, match='npz'):
            PoseIndex.from_poses(POSES).save(tmp_path / 'index.bin')


def test_a_model_with_an_embedding_head(tmp_path):
    """Images through mmpose's test pipeline and a trained kind of model."""
    from mmengine.config import Config

    from mirrorpose.apis import load_model
    config = Config(dict(
        default_scope='mmpose', model=dict(
            type='TopdownPoseEstimator',
            data_preprocessor=dict(type='PoseDataPreprocessor',
                                   mean=[127.] * 3, std=[60.] * 3),
            backbone=dict(type='ResNet', depth=18, stem_channels=8,
                          base_channels=8),
            head=dict(type='EmbeddingHead', in_channels=64,
                      embedding_dim=6)),
        test_dataloader=dict(dataset=dict(
            type='CocoDataset', metainfo=dict(
                from_file='configs/_base_/datasets/coco.py'),
            pipeline=[dict(type='LoadImage'),
                      dict(type='GetBBoxCenterScale'),
                      dict(type='TopdownAffine', input_size=(64, 64)),
                      dict(type='PackPoseInputs')]))))
    model = load_model(config)
    images = [RNG.integers(0, 255, (50, 40, 3)).astype(np.uint8)
              for _ in range(4)]
    index = PoseIndex.from_images(images, model, batch_size=3)
    assert index.values.shape == (4, 6)
    found = index.search(embed_images(model, images[2:3]), 2)
    assert found.items[0][0] == 2 and found.distances[0, 0] < 1e-3
