"""Who has 3D joints."""
from __future__ import annotations

import numpy as np
import pytest

from mirrorpose.datasets.multiview.annotation import annotated_instants
from mirrorpose.datasets.multiview.synthetic import SyntheticViews


@pytest.fixture(scope='module')
def views():
    return SyntheticViews(4, 5, 4, 2, 32, 2).read('')


def choose(views, rows=None, **plan):
    rows = np.arange(len(views.clip)) if rows is None else rows
    return annotated_instants(views, rows, plan, 'here')


def test_all_by_default(views):
    assert choose(views).all()
    assert annotated_instants(views, np.arange(9), None, 'here').all()


@pytest.mark.parametrize('fraction', [0, .05, .1, .25, .5, 1])
def test_fraction_of_each_subject(views, fraction):
    chosen = choose(views, fraction=fraction)
    subject = views.subjects[views.clip]
    for name in set(subject.tolist()):
        count = chosen[subject == name].sum()
        assert count == int(fraction * 40 + .5)


def test_at_least_one(views):
    chosen = choose(views, fraction=.001)
    assert chosen.sum() == 4


def test_nested_and_seeded(views):
    few, more = choose(views, fraction=.1), choose(views, fraction=.5)
    assert not (few & ~more).any()
    assert (choose(views, fraction=.5, seed=1) != more).any()


def test_does_not_depend_on_the_order(views):
    order = np.random.default_rng(0).permutation(len(views.clip))
    np.testing.assert_array_equal(
        choose(views, order, fraction=.3), choose(views, fraction=.3)[order])


def test_subjects_and_clips(views):
    chosen = choose(views, subjects=['person_00[13]'], fraction=.4,
                    by='clip')
    subject = views.subjects[views.clip]
    assert set(subject[chosen].tolist()) == {'person_001', 'person_003'}
    for clip in range(len(views.clips)):
        assert len(set(chosen[views.clip == clip].tolist())) == 1
    assert chosen.sum() == 2 * 2 * 8  # 2 of 5 clips of two subjects


@pytest.mark.parametrize('subjects', [[0], [np.int64(1)],
                                      ['person_001', None]])
def test_subjects_are_names(views, subjects):
    with pytest.raises(TypeError, match="which is no name or pattern; the "
                       "subjects are .'person_000'"):
        choose(views, subjects=subjects)


@pytest.mark.parametrize('plan, message', [
    (dict(share=.5), r"keys \['share'\]"),
    (dict(fraction=1.5), 'lie in'),
    (dict(by='view'), "got 'view'"),
    (dict(subjects=['S1']), "names 'S1'; the subjects are")])
def test_errors(views, plan, message):
    with pytest.raises(ValueError, match=message):
        choose(views, **plan)
