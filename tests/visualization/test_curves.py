"""Reading logged scalars, and what becomes of them in a figure."""
from __future__ import annotations

import json

import numpy as np
import pytest

from mirrorpose.visualization import curves


def log(folder, run, rows):
    path = folder / run / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(r if isinstance(r, str) else json.dumps(r)
                              for r in rows) + '\n')


def train(step, loss, length=10):
    return dict(loss=loss, loss_a=loss - 1, loss_b=1., lr=0.1, time=0.5,
                epoch=-(-step // length), iter=step, step=step)


def val(epoch, total):
    return {'pck/Total': total, 'pck/Knee': 1., 'time': .1, 'step': epoch}


class TestReadScalars:

    def test_lines_are_told_apart_and_sorted(self, tmp_path):
        log(tmp_path, '20260101_000000',
            [train(10, 3.), val(1, 50.), train(20, 2.), val(2, 60.)])
        out = curves.read_scalars(tmp_path)
        assert [r['loss'] for r in out.train] == [3., 2.]
        assert [(r['step'], r['pck/Total']) for r in out.val] == [
            (1, 50.), (2, 60.)]
        assert out.notes == []

    def test_resumed_run_replaces_what_it_repeats(self, tmp_path):
        log(tmp_path, '20260101_000000',
            [train(s, s) for s in (10, 20, 30, 35)]
            + [val(1, 1.), val(2, 2.), val(3, 3.)])
        # Went back to the end of epoch 2, and is now in epoch 3.
        log(tmp_path, '20260102_000000', [train(25, -25.)])
        out = curves.read_scalars(tmp_path)
        assert [(r['step'], r['loss']) for r in out.train] == [
            (10, 10), (20, 20), (25, -25.)]
        assert [r['step'] for r in out.val] == [1, 2]

    def test_later_run_wins(self, tmp_path):
        log(tmp_path, '20260102_000000', [train(20, -2.), val(2, 7.),
                                          train(30, -3.)])
        log(tmp_path, '20260101_000000', [train(10, 1.), train(20, 2.),
                                          val(2, 5.)])
        out = curves.read_scalars(tmp_path)
        assert [r['loss'] for r in out.train] == [1., -2., -3.]
        assert [r['pck/Total'] for r in out.val] == [7.]

    def test_run_that_logged_nothing_takes_nothing(self, tmp_path):
        log(tmp_path, '20260101_000000', [train(10, 1.), val(1, 5.)])
        log(tmp_path, '20260102_000000', [])
        out = curves.read_scalars(tmp_path)
        assert len(out.train) == len(out.val) == 1

    def test_damaged_lines_are_skipped_with_a_note(self, tmp_path):
        folder = tmp_path / 'baseline'
        log(folder, '20260101_000000',
            [train(10, 1.), '{"loss": 3, "st', '[1, 2]', '{"a": 1}',
             train(20, 2.)])
        out = curves.read_scalars(folder)
        assert [r['loss'] for r in out.train] == [1., 2.]
        assert len(out.notes) == 1
        assert '3 lines' in out.notes[0] and 'baseline' in out.notes[0]

    def test_no_logs(self, tmp_path):
        out = curves.read_scalars(tmp_path)
        assert out == curves.Scalars()


def test_epochs_of_counts_full_epochs():
    rows = [train(s, 0., 12) for s in (5, 10, 12, 17, 22, 24)]
    np.testing.assert_allclose(curves.epochs_of(rows),
                               np.array([5, 10, 12, 17, 22, 24]) / 12)
    assert list(curves.epochs_of([dict(iter=3), dict(iter=9)])) == [3, 9]


class TestPanels:

    def test_sum_of_one_term_is_not_shown_twice(self):
        rows = [dict(loss=1., loss_mask=1., epoch=1, iter=1, step=1)]
        panels = curves.panels_of(curves.Scalars(rows))
        assert [p.title for p in panels] == ['Silhouette, squared error']

    def test_held_out_terms_join_their_loss_in_its_unit(self):
        rows = [{'loss': .5, 'loss_fidelity': .3, 'loss_kl_scene': .2,
                 'epoch': 1, 'iter': 4, 'step': 4}]
        # 100 cells: 30 nats a sample are 0.3 a cell.
        held = [{'bound/fidelity': -30., 'bound/bound': -50.,
                 'bound/swap_gap': 9., 'step': 1}]
        panels = curves.panels_of(curves.Scalars(rows, held), cells=100)
        shown = {p.title: [float(c.y[0]) for c in p.curves] for p in panels}
        assert shown['Image reconstruction, negative log-likelihood'] == [
            pytest.approx(.3), pytest.approx(.3)]
        assert shown['Sum of all terms'] == [pytest.approx(.5)] * 2
        assert shown["What a neighbour's pose costs in fidelity"] == [9.]
        # Not known how many cells: they keep their own unit and panel.
        apart = curves.panels_of(curves.Scalars(rows, held))
        assert all(len(p.curves) == 1 for p in apart)
        assert {float(c.y[0]) for p in apart for c in p.curves} >= {-30.}

    def test_both_normalisers_share_a_panel(self):
        held = [{'pck/Total': 70., 'pck/Total_torso': 40., 'pck/Knee': 3.,
                 'step': 10}]
        panel, = curves.panels_of(curves.Scalars([], held),
                                  norms=['bbox', 'torso'])
        assert [c.label for c in panel.curves] == ['bbox normaliser',
                                                   'torso normaliser']
        assert [float(c.y[0]) for c in panel.curves] == [70., 40.]


class TestLimits:

    def test_start_does_not_flatten_the_rest(self):
        y = np.r_[1000., np.linspace(2., 1., 99)]
        low, high, cut = curves.limits([y])
        assert cut and low < 1. and 1.9 < high < 2.2

    def test_nothing_is_cut_without_need(self):
        low, high, cut = curves.limits([np.linspace(-3., 1., 50)])
        assert not cut and low < -3. and high > 1.

    def test_constants_and_nothing(self):
        low, high, _ = curves.limits([np.full(30, 2.)])
        assert low < 2. < high
        assert curves.limits([np.array([np.nan])]) is None
        assert curves.limits([]) is None


class TestCurvesFigure:

    def panel(self, y):
        y = np.asarray(y, float)
        return curves.Panel('A title', 'nats', [
            curves.Curve('training', np.arange(1., len(y) + 1), y),
            curves.Curve('held out', np.array([2.]), np.array([-.5]), True)])

    def test_lines_carry_the_data(self):
        axes, = curves.curves_figure(self.panel([1., -.2, -1.])).axes
        np.testing.assert_array_equal(axes.lines[0].get_ydata(),
                                      [1., -.2, -1.])
        np.testing.assert_array_equal(axes.lines[1].get_xdata(), [2.])
        texts = [t.get_text() for t in axes.get_legend().get_texts()]
        assert texts == ['training', 'held out']
        assert axes.get_ylim()[0] < -1. and axes.get_yscale() == 'linear'

    @pytest.mark.parametrize('y', [[], [np.nan], [1.], [3., np.inf, 2.]])
    def test_odd_values_are_drawn(self, y):
        data = curves.figure_png(curves.curves_figure(self.panel(y)))
        assert data.startswith(b'\x89PNG')
