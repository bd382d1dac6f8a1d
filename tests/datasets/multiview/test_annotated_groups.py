"""Labelled instants beside the pairs of a batch."""
from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from mirrorpose.datasets.multiview import (
    ViewGroupSampler,
    annotated_groups,
    sampler,
)


class Table:
    """Subjects of three clips of 40 instants, two a second, four cameras."""

    def __init__(self, share=.1, subjects=5, people=None, fps=2.) -> None:
        size = dict(subject=subjects, clip=3, instant=40, camera=4)
        grid = dict(zip(size, (a.ravel() for a in np.indices(
            tuple(size.values())))))
        group = np.arange(grid['clip'].size) // 4
        chosen = np.random.default_rng(1).random(group.max() + 1) < share
        known = chosen[group]
        if people is not None:
            known &= np.isin(grid['subject'], people)
        order = np.random.default_rng(0).permutation(len(group))
        self.table = {k: v[order] for k, v in dict(
            group=group, subject=grid['subject'],
            sequence=grid['subject'] * 3 + grid['clip'],
            seconds=grid['instant'] / fps, camera=grid['camera'],
            annotated=known).items()}
        self.table['index'] = np.arange(len(group))

    def view_groups(self):
        return self.table


@pytest.fixture
def make(monkeypatch):
    def build(data, rank=0, world=1, epoch=0, **kwargs):
        monkeypatch.setattr(sampler, 'get_dist_info', lambda: (rank, world))
        kwargs = dict(dict(groups_per_batch=8, subjects_per_batch=4, seed=3,
                           annotated_groups=3), **kwargs)
        made = ViewGroupSampler(data, **kwargs)
        made.set_epoch(epoch)
        return made
    return build


def batches(made):
    items = np.array(list(made))
    assert len(items) == len(made) == made.iterations * made.batch_size
    return items.reshape(made.iterations, -1, made.views_per_group)


@pytest.mark.parametrize('world', [1, 2])
@pytest.mark.parametrize('share', [.1, .4, 1.])
def test_every_batch_has_labels(make, world, share):
    """On top, whole, of the batch's people, apart in time, on all ranks."""
    data = Table(share)
    t = data.table
    parts = [batches(make(data, r, world)) for r in range(world)]
    assert len({p.shape for p in parts}) == 1
    of_others = total = 0
    for steps in zip(*parts):
        for batch in steps:
            assert batch.shape == (11, 2)
            group = t['group'][batch]
            assert (group == group[:, :1]).all()
            assert len(set(group[:, 0])) == 11
            for row in t['camera'][batch]:
                assert len(set(row)) == 2
            assert t['annotated'][batch[8:]].all()
            people = t['subject'][batch[:, 0]]
            assert sorted(Counter(people[:8].tolist()).values()) == [2] * 4
            of_others += len(set(people[8:]) - set(people[:8]))
            total += 3
        rows = np.concatenate([b[:, 0] for b in steps])
        near = np.abs(t['seconds'][rows][:, None] - t['seconds'][rows]) < 1
        same = t['sequence'][rows][:, None] == t['sequence'][rows]
        assert (near & same).sum() == len(rows)
    assert of_others < .1 * total


@pytest.mark.parametrize('world', [1, 2])
def test_the_pairs_are_those_without_labels(make, world):
    data = Table(.3)
    for rank in range(world):
        with_ = batches(make(data, rank, world))
        without = batches(make(data, rank, world, annotated_groups=0))
        np.testing.assert_array_equal(with_[:, :8], without)


def test_all_labels_are_used_before_any_comes_again(make):
    """Half of the epoch is one lap of the labels, and then another."""
    data = Table(.3)
    made = make(data, gap_seconds=0.)
    labels = data.table['group'][batches(made)[:, 8:, 0]]
    known = set(data.table['group'][data.table['annotated']])
    assert len(known) > 150
    laps, rest = divmod(labels.size, len(known))
    assert laps == 1 and rest
    seen = Counter(labels.ravel()[:len(known) - len(known) % 3].tolist())
    assert max(seen.values()) == 1
    assert set(Counter(labels.ravel().tolist()).values()) <= {1, 2}
    # The gap makes some wait, no more.
    labels = data.table['group'][batches(make(data))[:, 8:, 0]]
    assert max(Counter(labels.ravel().tolist()).values()) <= 3
    assert len(set(labels.ravel())) > .95 * len(known)


