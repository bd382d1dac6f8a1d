"""Statistics of poses, consistency of cameras, uncertainty."""
from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mirrorpose.models.metric_pose import PoseStatistics, read_labels
from mirrorpose.models.metric_pose.heads import PoseRegressor
from mirrorpose.models.metric_pose.uncertainty import EmbeddingUncertainty
from mirrorpose.models.pose.views import ViewLabels


def test_statistics_go_to_the_head_once(views):
    model = views.build(views.lifter_cfg())
    mean, std = np.ones((17, 3)), np.full((17, 3), .2)

    def runner(data):
        return SimpleNamespace(model=model, train_dataloader=SimpleNamespace(
            dataset=SimpleNamespace(dataset=data)))

    PoseStatistics().before_train(runner(SimpleNamespace(
        pose_statistics=lambda: (mean, std))))
    assert (model.head.pose.mean == 1).all()
    assert (model.head.pose.std == 1).all()  # not below a millimetre
    PoseStatistics().before_train(runner(SimpleNamespace(
        pose_statistics=lambda: (5 * mean, std))))
    assert (model.head.pose.mean == 1).all()
    again = views.build(views.lifter_cfg())
    again.load_state_dict(model.state_dict())
    assert (again.head.pose.mean == 1).all() and again.head.pose.fitted == 1
    again.head.pose.fitted.zero_()
    model = again
    with pytest.raises(TypeError, match='pose_statistics'):
        PoseStatistics().before_train(runner(SimpleNamespace()))
    with pytest.raises(ValueError, match='never annotated'):
        PoseRegressor(4, 17).fit(mean * np.nan, std)


def test_consistency_of_true_poses_is_zero(views):
    """True camera-frame poses agree in the world; other cameras do not."""
    x, samples = views.make_samples(6, calibrated=True)
    model = views.build(views.lifter_cfg(consistency_weight=1.)).eval()
    labels = read_labels(samples, 17)
    embedding = model.head.embedding(model.extract_feat(x))
    poses = torch.cat([s.gt_instance_labels.keypoints_3d_camera
                       for s in samples])
    model.head.output = lambda e: SimpleOut(poses)
    assert model.consistency(embedding, labels)['mon_disagreement'] < .01
    swapped = labels._replace(extrinsics=labels.extrinsics.flip(0))
    assert model.consistency(embedding, swapped)['mon_disagreement'] > 10
    unknown = labels._replace(calibrated=labels.calibrated & False)
    assert model.consistency(embedding, unknown)['loss_consistency'] == 0


class SimpleOut:
    def __init__(self, camera):
        self.camera = camera


def test_consistency_trains(views):
    """Without any label, predictions of two views come to agree."""
    model = views.build(views.lifter_cfg(consistency_weight=1.))
    history = views.train(model, 25, annotated=0.)
    first = np.mean([h['mon_disagreement'] for h in history[:5]])
    last = np.mean([h['mon_disagreement'] for h in history[-5:]])
    assert last < first
    plain = views.build(views.lifter_cfg())
    assert 'loss_consistency' not in plain(
        *views.make_samples(2), mode='loss')


def test_uncertainty_is_a_gaussian_s_likelihood():
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(5, 4, generator=g), torch.randn(5, 4, generator=g)
    la, lb = torch.randn(5, generator=g), torch.randn(5, generator=g)
    deviation = (la.exp() + lb.exp()).sqrt()[:, None].expand(-1, 4)
    want = -torch.distributions.Normal(0., deviation).log_prob(a - b).sum(1)
    torch.testing.assert_close(EmbeddingUncertainty.nll(a, b, la, lb), want)


def test_uncertainty_finds_which_views_are_bad(views):
    """Half of the images are noisy, and one input says which."""
    torch.manual_seed(0)
    net = EmbeddingUncertainty(3, hidden=32, loss_weight=1.)
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    zero = torch.zeros(256).long()
    labels = ViewLabels(torch.arange(256) // 2, zero, zero,
                        torch.arange(256) % 2, zero.double())
    for _ in range(150):
        bad = (torch.rand(256) < .5).float()
        spread = torch.where(bad > 0, .3, .05)
        unit = torch.randn(128, 8).repeat_interleave(2, 0) + \
            spread[:, None] * torch.randn(256, 8)
        feature = torch.stack([bad, torch.randn(256), 1 - bad], 1)
        feature.requires_grad_()
        loss = net.loss(feature, unit, labels)['loss_uncertainty']
        adam.zero_grad()
        loss.backward()
        assert feature.grad is None
        adam.step()
    probe = net(torch.tensor([[1., 0, 0], [0., 0, 1]])).exp().sqrt()
    torch.testing.assert_close(probe, torch.tensor([.3, .05]), rtol=.3,
                               atol=0)


def test_options_off_leave_the_rest_alone(views):
    """Uncertainty changes no gradient of the embedding."""
    x, samples = views.make_samples(6)
    grads = []
    for extra in (dict(), dict(uncertainty=dict())):
        model = views.build(views.lifter_cfg(head=extra), seed=3)
        model.load_state_dict(views.build(
            views.lifter_cfg(), seed=3).state_dict(), strict=False)
        views.total(model(x, samples, mode='loss')).backward()
        grads.append(model.head.embed.weight.grad)
    torch.testing.assert_close(*grads)
