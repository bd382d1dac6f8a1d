"""Virtual cameras against scipy's rotations and OpenCV's projection."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import kstest

from mirrorpose.datasets.sequences.cameras import VirtualCameras

KEYS = np.random.default_rng(0).integers(0, 2**63, 4000, dtype=np.uint64)


def test_projection_is_opencvs():
    cameras = VirtualCameras()
    rng = np.random.default_rng(1)
    points = rng.normal(0, .4, (20, 3, 28, 3)).astype(np.float32)
    target = rng.normal(0, 2, (20, 3))
    points += target[:, None, None].astype(np.float32)
    draws = cameras.draw(KEYS[:20])
    seen = cameras.project(points, target, draws)
    for i, (azimuth, elevation, distance) in enumerate(draws):
        # A camera at +z that looks at the origin: x right, y down, z ahead.
        look = np.diag([1., -1., -1.])
        orbit = Rotation.from_euler('YX', [azimuth, -elevation],
                                    degrees=True)
        place = target[i] + orbit.apply([0, 0, distance])
        turn = look @ orbit.inv().as_matrix()
        want, _ = cv2.projectPoints(
            points[i].reshape(-1, 3).astype(np.float64),
            cv2.Rodrigues(turn)[0], -turn @ place, np.eye(3), None)
        np.testing.assert_allclose(seen[i].reshape(-1, 2), want[:, 0],
                                   atol=2e-6)
        # Above or below as the elevation says, and as far as it should be.
        assert np.isclose(place[1] - target[i][1],
                          distance * np.sin(np.radians(elevation)))
        assert np.isclose(np.linalg.norm(place - target[i]), distance)


def test_draws_are_uniform_in_their_ranges():
    draws = VirtualCameras().draw(KEYS)
    for column, (low, high) in enumerate([(0, 360), (-20, 40), (3, 6)]):
        assert kstest((draws[:, column] - low) / (high - low),
                      'uniform').pvalue > 1e-3
    assert np.abs(np.corrcoef(draws.T) - np.eye(3)).max() < .05


def test_a_person_who_faces_the_camera_has_the_left_at_the_right():
    cameras = VirtualCameras(azimuth=(0, 0), elevation=(0, 0))
    points = np.array([[[[.2, 0, 0], [0, .5, 0]]]], np.float32)
    left, head = cameras.project(points, np.zeros((1, 3)),
                                 cameras.draw(KEYS[:1]))[0, 0]
    assert left[0] > 0 and abs(left[1]) < 1e-6
    assert head[1] < 0 and abs(head[0]) < 1e-6


def test_nobody_runs_through_the_camera():
    cameras = VirtualCameras(azimuth=(0, 0), elevation=(0, 0),
                             distance=(3, 3), min_depth=.8)
    run = np.zeros((1, 24, 28, 3), np.float32)
    run[..., 1] = .5
    run[..., 2] = np.linspace(-3.4, 3.4, 24)[:, None]
    seen = cameras.project(run, np.zeros((1, 3)), cameras.draw(KEYS[:1]))
    # y / depth = .5 / depth, so the depth of the last frame can be read off.
    np.testing.assert_allclose(-.5 / seen[0, :, 0, 1],
                               3.4 + .8 - run[0, :, 0, 2], rtol=1e-5)


@pytest.mark.parametrize('changes', [
    dict(distance=(0, 3)), dict(distance=(5, 3)), dict(elevation=(-20, 90)),
    dict(azimuth=(0, np.nan)), dict(min_depth=0)])
def test_bad_cameras(changes):
    with pytest.raises(ValueError, match='cameras'):
        VirtualCameras(**changes)
