"""What a short training learns: other views are found, poses get better."""
from __future__ import annotations

import numpy as np
import pytest
import torch


@torch.no_grad()
def retrieval(model, views, seed=999, groups=60):
    """How often the nearest image is the other view, and mean errors."""
    x, samples = views.make_samples(groups, seed=seed)
    model.eval()
    found = model(x, samples, mode='predict')
    units = torch.from_numpy(np.concatenate(
        [s.pred_instances.embedding for s in found]))
    apart = torch.cdist(units, units).fill_diagonal_(9.)
    hit = float((apart.argmin(1) == torch.arange(len(x)) ^ 1).float().mean())
    error = {}
    for frame in ('canonical', 'camera'):
        key = f'keypoints_3d_{frame}'
        error[frame] = float(np.mean([np.linalg.norm(
            s.pred_instances[key] - s.gt_instance_labels[key].numpy(),
            axis=-1).mean() for s in found]))
    return hit, error


@pytest.fixture(scope='module')
def trained(views):
    model = views.build(views.lifter_cfg('BN1d', head=dict(loss=dict(
        type='HardNetLoss', near_seconds=.5, warm_up=60))))
    before = retrieval(model, views)
    history = views.train(model, 150, annotated=.5)
    return before, retrieval(model, views), history


def test_the_metric_loss_falls(trained):
    history = trained[2]
    # Of random negatives, then of the hardest.
    first = np.mean([h['loss_metric'] for h in history[:5]])
    last = np.mean([h['loss_metric'] for h in history[55:60]])
    assert last < .8 * first
    first = np.mean([h['loss_metric'] for h in history[60:65]])
    last = np.mean([h['loss_metric'] for h in history[-5:]])
    assert last < first
    assert history[-1]['mon_spread'] > .3  # no collapse


def test_the_other_view_is_found(trained):
    (before, _), (after, _), _ = trained
    assert after > before + .1, (before, after)


def test_both_poses_get_better(trained):
    (_, before), (_, after), _ = trained
    assert after['canonical'] < .7 * before['canonical'], (before, after)
    assert after['camera'] < .7 * before['camera'], (before, after)
