"""Metrics of sequences against loops over joints and thresholds."""
from __future__ import annotations

import json

import numpy as np
import pytest
from mmpose.registry import METRICS

from mirrorpose.evaluation.sequences import (
    SequenceErrors,
    SequencePCKh,
    joint_sets,
)
from mirrorpose.structures import Skeleton

MPI = Skeleton.from_name('mpi_inf_3dhp_28')


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    gt = rng.normal(size=(3, 8, 28, 2))
    pred = gt + rng.normal(0, .4, gt.shape)
    present = rng.random(gt.shape[:3]) < .9
    observed = rng.random(gt.shape[:3]) < .5
    return pred, gt, present, observed


class TestPCKh:

    def test_against_a_loop(self, data):
        pred, gt, present, observed = data
        heads = SequencePCKh.heads(gt, present)
        neck, top = MPI.index('neck', 'head_top')
        for name, mask in joint_sets(present, observed).items():
            errors = []
            for n, f, k in np.ndindex(*mask.shape):
                seen = bool(observed[n, f, k])
                wanted = {'unseen': not seen, 'observed': seen, 'all': True}
                assert mask[n, f, k] == (present[n, f, k] and wanted[name])
                if mask[n, f, k] and present[n, f, neck] and present[
                        n, f, top]:
                    size = np.hypot(*(gt[n, f, neck] - gt[n, f, top]))
                    errors.append(np.hypot(*(pred - gt)[n, f, k]) / size)
            errors = np.array(errors)
            row = SequencePCKh.calculate(pred, gt, mask, heads)
            for t in (.1, .5, 1.):
                assert row[f'PCKh@{t:.1f}'] == pytest.approx(
                    np.mean(errors <= t))
            # the area, by many thresholds
            grid = (np.arange(20000) + .5) / 20000
            area = np.mean([np.mean(errors <= t) for t in grid[::10]])
            assert row['AUC'] == pytest.approx(area, abs=1e-3)

    def test_by_hand(self):
        gt = np.zeros((1, 1, 28, 2))
        gt[..., MPI.index('head_top')[0], 1] = -2.
        pred = gt.copy()
        pred[..., 0, 0] = 1.  # half a head
        pred[..., 1, 0] = 5.
        pred[..., 2, 0] = np.nan
        mask = np.zeros((1, 1, 28))
        mask[..., :4] = 1
        row = SequencePCKh.calculate(pred, gt, mask, np.full((1, 1), 2.))
        assert row == pytest.approx({'PCKh@0.1': .25, 'PCKh@0.5': .5,
                                     'PCKh@1.0': .5, 'AUC': .375})

    def test_frames_without_a_head_do_not_count(self, data):
        pred, gt, present, _ = data
        present = np.ones_like(present)
        present[0, :4, MPI.index('neck')[0]] = False
        gt[1, 2, MPI.index('neck')[0]] = gt[1, 2, MPI.index('head_top')[0]]
        heads = SequencePCKh.heads(gt, present)
        lost = np.zeros((3, 8), bool)
        lost[0, :4] = lost[1, 2] = True
        np.testing.assert_array_equal(np.isnan(heads), lost)
        worse = pred.copy()
        worse[lost] = 1e9
        assert SequencePCKh.calculate(worse, gt, present, heads) == \
            SequencePCKh.calculate(pred, gt, present, heads)

    def test_nothing_to_count_is_nan(self, data):
        pred, gt, present, _ = data
        row = SequencePCKh.calculate(pred, gt, np.zeros_like(present),
                                     np.ones((3, 8)))
        assert np.isnan(list(row.values())).all()

    def test_refuses(self, data):
        pred, gt, present, _ = data
        with pytest.raises(ValueError, match='N, F, K'):
            SequencePCKh.calculate(pred[:1], gt, present, np.ones((3, 8)))
        with pytest.raises(ValueError, match='heads'):
            SequencePCKh.calculate(pred, gt, present, np.ones(3))
        with pytest.raises(ValueError, match='head_top'):
            SequencePCKh.heads(gt[:, :, :17], present[:, :, :17], 'coco_17')
        with pytest.raises(ValueError, match='thresholds'):
            SequencePCKh(thresholds=[0.])


class TestErrors:

    def test_against_a_loop(self, data):
        pred, gt, present, _ = data
        place, speed, shake, still = [], [], [], []
        for n, f, k in np.ndindex(*present.shape):
            here = present[n, f, k]
            if here:
                place.append(np.hypot(*(pred - gt)[n, f, k]))
            if f and here and present[n, f - 1, k]:
                step = [a[n, f, k] - a[n, f - 1, k] for a in (pred, gt)]
                speed.append(np.hypot(*(step[0] - step[1])))
                if f > 1 and present[n, f - 2, k]:
                    for a, into in ((pred, shake), (gt, still)):
                        into.append(np.hypot(*(
                            a[n, f, k] - 2 * a[n, f - 1, k] +
                            a[n, f - 2, k])))
        got = SequenceErrors.calculate(pred, gt, present)
        want = dict(MPJPE=np.mean(place), MPJVE=np.mean(speed),
                    Jitter=np.mean(shake), Jitter_gt=np.mean(still))
        assert got == pytest.approx(want)

    def test_a_shift_is_no_velocity(self, data):
        _, gt, present, _ = data
        row = SequenceErrors.calculate(gt + [3., 4.], gt, present)
        assert row['MPJPE'] == pytest.approx(5)
        assert row['MPJVE'] == pytest.approx(0, abs=1e-12)
        assert row['Jitter'] == pytest.approx(row['Jitter_gt'])

    def test_one_frame_has_no_velocity(self, data):
        pred, gt, present, _ = (a[:, :1] for a in data)
        row = SequenceErrors.calculate(pred, gt, present)
        assert np.isfinite(row['MPJPE']) and np.isnan(row['MPJVE'])


@pytest.mark.parametrize('name', ['SequencePCKh', 'SequenceErrors'])
def test_through_mmengine(name, data, tmp_path):
    pred, gt, present, observed = data
    metric = METRICS.build(dict(type=name,
                                out_file=str(tmp_path / 'out.json')))
    samples = [dict(pred_sequence=p, gt_sequence=g, present=m, observed=o)
               for p, g, m, o in zip(*data)]
    metric.process(None, samples[:2])
    metric.process(None, samples[2:])
    got = metric.evaluate(3)
    if name == 'SequencePCKh':
        mask = joint_sets(present, observed)['unseen']
        want = SequencePCKh.calculate(pred, gt, mask, SequencePCKh.heads(
            gt, present))['AUC']
        assert got['pckh/unseen/AUC'] == pytest.approx(want)
    else:
        assert got['sequence/all/MPJPE'] == pytest.approx(
            SequenceErrors.calculate(pred, gt, present)['MPJPE'])
    written = json.loads((tmp_path / 'out.json').read_text())
    assert set(written['results']) == {'unseen', 'observed', 'all'}
    with pytest.raises(ValueError, match='pred_sequence'):
        metric.process(None, [dict(pred_instances=1)])
