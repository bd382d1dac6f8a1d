"""Embeddings of 2D poses that lack joints."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mirrorpose.datasets.multiview.packing import normalised_keypoints
from mirrorpose.evaluation import PoseRetrieval
from mirrorpose.models.metric_pose.hiding import hidden_joints, without_joints
from mirrorpose.structures import Skeleton

H36M = Skeleton.from_name('h36m_17')
ARM, LEGS = ['left_elbow', 'left_wrist'], ['left_foot', 'right_foot']


def test_is_what_a_detector_would_give():
    """The data sets' own normalisation, of pixels that lack the joints."""
    rng = np.random.default_rng(0)
    pixels = 300 * rng.normal(size=(9, 17, 2)) + 500
    visible = rng.random((9, 17)) > .2
    whole = torch.from_numpy(normalised_keypoints(pixels, visible))
    lost = H36M.index(*ARM, 'head')
    fewer = visible.copy()
    fewer[:, lost] = False
    torch.testing.assert_close(
        without_joints(whole, lost),
        torch.from_numpy(normalised_keypoints(pixels, fewer)),
        rtol=1e-4, atol=1e-5)
    # Nothing is left; and the same from pixels with NaN.
    assert (without_joints(whole, range(17)) == 0).all()
    two = torch.from_numpy(np.where(visible[..., None], pixels, np.nan))
    torch.testing.assert_close(
        without_joints(two, lost).float(),
        torch.from_numpy(normalised_keypoints(pixels, fewer)),
        rtol=1e-4, atol=1e-5)


def test_reads_groups():
    assert hidden_joints(None, H36M) == {}
    assert hidden_joints(dict(arm=ARM), H36M) == dict(
        arm=[H36M.joints.index(j) for j in ARM])
    for wrong in (dict(arm=['elbow']), dict(arm=[]), {'an arm': ARM},
                  dict(all=list(H36M.joints)), dict(arm='head')):
        with pytest.raises(ValueError, match='hide_joints'):
            hidden_joints(wrong, H36M)


def test_further_embeddings_reach_the_retrieval(views):
    """By names in the config, in the place that PoseRetrieval reads."""
    model = views.build(views.lifter_cfg(test_cfg=dict(
        hide_joints=dict(no_arm=ARM, no_feet=LEGS)))).eval()
    x, samples = views.make_samples(8)
    with torch.no_grad():
        found = model(x, samples, mode='predict')
        want = model.head.embedding(model.extract_feat(
            without_joints(x, H36M.index(*ARM)))).unit
    units = np.concatenate([s.pred_instances.embedding_no_arm
                            for s in found])
    np.testing.assert_allclose(units, want, rtol=1e-5, atol=1e-6)
    whole = np.concatenate([s.pred_instances.embedding for s in found])
    assert np.abs(units - whole).max() > 1e-3
    metric = PoseRetrieval(
        query_fields=dict(arm='embedding_no_arm', feet='embedding_no_feet'),
        variants=['kept'], topk=[1], references=[], gallery='others')
    metric.process({}, [s.to_dict() for s in found])
    scores = metric.evaluate(len(found))
    for row in ('', 'arm/', 'feet/'):
        assert 0 <= scores[f'retrieval/{row}kept/Recall@1'] <= 100


def test_errors(views):
    with pytest.raises(ValueError, match='hide_joints'):
        views.build(views.lifter_cfg(test_cfg=dict(
            hide_joints=dict(arm=['elbow']))))
    image = dict(type='ResNet', depth=18, base_channels=4, stem_channels=4)
    with pytest.raises(TypeError, match='ResNet reads images'):
        views.build(views.lifter_cfg(
            backbone=image, head=dict(in_channels=32),
            test_cfg=dict(hide_joints=dict(arm=ARM))))
    few = dict(views.lifter_cfg()['backbone'], num_keypoints=16)
    with pytest.raises(ValueError, match='the backbone reads 16'):
        views.build(views.lifter_cfg(backbone=few, test_cfg=dict(
            hide_joints=dict(arm=ARM))))
