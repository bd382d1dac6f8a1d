"""Measures of health against closed forms and constructed faults."""
from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mirrorpose.models.keypointgan.health import (
    FLOOR,
    judgement,
    log_image,
    log_structure,
    look,
    other_subjects,
    swap_ratio,
)
from mirrorpose.models.steps import evaluating


# -- the batch ---------------------------------------------------------------
@pytest.mark.parametrize('names', [
    'abcd', 'aabb', 'aaab', 'abca', 'aaaa', 'a', '', 'abbbbbba'])
def test_partners_by_looking_one_by_one(names: str) -> None:
    want = []
    for i, own in enumerate(names):
        others = [(i + s) % len(names) for s in range(1, len(names))
                  if names[(i + s) % len(names)] != own]
        want += [(i, others[0])] if others else []
    rows, partners = other_subjects(list(names))
    assert list(zip(rows.tolist(), partners.tolist())) == want


# -- the logarithm -----------------------------------------------------------
def test_structure_in_closed_form() -> None:
    # A limb over half of the image; in the other half, where the drawing is
    # blank, every second pixel is fainter by e^2. Logs 0, -4 and -2: their
    # mean is -1.5, the squares from it 2.25 (n times), 6.25 and 0.25 (n / 2
    # times each); those of the blank half from its own mean are 1.
    floor = math.exp(-4)
    drawn = torch.zeros(2, 1, 4, 8)
    drawn[..., :4] = 1
    seen = drawn.clone()
    seen[..., 4::2], seen[..., 5::2] = floor, math.exp(-2)
    assert float(log_structure(seen, drawn, floor)) == pytest.approx(
        1 / (2.25 + 3.125 + .125), rel=1e-5)
    # A decoder reads negative values as well.
    assert float(log_structure(-seen, drawn, floor)) == pytest.approx(
        2 / 11, rel=1e-5)
    # Two samples, the other one a drawing: logs 0 and -4, squares 4.
    seen[1] = drawn[1]
    assert float(log_structure(seen, drawn, floor)) == pytest.approx(
        1 / (5.5 + 2 * 4), rel=1e-5)


def test_structure_pixel_by_pixel() -> None:
    rng = np.random.default_rng(0)
    seen, drawn = rng.normal(0, .3, (2, 3, 2, 5, 6))
    drawn = np.abs(drawn) * (rng.random(drawn.shape) > .5)
    inside = total = 0.
    for image, limbs in zip(seen.reshape(6, -1), drawn.reshape(6, -1)):
        logs = [math.log(max(abs(v), FLOOR)) for v in image]
        blank = [v for v, b in zip(logs, limbs) if b <= FLOOR]
        inside += float(np.var(blank)) * len(blank)
        total += float(np.var(logs)) * len(logs)
    got = log_structure(torch.from_numpy(seen), torch.from_numpy(drawn))
    assert float(got) == pytest.approx(inside / total, rel=1e-10)


def test_drawings_have_none_and_hidden_pictures_much(
        build: Any, batch: dict) -> None:
    drawn = build().renderer(batch['poses'])
    assert float(log_structure(drawn, drawn)) == 0
    assert float(log_structure(drawn.new_zeros(4, 1, 32, 32), drawn)) == 0
    # A scene of patches, of all brightnesses.
    grey = torch.rand(4, 1, 8, 8).repeat_interleave(4, 2).repeat_interleave(
        4, 3)
    hidden = torch.maximum(drawn, .05 * grey)  # invisible by the eye
    faint = torch.maximum(drawn, FLOOR * grey)  # below an 8-bit level
    assert float(log_structure(hidden, drawn)) > .1
    assert float(log_structure(faint, drawn)) == 0
    # The picture itself, without a limb.
    assert float(log_structure(grey, drawn)) > .5


def test_log_image() -> None:
    got = log_image(torch.tensor([1., -1., .5, 0., -.001, 1 / 510]))
    torch.testing.assert_close(got, torch.tensor(
        [math.log(255)] * 2 + [math.log(255 / 2)] + [0.] * 3))


# -- the discriminator -------------------------------------------------------
class Linear(nn.Module):
    """Score w x, or what is made of it."""

    def __init__(self, weight: Tensor, after: Any = None) -> None:
        super().__init__()
        self.weight, self.after = weight, after

    def forward(self, x: Tensor) -> Tensor:
        score = (x.flatten(1) * self.weight).sum(1)
        return self.after(score) if self.after else score


def test_linear_critic_has_its_own_slope() -> None:
    fake = torch.zeros(5, 1, 2, 2)
    real = fake.clone()
    real[:, 0, 0, 0] = 2
    # Along the way to the real ones: exactly the mean slope.
    gap, slope = judgement(Linear(torch.tensor([.5, 0, 0, 0])), real, fake)
    assert float(gap) == 1 and float(slope) == pytest.approx(1)
    # A part of it leads elsewhere: |(.5, 1.2)| = 1.3.
    gap, slope = judgement(Linear(torch.tensor([.5, 1.2, 0, 0])), real, fake)
    assert float(gap) == 1 and float(slope) == pytest.approx(2.6)


