"""Labels of views: who is a view of whom, and who is near in time."""
from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from mirrorpose.models.pose.views import read_views, stable_id


def sample(**changes):
    return SimpleNamespace(metainfo=dict(dict(
        id='x', subject='S1', sequence='S1/walk', seconds=0., camera='a',
        view_group=3), **changes))


def test_positives_are_other_cameras_of_one_person_s_instant():
    views = read_views([
        sample(), sample(camera='b'), sample(),  # the same image twice
        sample(camera='b', subject='S2'),
        sample(camera='b', sequence='S1/run'),
        sample(camera='b', view_group=4, seconds=.5)])
    found = views.positives()
    assert found.nonzero().tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]
    assert views.seconds.dtype == torch.float64


def test_near_is_within_a_sequence():
    views = read_views([
        sample(), sample(seconds=.9), sample(seconds=1.),
        sample(seconds=.5, sequence='S1/run')])
    assert views.near(1.)[0].tolist() == [True, True, False, False]


def test_numbers_are_the_same_everywhere():
    """Other processes and later runs: no hash of this process."""
    assert stable_id('S1', 'S1/walk', 3) == 9065134227886497507
    assert stable_id('ab', 'c') != stable_id('a', 'bc')


@pytest.mark.parametrize('key', [
    'subject', 'sequence', 'seconds', 'camera', 'view_group'])
def test_missing_metainfo_is_named(key):
    bad = sample()
    del bad.metainfo[key]
    with pytest.raises(ValueError, match=f"x does not say.*'{key}'"):
        read_views([sample(), bad])


def test_time_has_to_be_known():
    with pytest.raises(ValueError, match='nan seconds'):
        read_views([sample(seconds=float('nan'))])
