"""Frames and poses together; leakage is refused."""
import numpy as np
import pytest
import torch
from mmpose.registry import DATASETS
from torch.utils.data import DataLoader

from mirrorpose.datasets.keyed import make_keyed

ARCHIVE = dict(type='FrameArchive', file='people/frames.npz')


def build(root, images=None, poses=None, frames=None, prior=None):
    common = dict(joints='lsp_14', size=20, data_root=str(root))
    return DATASETS.build(dict(
        type='UnpairedDataset',
        frames=dict(type='FramePairDataset', sources=[
            dict(ARCHIVE, **(images or {}))], **common | (frames or {})),
        poses=dict(type='UnpairedPoseDataset', sources=[dict(
            type='FramePoses', source=dict(ARCHIVE, **(poses or {})))],
            **common | (prior or {}))))


SPLIT = dict(split=dict(a=['p0'], b=['p1']))
DISJOINT = dict(SPLIT, part='a'), dict(SPLIT, part='b')


def test_batch_is_the_contracts(prepared, toy):
    root, _ = prepared
    data = build(root, *DISJOINT)
    assert len(data) == 10
    batch = data.get_batch(range(10), toy.keys(10))
    assert set(batch) == {'inputs', 'poses', 'pose_present', 'data_samples'}
    assert set(batch['inputs']) == {'image', 'condition'}
    for value in batch['inputs'].values():
        assert value.shape == (10, 3, 20, 20) and value.dtype == torch.uint8
    assert batch['poses'].shape == (10, 14, 2)
    assert batch['poses'].dtype == torch.float32
    assert batch['pose_present'].dtype == torch.bool
    assert len(batch['data_samples']) == 10
    assert data.metainfo['num_keypoints'] == 14
    assert data.clips() == {'people/c0', 'people/c1'}
    item = data[4]
    assert item['inputs']['image'].shape == (3, 20, 20)
    assert item['poses'].shape == (14, 2)
    assert torch.equal(item['poses'], data[4]['poses'])


def test_poses_are_drawn_alike_and_from_elsewhere(prepared, toy):
    root, _ = prepared
    data = build(root, *DISJOINT)
    counts = np.zeros(len(data.poses))
    for seed in range(240):
        poses = data.get_batch(range(10), toy.keys(10, seed))['poses']
        same = (poses[:, None] == torch.from_numpy(
            data.poses.poses)).flatten(2).all(-1)
        assert (same.sum(1) == 1).all()
        counts += same.sum(0).numpy()
    assert len(counts) == 12
    assert ((counts - 200)**2 / 200).sum() < 31.3  # chi^2, 11 dof, .1 %


def test_draws_follow_the_keys(prepared, toy):
    root, _ = prepared
    data = build(root, *DISJOINT)
    keys = toy.keys(10)
    whole = data.get_batch(range(10), keys)
    part = data.get_batch([8, 2], keys[[8, 2]])
    assert torch.equal(whole['poses'][[8, 2]], part['poses'])
    assert torch.equal(whole['inputs']['condition'][[8, 2]],
                       part['inputs']['condition'])


def test_clips_on_both_sides_are_refused(prepared):
    root, _ = prepared
    with pytest.raises(ValueError, match=r"4 clips.*'people/c0'.*half="):
        build(root)
    with pytest.raises(ValueError, match=r"2 clips.*'people/c2'"):
        build(root, None, DISJOINT[1])
    with pytest.raises(ValueError, match='4 clips'):
        build(root, dict(half='first'))
    halves = build(root, dict(half='first'), dict(half='second'))
    assert len(halves.poses) == 12
    assert halves.clips() == {f'people/c{i}#1/2' for i in range(4)}


def test_what_does_not_fit_together(prepared):
    root, _ = prepared
    with pytest.raises(ValueError, match='frames and poses'):
        build(root, *DISJOINT, prior=dict(joints='mpii_16'))
    with pytest.raises(ValueError, match='size=20.*size=32'):
        build(root, *DISJOINT, prior=dict(size=32))
    with pytest.raises(ValueError, match='test_mode'):
        build(root, *DISJOINT, frames=dict(test_mode=True))
    with pytest.raises(TypeError, match='frames must be a FrameDataset'):
        DATASETS.build(dict(
            type='UnpairedDataset', frames=dict(
                type='UnpairedPoseDataset', joints='lsp_14', size=20,
                data_root=str(root), sources=[dict(type='FramePoses',
                                                   source=ARCHIVE)]),
            poses=dict()))


@pytest.mark.parametrize('workers', [0, 1])
def test_keyed_loader_gives_whole_batches(prepared, toy, workers):
    root, _ = prepared
    data = build(root, *DISJOINT)
    loader = DataLoader(data, batch_size=4, num_workers=workers)
    keyed = make_keyed(loader, 0)
    keyed.start(0)
    batches = list(loader)
    assert [len(b['data_samples']) for b in batches] == [4, 4, 2]
    assert batches[0]['inputs']['image'].shape == (4, 3, 20, 20)
    keyed.start(0)
    for one, other in zip(batches, loader):
        assert torch.equal(one['poses'], other['poses'])
    keyed.start(1)
    assert not torch.equal(next(iter(loader))['poses'], batches[0]['poses'])
