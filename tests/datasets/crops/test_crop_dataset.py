"""The data set in loaders, under samplers, and with broken samples."""
from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from mmpose.registry import DATASETS, MODELS
from torch.utils.data import BatchSampler, DataLoader

from mirrorpose.datasets.broken import BrokenSamples
from mirrorpose.datasets.crops.batch import CropBatch
from mirrorpose.datasets.keyed import make_keyed
from mirrorpose.datasets.members import leaves
from mirrorpose.datasets.samplers import SemiSupervisedSampler

LOAD = [dict(type='LoadImage')]
KEYS = np.random.default_rng(0).integers(0, 2**63, 12).astype(np.uint64)


@pytest.fixture
def config(tmp_path, crops):
    return dict(type='CachedCropDataset', cache_dir=str(tmp_path / 'c'),
                warp='loader', dataset=dict(
                    crops.frames(tmp_path / 'source'),
                    pipeline=LOAD + crops.pipeline()))


def everything(batch: CropBatch, row: int) -> list:
    """All that a batch says about one sample, as plain values."""
    return [batch.images[row].tolist(), batch.numbers[row].tolist(), sorted(
        (k, np.asarray(v[row]).tolist() if isinstance(v, np.ndarray) else
         repr(v[row])) for k, v in batch.records.items())]


def test_a_sample_follows_from_its_key_alone(config):
    data = DATASETS.build(config)
    whole = data.get_batch(range(12), KEYS)['inputs']
    order = [7, 3, 3, 11, 0]
    part = data.get_batch(order, KEYS[order])['inputs']
    for row, index in enumerate(order):
        assert everything(part, row) == everything(whole, index)
    alone = data.get_batch([5], KEYS[5:6])['inputs']
    assert everything(alone, 0) == everything(whole, 5)
    other = data.get_batch(range(12), KEYS + np.uint64(1))['inputs']
    assert (other.images != whole.images).any(-1).float().mean() > .5


def test_keys_are_needed_where_something_is_drawn(config):
    with pytest.raises(ValueError, match='key'):
        DATASETS.build(config).get_batch([0, 1])


def test_items_are_the_stock_data_sets(config):
    data = DATASETS.build(config)
    stock = DATASETS.build(dict(config['dataset']))
    assert len(data) == len(stock) == 12
    assert repr(data.metainfo) == repr(stock.metainfo)
    data.full_init()
    assert not Path(config['cache_dir']).exists()
    assert data.get_data_info(3)['id'] == stock.get_data_info(3)['id']
    np.random.seed(1)  # noqa: NPY002
    ours = data[3]
    np.random.seed(1)  # noqa: NPY002
    theirs = stock[3]
    assert torch.equal(ours['inputs'], theirs['inputs'])
    # Such a batch goes through the preprocessor as through mmpose's.
    settings = dict(mean=[1., 2., 3.], std=[4., 5., 6.], bgr_to_rgb=True)
    outputs = [MODELS.build(dict(type=kind, **settings))(
        pseudo_collate([dict(x) for x in (ours, theirs)]))
        for kind in ('CropPreprocessor', 'PoseDataPreprocessor')]
    assert torch.equal(outputs[0]['inputs'], outputs[1]['inputs'])


def test_in_loaders(config):
    """The same batches from any number of processes."""
    data = DATASETS.build(config)
    data.prepare()
    model = MODELS.build(dict(type='CropPreprocessor', mean=[0.] * 3,
                              std=[1.] * 3))

    def run(workers, epoch):
        loader = DataLoader(
            data, batch_size=5, num_workers=workers, shuffle=False,
            multiprocessing_context='fork' if workers else None)
        make_keyed(loader, seed=3).start(epoch)
        outputs = []
        for batch in loader:
            assert isinstance(batch['inputs'], CropBatch)
            assert batch['inputs'].images.is_shared() == bool(workers)
            outputs.append(model(batch, True))
        names = [s.id for o in outputs for s in o['data_samples']]
        assert names == [f'people/{i}' for i in range(12)]
        return torch.cat([o['inputs'] for o in outputs])
    first = run(0, 1)
    assert torch.equal(first, run(2, 1))
    assert not torch.equal(first, run(2, 2))


def test_sent_to_another_process(config):
    data = DATASETS.build(config)
    before = data.get_batch(range(12), KEYS)['inputs']
    text = pickle.dumps(data)
    assert len(text) < 40000  # no image, no data_info
    copy = pickle.loads(text)
    after = copy.get_batch(range(12), KEYS)['inputs']
    assert all(everything(before, i) == everything(after, i)
               for i in range(12))
    assert copy.dataset is None
    assert copy[3]['data_samples'].id == 'people/3'  # built when needed


