"""Colours of people and pictures."""
from __future__ import annotations

import numpy as np
import torch

from mirrorpose.models.mirrornet.appearance import (
    appearance_shift,
    colour_statistics,
    jitter_colours,
)


def some(seed=0, n=3):
    g = torch.Generator().manual_seed(seed)
    return (torch.rand(n, 3, 12, 10, generator=g) * .5 + .25,
            (torch.rand(n, 1, 12, 10, generator=g) > .5).float())


def shift_appearance(images, *shift):
    gain, offset = appearance_shift(*shift)
    return images * gain + offset


def test_statistics_are_those_of_the_pixels_inside():
    images, mattes = some()
    mean, spread = colour_statistics(images, mattes)
    for i in range(3):
        inside = images[i][:, mattes[i, 0] > 0].numpy()
        np.testing.assert_allclose(mean[i], inside.mean(1), rtol=1e-4)
        np.testing.assert_allclose(spread[i], inside.std(1), rtol=1e-3)
    empty = colour_statistics(images, torch.zeros_like(mattes))
    assert all(bool((t == 0).all()) for t in empty)


def test_all_the_way_gives_the_other_statistics():
    images, mattes = some()
    own = colour_statistics(images, mattes)
    other = (own[0].roll(1, 0) * .2 + .4, own[1].roll(1, 0) * .5)
    made = shift_appearance(images, own, other, torch.ones(3))
    mean, spread = colour_statistics(made, mattes)
    torch.testing.assert_close(mean, other[0], atol=2e-3, rtol=0)
    torch.testing.assert_close(spread, other[1], atol=2e-3, rtol=0)
    half = shift_appearance(images, own, other, torch.full((3, ), .5))
    torch.testing.assert_close(half, (made + images) / 2)
    same = shift_appearance(images, own, other, torch.zeros(3))
    torch.testing.assert_close(same, images)


def test_flat_people_are_not_blown_up():
    flat = torch.full((1, 3, 4, 4), .5)
    flat[..., 0, 0] = .51
    own = colour_statistics(flat, torch.ones(1, 1, 4, 4))
    other = (torch.full((1, 3), .5), torch.full((1, 3), .3))
    made = shift_appearance(flat, own, other, torch.ones(1))
    assert (made - .5).abs().max() < .04


def test_jitter_by_its_formula():
    images, _ = some()
    b, c, s = (torch.tensor(x) for x in ([1., 1.1, .9], [1., .8, 1.2],
                                         [1., 1.2, .5]))
    made = jitter_colours(images, b, c, s)
    torch.testing.assert_close(made[0], images[0])
    grey = np.array([.3, .4, .3])
    for i in range(3):
        x = images[i].numpy().astype(np.float64)
        lightness = np.einsum('c,chw->hw', grey, x)
        x = lightness + float(s[i]) * (x - lightness)
        x = x * float(b[i])
        middle = (lightness * float(b[i])).mean()
        x = np.clip(middle + float(c[i]) * (x - middle), 0, 1)
        np.testing.assert_allclose(made[i].numpy(), x, atol=1e-5)