def test_saturated_and_useless_critics() -> None:
    fake, real = torch.zeros(4, 1, 2, 2), torch.ones(4, 1, 2, 2)
    steep = Linear(torch.full((4, ), 10.), lambda s: (s - 20).sigmoid())
    gap, slope = judgement(steep, real, fake)
    assert float(gap) == pytest.approx(1) and float(slope) < 1e-6
    gap, slope = judgement(Linear(torch.ones(4), lambda s: s * 0 + .5),
                           real, fake)
    assert float(gap) == 0 and not float(slope) < .1


def test_judgement_leaves_no_gradient(build: Any, batch: dict) -> None:
    model = build()
    real = model.renderer(batch['poses'])
    with torch.no_grad():
        found = judgement(model.discriminator, real, torch.rand_like(real))
    assert all(not v.requires_grad for v in found)
    assert all(p.grad is None for p in model.parameters())


# -- the swap ----------------------------------------------------------------
class Decoder(nn.Module):
    """What it makes is given by a function of skeleton and frame."""

    conditional = True

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make

    def forward(self, pose: Tensor, frame: Tensor) -> Tensor:
        return self.make(pose, frame)


def test_swap_ratio_of_constructed_decoders() -> None:
    # Subjects are flat colours; frames of one have one colour.
    colour = torch.tensor([-1., -.5, .5, 1.]).view(4, 1, 1, 1)
    image = colour.expand(4, 3, 8, 8)
    pose = torch.rand(4, 1, 8, 8)
    other = image.roll(1, 0)

    def ratio(make: Any) -> float:
        return float(swap_ratio(SimpleNamespace(generator=Decoder(make)),
                                pose, image, image, other))

    # Ignores the frame: the skeleton says it all, or nothing.
    assert ratio(lambda y, c: image) == 0  # no error at all: no ratio
    assert ratio(lambda y, c: .9 * image) == 1
    assert ratio(lambda y, c: torch.zeros_like(c)) == 1
    # Reads it: errors are .1 c with the own, .9 c' - c with another.
    own = float((.1 * colour).square().mean())
    swapped = float((.9 * colour.roll(1, 0) - colour).square().mean())
    assert ratio(lambda y, c: .9 * c) == pytest.approx(swapped / own,
                                                       rel=1e-5)
    assert swapped / own > 50


# -- all of it ---------------------------------------------------------------
def arguments(model: Any, batch: dict) -> dict[str, Any]:
    data = model.data_preprocessor(batch, True)
    return dict(image=data['inputs']['image'],
                condition=data['inputs']['condition'], poses=data['poses'],
                pose_present=data['pose_present'])


@pytest.mark.parametrize('bottleneck', [True, False])
def test_look_step_by_step(build: Any, batch: dict,
                           bottleneck: bool) -> None:
    model = build(bottleneck=bottleneck)
    model.train()
    given = arguments(model, batch)
    found = look(model, **given, names=['a', 'a', 'b', 'b'])
    model.eval()
    with torch.no_grad():
        out = model.cycle(given['image'], given['condition'])
        swapped = model.cycle(given['image'],
                              given['condition'][[2, 2, 0, 0]])
        real = model.renderer(given['poses'])
        scores = [torch.stack([s.mean() for s in model.discriminator(x)])
                  .mean() for x in (real, out.skeleton)]
    errors = [(o.image - given['image']).square().mean()
              for o in (out, swapped)]
    close = torch.testing.assert_close
    close(found['mon_swap_ratio'], errors[1] / errors[0])
    close(found['mon_log_structure'], log_structure(out.skeleton, out.drawn))
    close(found['mon_discriminator_gap'], scores[0] - scores[1])
    assert set(found) == {
        'mon_swap_ratio', 'mon_log_structure', 'mon_sides_exchanged',
        'mon_discriminator_gap', 'mon_discriminator_slope'}
    assert all(v.ndim == 0 and not v.requires_grad for v in found.values())


def test_exchanged_sides_are_counted(build: Any, batch: dict) -> None:
    model = build()
    given = arguments(model, batch)
    model.eval()
    with torch.no_grad():
        own = model.head(model.translate(given['image']))
    other = own.clone()
    other[:3] = own[:3, model.skeleton.flip_indices]

    class Remembers(nn.Module):
        def forward(self, drawn: Tensor) -> Tensor:
            return other

    model.offline_head = Remembers()
    assert float(look(model, **given)['mon_sides_exchanged']) == .75


def test_no_swap_where_there_is_none(build: Any, batch: dict) -> None:
    model = build()
    given = arguments(model, batch)
    assert 'mon_swap_ratio' not in look(model, **given, names=list('aaaa'))
    given.pop('condition')
    assert 'mon_swap_ratio' not in look(model, **given)


def test_modes_come_back(build: Any, batch: dict) -> None:
    model = build()
    model.train()
    model.backbone.encoder.eval()
    before = [(n, m.training) for n, m in model.named_modules()]
    state = {k: v.clone() for k, v in model.state_dict().items()}
    random = torch.get_rng_state()
    look(model, **arguments(model, batch))
    with pytest.raises(RuntimeError, match='on the way'), evaluating(model):
        assert not any(m.training for m in model.modules())
        raise RuntimeError('on the way')
    assert [(n, m.training) for n, m in model.named_modules()] == before
    assert all(torch.equal(v, state[k])
               for k, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


