"""Errors over the distance of the eyes against mmpose's NME and a loop."""
import numpy as np
import pytest
from keypoint_people import people, run, samples
from mmpose.evaluation.functional import keypoint_nme
from mmpose.registry import METRICS

import mirrorpose  # noqa: F401
from mirrorpose.evaluation.inter_ocular import InterOcularNME


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


def test_joint_sets_without_eyes():
    with pytest.raises(ValueError, match='eye corners'):
        run(InterOcularNME(), 'lsp_14', samples(*people()))
