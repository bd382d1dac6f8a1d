"""The supervised linear map against scipy."""
import numpy as np
import pytest
import scipy.linalg
from keypoint_people import people

from mirrorpose.evaluation.linear_map import LinearMap


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
