"""Metrics that count some of the frames."""
from __future__ import annotations

import numpy as np
import pytest
from mmpose.registry import METRICS

import mirrorpose  # noqa: F401
from mirrorpose.evaluation import OnFrames, PoseErrors3D

RNG = np.random.default_rng(0)
POSES = dict(type='PoseErrors3D', frame='camera')


def samples(frames):
    out = []
    for frame in frames:
        gt = 300 * RNG.normal(size=(1, 17, 3))
        out.append(dict(
            id=str(frame), frame=frame, subject=f'S{frame % 3}',
            sequence=f'S{frame % 3}/a', seconds=frame / 50.,
            camera=f'c{frame % 2}',
            pred_instances=dict(keypoints_3d_camera=gt + 50 * RNG.normal(
                size=gt.shape), embedding=RNG.normal(size=(1, 4))),
            gt_instance_labels=dict(keypoints_3d_camera=gt)))
    return out


@pytest.mark.parametrize('every', [1, 2, 5])
def test_counts_multiples_alone(every):
    held = samples(range(3, 40))
    metric = METRICS.build(dict(type='OnFrames', metric=POSES, every=every))
    for batch in (held[:20], held[20:]):
        metric.process({}, batch)
    assert len(metric.results) == len(held)  # for several processes
    found = metric.evaluate(len(held))
    plain = PoseErrors3D('camera')
    plain.process({}, [s for s in held if s['frame'] % every == 0])
    want = plain.evaluate(len(held))
    assert found == want and set(found) == {
        'camera_frame/MPJPE', 'camera_frame/N-MPJPE', 'camera_frame/P-MPJPE'}


def test_retrieval_and_the_data_set():
    """What the metric asks of the data set reaches it."""
    metric = OnFrames(dict(type='PoseRetrieval', variants=['kept'],
                           topk=[1], references=[]), 2)
    meta = dict(dataset_name='h36m_17')
    metric.dataset_meta = meta
    assert metric.metric.dataset_meta is metric.dataset_meta is meta
    metric.metric.dataset_meta = None
    held = samples([0, 0, 2, 2, 3, 3])
    for i, sample in enumerate(held):
        sample['camera'] = f'c{i % 2}'
    metric.process({}, held)
    assert 'retrieval/kept/Recall@1' in metric.evaluate(len(held))


def test_errors():
    with pytest.raises(ValueError, match='at least 1'):
        OnFrames(POSES, 0)
    metric = OnFrames(POSES, 7)
    held = samples([1, 2])
    metric.process({}, held)
    with pytest.raises(ValueError, match='no frame of 2 samples'):
        metric.evaluate(2)
    del held[0]['frame']
    with pytest.raises(ValueError, match='meta_keys'):
        metric.process({}, held)
