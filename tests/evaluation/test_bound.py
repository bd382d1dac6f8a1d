"""Means of the figures of sub-networks."""
from __future__ import annotations

import pytest
from mmpose.registry import METRICS

from mirrorpose.evaluation.bound import MeanBound


def test_calculate():
    rows = [dict(iou=.25, bound=-10.), dict(iou=.75, bound=-30.),
            dict(iou=.5, bound=-2.)]
    assert MeanBound.calculate(rows) == pytest.approx(
        dict(iou=.5, bound=-14.))


def test_figures_that_some_samples_lack():
    rows = [dict(a=1.), dict(a=3., b=5.), dict(a=2., b=7.)]
    assert MeanBound.calculate(rows) == pytest.approx(dict(a=2., b=6.))


def test_as_a_metric_over_several_batches():
    metric = METRICS.build(dict(type='MeanBound'))
    metric.process({}, [dict(bound=dict(a=1.)), dict(bound=dict(a=2.))])
    metric.process({}, [dict(bound=dict(a=6.))])
    assert metric.evaluate(3) == {'bound/a': pytest.approx(3.)}


def test_last_batch_may_be_padded():
    """One result a sample: a sampler's padding is cut off."""
    metric = MeanBound()
    metric.process({}, [dict(bound=dict(a=v)) for v in (1., 2., 3., 100.)])
    assert metric.evaluate(3) == {'bound/a': pytest.approx(2.)}


def test_errors():
    with pytest.raises(ValueError, match='no sample'):
        MeanBound.calculate([])
    with pytest.raises(ValueError, match='dict "bound"'):
        MeanBound().process({}, [dict(pred_instances=1)])
