"""Splits by whole groups."""
from __future__ import annotations

import hashlib

import pytest

from mirrorpose.datasets.sequences.parts import assign_parts, in_part

GROUPS = [f'g{i}' for i in range(20)]


def test_shares_follow_the_hash_of_the_name():
    parts = assign_parts(GROUPS * 3, dict(val=.1, test=.25), seed=4)
    ranked = sorted(GROUPS, key=lambda g: hashlib.sha256(
        f'4:{g}'.encode()).hexdigest())
    assert {g for g in GROUPS if parts[g] == 'test'} == set(ranked[:5])
    assert {g for g in GROUPS if parts[g] == 'val'} == set(ranked[5:7])
    assert set(parts) == set(GROUPS)
    assert parts == assign_parts(GROUPS[::-1], dict(val=.1, test=.25), 4)
    assert parts != assign_parts(GROUPS, dict(val=.1, test=.25), 5)


def test_names_and_shares_together():
    parts = assign_parts(GROUPS, dict(val=['g1*'], test=.1), seed=0)
    named = {g for g in GROUPS if g.startswith('g1')}
    assert {g for g in GROUPS if parts[g] == 'val'} == named
    assert sum(p == 'test' for p in parts.values()) == 2


def test_nothing_is_held_out_by_default():
    assert set(assign_parts(GROUPS, {}, 0).values()) == {'train'}


def test_no_group_is_on_two_sides():
    clips = [g for g in GROUPS for _ in range(5)]
    held = dict(val=.15, test=['g3', 'g7'])
    sides = {p: in_part(clips, p, held, 1) for p in ('train', 'val', 'test')}
    total = sum(s.astype(int) for s in sides.values())
    assert (total == 1).all()
    for side in sides.values():
        chosen = {g for g, s in zip(clips, side) if s}
        rest = {g for g, s in zip(clips, side) if not s}
        assert not chosen & rest
    assert in_part(clips, 'all', held, 1).all()


@pytest.mark.parametrize('held, message', [
    (dict(valid=.1), 'valid'),
    (dict(val=['nobody']), 'nobody'),
    (dict(val=['g1'], test=['g1']), 'g1'),
    (dict(val=1.5), '1.5'), (dict(test=-.1), '-0.1'),
    (dict(val=.6, test=.6), 'too few'),
])
def test_bad_splits(held, message):
    with pytest.raises(ValueError, match=message):
        assign_parts(GROUPS, held, 0)


def test_unknown_part():
    with pytest.raises(ValueError, match='valid'):
        in_part(GROUPS, 'valid', {}, 0)
