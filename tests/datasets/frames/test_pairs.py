"""Pairs: which frames, how far apart, and that keys decide."""
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.models import TopdownPoseEstimator
from mmpose.registry import DATASETS

from mirrorpose.datasets.frames import FramePairDataset


def build(root, **kwargs):
    args = dict(type='FramePairDataset', joints='lsp_14', size=16,
                data_root=str(root),
                sources=[dict(type='FrameFolders', folder='clips')])
    return DATASETS.build(args | kwargs)


def drawn(data, toy, repeats):
    """(clip, frame, other clip, other frame) of many draws."""
    out = []
    for seed in range(repeats):
        batch = data.get_batch(range(len(data)), toy.keys(len(data), seed))
        out += [toy.which(a) + toy.which(b) for a, b in zip(
            batch['inputs']['image'], batch['inputs']['condition'])]
    return np.array(out)


@pytest.mark.parametrize('order', ['earlier', 'any'])
@pytest.mark.parametrize('gap', [(1, 1000), (2, 3), (3, 3)])
def test_pairs_are_all_and_only_those_of_the_rule(folders, toy, order, gap):
    data = build(folders, gap_min=gap[0], gap_max=gap[1], order=order)
    seen = drawn(data, toy, 150)
    assert (seen[:, 0] == seen[:, 2]).all()
    want = set()
    for clip, count in enumerate((4, 7, 12)):
        for a in range(count):
            for b in range(count):
                far = b - a if order == 'earlier' else abs(b - a)
                if gap[0] <= far <= gap[1]:
                    want.add((clip, a, clip, b))
    assert {tuple(row) for row in seen.tolist()} == want


def test_distance_is_uniform(folders, toy):
    """Of the first frame of the longest clip: 11 partners, all alike."""
    data = build(folders)
    index = [i for i in range(len(data))
             if data.get_data_info(i)['id'] == 'clips/c:0'] * 2200
    keys = toy.keys(len(index))
    batch = data.get_batch(index, keys)
    found = np.bincount([toy.which(v)[1] for v in
                         batch['inputs']['condition']], minlength=12)
    assert found[0] == 0
    assert ((found[1:] - 200)**2 / 200).sum() < 29.6  # chi^2, 10 dof, .1 %


def test_draws_are_functions_of_the_keys(folders, toy):
    data = build(folders)
    keys = toy.keys(len(data))
    whole = data.get_batch(range(len(data)), keys)['inputs']['condition']
    order = np.random.default_rng(0).permutation(len(data))
    parts = data.get_batch(order, keys[order])['inputs']['condition']
    assert torch.equal(whole[torch.from_numpy(order)], parts)
    again = data.get_batch(range(len(data)), toy.keys(len(data), 1))
    assert not torch.equal(whole, again['inputs']['condition'])
    assert torch.equal(data[3]['inputs']['condition'],
                       data[3]['inputs']['condition'])
    with pytest.raises(IndexError):
        data[len(data)]


def test_clip_with_too_few_frames(folders, toy):
    with pytest.raises(ValueError, match=r"2 of 3 clips.*'clips/a' with 4 "
                       r'frames.*min_frames=8.*StillPairDataset'):
        build(folders, gap_min=7)
    source = dict(type='FrameFolders', folder='clips', min_frames=8)
    assert build(folders, gap_min=7, sources=[source]).clips() == {'clips/c'}
    single = dict(type='FrameFolders', folder='clips', stills=True)
    with pytest.raises(ValueError, match="'clips/a/0' with 1 frame[^s]"):
        build(folders, sources=[single])


@pytest.mark.parametrize('options', [
    dict(gap_min=0), dict(gap_min=5, gap_max=4), dict(order='later'),
    dict(size=2), dict(role='train'), dict(limit=0), dict(sources=[])])
def test_options_out_of_range(folders, options):
    with pytest.raises(ValueError):
        build(folders, **options)


