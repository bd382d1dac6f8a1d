"""Mean keypoint errors against hand loops, scipy and mmpose's NME."""
import json

import numpy as np
import pytest
import scipy.linalg
from mmpose.evaluation.functional import keypoint_nme
from mmpose.registry import METRICS

import mirrorpose  # noqa: F401
from mirrorpose.evaluation.keypoints import (
    InterOcularNME,
    LinearMap,
    MeanKeypointError,
    keypoint_errors,
    oracle_swaps,
)
from mirrorpose.structures import Skeleton

LSP = Skeleton.from_name('lsp_14')
FLIP = LSP.flip_indices


def people(count=20, joints=14, seed=0, noise=2.):
    rng = np.random.default_rng(seed)
    gt = rng.uniform(5, 120, (count, joints, 2))
    visible = rng.random((count, joints)) > .2
    visible[:, :2] = True
    return gt + rng.normal(0, noise, gt.shape), gt, visible


def by_hand(pred, gt, visible, factor=1.):
    total = []
    for n in range(len(pred)):
        for k in range(len(gt[n])):
            if visible[n, k]:
                dx, dy = pred[n, k] - gt[n, k]
                total.append(factor * (dx * dx + dy * dy)**.5)
    return sum(total) / len(total)


def samples(pred, gt, visible, size=128, corrected=None, **meta):
    out = []
    for n in range(len(pred)):
        found = dict(keypoints=pred[n][None])
        if corrected is not None:
            found['keypoints_corrected'] = corrected[n][None]
        out.append(dict(
            id=str(n), pred_instances=found, img_shape=(size, size),
            pixel_scale=2.5, gt_instances=dict(
                keypoints=gt[n][None],
                keypoints_visible=visible[n][None].astype(np.float32)),
            **{k: v[n] if isinstance(v, list) else v
               for k, v in meta.items()}))
    return out


def run(metric, joints, *groups):
    metric.dataset_meta = dict(
        Skeleton.from_name(joints).metainfo(), dataset_name=joints)
    for group in groups:
        for sample in group:  # one a batch, as in a test loop
            metric.process({}, [sample])
    return metric.compute_metrics(metric.results)


def test_mean_error_by_hand():
    pred, gt, visible = people()
    assert MeanKeypointError.calculate(pred, gt, visible, 100 / 128) == (
        pytest.approx(by_hand(pred, gt, visible, 100 / 128)))
    factor = np.random.default_rng(1).uniform(1, 3, len(pred))
    rows = [by_hand(pred[[n]], gt[[n]], visible[[n]], factor[n])
            * visible[n].sum() for n in range(len(pred))]
    assert MeanKeypointError.calculate(pred, gt, visible, factor) == (
        pytest.approx(sum(rows) / visible.sum()))
    # what is not annotated may be anything
    wild = np.where(visible[..., None], gt, np.nan)
    assert MeanKeypointError.calculate(pred, wild, visible) == pytest.approx(
        by_hand(pred, gt, visible))


def test_results_of_a_run():
    pred, gt, visible = people()
    found = run(METRICS.build(dict(type='MeanKeypointError')), 'lsp_14',
                samples(pred, gt, visible))
    assert found['error'] == pytest.approx(by_hand(pred, gt, visible,
                                                   100 / 128))
    assert set(found) == {'error', 'error_oracle', 'right_side'}
    found = run(MeanKeypointError('pixel'), 'lsp_14',
                samples(pred, gt, visible))
    assert found['error'] == pytest.approx(by_hand(pred, gt, visible, 2.5))


def test_three_figures():
    """Swapped images are mended by the oracle, and by a right correction."""
    pred, gt, visible = people(30, noise=1.)
    visible[:] = True
    wrong = np.arange(30) % 3 == 0
    mixed = np.where(wrong[:, None, None], pred[:, FLIP], pred)
    corrected = pred.copy()
    corrected[0] = pred[0][FLIP]  # one of 30 stays wrong
    found = run(MeanKeypointError(), 'lsp_14',
                samples(mixed, gt, visible, corrected=corrected))
    scale = 100 / 128
    assert found['error'] == pytest.approx(by_hand(mixed, gt, visible, scale))
    assert found['error_oracle'] == pytest.approx(
        by_hand(pred, gt, visible, scale))
    assert found['error_corrected'] == pytest.approx(
        by_hand(corrected, gt, visible, scale))
    assert found['error'] > 3 * found['error_oracle']
    assert found['right_side'] == pytest.approx(100 * 20 / 30)
    assert found['right_side_corrected'] == pytest.approx(100 * 29 / 30)


def test_oracle_is_the_smaller_of_two_loops():
    pred, gt, visible = people(40, noise=30.)
    for n, swap in enumerate(oracle_swaps(pred, gt, visible, FLIP)):
        own = by_hand(pred[[n]], gt[[n]], visible[[n]])
        other = by_hand(pred[[n]][:, FLIP], gt[[n]], visible[[n]])
        assert swap == (other < own)


