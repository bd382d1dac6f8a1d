"""The base configs of frames: they build, and nobody is on two sides."""
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS, METRICS

from mirrorpose.datasets.frames import UnpairedDataset
from mirrorpose.structures import Skeleton

BASE = Path(__file__).resolve().parents[3] / 'configs/_base_/datasets'
NAMES = ('synthetic_frames', 'people_frames', 'faces_frames',
         'silhouettes_frames', 'simple_human36m', 'human36m_frames',
         'mpi_inf_3dhp_prior', 'penn_action_frames', 'voxceleb2_frames',
         'cathead_frames')


def load(name):
    return Config.fromfile(BASE / f'{name}.py')


@pytest.mark.parametrize('name', NAMES)
def test_one_joint_set_and_size(name):
    cfg = load(name)
    Skeleton.from_name(cfg.joints)
    train = cfg.train_dataloader.dataset
    parts = [train.frames, train.poses, cfg.val_dataloader.dataset,
             *cfg.test_dataloader.dataset.datasets]
    assert {p.joints for p in parts} == {cfg.joints}
    assert {p.size for p in parts} == {cfg.image_size}
    assert [p.get('role', 'test') for p in parts[-2:]] == ['fit', 'test']
    METRICS.build(cfg.test_evaluator)
    joints = cfg.test_evaluator.get('joints')
    if joints:
        assert len(Skeleton.from_name(cfg.joints).index(*joints)) == 17


@pytest.mark.parametrize('name', NAMES[4:])
def test_missing_data_name_the_command(name, tmp_path, monkeypatch):
    monkeypatch.setenv('MIRRORPOSE_DATA', str(tmp_path))
    cfg = load(name)
    with pytest.raises(FileNotFoundError,
                       match=r'tools/dataset_converters/\w+\.py') as error:
        DATASETS.build(cfg.train_dataloader.dataset)
    tools = BASE.parents[2] / 'tools/dataset_converters'
    words = str(error.value).split('dataset_converters/')[1]
    assert (tools / (words.split('.py')[0] + '.py')).is_file()


def shrink(node):
    """Clips of the embedded world, few and small."""
    if isinstance(node, dict):
        if node.get('type') == 'SyntheticClips':
            node.update(clips=3, frames=12, shots=3, start=min(
                node.get('start', 0), 3))
        for value in node.values():
            shrink(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            shrink(value)


def test_silhouettes(data_root):
    """Real people before black; nobody's pose goes with his image."""
    cfg = load('silhouettes_frames')
    train = DATASETS.build(cfg.train_dataloader.dataset)
    val = DATASETS.build(cfg.val_dataloader.dataset)
    fit, held = DATASETS.build(cfg.test_dataloader.dataset).datasets
    assert len(train.frames) > 3000 and len(held) > 700 and len(val) > 200
    assert fit.clips() == train.frames.clips()
    sides = [train.frames.clips(), train.poses.clips(), val.clips(),
             held.clips()]
    assert not any(a & b for i, a in enumerate(sides) for b in sides[:i])
    corners = np.asarray(held[0]['inputs'])[:, [0, 0, -1, -1],
                                            [0, -1, 0, -1]]
    assert not corners.any()


def test_synthetic_world():
    cfg = load('synthetic_frames')
    shrink(cfg._cfg_dict)
    train = DATASETS.build(cfg.train_dataloader.dataset)
    assert isinstance(train, UnpairedDataset)
    assert len(train) == 36 and len(train.poses) == 36
    held = DATASETS.build(cfg.test_dataloader.dataset)
    # A linear function of the truth: only the fitted map mends it.
    metric = METRICS.build(cfg.test_evaluator)
    metric.dataset_meta = held.metainfo
    samples = [held[i]['data_samples'] for i in range(72)]
    assert [s.role for s in samples] == ['fit'] * 36 + ['test'] * 36
    for sample in samples:
        sample.pred_instances = InstanceData(
            keypoints=sample.gt_instances.keypoints * .5 + 10)
        metric.process({}, [sample.to_dict()])
    found = metric.compute_metrics(metric.results)
    assert found['error_post'] < 1e-3 < 5 < found['error']
    assert held.metainfo['num_keypoints'] == 16
    poses = DATASETS.build(cfg.stage_data.poses.train_dataloader.dataset)
    np.testing.assert_array_equal(poses.poses, train.poses.poses)


def test_faces(data_root):
    cfg = load('faces_frames')
    train = DATASETS.build(cfg.train_dataloader.dataset)
    held = [DATASETS.build(c) for c in (
        cfg.val_dataloader.dataset, cfg.test_dataloader.dataset.datasets[1])]

    def people(names):
        return {n.split('/')[-1].split('_')[0] for n in names}

    sides = [people(train.clips()), people(train.poses.clips()),
             *(people(d.clips()) for d in held)]
    assert sum(map(len, sides)) == len(set.union(*sides)) > 300
    assert len(train.poses) > 1000 and len(train) > 1000


def test_people(data_root):
    cfg = load('people_frames')
    train = cfg.train_dataloader.dataset
    del train.poses.sources[2:]  # LSPET and the larger of the two take long
    del train.poses.sources[0].sources[1:]
    train = DATASETS.build(train)
    assert train.clips() == {'multiview/balancing/cam1',
                             'multiview/balancing/cam2',
                             'multiview/balancing/cam3', 'videos/golf',
                             'videos/basketball'}
    assert len(train.poses) > 2000 and train.poses.present.all()
    test = DATASETS.build(cfg.test_dataloader.dataset.datasets[1])
    assert test.clips() == {'multiview/balancing/cam4'}
    assert DATASETS.build(cfg.val_dataloader.dataset).clips() == {
        'videos/jacks'}
