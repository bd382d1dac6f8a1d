"""Paired statistics against loops and scipy."""
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks.labels.evaluation import hits
from benchmarks.labels.statistics import (
    difference,
    over_seeds,
    resampled,
    score,
)
from mirrorpose.evaluation import LspPCK


def people(seed, n=60, k=16):
    """Poses with holes: (N, K, 2) predicted, true, and (N, K) present."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 100, (n, k, 2))
    present = rng.random((n, k)) < .8
    truth[~present] = 1e6  # what stands there must not matter
    return truth + rng.normal(scale=20, size=truth.shape), truth, present


@pytest.mark.parametrize('norm', ['bbox', 'torso'])
def test_scores_are_the_metrics(norm):
    pred, truth, present = people(0)
    right, counted = hits(pred, truth, present, norm)
    expected = LspPCK.calculate(pred, truth, present, norm)['Total']
    assert score(right, counted) == pytest.approx(expected)
    assert 5 < expected < 95


def test_bootstrap_by_loops():
    """The same draws of people, joint by joint and seed by seed."""
    rng = np.random.default_rng(1)
    n, k, seeds = 12, 3, 2
    counted = rng.random((n, k)) < .7
    one, other = (([(rng.random((n, k)) < p) & counted
                    for _ in range(seeds)]) for p in (.7, .5))
    found = difference(one, other, counted, draws=50)
    drawn = []
    for weights in resampled(n, 50):
        total = 0.
        for s in range(seeds):
            for rows, sign in ((one[s], 1), (other[s], -1)):
                shares = []
                for j in range(k):
                    up = sum(weights[i] * rows[i, j] for i in range(n))
                    down = sum(weights[i] * counted[i, j] for i in range(n))
                    if down:
                        shares.append(100 * up / down)
                total += sign * np.mean(shares) / seeds
        drawn.append(total)
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert found['people'] == pytest.approx([low, high], abs=.006)
    each = [score(a, counted) - score(b, counted)
            for a, b in zip(one, other)]
    assert found['each'] == pytest.approx(each, abs=.006)
    assert found['mean'] == pytest.approx(np.mean(each), abs=.006)


def test_interval_over_people_against_scipy():
    """One joint that everybody has: the mean of paired differences."""
    rng = np.random.default_rng(2)
    a, b = (rng.random(400) < p for p in (.8, .7))
    found = difference([a[:, None]], [b[:, None]], np.ones((400, 1), bool))
    its = stats.bootstrap(
        (100. * a, 100. * b), lambda x, y, axis: (x - y).mean(axis),
        paired=True, vectorized=True, n_resamples=4000, method='percentile',
        rng=np.random.default_rng(3)).confidence_interval
    assert found['people'] == pytest.approx([its.low, its.high], abs=.5)


def test_interval_over_seeds_against_scipy():
    one, other = [60.1, 61.3, 59.8], [58., 60.2, 59.1]
    each = [a - b for a, b in zip(one, other)]
    its = stats.ttest_rel(one, other).confidence_interval(.95)
    assert over_seeds(each) == pytest.approx([its.low, its.high], abs=.006)
    assert over_seeds([1.]) is None


def test_the_interval_covers_what_it_should():
    """95 % intervals hold the truth in about 95 % of repeated tests."""
    rng, inside = np.random.default_rng(4), 0
    for _ in range(200):
        ability = rng.random(80)  # people differ, and pairing knows
        a = rng.random(80) < np.clip(ability + .1, 0, 1)
        b = rng.random(80) < ability
        low, high = difference([a[:, None]], [b[:, None]], np.ones(
            (80, 1), bool), draws=300)['people']
        truth = 100 * np.mean(np.clip(rng.random(10**4) + .1, 0, 1) - .5)
        inside += low <= truth <= high
    assert 180 <= inside <= 199


def test_pairing_is_refused():
    a = np.ones((3, 2), bool)
    with pytest.raises(ValueError, match='2 and 1 seeds'):
        difference([a, a], [a], a)
    with pytest.raises(ValueError, match='different people'):
        difference([a], [a[:2]], a)