def test_annotated_frames_in_the_prepared_layout(prepared, toy):
    root, arrays = prepared
    source = dict(type='FrameArchive', file='people/frames.npz')
    data = build(root, sources=[source], size=20, test_mode=True)
    assert len(data) == 24
    item = data[13]
    assert toy.which(item['inputs']) == (2, 1)
    assert item['inputs'].shape == (3, 20, 20)
    assert item['inputs'].dtype == torch.uint8
    sample = item['data_samples']
    want = (arrays['keypoints'][13] + .5) / 2 - .5
    np.testing.assert_allclose(sample.gt_instances.keypoints[0], want,
                               rtol=1e-5)
    assert sample.metainfo['clip'] == 'people/c2'
    assert sample.metainfo['group'] == 'people/p1'
    assert sample.metainfo['action'] == 'walk'
    assert sample.metainfo['pixel_scale'] == 4.  # 2 stored, 2 to the crop
    # mmpose's way from the input to the image is the identity
    predicted = InstanceData(
        keypoints=want[None].astype(np.float32),
        keypoint_scores=np.ones((1, 14), np.float32))
    model = TopdownPoseEstimator.__new__(TopdownPoseEstimator)
    torch.nn.Module.__init__(model)
    model.test_cfg = {}
    (out, ) = model.add_pred_to_datasample([predicted], None, [sample])
    np.testing.assert_allclose(out.pred_instances.keypoints[0], want,
                               rtol=1e-5)


def test_training_items(prepared, toy):
    root, arrays = prepared
    source = dict(type='FrameArchive', file='people/frames.npz',
                  subset='train')
    data = build(root, sources=[source], size=20)
    assert len(data) == 15  # the last frame of each clip has no later one
    batch = data.get_batch([0, 6], toy.keys(2))
    assert batch['inputs']['image'].shape == (2, 3, 20, 20)
    rows = [0, 7]
    for sample, row in zip(batch['data_samples'], rows):
        np.testing.assert_allclose(
            sample.gt_instances.keypoints[0],
            (arrays['keypoints'][row] + .5) / 2 - .5, rtol=1e-5)


def test_masks_black_out_the_background(prepared):
    root, _ = prepared
    source = dict(type='FrameArchive', file='people/frames.npz')
    plain = build(root, sources=[source], size=20)[7]['inputs']['image']
    masked = build(root, sources=[source], size=20,
                   masks=True)[7]['inputs']['image']
    assert torch.equal(plain[..., :10], masked[..., :10])
    assert not masked[..., 10:].any() and plain[..., 10:].any()


def test_masks_that_are_not_there(folders):
    with pytest.raises(ValueError, match='masks=False'):
        build(folders, masks=True)


def test_another_joint_set(prepared):
    root, _ = prepared
    source = dict(type='FrameArchive', file='people/frames.npz')
    with pytest.raises(ValueError, match="another joint set.*'ibug_68'"):
        build(root, sources=[source], joints='ibug_68')
    wider = build(root, sources=[source], joints='coco_17', test_mode=True)
    assert wider.store.visible.mean(0).tolist() == [0.] * 5 + [1.] * 12


def test_limit_and_indices(folders):
    data = build(folders, order='any', limit=5)
    # rows 0, 5.5, 11, 16.5 and 22 of 23
    assert [data.get_data_info(i)['id'] for i in range(5)] == [
        'clips/a:0', 'clips/b:2', 'clips/c:0', 'clips/c:5', 'clips/c:11']
    assert len(build(folders, indices=3)) == 3
    assert len(build(folders, indices=[1, 5])) == 2
    assert data.metainfo['num_keypoints'] == 14


def test_pickles(folders, toy):
    import pickle
    data = build(folders)
    copy = pickle.loads(pickle.dumps(data))
    assert isinstance(copy, FramePairDataset)
    assert torch.equal(copy[4]['inputs']['image'], data[4]['inputs']['image'])
