"""A real detector's errors, replayed."""
from __future__ import annotations

import numpy as np
import pytest

from mirrorpose.datasets.sequences import (
    LIMB_JOINTS,
    ReplayedNoise,
    UnseenJoints,
    blazepose_residuals,
    build_hole,
)
from mirrorpose.structures.skeleton import Skeleton

LSP = Skeleton.from_name('lsp_14')
JOINTS = Skeleton.from_name('mpi_inf_3dhp_28').index(*LIMB_JOINTS)
N, F = 1500, 24
KEYS = np.random.default_rng(0).integers(0, 2**63, N, dtype=np.uint64)
STILL = np.random.default_rng(1).normal(0, .4, (N, F, 28, 2)).astype(
    np.float32)
ALL = np.ones((N, F, 28), bool)
# MediaPipe's list of landmarks: 11 left shoulder ... 28 right ankle.
MEDIAPIPE = dict(left_shoulder=11, right_shoulder=12, left_elbow=13,
                 right_elbow=14, left_wrist=15, right_wrist=16, left_hip=23,
                 right_hip=24, left_knee=25, right_knee=26, left_ankle=27,
                 right_ankle=28)


@pytest.fixture
def root(tmp_path):
    """60 people; some undetected, some partly annotated, one tiny."""
    rng = np.random.default_rng(2)
    joints = rng.uniform(20, 80, (60, 14, 2)).astype(np.float32)
    joints[:, LSP.index('head_top')[0]] = 50, 0
    joints[:, LSP.index('left_hip', 'right_hip')] = [[45, 50], [55, 50]]
    joints[7] *= .1
    found = rng.uniform(0, 100, (60, 33, 3)).astype(np.float32)
    found[..., 2] = rng.uniform(.2, 1, (60, 33))
    for name, number in MEDIAPIPE.items():
        found[:, number, :2] = joints[:, LSP.index(name)[0]] + rng.normal(
            0, 3, (60, 2))
    found[3] = np.nan
    visible = np.ones((60, 14), np.uint8)
    visible[5, LSP.index('left_hip')] = 0  # no frame
    visible[9, LSP.index('left_wrist')] = 0
    (tmp_path / 'lsp').mkdir()
    np.savez(tmp_path / 'lsp/lsp.npz', joints=joints, blazepose=found,
             visible=visible, names=np.array([f'im{i}' for i in range(60)]))
    return tmp_path


def test_residuals_by_a_loop(root):
    made = blazepose_residuals(root / 'lsp/lsp.npz')
    data = np.load(root / 'lsp/lsp.npz')
    kept = [i for i in range(60) if i not in (3, 5, 7)]
    assert made.names == [f'lsp/im{i}' for i in kept]
    for row, i in enumerate(kept):
        where = dict(zip(LSP.joints, data['joints'][i]))
        hips = (where['left_hip'] + where['right_hip']) / 2
        size = 2 * np.hypot(*(where['head_top'] - hips))
        for k, joint in enumerate(LIMB_JOINTS):
            if (i, joint) == (9, 'left_wrist'):
                assert not made.known[row, k]
                assert not made.error[row, k].any()
                continue
            found = data['blazepose'][i, MEDIAPIPE[joint]]
            np.testing.assert_allclose(
                made.error[row, k], (found[:2] - where[joint]) / size,
                atol=1e-5)
            np.testing.assert_allclose(
                made.truth[row, k], (where[joint] - hips) / size, atol=1e-5)
            assert made.confidence[row, k] == found[2]


def test_noise_has_the_spread_of_the_errors(root):
    hole = ReplayedNoise(data_root=str(root), drop_below=0.)
    made = blazepose_residuals(root / 'lsp/lsp.npz')
    seen = hole.detect(STILL, ALL, KEYS)
    error = (seen.keypoints - STILL)[:, :, JOINTS]
    known = seen.observed[:, :, JOINTS]
    assert np.abs(error[known].std() / made.error[made.known].std() - 1
                  ) < .05
    # Together as in the file: covariance between joints and axes.
    want = np.cov(made.error[made.known.all(1)].reshape(-1, 24).T)
    got = np.cov(error[:, ::6][known[:, ::6].all(-1)].reshape(-1, 24).T)
    assert np.corrcoef(want.ravel(), got.ravel())[0, 1] > .95
    assert not seen.observed[:, :, [j for j in range(28) if j not in
                                    JOINTS]].any()


def heavy(root, share=.1):
    """A tenth of the people are far off, all others nearly right."""
    with np.load(root / 'lsp/lsp.npz') as data:
        arrays = dict(data)
    off = np.arange(60) % round(1 / share) == 0
    for name, number in MEDIAPIPE.items():
        truth = arrays['joints'][:, LSP.index(name)[0]]
        error = arrays['blazepose'][:, number, :2] - truth
        arrays['blazepose'][:, number, :2] = truth + np.where(
            off[:, None], 12, .05) * error
    np.savez(root / 'lsp/lsp.npz', **arrays)


