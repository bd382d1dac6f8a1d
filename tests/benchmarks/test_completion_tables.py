"""Scores and tables of the completers' benchmarks."""
from __future__ import annotations

import numpy as np
import pytest

from benchmarks.completion import tables
from benchmarks.completion.clips import TWELVE, Clip
from benchmarks.completion.scores import paired, score
from mirrorpose.evaluation.sequences import SequenceErrors


def clip(seed: int, length: int = 20, head: float = 10.) -> Clip:
    """A body that trembles; a head of ten; the twelve are observed."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 50, (1, 28, 2)) + rng.normal(0, 1, (length, 28, 2))
    truth[:, 7] = truth[:, 5] + [0, head]
    truth = truth.astype(np.float32)
    present = np.ones((length, 28), bool)
    seen = present & TWELVE
    return Clip(f'c{seed}', truth, present, np.zeros(28, bool), truth, seen,
                seen.astype(np.float32))


def test_scores_by_the_metric():
    """Of clips with one size of head: as SequenceErrors has them."""
    clips = [clip(s) for s in range(3)]
    rng = np.random.default_rng(9)
    found = [c.truth + rng.normal(0, 3, c.truth.shape) for c in clips]
    table, _ = score(found, clips)
    want = SequenceErrors.calculate(
        np.stack(found), np.stack([c.truth for c in clips]),
        np.stack([c.present & ~TWELVE for c in clips]))
    row = table['unseen']
    assert row['error'] == pytest.approx(want['MPJPE'] / 10, abs=1e-4)
    assert row['velocity'] == pytest.approx(want['MPJVE'] / 10, abs=1e-4)
    assert row['jitter'] == pytest.approx(want['Jitter'] / 10, abs=1e-4)
    assert row['jitter_truth'] == pytest.approx(want['Jitter_gt'] / 10,
                                                abs=1e-4)
    assert row['joints'] == 3 * 20 * 16 and row['clips'] == 3


def test_clips_that_have_such_joints():
    clips = [clip(s) for s in range(3)]
    clips[1].observed[4, 9] = False
    table, _ = score([c.truth for c in clips], clips)
    assert table['lost']['clips'] == 1 and table['lost']['joints'] == 1


def test_paired_differences():
    rng = np.random.default_rng(0)
    other = np.concatenate([rng.uniform(40, 60, (30, 5)),
                            np.full((30, 1), 100.)], 1)
    one = other.copy()
    one[:, 3] += 7
    assert paired(one, other) == pytest.approx((.07, .07, .07))


def values(area: float, **more) -> dict:
    row = {'.1': .1, '.5': .5, '1': .9, 'AUC': area, 'error': .321,
           'velocity': .0456, 'interval': [area - .01, area + .02],
           'joints': 1234}
    return {k: dict(row, **more) for k in (
        'unseen', 'measured', 'all', 'lost', 'twelve', 'damaged', 'good')} | {
        'seconds': .0123}


def page(sections: list[str]) -> str:
    return '\n\n'.join(sections)


def test_every_part_is_printed():
    rows = dict(regressor=values(.8), JUMPS=values(.7))
    held = dict(
        table1=dict(cmu=rows, against_regressor=dict(
            cmu=dict(JUMPS=[-.1, -.12, -.08]))),
        holes={'8 frames': dict(bandai=rows, lost_against_interpolation=dict(
            bandai=dict(regressor=[.031, .011, .051])))},
        options=dict(clean=dict(cmu=rows, against_default=dict(cmu=dict(
            regressor=[.042, .022, .062])))),
        answers=dict(cmu=dict(
            regressor=dict(one=1.01, windows=63),
            JUMPS=dict(one=.8, mean_of_8=1.02, best_of_8=.59, windows=63))))
    text = page(tables.upsampling(held))
    for line in (
            '0.800 [0.790, 0.820] | 0.800 | – |',
            '0.700 [0.690, 0.720] | 0.700 | -0.100 [-0.120, -0.080] |',
            '| JUMPS | 0.100 | 0.500 | 0.900 | 0.321 | 0.456 | 0.012 |',
            '| 0.800 | +0.031 [+0.011, +0.051] |',
            '| 0.800 | +0.042 [+0.022, +0.062] |',
            '| regressor | 1.010 | – | – | 63 |',
            '| JUMPS | 0.800 | 1.020 | 0.590 | 63 |'):
        assert line in text, line
    assert 'jitter' not in text


def test_jitter_where_it_was_measured():
    more = dict(jitter=.05, jitter_truth=.02, clips=3)
    text = page(tables.upsampling(dict(table1=dict(
        cmu=dict(JUMPS=values(.7, **more))))))
    assert ('| JUMPS | 0.100 | 0.500 | 0.900 | 0.321 | 0.456 | 0.500 | 0.012 |'
            in text)
    assert 'truth: 0.200 in CMU' in text


@pytest.mark.parametrize('more, counts', [
    (dict(), '1,234 damaged joints, 1,234 good'),
    (dict(clips=7), '1,234 damaged joints of 7 clips')])
def test_detectors(more, counts):
    robust = values(.8, **more)
    for which in ('damaged', 'good'):
        robust[which]['gain'] = [.1, .05, .15]
    text = page(tables.detector(dict(
        replayed=dict(cmu=dict(input=values(.5, **more), robust=robust),
                      people='half of LSPET'),
        openpose=dict(input=values(.5, **more), robust=robust))))
    assert "BlazePose's own errors on half of LSPET (the" in text
    assert text.count(counts) == 2
    for line in ('| robust | 0.100 | 0.500 | 0.900 | 0.800 [0.790, 0.820] | '
                 '0.100 | 0.500 | 0.900 | 0.800 [0.790, 0.820] |',
                 '| input | 0.100 | 0.500 | 0.900 | 0.500 [0.490, 0.520] | '
                 '– | – | – | – |',
                 '| robust | 0.800 [0.790, 0.820] | +0.100 [+0.050, +0.150] '
                 '| 0.800'):
        assert text.count(line) == 2, line
