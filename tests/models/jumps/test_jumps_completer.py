"""JUMPS behind the interface of all completers."""
from __future__ import annotations

import pytest
import torch
from mmpose.registry import MODELS

from mirrorpose.models.completion.completer import Completer, Completion
from mirrorpose.models.jumps import Jumps, JumpsCompleter, canonical_frame

MODEL = dict(type='Jumps', encoder=dict(type='PoseSequenceEncoder'),
             generator=dict(type='PoseSequenceGenerator'),
             critic=dict(type='PoseSequenceCritic'))


@pytest.fixture(scope='module')
def model() -> Jumps:
    torch.manual_seed(0)
    made = MODELS.build(MODEL)
    for child in (made.encoder, made.generator):
        for norm in child.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.running_var.fill_(.05)
    made.statistics.update(.3 * torch.randn(8, 24, 28, 2))
    return made.eval()


def completer(model, steps=3, **changes):
    search = dict(dict(steps=steps), **changes.pop('search', {}))
    return JumpsCompleter(model, search=search, **changes)


def made_by(model, n=4, seed=11):
    """Windows that the generator can make, in pixels, with holes.

    Not of the restarts' seed, which would find them at once.
    """
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        windows = model.generator(torch.randn(n, 128, generator=source))
    windows = canonical_frame(windows).apply(windows) * 100 + 400
    observed = torch.rand(n, 24, 28, generator=source) < .7
    observed[:, :, 7] = False
    return windows, observed


def test_it_is_a_completer(model):
    one = completer(model)
    assert isinstance(one, Completer)
    points, observed = made_by(model)
    out = one.complete(points.where(observed[..., None], torch.nan),
                       observed)
    assert out.keypoints.shape == (4, 24, 28, 2)
    assert out.keypoints.isfinite().all() and out.spread is None
    assert torch.allclose(out.keypoints[observed], points[observed])
    assert out.error.shape == (4, 24) and out.error.isfinite().all()


def test_search_comes_nearer(model):
    """What the generator can make is found: error falls with the steps."""
    points, observed = made_by(model)
    errors = [completer(model, steps, keep=False).complete(
        points, observed).error.mean() for steps in (0, 20, 80)]
    assert errors[2] < .7 * errors[0] and errors[1] < errors[0]


def test_windows_do_not_know_of_each_other(model):
    points, observed = made_by(model)
    one = completer(model, restarts=2)
    whole = one.complete(points, observed).keypoints
    for n in (0, 3):
        own = one.complete(points[n:n + 1], observed[n:n + 1]).keypoints[0]
        assert torch.allclose(own, whole[n], atol=.02)  # of 100 pixels
    assert torch.equal(one.complete(points, observed).keypoints, whole)


def test_place_and_size_do_not_matter(model):
    points, observed = made_by(model)
    one = completer(model)
    small = one.complete(points, observed).keypoints
    large = one.complete(3 * points - 50, observed).keypoints
    # Adam's first steps are signs: rounding may turn a few.
    assert (3 * small - 50 - large).abs().mean() < .2  # of 300 pixels


def test_confidence_mixes(model):
    points, observed = made_by(model)
    one = completer(model, steps=0)
    free = completer(model, steps=0, keep=False).complete(
        points, observed, .5 * observed).keypoints
    half = one.complete(points, observed, .5 * observed).keypoints
    assert torch.allclose(half[observed], .5 * (free + points)[observed],
                          atol=1e-3)


def test_spread_of_the_starts(model):
    points, observed = made_by(model)
    one = completer(model, restarts=3, temperature=.5)
    out = one.complete(points, observed)
    assert out.spread.shape == (4, 24, 28)
    assert out.spread[observed].eq(0).all()
    assert (out.spread[~observed] > 0).all()
    found = one.search(points, observed)
    share = torch.softmax(-(found.objective - found.objective.min(
        1, keepdim=True).values) / (.5 * found.objective.min(
            1, keepdim=True).values), 1)
    n, f, k = 1, 5, 7  # never observed
    mean = sum(share[n, s] * found.candidates[n, s, f, k] for s in range(4))
    variance = sum(share[n, s] * (found.candidates[n, s, f, k] - mean)
                   .square().sum() for s in range(4))
    scale = canonical_frame(points, observed).scale[n].item()
    assert out.spread[n, f, k].item() == pytest.approx(
        scale * variance.sqrt().item(), rel=1e-3)
    colder = completer(model, restarts=3, temperature=1e-4).complete(
        points, observed)
    assert colder.spread.sum() < .1 * out.spread.sum()


