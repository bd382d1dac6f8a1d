"""Holes: exactly what is missing, and how often."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from mirrorpose.datasets.sequences import (
    LIMB_JOINTS,
    LIMBS,
    HiddenLimb,
    HoleChain,
    HolePattern,
    MissingFrames,
    OneOfHoles,
    RandomDrops,
    UnseenJoints,
    build_hole,
)
from mirrorpose.structures.skeleton import Skeleton

JOINTS = Skeleton.from_name('mpi_inf_3dhp_28').joints
N, F, K = 3000, 24, 28
KEYS = np.random.default_rng(0).integers(0, 2**63, N, dtype=np.uint64)
POINTS = np.random.default_rng(1).normal(size=(N, F, K, 2)).astype(np.float32)
ALL = np.ones((N, F, K), bool)

PATTERNS = [
    dict(type='UnseenJoints'), dict(type='RandomDrops', p=(.1, .5)),
    dict(type='HiddenLimb'), dict(type='MissingFrames', n=(2, 9)),
    dict(type='DetectorNoise'),
    dict(type='OneOfHoles', patterns=[
        None, dict(type='RandomDrops', p=.5), dict(type='DetectorNoise')]),
    dict(type='HoleChain', patterns=[
        dict(type='UnseenJoints', joints='coco_17'),
        dict(type='RandomDrops'), dict(type='DetectorNoise'),
        dict(type='HiddenLimb', seconds=(0, 2))])]


@pytest.mark.parametrize('config', PATTERNS, ids=lambda c: c['type'])
def test_every_pattern_keeps_the_contract(config):
    hole = build_hole(config)
    some = np.random.default_rng(2).random((60, F, K)) > .2
    points = np.where(some[..., None], POINTS[:60], 0)
    before = points.copy(), some.copy()
    seen = hole.detect(points, some, KEYS[:60])
    assert not (seen.observed & ~some).any()
    assert seen.keypoints.dtype == seen.confidence.dtype == np.float32
    assert not seen.keypoints[~seen.observed].any()
    assert not seen.confidence[~seen.observed].any()
    assert ((seen.confidence >= 0) & (seen.confidence <= 1)).all()
    np.testing.assert_array_equal(points, before[0])  # not in place
    np.testing.assert_array_equal(some, before[1])
    # A function of the key alone: alone, in another order, in a batch.
    order = np.random.default_rng(3).permutation(60)[:17]
    for a, b in zip(hole.detect(points[order], some[order], KEYS[order]),
                    seen):
        np.testing.assert_array_equal(a, b[order])
    for i in (0, 31):
        alone = hole.detect(points[i:i + 1], some[i:i + 1], KEYS[i:i + 1])
        np.testing.assert_array_equal(alone.keypoints[0], seen.keypoints[i])
    others = hole.detect(points, some, KEYS[60:120])
    if config['type'] != 'UnseenJoints':
        assert any((a != b).any() for a, b in zip(seen, others))
    assert config['type'] in repr(hole)


def test_tensors_come_back_as_tensors():
    hole = HoleChain([dict(type='UnseenJoints'), dict(type='DetectorNoise')])
    want = hole.detect(POINTS[:5], ALL[:5], KEYS[:5])
    points, observed = hole.apply(torch.from_numpy(POINTS[:5]),
                                  torch.from_numpy(ALL[:5]), KEYS[:5])
    np.testing.assert_array_equal(points.numpy(), want.keypoints)
    np.testing.assert_array_equal(observed.numpy(), want.observed)
    points, observed = hole.apply(POINTS[:5], ALL[:5], KEYS[:5])
    np.testing.assert_array_equal(points, want.keypoints)


def test_the_twelve_joints_that_detectors_share():
    observed = UnseenJoints().apply(POINTS, ALL, KEYS)[1]
    seen = [9, 10, 11, 14, 15, 16, 18, 19, 20, 23, 24, 25]  # spec 3.1
    assert np.flatnonzero(observed[0, 0]).tolist() == seen
    assert (observed == observed[:1, :1]).all()
    assert len(LIMB_JOINTS) == 12


@pytest.mark.parametrize('name, count', [
    ('coco_17', 12), ('lsp_14', 14), ('mpi_inf_3dhp_28', 28),
    ('mpii_16', 15), ('h36m_17', 16)])
def test_what_other_joint_sets_share(name, count):
    hole = UnseenJoints(name)
    known = Skeleton.from_name(name)
    ours = Skeleton.from_name('mpi_inf_3dhp_28')
    brute = [j for j in JOINTS if any(
        ours.landmark(j) == known.landmark(k) for k in known.joints)]
    assert list(hole.joints) == brute
    assert len(brute) == count


def test_drops_are_independent_and_as_frequent_as_said():
    drop = ~RandomDrops(.2).apply(POINTS, ALL, KEYS)[1]
    assert abs(drop.mean() - .2) < .002
    assert np.abs(drop.mean((0, 2)) - .2).max() < .01
    assert np.abs(drop.mean((0, 1)) - .2).max() < .01
    flat = drop.reshape(N, -1)[:, :300].astype(float)
    assert np.abs(np.corrcoef(flat.T) - np.eye(300)).max() < .12
    shares = (~RandomDrops((.1, .5)).apply(POINTS, ALL, KEYS)[1]).mean((1, 2))
    assert abs(shares.mean() - .3) < .01
    assert shares.std() > .1  # .4 / sqrt(12) = .115


def test_a_limb_is_hidden_for_half_a_second():
    drop = ~HiddenLimb(.5).apply(POINTS, ALL, KEYS)[1]
    names, starts = [], []
    for window in drop:
        joints = {JOINTS[k] for k in np.flatnonzero(window.any(0))}
        limb, = (n for n in ('left_arm', 'right_arm', 'left_leg',
                             'right_leg') if set(LIMBS[n]) == joints)
        frames = np.flatnonzero(window.any(1))
        assert len(frames) == 13  # 12.5, halves up
        assert (np.diff(frames) == 1).all()
        k = [JOINTS.index(j) for j in joints]
        assert window[np.ix_(frames, k)].all()
        names.append(limb)
        starts.append(frames[0])
    assert chisquare(np.unique(names, return_counts=True)[1]).pvalue > 1e-3
    assert chisquare(np.bincount(starts, minlength=12)).pvalue > 1e-3


def test_a_limb_hidden_for_longer_than_the_window():
    drop = ~HiddenLimb(9, ['left_shin']).apply(POINTS, ALL, KEYS)[1]
    k = [JOINTS.index(j) for j in LIMBS['left_shin']]
    assert drop[:, :, k].all() and drop.sum() == N * F * 3


def test_whole_frames_are_missing():
    drop = ~MissingFrames((2, 9)).apply(POINTS, ALL, KEYS)[1]
    assert (drop.all(2) == drop.any(2)).all()
    counts = drop.all(2).sum(1)
    assert chisquare(np.bincount(counts, minlength=10)[2:]).pvalue > 1e-3
    for window in drop.all(2)[:200]:
        assert (np.diff(np.flatnonzero(window)) == 1).all()
    assert (~MissingFrames(99).apply(POINTS, ALL, KEYS)[1]).all()
    assert MissingFrames(0).apply(POINTS, ALL, KEYS)[1].all()


def test_one_of_several():
    hole = OneOfHoles([None, MissingFrames(24), RandomDrops(.5)], [1, 2, 1])
    share = hole.apply(POINTS, ALL, KEYS)[1].mean((1, 2))
    counts = [(share == 1).sum(), (share == 0).sum(),
              ((share > 0) & (share < 1)).sum()]
    assert chisquare(counts, [N / 4, N / 2, N / 4]).pvalue > 1e-3


def test_a_chain_draws_each_link_anew():
    """Two equal drops leave (1 - p) squared, not 1 - p."""
    hole = HoleChain([RandomDrops(.5), RandomDrops(.5)])
    assert abs(hole.apply(POINTS, ALL, KEYS)[1].mean() - .25) < .005


@pytest.mark.parametrize('make, message', [
    (lambda: UnseenJoints(['left_nose']), 'left_nose'),
    (lambda: UnseenJoints('coco_99'), 'coco_99'),
    (lambda: RandomDrops(1.2), '1.2'), (lambda: RandomDrops((.5, .1)), 'asc'),
    (lambda: HiddenLimb(limbs=['tail']), 'tail'),
    (lambda: HiddenLimb(-1), '-1'),
    (lambda: MissingFrames(2.5), 'whole'),
    (lambda: OneOfHoles([None], [1, 2]), 'weights'),
    (lambda: OneOfHoles([None], [0]), 'weights'),
    (lambda: RandomDrops().detect(POINTS[:, :, :5], ALL, KEYS), 'shape|must'),
    (lambda: RandomDrops().detect(POINTS, ALL, KEYS[:3]), 'keys'),
])
def test_bad_holes(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_other_transforms_are_no_holes():
    with pytest.raises(TypeError, match='HolePattern'):
        build_hole(dict(type='LoadImage'))
    assert isinstance(build_hole(RandomDrops()), HolePattern)
