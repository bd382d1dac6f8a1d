"""Clips: form, resampling, windows."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from mirrorpose.datasets.sequences.clips import (
    MotionClips,
    concatenate,
    make_clips,
)


def clips_of(function, lengths, fps=30., prefix='c') -> MotionClips:
    """Every clip shows ``function(seconds)`` in all coordinates."""
    time = np.concatenate([np.arange(n) / fps for n in lengths])
    values = function(time)
    positions = np.repeat(values[:, None], 84, 1).reshape(-1, 28, 3)
    names = [f'{prefix}{i}' for i in range(len(lengths))]
    return make_clips(positions, np.repeat(values[:, None], 3, 1), names,
                      names, lengths, fps, np.zeros(28, bool), 'test')


@pytest.mark.parametrize('fps', [25., 30., 15., 50., 12.3])
def test_resampling_keeps_the_last_whole_step_and_no_more(fps):
    lengths = [1, 2, 3, 7, 31, 61, 100]
    made = clips_of(lambda t: t, lengths).resampled(fps)
    for n, m in zip(lengths, made.length):
        count = 0
        while count / fps <= (n - 1) / 30 + 1e-9:  # a loop, no formula
            count += 1
        assert m == count


def test_a_rate_that_was_rounded_is_that_rate():
    clips = clips_of(lambda t: t, [40])
    near = replace(clips, fps=1 / .033333)
    made = near.resampled(30.)
    assert made.fps == 30. and made.length.tolist() == [40]
    np.testing.assert_array_equal(made.positions, near.positions)


@pytest.mark.parametrize('function', [
    lambda t: 3 - 2 * t, lambda t: 0 * t + 5,
])
def test_lines_are_resampled_exactly_even_at_the_ends(function):
    lengths = [2, 3, 4, 40]
    made = clips_of(function, lengths).resampled(25.)
    for s, n in zip(made.start, made.length):
        want = function(np.arange(n) / 25.)
        np.testing.assert_allclose(made.positions[s:s + n, 3, 1], want,
                                   atol=1e-5)
        np.testing.assert_allclose(made.root[s:s + n, 2], want, atol=1e-5)


def test_inside_a_clip_the_cubic_is_catmull_and_roms():
    """Hermite's cubic with central differences, by scipy."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=40)
    made = clips_of(lambda t: values[np.round(t * 30).astype(int)],
                    [40]).resampled(25.)
    from scipy.interpolate import CubicHermiteSpline
    slope = (values[2:] - values[:-2]) / 2
    curve = CubicHermiteSpline(np.arange(1, 39), values[1:-1], slope)
    place = np.arange(made.length[0]) * 30 / 25
    inner = (place >= 1) & (place <= 38)
    np.testing.assert_allclose(made.positions[inner, 0, 0],
                               curve(place[inner]), atol=1e-5)


def test_it_is_nearer_to_the_motion_than_a_line_between_frames():
    """A wrist that moves to and fro three times a second."""
    def wave(t):
        return .3 * np.sin(2 * np.pi * 3 * t)

    made = clips_of(wave, [120]).resampled(25.)
    time = np.arange(made.length[0]) / 25.
    linear = np.interp(time, np.arange(120) / 30, wave(np.arange(120) / 30))
    inner = slice(2, -2)
    own = np.abs(made.positions[inner, 0, 0] - wave(time)[inner]).max()
    assert own < .35 * np.abs(linear - wave(time))[inner].max()
    spline = CubicSpline(np.arange(120) / 30, wave(np.arange(120) / 30))
    assert own < 20 * np.abs(spline(time) - wave(time))[inner].max() + .01


def test_no_clip_leaks_into_its_neighbour():
    made = clips_of(lambda t: t, [31, 31]).resampled(25.)
    changed = clips_of(lambda t: t, [31, 31])
    changed.positions[31:] += 100
    changed = changed.resampled(25.)
    n = made.length[0]
    np.testing.assert_array_equal(made.positions[:n], changed.positions[:n])
    assert (changed.positions[n:] > 50).all()


def test_a_joint_is_present_where_all_its_frames_are():
    time = np.arange(31) / 30.
    positions = np.repeat(time[:, None], 84, 1).reshape(-1, 28, 3)
    positions[10, 5] = np.nan, 0, 0
    positions[20, 6] = np.inf
    clips = make_clips(positions, np.zeros((31, 3)), ['a'], ['a'], [31], 30.,
                       np.zeros(28, bool), 'test')
    assert (~clips.present).sum() == 2
    assert np.isfinite(clips.positions).all()
    made = clips.resampled(25.)
    for new, place in enumerate(np.arange(26) * 1.2):
        whole = int(np.floor(place + 1e-9))
        used = ([whole] if abs(place - whole) < 1e-9 else
                range(whole - 1, whole + 3))
        assert made.present[new, 5] == (10 not in used)
        assert made.present[new, 6] == (20 not in used)
        assert made.present[new, :5].all()
    assert np.isfinite(made.positions).all()


def test_a_root_that_is_not_finite_takes_all_joints():
    root = np.zeros((5, 3))
    root[2, 1] = np.nan
    clips = make_clips(np.zeros((5, 28, 3)), root, ['a'], ['a'], [5], 30.,
                       np.zeros(28, bool), 'test')
    assert (~clips.present).sum(1).tolist() == [0, 0, 28, 0, 0]


@pytest.mark.parametrize('stride', [1, 5, 12, 50])
def test_windows_lie_within_one_clip(stride):
    lengths = np.array([3, 24, 23, 25, 60, 1])
    clips = clips_of(lambda t: t, lengths)
    want = [(c, f) for c, n in enumerate(lengths)
            for f in range(0, n, stride) if f + 24 <= n]
    assert [tuple(w) for w in clips.windows(24, stride)] == want


def test_selecting_and_putting_together():
    clips = clips_of(lambda t: t, [5, 6, 7])
    some = clips.select(np.array([True, False, True]))
    assert some.names == ('c0', 'c2')
    assert some.start.tolist() == [0, 5]
    np.testing.assert_array_equal(
        some.positions, clips.positions[list(range(5)) + list(range(11, 18))])
    other = clips_of(lambda t: t, [4], prefix='d')
    both = concatenate([some, other])
    assert both.names == ('c0', 'c2', 'd0')
    assert both.start.tolist() == [0, 5, 12]
    assert not len(clips.select(np.zeros(3, bool)).windows(2, 1))
    with pytest.raises(ValueError, match='given twice'):
        concatenate([clips, some])
    with pytest.raises(ValueError, match='rates'):
        concatenate([some, other.resampled(25.)])
    with pytest.raises(ValueError, match='no motion source'):
        concatenate([])


@pytest.mark.parametrize('change, message', [
    (dict(length=[4]), 'do not fit'),
    (dict(length=[5, 0], names=['a', 'b'], groups=['a', 'b']), 'do not fit'),
    (dict(length=[2, 3], names=['a', 'a'], groups=['a', 'b']), 'share'),
    (dict(fps=0.), 'fps'), (dict(fps=np.nan), 'fps'),
    (dict(positions=np.zeros((5, 17, 3))), '28'),
])
def test_bad_motion(change, message):
    good = dict(positions=np.zeros((5, 28, 3)), root=np.zeros((5, 3)),
                names=['a'], groups=['a'], length=[5], fps=30.,
                derived=np.zeros(28, bool), where='test')
    make_clips(**good)
    with pytest.raises(ValueError, match=message):
        make_clips(**{**good, **change})
