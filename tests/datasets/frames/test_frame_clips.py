"""Names, halves and parts of clips."""
import numpy as np
import pytest

from mirrorpose.datasets.frames.clips import Clip, share_groups, shared_clips


def test_halves_hold_every_frame_once():
    for count in (1, 2, 7):
        clip = Clip('a', 'p', tuple(range(count)),
                    keypoints=np.arange(count * 4.).reshape(count, 2, 2),
                    visible=np.ones((count, 2)))
        first, second = clip.half('first'), clip.half('second')
        assert first.frames + second.frames == clip.frames
        np.testing.assert_array_equal(
            np.concatenate([first.keypoints, second.keypoints]),
            clip.keypoints)
        assert (first.name, second.name) == ('a#1/2', 'a#2/2')


def test_rows_have_to_fit():
    with pytest.raises(ValueError, match='3 frames, but 2 rows of boxes'):
        Clip('a', 'p', (0, 1, 2), boxes=np.zeros((2, 4)))
    with pytest.raises(ValueError, match='together'):
        Clip('a', 'p', (0, ), keypoints=np.zeros((1, 2, 2)))


@pytest.mark.parametrize('one, other, want', [
    (['a', 'b'], ['c'], []),
    (['a', 'b'], ['b', 'c'], ['b']),
    (['a#1/2'], ['a#2/2'], []),
    (['a#1/2'], ['a#1/2'], ['a']),
    (['a'], ['a#2/2'], ['a']),
    (['a#2/2'], ['a'], ['a']),
    (['take#3'], ['take#3'], ['take#3']),
    (['take#3#1/2'], ['take#3#2/2'], []),
])
def test_shared_clips(one, other, want):
    assert shared_clips(one, other) == want
    assert shared_clips(other, one) == want


def test_shares_are_disjoint_and_do_not_depend_on_order():
    groups = [f'p{i}' for i in range(50)]
    split = dict(images=.4, poses=.4, test=.2)
    parts = share_groups(groups, split, 0, 'x')
    assert parts == share_groups(groups[::-1] + groups, split, 0, 'x')
    counts = {p: sum(v == p for v in parts.values()) for p in split}
    assert counts == dict(images=20, poses=20, test=10)
    assert parts != share_groups(groups, split, 1, 'x')


def test_named_groups_come_first():
    groups = ['S1', 'S5', 'S9', 'S11']
    parts = share_groups(groups, dict(test=['S9', 'S11'], train=1.), 0, 'x')
    assert parts == dict(S9='test', S11='test', S1='train', S5='train')
    with pytest.raises(ValueError, match="'S2'.*S1"):
        share_groups(groups, dict(test=['S2']), 0, 'x')
    with pytest.raises(ValueError, match='belongs'):
        share_groups(groups, dict(a=['S1'], b=['S*']), 0, 'x')
    with pytest.raises(ValueError, match='exceed'):
        share_groups(groups, dict(a=.7, b=.5), 0, 'x')
    with pytest.raises(ValueError, match='leaves none'):
        share_groups(groups, dict(a=.01), 0, 'x')
    with pytest.raises(ValueError, match=r'\(0, 1\]'):
        share_groups(groups, dict(a=1.5), 0, 'x')