def test_one_annotated_person(make):
    """Who is not of the batch gives the labels all the same."""
    data = Table(1., people=[2])
    for batch in batches(make(data)):
        assert (data.table['subject'][batch[8:]] == 2).all()
        assert len(set(data.table['subject'][batch[:8]].ravel())) == 4


def test_cameras_change_where_instants_come_again(make):
    data = Table(.02)
    cameras = {}
    for group, row in zip(*(data.table[k][batches(make(data))[:, 8:].reshape(
            -1, 2)] for k in ('group', 'camera'))):
        cameras.setdefault(int(group[0]), set()).add(tuple(sorted(row)))
    assert max(map(len, cameras.values())) > 3


def test_a_function_of_seed_and_epoch(make):
    data = Table()
    assert list(make(data, epoch=2)) == list(make(data, epoch=2))
    walked = make(data)
    for epoch in range(3):
        walked.set_epoch(epoch)
        last = batches(walked)
    assert last.ravel().tolist() == list(make(data, epoch=2))
    for other in (make(data, epoch=1), make(data, epoch=2, seed=4)):
        assert (batches(other)[:, 8:] != last[:, 8:]).any()


def test_in_order(make):
    data = Table(1., subjects=4)
    first = batches(make(data, shuffle=False))[0]
    seconds = data.table['seconds'][first[:, 0]].reshape(-1)
    assert data.table['subject'][first[:8, 0]].tolist() == [
        0, 0, 1, 1, 2, 2, 3, 3]
    # 0 and 1 s of the first subject's first clip are taken.
    assert seconds[:2].tolist() == [0, 1] and seconds[8:].tolist() == [
        2, 3, 4]


@pytest.mark.parametrize('labels', [1, 2, 5, 6])
def test_few_labels(make, labels, monkeypatch):
    """Nearer ones, then the same ones again: the batch is always full."""
    said = []
    monkeypatch.setattr(annotated_groups, 'print_log',
                        lambda text, *_: said.append(text))
    data = Table(0.)
    data.table['annotated'] = np.isin(data.table['group'],
                                      np.arange(labels))  # 0.5 s apart
    made = make(data)
    for batch in batches(made):
        assert data.table['annotated'][batch[8:]].all()
        assert len(set(data.table['group'][batch[8:, 0]])) == min(labels, 3)
    apart = (labels + 1) // 2
    assert bool(said) == (apart < 3)
    assert not said or f'than {apart} of them are 1 s apart; a step takes 3' \
        in said[0]


def test_some_views_of_an_instant_have_no_label(make):
    """Cameras without calibration: the labelled ones come first."""
    data = Table(.5)
    data.table['annotated'] &= data.table['camera'] == 3
    for batch in batches(make(data)):
        assert data.table['annotated'][batch[8:, 0]].all()


def test_batch_size_counts_them(make):
    made = make(Table(), groups_per_batch=None, batch_size=22)
    assert (made.groups_per_batch, made.batch_size) == (8, 22)


@pytest.mark.parametrize('change, error, message', [
    (lambda t: t.update(annotated=t['annotated'] & False), ValueError,
     'none of the 600 view groups has 3D labels'),
    (lambda t: t.pop('annotated'), TypeError, 'what is annotated')])
def test_errors(make, change, error, message):
    data = Table()
    change(data.table)
    with pytest.raises(error, match=message):
        make(data)
    make(data, annotated_groups=0)


def test_negative_number(make):
    with pytest.raises(ValueError, match='annotated_groups 0'):
        make(Table(), annotated_groups=-1)


def test_a_data_set(make_views):
    """As MultiViewDataset annotates: labels in every batch."""
    data = make_views(annotated=dict(fraction=.25, seed=0))
    made = ViewGroupSampler(data, groups_per_batch=3, subjects_per_batch=3,
                            annotated_groups=2, gap_seconds=.5, seed=0)
    items = np.array(list(made)).reshape(made.iterations, 5, 2)
    for batch in items:
        held = data.get_batch(batch.ravel())['data_samples']
        flags = [float(s.gt_instance_labels.pose_annotated) for s in held]
        assert flags[6:] == [1.] * 4
