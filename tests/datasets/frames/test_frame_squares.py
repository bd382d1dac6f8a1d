"""Cutting, and where points go."""
import cv2
import numpy as np
import pytest

from mirrorpose.datasets.frames.squares import (
    boxes_of,
    cut,
    frame_squares,
    normalise,
    squares_around,
    to_crop,
)


@pytest.mark.parametrize('square', [
    (100, 60, 80), (-30, -20, 150), (80, 50, 150), (20, 10, 30)])
@pytest.mark.parametrize('size', [40, 96])
def test_image_and_points_move_alike(square, size):
    image = np.zeros((180, 260, 3), np.uint8)
    left, top, side = square
    spot = np.array([[left + side * .45, top + side * .42]])
    y, x = np.mgrid[:180, :260]
    spread = max(side / 25, 2)
    square_distance = (x - spot[0, 0])**2 + (y - spot[0, 1])**2
    image[:] = np.round(255 * np.exp(
        -square_distance / (2 * spread**2)))[..., None]
    seen = cut(image, np.array(square), size)[..., 0].astype(float)
    y, x = np.mgrid[:size, :size]
    found = np.array([(seen * x).sum(), (seen * y).sum()]) / seen.sum()
    want = to_crop(spot[None], np.array([square]), size)[0, 0]
    assert np.abs(found - want).max() < .15


def test_pixels_stay_where_the_size_fits():
    image = np.random.default_rng(0).integers(0, 255, (50, 60, 3), np.uint8)
    np.testing.assert_array_equal(cut(image, np.array([7, 9, 32]), 32),
                                  image[9:41, 7:39])
    beyond = cut(image, np.array([-4, -6, 32]), 32)
    padded = cv2.copyMakeBorder(image, 6, 0, 4, 0, cv2.BORDER_REPLICATE)
    np.testing.assert_array_equal(beyond, padded[:32, :32])
    outside = cut(image, np.array([100, 100, 16]), 8)
    assert (outside == image[-1, -1]).all()


def test_shrinking_averages():
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    small = cut(board, np.array([0, 0, 64]), 16)
    assert np.abs(small.astype(int) - 127).max() <= 1


def test_squares_hold_their_boxes():
    rng = np.random.default_rng(1)
    low = rng.uniform(-20, 50, (30, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 80, (30, 2))], 1)
    squares = squares_around(boxes, 1.3)
    extent = (boxes[:, 2:] - boxes[:, :2]).max(1)
    assert np.abs(squares[:, 2] - 1.3 * extent).max() <= .5
    middle = squares[:, :2] + (squares[:, 2:] - 1) / 2
    assert np.abs(middle - (boxes[:, :2] + boxes[:, 2:]) / 2).max() <= .5


def test_ways_to_cut():
    where = 'clip a'
    assert frame_squares('centre', (40, 100), 2, None, 1., where).tolist() == [
        [30, 0, 40]] * 2
    with pytest.raises(ValueError, match="100 x 40.*crop='centre'"):
        frame_squares('whole', (40, 100), 2, None, 1., where)
    with pytest.raises(ValueError, match='needs boxes'):
        frame_squares('frame', (40, 100), 2, None, 1., where)
    boxes = np.array([[0, 0, 10, 20], [np.nan] * 4, [40, 0, 50, 20.]])
    moving = frame_squares('frame', (90, 90), 3, boxes, 1., where)
    assert moving[:, 0].tolist() == [-4, 16, 36] and set(moving[:, 2]) == {20}
    still = frame_squares('clip', (90, 90), 3, boxes, 1., where)
    assert still.tolist() == [[0, -14, 50]] * 3


def test_boxes_of_visible_joints():
    points = np.array([[[1, 2], [5, 9], [700, 0]], [[1, 1], [2, 2], [3, 3]]])
    boxes = boxes_of(points, np.array([[1, 1, 0], [0, 0, 1]]))
    assert boxes[0].tolist() == [1, 2, 5, 9] and np.isnan(boxes[1]).all()


def test_normalised_ends_are_pixel_centres():
    got = normalise(np.array([0., 63., 31.5]), 64)
    np.testing.assert_allclose(got, [-1, 1, 0], atol=1e-7)
    np.testing.assert_allclose(normalise(np.arange(64), 64),
                               np.linspace(-1, 1, 64), atol=1e-6)
