"""Mean keypoint errors against hand loops."""
import json

import numpy as np
import pytest
from keypoint_people import FLIP, LSP, by_hand, people, run, samples
from mmpose.registry import METRICS

import mirrorpose  # noqa: F401
from mirrorpose.evaluation.keypoints import MeanKeypointError
from mirrorpose.structures import Skeleton


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
    assert found['error_by_action'] == pytest.approx(
        (found['error/walk'] + found['error/wait']) / 2)
    # Activities count alike, however many frames they have.
    few = ['walk' if n < 3 else 'wait' for n in range(20)]
    other = run(MeanKeypointError(joints=names, by_action=True), 'lsp_14',
                samples(pred, gt, visible, action=few))
    assert other['error_by_action'] == pytest.approx(
        (other['error/walk'] + other['error/wait']) / 2)
    assert abs(other['error_by_action'] - other['error']) > 1e-3
    written = json.loads((tmp_path / 'out.json').read_text())
    assert written['results']['error'] == found['error']


def test_evaluation_in_another_joint_set():
    """MPI-INF-3DHP's 28 as Human3.6M's 17; the thorax is a middle."""
    own = Skeleton.from_name('mpi_inf_3dhp_28')
    target = Skeleton.from_name('h36m_17')
    rng = np.random.default_rng(3)
    gt, pred = rng.uniform(0, 128, (2, 6, 28, 2))
    visible = np.ones((6, 28), bool)
    visible[0, own.index('left_shoulder')] = False
    found = run(MeanKeypointError(evaluate_in='h36m_17'), 'mpi_inf_3dhp_28',
                samples(pred, gt, visible))
    errors = []
    for n in range(6):
        for row in own.matrix(target):
            used = np.nonzero(row)[0]
            if visible[n, used].all():
                errors.append(np.linalg.norm(
                    row @ pred[n] - row @ gt[n]) * 100 / 128)
    assert len(errors) == 6 * 17 - 2
    assert found['error'] == pytest.approx(np.mean(errors))
    with pytest.raises(ValueError, match='cannot give'):
        run(MeanKeypointError(evaluate_in='mpi_inf_3dhp_28'), 'lsp_14',
            samples(*people()))


def test_errors_say_what_is_wrong():
    with pytest.raises(ValueError, match='unit'):
        MeanKeypointError('inch')
    bare = samples(*people())[0]
    del bare['pixel_scale']
    with pytest.raises(ValueError, match='pixel_scale'):
        MeanKeypointError('pixel').process({}, [bare])
    some = samples(*people(), corrected=people()[0])
    del some[0]['pred_instances']['keypoints_corrected']
    with pytest.raises(ValueError, match='19 of 20'):
        run(MeanKeypointError(), 'lsp_14', some)
