"""Poses of several views, and small networks that learn from errors."""
from __future__ import annotations

import pytest
import torch

from benchmarks.labels import own_errors
from benchmarks.labels.own_errors import VIEWS, Poses
from mirrorpose.models.pose import draw_gaussians
from mirrorpose.structures import Skeleton


class Dots(torch.nn.Module):
    """Finds three colours; the joint of a colour is right or left.

    Red is joint 0, green joint 1, blue the thorax, as they are seen.
    """

    def recognize(self, images):
        # Cell c stands for pixel 4 c: its middle is that of a 5 x 5 patch.
        small = torch.nn.functional.avg_pool2d(
            images, 5, 4, 2, count_include_pad=False)
        maps = small.new_zeros(len(images), 16, 16, 16)
        maps[:, (0, 5, 7)] = small
        return [maps]


@pytest.mark.parametrize('view', VIEWS)
def test_places_come_back_from_every_view(view):
    pairs = Skeleton.from_name('mpii_16').flip_indices
    cells = torch.tensor([[[5., 6.], [9., 5.], [7., 10.]]])
    image = draw_gaussians(cells * 4, (64, 64), 6.)
    if view[2]:  # who is mirrored is seen with sides exchanged
        assert pairs[0] == 5 and pairs[7] == 7
    found, sure = own_errors.seen_from(Dots(), image, *view)
    shown = (5, 0, 7) if view[2] else (0, 5, 7)
    torch.testing.assert_close(found[:, shown], cells, atol=.35, rtol=0)
    assert (sure[:, shown] > .5).all()


def made(number=600, seed=0):
    """Poses of one shape; wrists are said to be at the elbows too often."""
    g = torch.Generator().manual_seed(seed)
    shape = torch.rand(16, 2, generator=torch.Generator().manual_seed(9)) * 10
    truth = shape + torch.randn(number, 16, 2, generator=g) * .2 + 3
    said = truth + torch.randn(number, 16, 2, generator=g) * .1
    lost = torch.rand(number, generator=g) < .5
    said[lost, 10] = truth[lost, 11] + .1
    sure = torch.ones(number, 16)
    sure[lost, 10] = .2
    return Poses(said, truth, sure, torch.ones(number, 16).bool())


def test_small_networks_learn_whose_errors_they_saw(monkeypatch):
    monkeypatch.setattr(own_errors, 'STEPS', 300)
    seen, held = made(), made(200, 1)
    assert held.wrong()[:, 10].float().mean() == pytest.approx(.5, abs=.1)
    network = own_errors.ranker(seen, True)
    found = own_errors.prefers(lambda cells: network(
        cells, torch.zeros(200, 16), held.present)[:, 0], held)
    assert found['truth_over_own'] > .95 and found['cosine'] > .2
    assert found['people'] == int(held.wrong().any(1).sum())
    better = own_errors.refined(own_errors.refiner(seen), held.said,
                                held.sure, held.present)
    wrong = held.wrong()
    before, after = ((p - held.truth).norm(dim=-1)[wrong].mean()
                     for p in (held.said, better))
    assert after < .5 * before


def test_the_choice_is_tuned_on_others():
    """A score that knows: nearly the best view; one that does not: none."""
    held = made(200, 2)
    views = torch.stack([held.truth + s * torch.randn(200, 16, 2)
                         for s in (1., 1., 1., 1., 1., .1)])
    order = torch.stack([torch.randperm(6) for _ in range(200)], 1)
    views = views[order, torch.arange(200)]
    sure = torch.ones(6, 200, 16)

    def knows(cells):
        return -(cells - held.truth).norm(dim=-1).sum(-1)

    found = own_errors.choose(views, sure, held, dict(knows=knows))
    best = found['the best view, by the truth']
    assert found['surest, and knows']['bbox'] == best['bbox']
    assert all(w > 0 for w in found['surest, and knows']['weights'])
    assert best['torso'] > found['the upright view']['torso']
