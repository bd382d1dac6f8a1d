"""The temporal network: what it learns, and what it never touches."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mirrorpose.models.completion import (
    InterpolationCompleter,
    RegressorCompleter,
)
from mirrorpose.models.completion.batch import read_batch
from mirrorpose.models.completion.completer import SKELETON, Completer
from mirrorpose.models.pose.canonical_frame import canonical_frame


def _batch(make_windows, twelve, number, seed, hide=True):
    x, seen = make_windows(number, seed), twelve(number)
    if hide:
        hidden = SKELETON.index('left_elbow', 'left_wrist')
        for n in range(0, number, 2):
            seen[n, 6:18, hidden] = False
    return dict(inputs=x, observed=seen)


@pytest.fixture(scope='module')
def trained(make_windows, twelve):
    torch.manual_seed(0)
    model = RegressorCompleter(width=32, dilations=(1, 4))
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for step in range(150):
        losses = model(**_batch(make_windows, twelve, 32, step),
                       mode='loss')
        optimizer.zero_grad()
        sum(v for k, v in losses.items() if 'loss' in k).backward()
        optimizer.step()
    return model.eval()


def test_begins_as_interpolation(make_windows, twelve):
    model = RegressorCompleter(width=8, dilations=(1, )).eval()
    assert isinstance(model, Completer)
    x, seen = make_windows(3, 0), twelve(3)
    points = x.masked_fill(~seen[..., None], 0)
    torch.testing.assert_close(
        model.estimate(points, seen, seen.float()),
        InterpolationCompleter().complete(x, seen).keypoints)


def test_learns_holes_that_it_was_shown(trained, make_windows, twelve):
    batch = _batch(make_windows, twelve, 64, 999)
    x, seen = batch['inputs'], batch['observed']
    frame = canonical_frame(x, seen)
    x = frame.apply(x)
    error = {}
    for model in (trained, InterpolationCompleter()):
        done = model.complete(x, seen).keypoints
        miss = (done - x).norm(dim=-1)
        hidden = ~seen & twelve(64)
        error[type(model).__name__] = (float(miss[~twelve(64)].mean()),
                                       float(miss[hidden].mean()))
    new, old = error['RegressorCompleter'], error['InterpolationCompleter']
    # the joints that are never seen, and those that are hidden for a while
    assert new[0] < .5 * old[0] and new[1] < .9 * old[1]


def test_keeps_what_is_observed(trained, make_windows, twelve):
    x, seen = make_windows(4, 5), twelve(4)
    done = trained.complete(x, seen)
    torch.testing.assert_close(done.keypoints[seen], x[seen])
    assert (done.spread[seen] == 0).all()
    assert (done.spread[~seen] > 0).all()


def test_any_length_and_alone_as_in_a_batch(trained, make_windows, twelve):
    for frames in (1, 7, 24, 40):
        x, seen = make_windows(3, 6, frames), twelve(3, frames)
        whole = trained.complete(x, seen).keypoints
        assert whole.shape == x.shape and whole.isfinite().all()
        torch.testing.assert_close(
            trained.complete(x[1:2], seen[1:2]).keypoints, whole[1:2],
            atol=1e-5, rtol=1e-4)


def test_unseen_coordinates_do_not_matter(trained, make_windows, twelve):
    x, seen = make_windows(2, 7), twelve(2)
    other = torch.where(seen[..., None], x, torch.nan)
    torch.testing.assert_close(trained.complete(x, seen).keypoints,
                               trained.complete(other, seen).keypoints)


def test_residuals_are_propagated_as_the_covariance_says(make_windows,
                                                         twelve):
    model = RegressorCompleter(width=8, dilations=(1, ), noise=.05,
                               keep=False).eval()
    root = torch.randn(56, 56, generator=torch.Generator().manual_seed(0))
    model.second.copy_(root @ root.T / 56)
    x, seen = make_windows(2, 8), twelve(2)
    points = x.masked_fill(~seen[..., None], 0)
    # with a network that misses what it sees
    torch.nn.init.normal_(model.network.last.bias, std=.1)
    first = model.estimate(points, seen, seen.float())
    got = model.complete(x, seen).keypoints
    known = seen[0, 0].repeat_interleave(2)
    c = model.second.double()
    gain = c[:, known] @ torch.linalg.inv(
        c[known][:, known] + .05**2 * torch.eye(24))
    miss = (x - first).detach().flatten(2)[..., known].double()
    want = first.flatten(2).double() + miss @ gain.T
    torch.testing.assert_close(got.flatten(2).double(), want, atol=1e-4,
                               rtol=1e-4)


def test_covariance_of_errors_is_measured(trained):
    assert torch.linalg.eigvalsh(trained.second.double()).min() > -1e-7
    spread = trained.second.diagonal().view(28, 2).sum(1).sqrt()
    seen = SKELETON.index('left_knee', 'right_ankle', 'right_shoulder')
    lost = SKELETON.index('left_hand', 'head_top', 'right_toe')
    assert spread[seen].max() < spread[lost].min()


def test_losses_by_a_loop(make_windows, twelve):
    model = RegressorCompleter(width=8, dilations=(1, ))
    batch = _batch(make_windows, twelve, 3, 1)
    present = torch.rand(3, 24, 28) < .9
    batch['present'] = present
    losses = model(**batch, mode='loss')
    frame = canonical_frame(batch['inputs'], batch['observed'])
    x = frame.apply(batch['inputs'])
    done = model.estimate(x.masked_fill(~batch['observed'][..., None], 0),
                          batch['observed'], batch['observed'].float())
    total = weight = unseen = count = 0.
    for n, f, k in np.ndindex(3, 24, 28):
        if present[n, f, k]:
            far = float((x - done)[n, f, k].detach().norm())
            w = .25 if batch['observed'][n, f, k] else 1.
            total += w * (np.hypot(far, .005) - .005)
            weight += w
            if not batch['observed'][n, f, k]:
                unseen += far
                count += 1
    assert losses['loss_position'].item() == pytest.approx(total / weight,
                                                           rel=1e-4)
    assert losses['mon_unseen'].item() == pytest.approx(unseen / count,
                                                        rel=1e-4)


def test_a_still_truth_that_is_not_present_gives_no_gradient(make_windows,
                                                             twelve):
    model = RegressorCompleter(width=8, dilations=(1, ))
    batch = _batch(make_windows, twelve, 2, 1)
    batch['present'] = torch.zeros(2, 24, 28, dtype=torch.bool)
    losses = model(**batch, mode='loss')
    (losses['loss_position'] + losses['loss_velocity']).backward()
    assert all(p.grad is None or (p.grad == 0).all()
               for p in model.parameters())


def test_predicts_for_the_metrics(trained, make_windows, twelve):
    batch = _batch(make_windows, twelve, 3, 4)
    pixels = batch['inputs'] * 200 + 300
    samples = trained(inputs=list(pixels), observed=batch['observed'],
                      ids=['a', 'b', 'c'], mode='predict')
    assert [s['id'] for s in samples] == ['a', 'b', 'c']
    one = samples[1]
    torch.testing.assert_close(one['gt_sequence'], pixels[1])
    seen = batch['observed'][1]
    torch.testing.assert_close(one['pred_sequence'][seen], pixels[1][seen],
                               atol=1e-2, rtol=0)
    with pytest.raises(ValueError, match='not'):
        trained(inputs=pixels, mode='wrong')


def test_reads_what_the_detector_saw(make_windows, twelve):
    x, seen = make_windows(2, 0), twelve(2)
    data = read_batch(dict(inputs=x, detected=x + 1, observed=seen,
                           confidence=seen * .5))
    torch.testing.assert_close(data.seen, x + 1)
    torch.testing.assert_close(data.truth, x)
    assert data.present.all() and data.ids == ['0', '1']
    with pytest.raises(KeyError, match='inputs'):
        read_batch(dict(keypoints=x))
    with pytest.raises(ValueError, match='observed'):
        read_batch(dict(inputs=x, observed=seen[:, :3]))
    with pytest.raises(ValueError, match='detected'):
        read_batch(dict(inputs=x, detected=x[:1]))


@pytest.mark.parametrize('bad', [dict(noise=0.), dict(momentum=0.),
                                 dict(velocity_weight=-1.)])
def test_refuses(bad):
    with pytest.raises(ValueError, match='got'):
        RegressorCompleter(**bad)
