"""Left against right, against two loops."""
import numpy as np
import pytest
from keypoint_people import FLIP, by_hand, people

from mirrorpose.evaluation.keypoint_sides import keypoint_errors, oracle_swaps


def test_oracle_is_the_smaller_of_two_loops():
    pred, gt, visible = people(40, noise=30.)
    for n, swap in enumerate(oracle_swaps(pred, gt, visible, FLIP)):
        own = by_hand(pred[[n]], gt[[n]], visible[[n]])
        other = by_hand(pred[[n]][:, FLIP], gt[[n]], visible[[n]])
        assert swap == (other < own)


def test_errors_say_what_is_wrong():
    pred, gt, visible = people()
    with pytest.raises(ValueError, match='expected'):
        keypoint_errors(pred[:, :3], gt, visible)
    pred[3, 0] = np.nan
    with pytest.raises(ValueError, match='number 3'):
        keypoint_errors(pred, gt, visible)
