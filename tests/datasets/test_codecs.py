import numpy as np
import pytest
from mmpose.registry import KEYPOINT_CODECS

from mirrorpose.datasets.codecs import OneHotHeatmap


def test_every_cell_round_trips():
    codec = KEYPOINT_CODECS.build(dict(
        type='OneHotHeatmap', input_size=(48, 64), heatmap_size=(12, 16)))
    x, y = np.meshgrid(np.arange(12), np.arange(16))
    cells = np.stack([x.ravel(), y.ravel()], -1)
    encoded = codec.encode((cells * 4.)[None])
    maps = encoded['heatmaps']
    assert maps.shape == (192, 16, 12) and maps.dtype == np.float32
    assert (maps.reshape(192, -1).sum(1) == 1).all()
    assert (maps[np.arange(192), cells[:, 1], cells[:, 0]] == 1).all()
    keypoints, scores = codec.decode(maps)
    np.testing.assert_array_equal(keypoints[0], cells * 4)
    assert keypoints.shape == (1, 192, 2) and (scores == 1).all()
    again = codec.encode(keypoints)['heatmaps']
    np.testing.assert_array_equal(again, maps)


def test_error_is_at_most_half_a_cell():
    codec = OneHotHeatmap((64, 64), (16, 16))
    points = np.random.default_rng(0).uniform(0, 61.9, (1, 500, 2))
    decoded, _ = codec.decode(codec.encode(points)['heatmaps'])
    error = np.abs(decoded - points)
    assert error.max() <= 2
    assert abs((decoded - points).mean()) < .15, 'no bias to one side'


def test_absent_and_outside():
    codec = OneHotHeatmap((64, 64), (16, 16))
    points = np.array([[[8, 8], [np.nan, 1e9], [-2.1, 5], [5, 62.1],
                        [-1.9, 5], [5, 61.9]]])
    visible = np.array([[1, 0, 1, 1, 1, 1.]])
    out = codec.encode(points, visible)
    np.testing.assert_array_equal(out['keypoint_weights'],
                                  [[1, 0, 0, 0, 1, 1]])
    np.testing.assert_array_equal(out['heatmaps'].sum((1, 2)),
                                  [1, 0, 0, 0, 1, 1])


def test_decode_takes_unbounded_maps():
    maps = np.full((2, 16, 16), -5., np.float32)
    maps[0, 3, 7] = -1
    maps[1, 9, 2] = 40
    points, scores = OneHotHeatmap((64, 64), (16, 16)).decode(maps)
    np.testing.assert_array_equal(points[0], [[28, 12], [8, 36]])
    np.testing.assert_array_equal(scores[0], [-1, 40])


def test_bad_input():
    with pytest.raises(ValueError, match='two positive'):
        OneHotHeatmap((64, 0), (16, 16))
    with pytest.raises(ValueError, match='one person'):
        OneHotHeatmap((64, 64), (16, 16)).encode(np.zeros((2, 16, 2)))
