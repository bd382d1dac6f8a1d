"""What benchmarks/score_calibration.py computes."""
from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

FILE = Path(__file__).resolve().parents[1] / 'benchmarks' / (
    'score_calibration.py')


@pytest.fixture(scope='module')
def benchmark():
    spec = importlib.util.spec_from_file_location('score_calibration', FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def made():
    """An error that two of three features foretell together."""
    rng = np.random.default_rng(0)
    a, b, other = rng.normal(size=(3, 600))
    error = np.exp(-a - .8 * b + .3 * rng.normal(size=600))
    return dict(maximum=a, second=b, nothing=other), error


def test_spearman(benchmark):
    rng = np.random.default_rng(1)
    score, error = rng.integers(0, 5, 50), rng.random(50)
    assert benchmark.spearman(score, error) == pytest.approx(
        spearmanr(score, -error).statistic)


def test_the_combination_is_found(benchmark, made):
    scores, error = made
    keep = np.ones(len(error), bool)
    fit, quality = benchmark.best_combination(scores, error, keep)
    assert {'maximum', 'second'} <= set(fit.names)
    alone = benchmark.spearman(scores['maximum'], error)
    assert quality > alone + .1
    assert benchmark.spearman(fit(scores), error) > alone + .1


def test_absent_joints_are_left_out(benchmark, made):
    """(N, K) features: what stands at absent joints does not matter."""
    scores, error = made
    scores = {k: np.stack([v, v + 1e9], 1) for k, v in scores.items()}
    error = np.stack([error, error * 0], 1)
    keep = np.ones(error.shape, bool)
    keep[:, 1] = False
    fit, _ = benchmark.best_combination(scores, error, keep)
    plain, _ = benchmark.best_combination(
        {k: v[:, 0] for k, v in scores.items()}, error[:, 0], keep[:, 0])
    assert fit.names == plain.names
    np.testing.assert_allclose(fit.weights, plain.weights)


def test_intervals_hold_the_value(benchmark, made):
    scores, error = made
    rows = benchmark.table(scores, error, np.ones(len(error), bool), 100)
    for row in rows.values():
        low, high = row['interval']
        assert low < row['spearman'] < high and high - low < .2
    assert rows['maximum']['over_maximum'] == 0
    assert rows['nothing']['over_maximum_interval'][1] < 0


def test_curve(benchmark, made):
    scores, error = made
    found = benchmark.curve(scores['maximum'], error)
    assert np.mean(found['error']) == pytest.approx(error.mean())
    assert found['kept'][-1] == pytest.approx(error.mean())
    assert found['kept'][0] < found['kept'][-1]
    best = error[np.argsort(-scores['maximum'])[:60]]
    assert found['error'][0] == pytest.approx(best.mean())
    assert found['low'][0] < best.mean() < found['high'][0]
