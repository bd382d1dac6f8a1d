"""Limits: what counts as passed, and how often it is said."""
from __future__ import annotations

import math
from typing import Any

import pytest

from mirrorpose.engine.thresholds import Limit, Watch


def limit(side: str = 'below', value: float = 1., key: str = 'a') -> Limit:
    return Limit(key, 'Letter', side, value, 'it has gone', 'Fetch it.')


@pytest.mark.parametrize('side, value, bad', [
    ('below', .9, True), ('below', 1., False), ('below', math.nan, False),
    ('above', 1.1, True), ('above', 1., False), ('above', math.nan, False)])
def test_passed(side: str, value: float, bad: bool) -> None:
    assert limit(side).passed(value) is bad


@pytest.mark.parametrize('changes', [
    dict(side='beside'), dict(value=math.nan), dict(value=math.inf)])
def test_refuses_a_limit(changes: dict) -> None:
    with pytest.raises(ValueError, match='the limit of a'):
        limit(**changes)


@pytest.mark.parametrize('changes', [
    dict(begin=-1), dict(window=0), dict(repeat=0)])
def test_refuses_a_watch(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match='at least 1'):
        Watch([limit()], **changes)


def test_text_says_what_is_wrong_and_what_to_do() -> None:
    text, = Watch([limit()], window=2).see(0, dict(a=.5)) or [
        *Watch([limit()]).see(7, dict(a=.5, b=0.))]
    for part in ('iteration 7', 'a is 0.5', 'below 1', 'it has gone',
                 'Fetch it.'):
        assert part in text


def test_once_in_a_while_as_long_as_it_lasts() -> None:
    watch = Watch([limit()], repeat=100)
    said = [i for i in range(0, 300, 10) if watch.see(i, dict(a=0.))]
    assert said == [0, 100, 200]
    # Well for a moment, then ill again: not said more often for that.
    watch = Watch([limit()], repeat=100)
    said = [i for i in range(0, 300, 10)
            if watch.see(i, dict(a=float(i % 20 == 0)))]
    assert said == [10, 110, 210]


def test_means_of_whole_windows_after_the_beginning() -> None:
    watch = Watch([limit()], begin=20, window=3)
    values = dict(zip(range(0, 80, 10),
                      [0, 0, 2, 2, math.nan, 2, .9, .05]))
    said = {i: watch.see(i, dict(a=v)) for i, v in values.items()}
    # What comes before the beginning is not counted: 2, 2, 2, then with .9
    # 1.63, and with .05 (2 + .9 + .05) / 3.
    assert [i for i, s in said.items() if s] == [70]
    assert '0.983' in said[70][0] and 'mean of 3 looks' in said[70][0]


def test_a_value_that_is_not_there_is_not_spoken_of() -> None:
    watch = Watch([limit(), limit('above', 5., 'b')], repeat=1)
    assert len(watch.see(0, dict(a=0.))) == 1
    assert len(watch.see(1, dict(b=6.))) == 1
    assert watch.see(2, {}) == []


def test_two_limits_of_a_value() -> None:
    watch = Watch([limit('below', 0.), limit('above', 1.)], repeat=10)
    assert 'above 1' in watch.see(0, dict(a=2.))[0]
    assert 'below 0' in watch.see(1, dict(a=-1.))[0]
    assert watch.see(2, dict(a=2.)) == []


def test_goes_on_after_a_break() -> None:
    one = Watch([limit()], window=2, repeat=100)
    one.see(0, dict(a=0.))
    other = Watch([limit()], window=2, repeat=100)
    other.load_state_dict(one.state_dict())
    assert other.see(10, dict(a=0.))
    again = Watch([limit()], window=2, repeat=100)
    again.load_state_dict(other.state_dict())
    assert again.see(20, dict(a=0.)) == [] and again.see(110, dict(a=0.))
