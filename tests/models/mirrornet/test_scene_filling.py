"""What is hidden is filled in from around it."""
from __future__ import annotations

import pytest
import torch
from scipy.ndimage import grey_dilation

from mirrorpose.models.mirrornet.scene_filling import (
    dilate,
    fill_unknown,
    hide,
)


@pytest.mark.parametrize('size', [1, 3, 5, 17])
def test_dilates_as_scipy(size):
    mask = (torch.rand(2, 1, 23, 31, generator=torch.Generator(
        ).manual_seed(size)) > .97).float()
    want = torch.stack([torch.from_numpy(grey_dilation(
        m[0].numpy(), (size, size), mode='constant', cval=0))[None]
        for m in mask])
    assert torch.equal(dilate(mask, size), want)


@pytest.mark.parametrize('size', [0, 4, -3])
def test_even_dilations_are_refused(size):
    with pytest.raises(ValueError, match='odd'):
        dilate(torch.zeros(1, 1, 4, 4), size)


@pytest.mark.parametrize('shape', [(16, 16), (17, 23), (64, 48), (1, 5)])
def test_constant_scenes_come_back_whole(shape):
    """Whatever is hidden: by the mean of equal values."""
    g = torch.Generator().manual_seed(0)
    colour = torch.rand(2, 3, 1, 1, generator=g).expand(2, 3, *shape)
    known = (torch.rand(2, 1, *shape, generator=g) > .7).float()
    known[:, :, 0, 0] = 1
    noise = torch.rand(2, 3, *shape, generator=g)
    broken = torch.where(known > 0, colour, noise)
    torch.testing.assert_close(fill_unknown(broken, known), colour)


def test_keeps_what_is_known_and_stays_between_its_extremes():
    g = torch.Generator().manual_seed(1)
    images = torch.rand(3, 3, 40, 56, generator=g)
    known = torch.ones(3, 1, 40, 56)
    known[:, :, 8:30, 10:50] = 0
    filled = fill_unknown(images * known + 7 * (1 - known), known)
    kept = (known > 0).expand_as(images)
    torch.testing.assert_close(filled[kept], images[kept])
    for before, after, k in zip(images, filled, kept):
        assert after.min() >= before[k].min() - 1e-6
        assert after.max() <= before[k].max() + 1e-6


def test_a_slope_goes_on_behind_the_hole():
    """Better than the mean of what is known, by far."""
    slope = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    known = torch.ones(1, 1, 64, 64)
    known[..., 20:44, 20:44] = 0
    hole = known == 0
    error = (fill_unknown(slope, known) - slope)[hole].abs().mean()
    mean = (slope[~hole].mean() - slope)[hole].abs().mean()
    assert error < mean / 2


def test_nothing_known_gives_black_and_no_nan():
    images = torch.rand(2, 3, 9, 9)
    filled = fill_unknown(images, torch.zeros(2, 1, 9, 9))
    assert torch.equal(filled, torch.zeros_like(images))


def test_hidden_person_leaves_no_trace():
    """The scene does not depend on the pixels of the person."""
    g = torch.Generator().manual_seed(2)
    scene = torch.rand(1, 3, 32, 32, generator=g) * .5 + .2
    matte = torch.zeros(1, 1, 32, 32)
    matte[..., 8:24, 12:20] = 1
    one, other = (torch.where(matte > 0, torch.rand(
        1, 3, 32, 32, generator=g), scene) for _ in range(2))
    assert not torch.equal(one, other)
    assert torch.equal(hide(one, matte, 5), hide(other, matte, 5))
    far = dilate(matte, 5).expand_as(scene) == 0
    torch.testing.assert_close(hide(one, matte, 5)[far], scene[far])


def test_black_borders_stay_and_do_not_run_in():
    image = torch.full((1, 3, 32, 32), .6)
    image[..., :10] = 0  # outside of the picture
    matte = torch.zeros(1, 1, 32, 32)
    matte[..., 4:28, 12:20] = 1
    made = hide(image, matte, 5)
    assert torch.equal(made[..., :10], image[..., :10])
    torch.testing.assert_close(made[..., 10:], image[..., 10:])


def test_black_borders_are_filled_on_request():
    image = torch.full((1, 3, 32, 32), .6)
    image[..., :10] = 0
    matte = torch.zeros(1, 1, 32, 32)
    matte[..., 4:28, 12:20] = 1
    made = hide(image, matte, 5, fill_black=True)
    torch.testing.assert_close(made, torch.full_like(image, .6))
