"""Skeletons, maps, masks and colours, pixel by pixel."""
from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest
import torch
from mmpose.models import PoseDataPreprocessor
from mmpose.structures import PoseDataSample

from mirrorpose.models.pose import draw_gaussians
from mirrorpose.structures import Skeleton
from mirrorpose.visualization import drawing

GREEN, ORANGE, BLUE = (0, 255, 0), (255, 128, 0), (51, 153, 255)
MPII = Skeleton.from_name('mpii_16')


@pytest.fixture
def canvas():
    return np.full((60, 80, 3), 17, np.uint8)


def pose(**joints):
    points, visible = np.zeros((16, 2)), np.zeros(16)
    for name, xy in joints.items():
        points[MPII.index(name)[0]] = xy
        visible[MPII.index(name)[0]] = 1
    return points, visible


class TestDrawSkeleton:

    @pytest.mark.parametrize('joints, color', [
        (('left_knee', 'left_ankle'), GREEN),
        (('right_elbow', 'right_wrist'), ORANGE),
        (('pelvis', 'thorax'), BLUE),
        (('upper_neck', 'left_shoulder'), GREEN)])
    def test_limb_has_the_colour_of_its_side(self, canvas, joints, color):
        points = {joints[0]: (10, 20), joints[1]: (70, 20)}
        out = drawing.draw_skeleton(canvas, *pose(**points), MPII, 3)
        assert tuple(out[20, 40]) == color
        assert (out[20, 20:60] == color).all()
        # Nothing far from the limb, and the input is untouched.
        assert (out[30:] == 17).all() and (out[:10] == 17).all()
        assert (canvas == 17).all()

    def test_joint_without_partner_is_a_disc(self, canvas):
        out = drawing.draw_skeleton(canvas, *pose(left_wrist=(30, 25)), MPII)
        assert tuple(out[25, 30]) == GREEN
        y, x = np.nonzero((out != 17).any(-1))
        assert np.hypot(y - 25, x - 30).max() < 5

    def test_absent_joints_leave_the_image_unchanged(self, canvas):
        points = np.random.default_rng(0).uniform(5, 55, (16, 2))
        out = drawing.draw_skeleton(canvas, points, np.zeros(16), MPII)
        np.testing.assert_array_equal(out, canvas)

    def test_coordinates_of_an_absent_joint_do_not_matter(self, canvas):
        points, visible = pose(left_hip=(20, 20), left_knee=(30, 40))
        one = drawing.draw_skeleton(canvas, points, visible, MPII)
        for rubbish in (np.nan, np.inf, -1e30, 1e30, 33.):
            points[visible == 0] = rubbish
            np.testing.assert_array_equal(
                drawing.draw_skeleton(canvas, points, visible, MPII), one)

    def test_not_finite_joint_counts_as_absent(self, canvas):
        points, visible = pose(left_hip=(20, 20), left_knee=(30, 40))
        points[MPII.index('left_knee')] = np.nan
        expected = drawing.draw_skeleton(
            canvas, *pose(left_hip=(20, 20)), MPII)
        np.testing.assert_array_equal(
            drawing.draw_skeleton(canvas, points, visible, MPII), expected)

    def test_far_joint_draws_towards_it(self, canvas):
        out = drawing.draw_skeleton(
            canvas, *pose(left_hip=(10, 30), left_knee=(1e12, 30)), MPII, 3)
        assert tuple(out[30, 79]) == GREEN

    def test_shapes_are_checked(self, canvas):
        with pytest.raises(ValueError, match='16 joints'):
            drawing.draw_skeleton(canvas, np.zeros((14, 2)), np.ones(14),
                                  MPII)
        with pytest.raises(ValueError, match='uint8'):
            drawing.draw_skeleton(canvas / 255., *pose(), MPII)


class TestHeatmapImage:

    def test_peaks_come_back_where_they_were_drawn(self):
        cells = torch.tensor([[4., 3.], [20., 9.], [11., 27.]])
        colors = np.array([GREEN, ORANGE, BLUE], np.uint8)
        maps = draw_gaussians(cells, (32, 24), 1.)
        picture = drawing.heatmap_image(maps, colors)
        assert picture.shape == (32, 24, 3)
        for (x, y), color in zip(cells.int().tolist(), colors):
            assert tuple(picture[y, x]) == tuple(color)
        # Decoded from the picture: the brightest cell of each colour.
        for (x, y), color in zip(cells.int().tolist(), colors):
            same = np.abs(picture / 255. - color / 255.).sum(-1)
            assert np.unravel_index(same.argmin(), same.shape) == (y, x)

    def test_brightness_is_the_value(self):
        maps = np.zeros((2, 1, 4))
        maps[0, 0] = [0, 0.5, 1, 7]
        maps[1, 0] = [-3, 0.25, np.nan, 0]
        out = drawing.heatmap_image(maps, np.array([[200, 0, 100],
                                                    [0, 200, 0]]))
        np.testing.assert_array_equal(
            out[0], [[0, 0, 0], [100, 0, 50], [200, 0, 100], [200, 0, 100]])

    def test_wants_a_colour_for_every_map(self):
        with pytest.raises(ValueError, match='colours'):
            drawing.heatmap_image(np.zeros((3, 4, 4)), np.zeros((2, 3)))


def test_mask_image():
    out = drawing.mask_image(torch.tensor([[[0., 0.2, 1., 3.]]]))
    np.testing.assert_array_equal(out[0, :, 1], [0, 51, 255, 255])


@pytest.mark.parametrize('to_rgb', [True, False])
def test_denormalise_undoes_the_preprocessor(to_rgb):
    bgr = torch.randint(0, 256, (2, 3, 8, 6), dtype=torch.uint8,
                        generator=torch.Generator().manual_seed(0))
    preprocessor = PoseDataPreprocessor(
        mean=[123.7, 116.3, 103.5], std=[58.4, 57.1, 57.4],
        bgr_to_rgb=to_rgb)
    inputs = preprocessor({'inputs': list(bgr), 'data_samples': [
        PoseDataSample(), PoseDataSample()]})['inputs']
    out = drawing.denormalise(inputs, preprocessor)
    np.testing.assert_array_equal(
        out, bgr.flip(1).permute(0, 2, 3, 1).numpy())


def test_denormalise_without_normalisation():
    preprocessor = PoseDataPreprocessor(bgr_to_rgb=True)
    out = drawing.denormalise(torch.full((1, 3, 2, 2), 300.), preprocessor)
    assert (out == 255).all()


def test_enlarged_points_stay_on_their_pixel():
    image = np.zeros((5, 4, 3), np.uint8)
    image[3, 2] = 255
    large = drawing.enlarge(image, 7)
    assert large.shape == (35, 28, 3)
    x, y = drawing.enlarge_points(np.array([2, 3]), 7)
    rows, columns = np.nonzero(large[..., 0])
    assert (rows.mean(), columns.mean()) == (y, x)


def test_png_round_trip():
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    uri = drawing.data_uri(drawing.png(image))
    head, _, body = uri.partition(',')
    assert head == 'data:image/png;base64'
    read = cv2.imdecode(np.frombuffer(base64.b64decode(body), np.uint8), 1)
    np.testing.assert_array_equal(read[..., ::-1], image)