def test_errors_have_the_distribution_of_the_file(root):
    """In every frame, outliers included: none are spread, none thinned."""
    heavy(root)
    hole = ReplayedNoise(data_root=str(root), drop_below=0.)
    made = blazepose_residuals(root / 'lsp/lsp.npz')
    seen = hole.detect(STILL, ALL, KEYS)
    error = (seen.keypoints - STILL)[:, :, JOINTS]
    known = seen.observed[:, :, JOINTS]
    want = np.linalg.norm(made.error[made.known], axis=-1)
    for frame in (0, 11, 23):
        got = np.linalg.norm(error[:, frame][known[:, frame]], axis=-1)
        # Far off is a tenth of the people, and their joints are so at once.
        far = (want > .1).mean()
        assert .05 < far < .15
        assert abs((got > .1).mean() - far) < .03
        for q in (.25, .5, .75):
            assert np.quantile(got, q) == pytest.approx(
                np.quantile(want, q), rel=.15)
    # Each frame's errors are those of one person of the file.
    rows = {tuple(np.round(e, 3)) for e in made.error[
        made.known.all(1)].reshape(-1, 24)}
    whole = error[known.all(-1)].reshape(-1, 24)[::97]
    assert len(whole) > 100
    assert all(np.abs(np.array(sorted(rows)) - e).max(1).min() < 2e-3
               for e in whole)


def test_correlation_in_time_falls_as_said(root):
    hole = ReplayedNoise(data_root=str(root), drop_below=0., fps=50.)
    known = [j for j in JOINTS if j != JOINTS[2]]  # a left wrist is not
    error = (hole.apply(STILL, ALL, KEYS)[0] - STILL)[:, :, known]
    error -= error.mean((0, 1))
    lag = np.array([float((error[:, k:] * error[:, :F - k]).mean()
                          / (error**2).mean()) for k in range(14)])
    np.testing.assert_allclose(lag, np.exp(-np.arange(14) / (.13 * 50)),
                               atol=.05)


def test_a_person_is_held(root):
    """Not a blend of two: errors stay exactly, then jump."""
    hole = ReplayedNoise(data_root=str(root), drop_below=0.)
    error = (hole.apply(0 * STILL, ALL, KEYS)[0])[:, :, JOINTS]
    same = (np.diff(error, axis=1) == 0).all((2, 3))
    assert same.mean() == pytest.approx(np.exp(-1 / (.13 * 25)), abs=.02)


def test_the_halves_share_nobody(root):
    halves = [ReplayedNoise(data_root=str(root), part=p)
              for p in ('train', 'test', 'all')]
    rows = [{tuple(e.ravel()) for e in h._error} for h in halves]
    assert not rows[0] & rows[1] and rows[0] | rows[1] == rows[2]
    assert len(rows[2]) == 57 and min(len(r) for r in rows) >= 28


def test_it_is_a_hole_pattern_like_others(root):
    hole = build_hole(dict(type='ReplayedNoise', data_root=str(root),
                           drop_below=.5, strength=0.))
    seen = hole.detect(STILL, ALL, KEYS)
    np.testing.assert_array_equal(seen.keypoints[seen.observed],
                                  STILL[seen.observed])
    assert (seen.confidence[seen.observed] >= .5 - 1e-6).all()
    assert 0 < seen.observed[:, :, JOINTS].mean() < 1
    order = np.array([5, 2, 9])
    some = hole.detect(STILL[order], ALL[order], KEYS[order])
    for a, b in zip(some, seen):
        np.testing.assert_array_equal(a, b[order])
    only = UnseenJoints(['left_elbow']).detect(STILL, ALL, KEYS)
    assert not (hole.detect(*only[:2], KEYS).observed & ~only.observed).any()


@pytest.mark.parametrize('changes, error, message', [
    (dict(part='val'), ValueError, 'val'), (dict(hold=0), ValueError, 'hold'),
    (dict(drop_below=2), ValueError, 'drop_below'),
    (dict(files=['lspet/lspet.npz']), FileNotFoundError, 'MIRRORPOSE_DATA')])
def test_bad_arguments(root, changes, error, message):
    with pytest.raises(error, match=message):
        ReplayedNoise(**{'data_root': str(root), **changes})


def test_several_files(root):
    """As the benchmark has them; the halves are of all people together."""
    (root / 'lspet').mkdir()
    (root / 'lspet/lspet.npz').write_bytes(
        (root / 'lsp/lsp.npz').read_bytes())
    both = ('lsp/lsp.npz', 'lspet/lspet.npz')
    sizes = [len(ReplayedNoise(both, part=p, data_root=str(root))._error)
             for p in ('train', 'test', 'all')]
    assert sizes == [57, 57, 114]


def test_a_file_without_landmarks(root):
    np.savez(root / 'lsp/lsp.npz', joints=np.zeros((1, 14, 2)))
    with pytest.raises(ValueError, match='blazepose'):
        blazepose_residuals(root / 'lsp/lsp.npz')


def test_real_residuals(data_root):
    path = data_root / 'lsp/lsp.npz'
    if not path.is_file():
        pytest.skip('no lsp/lsp.npz in MIRRORPOSE_DATA')
    made = blazepose_residuals(path)
    assert len(made.names) == 1856
    length = np.linalg.norm(made.error, axis=-1)
    assert abs(np.median(length) - .024) < .002  # benchmarks/results
    assert abs((length > .08).mean() - .151) < .005
