"""The quickstart's seeds in a table, and its config."""
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks import quickstart_seeds
from tools import quickstart


def report(**scores):
    return dict(results=[dict(method=m, pck=dict(Total=s))
                         for m, s in scores.items()], seconds=1.)


def test_gains_are_paired_over_seeds():
    found = quickstart_seeds.summary({
        0: report(baseline=50., supervised=51.),
        1: report(baseline=60., supervised=63.),
        4: report(baseline=55., supervised=53.)})
    gain = found['supervised']['gain']
    assert gain['each'] == [1., 3., -2.] and gain['mean'] == .67
    want = stats.t.interval(.95, 2, np.mean([1, 3, -2]),
                            stats.sem([1, 3, -2]))
    assert gain['seeds'] == pytest.approx(want, abs=.006)
    assert found['baseline']['sd'] == 5. and 'gain' not in found['baseline']
    text = quickstart_seeds.table(found)
    assert '| baseline | 55.0 ± 5.0 |' in text and '+1.0, +3.0, -2.0' in text


def test_one_seed_has_no_spread():
    found = quickstart_seeds.summary({7: report(baseline=1., supervised=2.)})
    assert found['supervised']['gain']['seeds'] is None
    assert '| +1.0 |' in quickstart_seeds.table(found)


def test_a_seed_draws_its_own_annotated_people(tmp_path):
    cfgs = [quickstart.quickstart_config(1., tmp_path, s) for s in (0, 3)]
    assert [c.split_seed for c in cfgs] == [0, 3]
    assert [c.randomness.seed for c in cfgs] == [0, 3]
    assert all(s['epochs'] >= 1 for s in cfgs[0].stages)
