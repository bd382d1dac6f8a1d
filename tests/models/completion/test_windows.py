"""Windows over sequences against loops over frames."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mirrorpose.models.completion.windows import (
    blend_weights,
    cut,
    merge,
    plan_windows,
    select,
    window_starts,
)

LENGTHS = [1, 2, 23, 24, 25, 35, 36, 37, 48, 61, 100]


class TestStarts:

    @pytest.mark.parametrize('length', LENGTHS)
    def test_cover_every_frame_and_end_with_the_sequence(self, length):
        starts = window_starts(length)
        covered = {s + i for s in starts for i in range(24)}
        assert covered >= set(range(length))
        assert starts[0] == 0 and starts[-1] == max(length - 24, 0)
        assert starts == sorted(set(starts))
        steps = np.diff(starts)
        assert (steps[:-1] == 12).all() and (steps <= 12).all()

    def test_by_hand(self):
        assert window_starts(24) == [0]
        assert window_starts(36) == [0, 12]
        assert window_starts(40) == [0, 12, 16]
        assert window_starts(10, frames=4, stride=4) == [0, 4, 6]

    @pytest.mark.parametrize('bad', [dict(length=0), dict(length=-3),
                                     dict(length=9, stride=0),
                                     dict(length=99, stride=25)])
    def test_refuses(self, bad):
        with pytest.raises(ValueError, match='frame|stride'):
            window_starts(**bad)


def _blend(windows, plan, weight):
    """One frame after the other."""
    total = [[] for _ in range(plan.total)]
    f = windows.shape[1]
    for w in range(len(windows)):
        for i in range(f):
            if plan.valid[w, i]:
                share = min(i + .5, f - .5 - i) / f * 2 * float(weight[w])
                total[int(plan.frames[w, i])].append((share, windows[w, i]))
    return torch.stack([sum(s * v for s, v in one) / sum(s for s, _ in one)
                        for one in total])


class TestBackAgain:

    @pytest.mark.parametrize('join', [merge, select])
    def test_undoes_the_cut(self, join):
        x = torch.randn(sum(LENGTHS), 5, 2, dtype=torch.float64)
        plan = plan_windows(LENGTHS)
        torch.testing.assert_close(join(cut(x, plan), plan), x)

    def test_no_window_reaches_into_another_sequence(self):
        plan = plan_windows(LENGTHS)
        owner = torch.repeat_interleave(torch.arange(len(LENGTHS)),
                                        torch.tensor(LENGTHS))
        assert (owner[plan.frames] == plan.sequence[:, None]).all()
        # Frames that are not padding follow one another.
        both = plan.valid[:, 1:]
        steps = plan.frames[:, 1:] - plan.frames[:, :-1]
        assert (steps[both] == 1).all() and (steps[~both] == 0).all()

    def test_blend_against_a_loop(self):
        plan = plan_windows([30, 5, 57])
        windows = torch.randn(*plan.frames.shape, 3, dtype=torch.float64)
        weight = torch.rand(len(windows), dtype=torch.float64) + .1
        torch.testing.assert_close(
            merge(windows, plan, weight), _blend(windows, plan, weight))

    def test_half_overlapping_weights_add_up(self):
        w = blend_weights(24)
        torch.testing.assert_close(w[:12] + w[12:],
                                   torch.ones(12, dtype=torch.float64))

    def test_windows_without_weight_do_not_count(self):
        plan = plan_windows([36])
        windows = torch.stack([torch.full((24, 1), 1.),
                               torch.full((24, 1), float('nan'))])
        out = merge(windows, plan, torch.tensor([1., 0.]))[:, 0]
        assert (out[:24] == 1).all() and out[24:].isnan().all()

    def test_select_against_a_loop(self):
        plan = plan_windows([40, 7, 90])
        windows = torch.randn(*plan.frames.shape, 2)
        error = torch.randint(0, 4, plan.frames.shape).float()  # with ties
        got = select(windows, plan, error)
        for frame in range(plan.total):
            best = min((float(error[w, i]), w, i)
                       for w, i in (plan.frames == frame).nonzero().tolist()
                       if plan.valid[w, i])
            assert torch.equal(got[frame], windows[best[1], best[2]])

    def test_select_prefers_the_middle(self):
        plan = plan_windows([36])
        windows = torch.tensor([0., 1.])[:, None, None].expand(2, 24, 1)
        got = select(windows, plan)[:, 0]
        assert (got[:18] == 0).all() and (got[18:] == 1).all()

    def test_select_refuses_nan(self):
        plan = plan_windows([24])
        with pytest.raises(ValueError, match='NaN'):
            select(torch.zeros(1, 24, 2), plan,
                   torch.full((1, 24), float('nan')))
