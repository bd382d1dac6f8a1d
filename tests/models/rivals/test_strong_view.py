"""Strong views: geometry against loops, colours against keys."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from mmpose.registry import MODELS

from mirrorpose.models.mirrornet.compositing import warp
from mirrorpose.models.mirrornet.recombination_draws import Affine
from mirrorpose.models.pose import draw_gaussians, peaks, soft_argmax
from mirrorpose.models.rivals.strong_view import (
    StrongColours,
    in_pixels,
    move_maps,
    move_points,
)

KEYS = np.arange(6, dtype=np.uint64)


def drawn_matrices(n, size):
    rng = np.random.default_rng(0)
    return Affine(rotate=40., shift=.2).matrices(rng.random((n, 5)), size)


@pytest.mark.parametrize('size', [(32, 32), (24, 40)])
def test_points_go_where_the_picture_goes(size):
    """Blobs in an image, warped as an image: they lie at the moved points."""
    rng = np.random.default_rng(1)
    h, w = size
    points = torch.from_numpy(rng.uniform(.35, .65, (8, 3, 2))
                              * [w, h]).float()
    matrices = drawn_matrices(8, size)
    warped = warp(draw_gaussians(points, size, 2.), matrices)
    moved = move_points(points, in_pixels(matrices, size))
    seen = soft_argmax(warped, .05, 6)
    assert (seen - moved).abs().max() < .35
    assert (moved - points).abs().max() > 4  # they did move


def test_maps_go_where_points_go():
    cells = torch.rand(5, 4, 2, generator=torch.Generator().manual_seed(2)
                       ) * 6 + 5
    matrices = in_pixels(drawn_matrices(5, (64, 64)), (64, 64))
    matrices[:, :, 2] /= 4  # between cells of a quarter
    moved = move_points(cells, matrices)
    inside = ((moved > 1) & (moved < 14)).all(-1)
    maps = move_maps(draw_gaussians(cells, (16, 16), 1.), matrices)
    gap = (soft_argmax(maps, .1, 3) - moved).norm(dim=-1)[inside]
    assert inside.sum() > 10 and gap.max() < .4


def test_points_by_hand():
    """A mirror about the middle: pixel p comes to W - 1 - p."""
    matrix = np.array([[[-1., 0, 0], [0, 1, 0]]])
    points = torch.tensor([[[3., 5.], [0., 0.]]])
    moved = move_points(points, in_pixels(matrix, (20, 10)))
    assert torch.allclose(moved, torch.tensor([[[6., 5.], [9., 0.]]]))


def test_maps_by_hand():
    """Shifted by one cell: nothing comes in from beyond the border."""
    maps = torch.rand(1, 2, 4, 5)
    matrix = np.array([[[1., 0, 1], [0, 1, 0]]])
    moved = move_maps(maps, matrix)
    assert torch.allclose(moved[..., :-1], maps[..., 1:], atol=1e-6)
    assert moved[..., -1].abs().max() < 1e-6


def test_colours_are_a_function_of_keys():
    torch.manual_seed(0)
    module = StrongColours(mean=[120.] * 3, std=[60.] * 3)
    images = torch.randn(6, 3, 16, 16)
    one, two = module.augment(images, KEYS), module.augment(images, KEYS)
    assert torch.equal(one, two)
    other = module.augment(images, KEYS + np.uint64(9))
    assert not torch.allclose(one, other)
    turned = module.augment(images.flip(0), KEYS[::-1].copy())
    assert torch.allclose(turned.flip(0), one, atol=1e-6)


def test_holes_cover_what_they_say():
    module = StrongColours(jitter=dict(brightness=0, contrast=0,
                                       saturation=0), hole_size=(.25, .25))
    image = torch.rand(200, 3, 32, 32) * 255
    out = module.augment(image, np.arange(200, dtype=np.uint64))
    changed = (out - image).abs().amax(1) > 1e-3
    share = changed.float().mean((1, 2))
    assert share.max() <= (9 / 32)**2 and .03 < share.mean() < 1 / 16
    # A hole has one colour, the picture's mean.
    grey = image.mean((2, 3))
    for i in range(20):
        assert torch.allclose(out[i][:, changed[i]].T, grey[i], atol=.01)


def test_nothing_asked_is_nothing_done():
    module = StrongColours(jitter=dict(brightness=0, contrast=0,
                                       saturation=0), holes=0)
    image = torch.rand(2, 3, 8, 8) * 255
    assert torch.allclose(module(image, ['a', 'b'])[0], image, atol=1e-3)
    assert module(image, ['a', 'b'])[1] == ['a', 'b']


@pytest.mark.parametrize('options, message', [
    (dict(jitter=dict(hue=.1)), 'jitter has'),
    (dict(jitter=dict(contrast=2.)), 'jitter has'),
    (dict(mean=[1., 2., 3.]), 'belong together'),
    (dict(hole_size=(.5, .2)), 'hole_size'),
    (dict(holes=-1), 'holes must not'),
])
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(type='mmpose.StrongColours', **options))


def test_peaks_survive_a_mirror():
    """Cells that are mirrored as maps have their peak in the mirror cell."""
    maps = draw_gaussians(torch.tensor([[[3., 7.]]]), (16, 16), 1.)
    matrix = np.array([[[-1., 0, 15], [0, 1, 0]]])
    assert peaks(move_maps(maps, matrix))[0].tolist() == [[[12., 7.]]]
