"""Detector-like noise has the statistics that it says."""
from __future__ import annotations

import numpy as np
import pytest

from mirrorpose.datasets.sequences import DetectorNoise
from mirrorpose.datasets.sequences.detector import _runs, joint_distances
from mirrorpose.structures.skeleton import Skeleton

SKELETON = Skeleton.from_name('mpi_inf_3dhp_28')
N, F, K = 2500, 24, 28
KEYS = np.random.default_rng(0).integers(0, 2**63, N, dtype=np.uint64)
STILL = np.broadcast_to(np.random.default_rng(1).normal(0, .5, (
    1, 1, K, 2)).astype(np.float32), (N, F, K, 2))
ALL = np.ones((N, F, K), bool)


def errors(**arguments) -> np.ndarray:
    """(N, F, K, 2), nothing dropped."""
    hole = DetectorNoise(**{**dict(drop_below=0., outliers=0., swaps=0.),
                            **arguments})
    return hole.apply(STILL, ALL, KEYS)[0] - STILL


def test_distances_are_counted_along_the_limbs():
    got = joint_distances()
    names = SKELETON.joints
    for a in names:  # breadth first, by hand
        far, edge, reach = {a: 0}, {a}, 0
        while edge:
            reach += 1
            edge = {y for x, y in SKELETON.limbs + tuple(
                (v, u) for u, v in SKELETON.limbs) if x in edge} - set(far)
            far |= dict.fromkeys(edge, reach)
        for b in names:
            assert got[names.index(a), names.index(b)] == far[b]


def test_jitter_has_its_size_and_its_correlations():
    noise = errors(jitter=.02)
    assert abs(noise.std() / .02 - 1) < .02
    assert abs(noise.mean()) < 2e-4
    unit = noise / .02
    for a, b, limbs in (('left_elbow', 'left_wrist', 1),
                        ('left_shoulder', 'left_wrist', 2),
                        ('left_wrist', 'right_toe', 12)):
        i, j = SKELETON.index(a, b)
        want = .03 + .97 * .25 ** limbs
        assert abs((unit[:, :, i] * unit[:, :, j]).mean() - want) < .02
    for lag in (1, 3, 8):
        want = .9 * np.exp(-lag / 25 / .13)
        assert abs((unit[:, lag:] * unit[:, :-lag]).mean() - want) < .02
    assert abs((unit[..., 0] * unit[..., 1]).mean()) < .01


def test_outliers_have_their_share_and_size_and_fail_together():
    noise = errors(jitter=0., outliers=.08)
    length = np.linalg.norm(noise, axis=-1)
    far = length > 1e-6
    assert abs(far.mean() - .08) < .005
    assert np.abs(far.mean((0, 2)) - .08).max() < .01  # stationary
    assert abs(np.log(np.median(length[far]) / .2)) < .08
    turns = np.arctan2(noise[..., 1], noise[..., 0])[far]
    assert abs(np.exp(1j * turns).mean()) < .04
    i, j = SKELETON.index('left_elbow', 'left_wrist')
    both = (far[:, :, i] & far[:, :, j]).mean()
    assert both > 1.3 * .08**2


@pytest.mark.parametrize('share, length', [(.05, 3.), (.3, 6.), (.02, 1.)])
def test_runs_have_their_share_and_their_length(share, length):
    rng = np.random.default_rng(0)
    state = _runs(rng.normal(size=(400, 500, 3)), share, length)
    assert abs(state.mean() / share - 1) < .06
    begins = (state[:, 1:] & ~state[:, :-1]).sum()
    expected = length
    assert abs(state[:, 1:].sum() / begins / expected - 1) < .06


def test_swaps_exchange_whole_limbs():
    hole = DetectorNoise(jitter=0., outliers=0., swaps=.1, drop_below=0.)
    points = hole.apply(STILL, ALL, KEYS)[0]
    flip = SKELETON.flip_indices
    for joints in (('shoulder', 'elbow', 'wrist', 'hand', 'clavicle'),
                   ('hip', 'knee', 'ankle', 'foot', 'toe')):
        index = SKELETON.index(*(f'{s}_{j}' for s in ('left', 'right')
                                 for j in joints))
        mirror = [flip[i] for i in index]
        swapped = (points[:, :, index] == STILL[:, :, mirror]).all((2, 3))
        plain = (points[:, :, index] == STILL[:, :, index]).all((2, 3))
        assert (swapped ^ plain).all()
        assert abs(swapped.mean() - .1) < .01
    axial = [i for i, j in enumerate(flip) if i == j]
    np.testing.assert_array_equal(points[:, :, axial], STILL[:, :, axial])


def test_what_is_unseen_is_not_swapped_in():
    seen = ALL.copy()
    seen[:, :, SKELETON.index('left_elbow')] = False
    hole = DetectorNoise(jitter=0., outliers=0., swaps=.5, drop_below=0.)
    points, observed = hole.apply(np.where(seen[..., None], STILL, 0), seen,
                                  KEYS)
    right = SKELETON.index('right_elbow')[0]
    assert observed[:, :, right].all()
    np.testing.assert_array_equal(points[:, :, right], STILL[:, :, right])


def test_confidence_falls_with_the_error_and_drops_joints():
    hole = DetectorNoise(outliers=.3, drop_below=0.)
    seen = hole.detect(STILL, ALL, KEYS)
    error = np.linalg.norm(seen.keypoints - STILL, axis=-1)
    for size, want in ((.015, .991), (.06, .957), (.24, .75)):
        near = (error > size * .93) & (error < size * 1.07)
        assert abs(np.median(seen.confidence[near]) - want) < .03
    strict = DetectorNoise(outliers=.3, drop_below=.4).detect(STILL, ALL,
                                                             KEYS)
    np.testing.assert_array_equal(strict.observed, seen.confidence >= .4)
    kept = np.linalg.norm(strict.keypoints - STILL, axis=-1)[strict.observed]
    assert (kept > .1).mean() < .8 * (error > .1).mean()


def test_the_default_is_as_measured():
    """Within the table of the module: 3 % below .1."""
    dropped = 1 - DetectorNoise().apply(STILL, ALL, KEYS)[1].mean()
    assert .01 < dropped < .05


def test_no_noise_changes_nothing():
    hole = DetectorNoise(jitter=0, outliers=0, swaps=0, drop_below=0,
                         confidence=(50, 0, 0))
    seen = hole.detect(STILL, ALL, KEYS)
    np.testing.assert_array_equal(seen.keypoints, STILL)
    assert seen.observed.all() and (seen.confidence > .999).all()


@pytest.mark.parametrize('changes', [
    dict(white=2), dict(neighbours=-1), dict(outliers=1.), dict(jitter=-1),
    dict(seconds=0), dict(fps=0), dict(confidence=(1, 2)),
    dict(drop_below=3)])
def test_bad_noise(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        DetectorNoise(**changes)


def test_it_stays_regular_at_its_bounds():
    for changes in (dict(body=1.), dict(neighbours=1.), dict(white=1.),
                    dict(neighbours=0., body=0.)):
        assert np.isfinite(errors(**changes)[:50]).all()