def test_semi_supervised(tmp_path, crops):
    world = dict(type='SyntheticPoseDataset', num_samples=16, image_size=32,
                 label_fraction=.5)
    data = DATASETS.build(dict(
        type='CachedCropDataset', cache_dir=str(tmp_path), dataset=dict(
            type='CombinedPoseDataset', pipeline=crops.pipeline(32),
            datasets=[dict(world, part='labelled'),
                      dict(world, part='unlabelled',
                           pipeline=[dict(type='DropLabels')])])))
    assert [len(d) for d in data.datasets] == [8, 8]
    inner = SemiSupervisedSampler(data.stock, batch_size=4,
                                  source_ratio=(3, 1), seed=0)
    for batch in BatchSampler(inner, 4, drop_last=True):
        columns = data.get_batch(batch, KEYS[:4])['inputs'].columns()
        assert columns.labelled.tolist() == [True] * 3 + [False]
        assert columns.visible[:3].any(1).all()
        assert not columns.visible[3].any()
        assert not columns.keypoints[3].isnan().any()


def test_another_sample_takes_the_place_of_a_broken_one(config, tmp_path,
                                                        crops):
    root = Path(config['dataset']['data_root'])
    second = crops.frames(tmp_path / 'second', people=4, seed=1)
    for index in (2, 9):
        (root / f'images/{index}.png').write_bytes(b'')
    data = DATASETS.build(dict(
        config, broken=dict(policy='skip', max_share=.5), dataset=dict(
            type='CombinedPoseDataset', pipeline=crops.pipeline(),
            datasets=[dict(config['dataset'], pipeline=LOAD),
                      dict(second, pipeline=LOAD)])))
    rows = [2] * 60 + [9, 3, 13]
    keys = np.arange(63, dtype=np.uint64)
    batch = data.get_batch(rows, keys)['inputs']
    paths = [Path(p) for p in batch.records['img_path']]
    assert paths[61] == root / 'images/3.png'
    assert paths[62].parent.parent.name == 'second'
    # From the same data set, by the key, and everybody gets a chance.
    stems = [p.stem for p in paths[:60]]
    assert all(p.parent.parent == root for p in paths[:61])
    assert not {'2', '9'} & set(stems) and len(set(stems)) == 10
    again = data.get_batch(rows[:1], keys[:1])['inputs']
    assert again.records['img_path'] == batch.records['img_path'][:1]
    assert everything(again, 0) == everything(batch, 0)


def test_the_runners_list_of_broken_samples(config, tmp_path):
    data = DATASETS.build(config)
    assert [leaf.dataset for leaf in leaves(data)] == [data.stock]
    broken = BrokenSamples('skip', .5, tmp_path / 'b.csv', total=12)
    broken.report('people/4', 'its joints cannot be true')
    reader = data.prepare(broken)
    batch = data.get_batch([4] * 20, np.arange(20))['inputs']
    assert 'people/4' not in batch.ids and len(set(batch.ids)) > 5
    assert reader.good[0].tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]


def test_values_at_absent_joints_cannot_matter(config):
    data = DATASETS.build(config)
    reader = data.prepare()
    before = data.get_batch(range(12), KEYS)['inputs']
    model = MODELS.build(dict(type='CropPreprocessor'))
    want = model(dict(inputs=before))
    absent = reader.people.visible == 0
    assert absent.sum() > 10
    for value in (np.nan, np.inf, 1e9):
        reader.people.keypoints[absent] = value
        after = data.get_batch(range(12), KEYS)['inputs']
        got = model(dict(inputs=after))
        assert torch.equal(before.images, after.images)
        assert torch.equal(got['inputs'], want['inputs'])
        assert torch.equal(got['data_samples'].heatmaps,
                           want['data_samples'].heatmaps)
        assert torch.equal(got['data_samples'].keypoint_weights,
                           want['data_samples'].keypoint_weights)


def test_a_smaller_margin_blackens_corners_only(config, crops):
    whole = DATASETS.build(config).get_batch(range(12), KEYS)['inputs'].images
    less = DATASETS.build(dict(config, margin=.8)).get_batch(
        range(12), KEYS)['inputs'].images
    same = (whole == less).all(-1)
    assert same[:, 24:40, 24:40].all()
    assert not same.all() and not less[~same].any(-1).all()


def test_two_people_in_one_sample(config):
    data = DATASETS.build(config)
    stock = data.stock
    info = BaseDataset.get_data_info(stock, 0)
    stock.data_list = [dict(info, keypoints=np.zeros((2, 16, 2)))]
    with pytest.raises(ValueError, match='one person a sample'):
        data.prepare()


def test_batches_name_their_samples(config):
    batch = DATASETS.build(config).get_batch([3, 1], KEYS[:2])['inputs']
    assert batch.ids == ['people/3', 'people/1'] and len(batch) == 2
    assert 'CropPreprocessor' in repr(batch)
    with pytest.raises((TypeError, AssertionError),
                       match='CropPreprocessor'):
        MODELS.build(dict(type='PoseDataPreprocessor'))(
            dict(inputs=batch, data_samples=[]))
