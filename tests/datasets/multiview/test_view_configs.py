"""The data configs of synchronised views."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmpose.registry import DATA_SAMPLERS, DATASETS, METRICS

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / 'configs/_base_/datasets'
NAMES = ('synthetic_views', 'mocap_views', 'h36m_views',
         'mpi_inf_3dhp_views', 'multiview_balancing')


def read(name, **options):
    cfg = Config.fromfile(FOLDER / f'{name}.py')
    if options:
        cfg.merge_from_dict(options)
    return cfg


@pytest.mark.parametrize('name', NAMES)
def test_read(name):
    cfg = read(name)
    parts = {p: cfg[f'{p}_dataloader'].dataset
             for p in ('train', 'val', 'test')}
    sampler = cfg.train_dataloader.sampler
    assert cfg.train_dataloader.batch_size == sampler.views_per_group * (
        sampler.groups_per_batch + sampler.annotated_groups)
    assert len({d.source.type for d in parts.values()}) == 1
    assert [bool(d.get('test_mode')) for d in parts.values()] == [
        False, True, True]
    assert 'annotated' not in parts['val']
    for metric in [*cfg.val_evaluator, *cfg.test_evaluator]:
        METRICS.build(metric)


@pytest.mark.parametrize('name', ['h36m_views', 'mpi_inf_3dhp_views'])
def test_absent_data_name_their_converter(name, tmp_path):
    cfg = read(name)
    cfg.train_dataloader.dataset.update(data_root=str(tmp_path),
                                        cache_dir=str(tmp_path))
    with pytest.raises(FileNotFoundError, match='tools/dataset_converters/'
                       + name.removesuffix('_views')):
        DATASETS.build(cfg.train_dataloader.dataset)


def test_synthetic_builds(tmp_path):
    cfg = read('synthetic_views')
    small = dict(clips=1, seconds=1.5, image_size=16)
    sets = {}
    for part in ('train', 'val', 'test'):
        dataset = cfg[f'{part}_dataloader'].dataset
        dataset.source.update(small)
        sets[part] = DATASETS.build(dict(
            dataset, cache_dir=str(tmp_path), inputs='keypoints'))
    people = [set(d.subjects) for d in sets.values()]
    assert [len(p) for p in people] == [32, 6, 10]
    assert len(set.union(*people)) == 48
    sampler = DATA_SAMPLERS.build(dict(
        cfg.train_dataloader.sampler, dataset=sets['train'], seed=0,
        groups_per_batch=4))
    # Every batch has the images with labels that the config asks for.
    assert len(sampler) == 24 * (8 + 2 * 8)
    for batch in np.array(list(sampler)).reshape(24, 24):
        held = sets['train'].get_batch(batch)['data_samples']
        assert sum(float(s.gt_instance_labels.pose_annotated)
                   for s in held) >= 16


def test_balancing_builds(data_root, tmp_path):
    if not (data_root / 'multiview/balancing.npz').is_file():
        pytest.skip('no multiview in MIRRORPOSE_DATA')
    cfg = read('multiview_balancing')
    data = DATASETS.build(dict(
        cfg.train_dataloader.dataset, data_root=str(data_root),
        cache_dir=str(tmp_path)))
    sampler = DATA_SAMPLERS.build(dict(cfg.train_dataloader.sampler,
                                       dataset=data, seed=0))
    assert len(data) == 400 and len(sampler) == 12 * 16
    batch = data.get_batch(list(sampler)[:16])
    assert batch['inputs'].shape == (16, 3, 128, 128)


@pytest.mark.parametrize('data', ['synthetic', 'mocap'])
def test_the_recognizer_knows_nobody_of_the_views(data, tmp_path):
    """Or it would find joints better in training than in the test."""
    cfg, views = (
        Config.fromfile(ROOT / 'configs' / f'{name}.py')
        for name in ('recognizer_views_synthetic', f'metric_pose_{data}'))
    few = dict(clips=1, seconds=.5, image_size=16)
    people = []
    for part in ('train', 'val', 'test'):
        dataset = cfg[f'{part}_dataloader'].dataset
        dataset.source.update(few)
        made = DATASETS.build(dict(dataset, pipeline=[],
                                   cache_dir=str(tmp_path),
                                   inputs='keypoints'))
        people.append(set(made.subjects))
    assert all(people) and not set.intersection(*people)
    mine, theirs = (c.train_dataloader.dataset.source
                    for c in (cfg, views))
    assert mine.seed != theirs.get('seed', 0) and mine.place == 'clip'
    kinds = [t.type for t in cfg.train_dataloader.dataset.pipeline]
    assert 'GenerateTarget' in kinds and 'RandomFlip' not in kinds
    assert len(cfg.val_dataloader.dataset.pipeline) == 3