def test_linear_map_is_least_squares():
    pred, gt, _ = people(80)
    visible = np.ones(gt.shape[:2], bool)
    visible[:30, 4] = False
    fitted = LinearMap.fit(pred, gt, visible)(pred)
    design = np.c_[pred.reshape(80, -1), np.ones(80)]
    for joint in (0, 4):
        used = visible[:, joint]
        want = design @ scipy.linalg.lstsq(design[used],
                                           gt[used, joint])[0]
        np.testing.assert_allclose(fitted[:, joint], want, atol=1e-6)


def test_linear_map_finds_what_is_linear():
    """Unnamed keypoints in any linear frame become joints exactly."""
    rng = np.random.default_rng(3)
    gt = rng.uniform(0, 100, (60, 5, 2))
    mix = rng.normal(0, 1, (10, 10))
    pred = (gt.reshape(60, -1) @ mix + 3).reshape(60, 5, 2)
    there = np.ones((60, 5))
    np.testing.assert_allclose(LinearMap.fit(pred, gt, there)(pred), gt,
                               atol=1e-6)
    with pytest.raises(ValueError, match='11 unknowns.*only 8 of 8'):
        LinearMap.fit(pred[:8], gt[:8], there[:8])


def test_post_processing_is_fitted_to_its_own_samples():
    rng = np.random.default_rng(5)
    gt = rng.uniform(0, 128, (90, 14, 2))
    visible = np.ones((90, 14), bool)
    pred = gt[..., ::-1] * .5 + 20  # wrong, but linear
    kept = samples(pred[:50], gt[:50], visible[:50], role='fit')
    found = run(MeanKeypointError(), 'lsp_14', kept,
                samples(pred[50:], gt[50:], visible[50:]))
    assert found['error'] == pytest.approx(
        by_hand(pred[50:], gt[50:], visible[50:], 100 / 128))
    assert found['error_post'] < 1e-6 < found['error']
    assert 'error_oracle_post' in found
    with pytest.raises(ValueError, match="role='fit'"):
        run(MeanKeypointError(), 'lsp_14', kept)


def test_joints_and_actions(tmp_path):
    pred, gt, visible = people()
    names = ('left_knee', 'right_wrist')
    columns = LSP.index(*names)
    actions = ['walk' if n % 2 else 'wait' for n in range(20)]
    found = run(MeanKeypointError(joints=names, by_action=True,
                                  out_file=str(tmp_path / 'out.json')),
                'lsp_14', samples(pred, gt, visible, action=actions))
    assert found['error'] == pytest.approx(by_hand(
        pred[:, columns], gt[:, columns], visible[:, columns], 100 / 128))
    rows = slice(1, None, 2)
    assert found['error/walk'] == pytest.approx(by_hand(
        pred[rows][:, columns], gt[rows][:, columns],
        visible[rows][:, columns], 100 / 128))
    written = json.loads((tmp_path / 'out.json').read_text())
    assert written['results']['error'] == found['error']


def test_inter_ocular_error_is_mmposes():
    pred, gt, visible = people(12, 68)
    visible[:, [36, 45]] = True
    eyes = np.linalg.norm(gt[:, 36] - gt[:, 45], axis=-1)
    want = 100 * keypoint_nme(pred, gt, visible,
                              np.tile(eyes[:, None], (1, 2)))
    found = run(METRICS.build(dict(type='InterOcularNME')), 'ibug_68',
                samples(pred, gt, visible))
    assert found['NME'] == pytest.approx(want)
    loop = [100 * np.linalg.norm(pred[n, k] - gt[n, k]) / eyes[n]
            for n in range(12) for k in range(68) if visible[n, k]]
    assert found['NME'] == pytest.approx(np.mean(loop))
    assert 'NME_oracle' in found


def test_images_without_eyes_do_not_count():
    pred, gt, visible = people(5, 68)
    visible[:] = True
    visible[0, 36] = False
    gt[1, 36] = gt[1, 45]
    want = InterOcularNME.calculate(pred[2:], gt[2:], visible[2:])
    assert InterOcularNME.calculate(pred, gt, visible) == want


def test_errors_say_what_is_wrong():
    pred, gt, visible = people()
    with pytest.raises(ValueError, match='expected'):
        keypoint_errors(pred[:, :3], gt, visible)
    pred[3, 0] = np.nan
    with pytest.raises(ValueError, match='number 3'):
        keypoint_errors(pred, gt, visible)
    with pytest.raises(ValueError, match='unit'):
        MeanKeypointError('inch')
    bare = samples(*people())[0]
    del bare['pixel_scale']
    with pytest.raises(ValueError, match='pixel_scale'):
        MeanKeypointError('pixel').process({}, [bare])
    with pytest.raises(ValueError, match='eye corners'):
        run(InterOcularNME(), 'lsp_14', samples(*people()))
    some = samples(*people(), corrected=people()[0])
    del some[0]['pred_instances']['keypoints_corrected']
    with pytest.raises(ValueError, match='19 of 20'):
        run(MeanKeypointError(), 'lsp_14', some)
