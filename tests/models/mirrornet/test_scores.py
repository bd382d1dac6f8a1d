"""Plausibility and fidelity in MirrorNet's predictions."""
from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mirrorpose.models.mirrornet.batch import reduce_image
from mirrorpose.models.mirrornet.scores import (
    fidelity_scores,
    plausibility_scores,
)
from mirrorpose.models.pose import (
    draw_gaussians,
    normalised_from_cells,
    soft_argmax,
)

NAMES = ('plausibility', 'fidelity', 'keypoint_plausibility',
         'keypoint_fidelity')


@pytest.fixture(scope='module')
def model(toy):
    """Trained variances would differ; random weights do for identities."""
    model = toy.build(toy.mirrornet_cfg(toy.GN, decoder=True)).eval()
    for parameter in model.head.parameters():
        parameter.data.normal_(0, .3)
    return model


def predict(model, batch, **test_cfg):
    model.test_cfg = test_cfg
    with torch.no_grad():
        return model(batch[0], batch[1], mode='predict')


def test_keypoints_are_the_same_with_scores(model, toy):
    for options in (dict(), dict(flip_test=True)):
        plain = predict(model, toy.make_batch(), **options)
        scored = predict(model, toy.make_batch(), scores=True, **options)
        for one, two in zip(plain, scored):
            for key in ('keypoints', 'keypoint_scores'):
                np.testing.assert_array_equal(one.pred_instances[key],
                                              two.pred_instances[key])
            assert not set(NAMES) & set(one.pred_instances.keys())
            assert 'pred_fields' not in one
            for key in NAMES:
                shape = (1, 16) if key.startswith('keypoint') else (1, )
                assert two.pred_instances[key].shape == shape
                assert np.isfinite(two.pred_instances[key]).all()
            assert two.pred_fields.fidelity.shape == (1, 16, 16)
            assert 'heatmaps' not in two.pred_fields


def test_other_options_of_predict(model, toy):
    """Maps stay where asked for; chosen joints choose their scores."""
    whole = predict(model, toy.make_batch(), scores=True,
                    output_heatmaps=True)[0]
    assert whole.pred_fields.heatmaps.shape == (16, 16, 16)
    few = predict(model, toy.make_batch(), scores=True,
                  output_keypoint_indices=[3, 5])[0]
    np.testing.assert_array_equal(
        few.pred_instances.keypoint_plausibility,
        whole.pred_instances.keypoint_plausibility[:, [3, 5]])


def test_plausibility_is_the_priors_own(model, toy):
    """What score() and per_joint() say of the decoded pose."""
    images, _ = toy.make_batch()
    with torch.no_grad():
        maps = model.recognize(images)[-1]
        found = model.pose_scores(images, maps)
        cells = soft_argmax(maps, model.temperature, 3)
        points = normalised_from_cells(cells, (16, 16))
        torch.testing.assert_close(found.plausibility,
                                   model.pose_vae.score(points), rtol=1e-4,
                                   atol=1e-2)
        torch.testing.assert_close(found.keypoint_plausibility,
                                   model.pose_vae.per_joint(points),
                                   rtol=1e-4, atol=1e-2)


def test_fidelity_by_hand(model, toy):
    """Sums over pixels in a loop, at the mean of appearance and scene."""
    images, samples = toy.make_batch((True, True))
    pose = torch.stack([s.gt_fields.heatmaps for s in samples])
    image, vae = reduce_image(images, pose), model.image_vae
    mask = torch.rand(2, 1, 16, 16)
    with torch.no_grad():
        total, joints, cells = fidelity_scores(vae, image, pose, mask)
        a, s = (vae.appearance_recognizer(mask * image),
                vae.scene_recognizer((1 - mask) * image))
        mean = vae.decode(pose, a[0], s[0])[0]
    kl = sum(.5 * (m**2 + v.exp() - 1 - v).sum((1, 2, 3)) for m, v in (a, s))
    v = vae.variance
    for n in range(2):
        by_cell = torch.zeros(16, 16)
        for c in range(3):
            by_cell += -.5 * (math.log(2 * math.pi * v)
                              + (image[n, c] - mean[n, c])**2 / v)
        torch.testing.assert_close(cells[n, 0], by_cell, rtol=1e-4,
                                   atol=1e-3)
        torch.testing.assert_close(total[n], by_cell.sum() - kl[n],
                                   rtol=1e-4, atol=1e-2)
        for k in (0, 9):
            weight = pose[n, k] / pose[n, k].sum()
            torch.testing.assert_close(joints[n, k],
                                       (weight * by_cell).sum(), rtol=1e-4,
                                       atol=1e-3)


def test_learnt_variances(toy):
    """Two-branch generators give every cell a variance of its own."""
    cfg = toy.pose_vae_cfg(toy.GN)
    cfg['generator']['learn_variance'] = True
    vae = toy.build(cfg).eval()
    pose = draw_gaussians(torch.rand(3, 16, 2) * 15, (16, 16), 1.)
    with torch.no_grad():
        total, joints = plausibility_scores(vae, pose)
        points = vae(pose, torch.zeros_like)
    assert isinstance(points.log_variance, torch.Tensor)
    kl = .5 * (points.primitive[0]**2 + points.primitive[1].exp() - 1
               - points.primitive[1]).flatten(1).sum(1)
    torch.testing.assert_close(joints.sum(1) - kl, total, rtol=1e-4,
                               atol=1e-1)


def test_a_trained_prior_prefers_the_truth(toy):
    """Scores mean something: 60 steps, then a joint is moved."""
    vae = toy.build(toy.pose_vae_cfg(toy.GN)).train()
    poses = toy.stick_poses(64)
    maps = draw_gaussians((poses + 1) / 2 * 15, (16, 16), 1.)
    optimizer = torch.optim.Adam(vae.parameters(), 3e-3)
    for _ in range(60):
        out = vae(maps)
        loss = ((out.mean - maps)**2).sum() / len(maps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    moved = poses.clone()
    moved[:, 3] += .5
    wrong = draw_gaussians((moved + 1) / 2 * 15, (16, 16), 1.)
    with torch.no_grad():
        good, good_joints = plausibility_scores(vae.eval(), maps)
        bad, bad_joints = plausibility_scores(vae, wrong)
    assert float((good > bad).float().mean()) > .9
    # The joint that was moved is the one that loses most.
    fall = (good_joints - bad_joints).mean(0)
    assert int(fall.argmax()) == 3
