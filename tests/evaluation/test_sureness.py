"""Errors of the poses that a model is sure of."""
from __future__ import annotations

import numpy as np
import pytest
from mmpose.registry import METRICS
from scipy.stats import spearmanr

import mirrorpose  # noqa: F401
from mirrorpose.evaluation import PoseSureness

RNG = np.random.default_rng(0)


def test_by_hand():
    found = PoseSureness.calculate([.1, .4, .2, .3], [10, 40, 30, 20],
                                   (25, 50, 100))
    assert [found[f'MPJPE@{s}'] for s in (25, 50, 100)] == [10, 20, 25]
    assert [found[f'best@{s}'] for s in (25, 50, 100)] == [10, 15, 25]
    assert found['rank_correlation'] == pytest.approx(.8)


@pytest.mark.parametrize('ties', [False, True])
def test_correlation_is_spearman_s(ties):
    doubt, error = RNG.normal(size=50), RNG.normal(size=50)
    error += doubt
    if ties:
        doubt = doubt.round()
    found = PoseSureness.calculate(doubt, error)['rank_correlation']
    assert found == pytest.approx(spearmanr(doubt, error)[0])
    assert PoseSureness.calculate(np.ones(5), np.arange(5))[
        'rank_correlation'] == 0


def test_reads_samples():
    metric = METRICS.build(dict(type='PoseSureness', shares=[50, 100]))
    held, errors, doubts = [], [], []
    for i in range(20):
        gt = 300 * RNG.normal(size=(1, 17, 3))
        gap = RNG.normal(size=gt.shape) * (i + 1)
        if i == 7:
            gt[0, 3] = np.nan  # a joint that nobody knows
        doubts.append(RNG.random())
        errors.append(np.nanmean(np.linalg.norm(gap + 0 * gt, axis=-1)))
        held.append(dict(
            id=i, gt_instance_labels=dict(keypoints_3d_canonical=gt),
            pred_instances=dict(keypoints_3d_canonical=gt + gap,
                                embedding_variance=np.array([doubts[-1]]))))
    held.append(dict(held[0], gt_instance_labels=dict(
        keypoints_3d_canonical=np.full((1, 17, 3), np.nan))))
    metric.process({}, held)
    found = metric.evaluate(len(held))
    order = np.argsort(doubts)[:10]
    assert found['canonical_sureness/MPJPE@50'] == pytest.approx(
        np.array(errors)[order].mean())
    assert found['canonical_sureness/MPJPE@100'] == pytest.approx(
        np.mean(errors))
    del held[0]['pred_instances']['embedding_variance']
    with pytest.raises(ValueError, match=r'uncertainty=dict\(\)'):
        metric.process({}, held[:1])


def test_errors():
    with pytest.raises(ValueError, match='shares lie in'):
        PoseSureness(shares=[0])
    with pytest.raises(ValueError, match='N at least 1'):
        PoseSureness.calculate([], [])
