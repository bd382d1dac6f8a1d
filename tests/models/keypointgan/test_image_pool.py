"""The history of images against the published loop."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mirrorpose.models.keypointgan import ImagePool, nearer_sides
from mirrorpose.structures import Skeleton


def loop(pool: list[Tensor], images: Tensor, size: int,
         rng: np.random.Generator) -> Tensor:
    """CycleGAN's pool, image by image."""
    swaps = rng.random(len(images)) > .5
    places = rng.integers(size, size=len(images))
    out = []
    for image, swap, place in zip(images, swaps, places):
        if len(pool) < size:
            pool.append(image)
            out.append(image)
        elif swap:
            out.append(pool[place])
            pool[place] = image
        else:
            out.append(image)
    return torch.stack(out)


def test_equals_the_loop_and_resumes() -> None:
    torch.manual_seed(0)
    mine, theirs = ImagePool((1, 2, 2), 5), []
    a, b = np.random.default_rng(1), np.random.default_rng(1)
    old = 0
    for turn in range(12):
        images = torch.rand(8, 1, 2, 2, requires_grad=True)
        got = mine.query(images, a)
        want = loop(theirs, images.detach(), 5, b)
        assert not got.requires_grad
        torch.testing.assert_close(got, want, rtol=0, atol=0)
        old += int((got != images).flatten(1).any(1).sum())
        if turn == 5:  # from a checkpoint
            state = mine.state_dict()
            mine = ImagePool((1, 2, 2), 5)
            mine.load_state_dict(state)
    assert 20 < old < 70
    torch.testing.assert_close(mine.images, torch.stack(theirs))


def test_without_a_history_images_pass() -> None:
    images = torch.rand(3, 1, 2, 2)
    pool = ImagePool((1, 2, 2), 0)
    assert pool.query(images, np.random.default_rng(0)) is not None
    torch.testing.assert_close(
        pool.query(images, np.random.default_rng(0)), images)
    with pytest.raises(ValueError, match='negative'):
        ImagePool((1, 2, 2), -1)


def test_nearer_sides_by_a_loop() -> None:
    torch.manual_seed(1)
    flip = Skeleton.from_name('lsp_14').flip_indices
    poses, truth = torch.randn(20, 14, 2), torch.randn(20, 14, 2)
    present = torch.rand(20, 14) > .3
    got, swapped = nearer_sides(poses, truth, flip, present)
    for n in range(20):
        apart = [sum(float((poses[n, order[k]] - truth[n, k]).norm())
                     for k in range(14) if present[n, k])
                 for order in (range(14), flip)]
        assert bool(swapped[n]) == (apart[1] < apart[0])
        torch.testing.assert_close(
            got[n], poses[n][flip] if swapped[n] else poses[n])
    assert 0 < int(swapped.sum()) < 20