def test_hypotheses_are_what_the_starts_found(model):
    points, observed = made_by(model)
    one = completer(model, restarts=3)
    several = one.hypotheses(points, observed)
    assert several.shape == (4, 4, 24, 28, 2)
    assert torch.equal(several[:, 0][observed],
                       several[:, 3][observed])
    best = one.search(points, observed).objective.argmin(1)
    done = one.complete(points, observed).keypoints
    for n in range(4):
        torch.testing.assert_close(several[n, best[n]], done[n])
    assert (several[:, 0] - several[:, 1])[~observed].abs().max() > 1e-3


def test_without_the_encoder(model):
    points, observed = made_by(model, 2)
    one = completer(model, restarts=2, use_encoder=False)
    assert one.search(points, observed).objective.shape == (2, 2)


class Answers:
    """A completer that knows the truth."""

    def __init__(self, truth):
        self.truth, self.asked = truth, []

    def complete(self, keypoints, observed, confidence=None):
        self.asked.append((keypoints, observed))
        return Completion(self.truth)


def test_around_the_answer_of_another(model):
    """E reads the answer, and the search is held to it where asked."""
    points, observed = made_by(model)
    reads = []
    hook = model.encoder.register_forward_hook(
        lambda m, i, o: reads.append(i[0]))
    first = Answers(points)
    near = completer(model, 30, first=first, first_weight=1., keep=False)
    out = near.complete(points.where(observed[..., None], torch.nan),
                        observed)
    hook.remove()
    assert torch.allclose(reads[0], canonical_frame(points).apply(points))
    assert torch.equal(first.asked[0][1], observed)
    free = completer(model, 30, first=first, keep=False).complete(
        points, observed)
    apart = [(c.keypoints - points)[~observed].norm(dim=-1).mean()
             for c in (out, free)]
    assert apart[0] < apart[1]
    with pytest.raises(ValueError, match='first_weight'):
        completer(model, first_weight=.5)


def test_nothing_observed(model):
    out = completer(model).complete(
        torch.full((1, 24, 28, 2), torch.nan),
        torch.zeros(1, 24, 28, dtype=torch.bool))
    assert out.keypoints.isfinite().all()


def test_checkpoint_gives_the_weights(model, tmp_path):
    path = tmp_path / 'jumps.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    points, observed = made_by(model, 2)
    torch.manual_seed(7)
    loaded = MODELS.build(dict(type='JumpsCompleter', model=MODEL,
                               checkpoint=str(path), search=dict(steps=2)))
    again = completer(model, 2).complete(points, observed)
    assert torch.equal(loaded.complete(points, observed).keypoints,
                       again.keypoints)
    assert not loaded.train().model.training


@pytest.mark.parametrize('change, message', [
    (dict(restarts=-1), 'start'), (dict(use_encoder=False), 'use_encoder'),
    (dict(temperature=.1), 'two starts'),
    (dict(temperature=0., restarts=3), 'positive'),
    (dict(first_checkpoint='a.pth'), 'first_checkpoint'),
    (dict(search=dict(rate=-1.)), 'rate')])
def test_errors(model, change, message):
    with pytest.raises(ValueError, match=message):
        completer(model, **change)


def test_wrong_input(model):
    points, observed = made_by(model, 1)
    one = completer(model)
    with pytest.raises(ValueError, match='24 frames'):
        one.complete(points[:, :12], observed[:, :12])
    with pytest.raises(ValueError, match='NaN'):
        one.complete(points * torch.nan, observed)
    with pytest.raises(ValueError, match='28'):
        one.complete(points[:, :, :17], observed[:, :, :17])
