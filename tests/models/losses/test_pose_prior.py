"""A pose prior in the loss of mmpose's heads."""
from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from mmpose.registry import DATASETS, MODELS
from torch import nn

from mirrorpose.models.losses import PosePriorLoss
from mirrorpose.models.pose import PosePrior, draw_gaussians
from mirrorpose.structures import Skeleton

ROOT = Path(__file__).resolve().parents[3]
MSE = dict(type='KeypointMSELoss', use_target_weight=True)


class StandardNormal(nn.Module):
    """The simplest prior: coordinates are N(centre, 1); a closed form."""

    reads_sequence = False

    def __init__(self, centre: float = 0.) -> None:
        super().__init__()
        self.skeleton = Skeleton.from_name('mpii_16')
        self.register_buffer('centre', torch.tensor(centre))
        self.norm = nn.BatchNorm1d(4, affine=False)

    def score(self, keypoints, mask=None):
        return -.5 * ((keypoints - self.centre)**2
                      + math.log(2 * math.pi)).flatten(1).sum(1)


class Weighted(StandardNormal):
    """One with a parameter, whose score it scales."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.factor = nn.Parameter(torch.tensor(2.))

    def score(self, keypoints, mask=None):
        return self.factor * super().score(keypoints)


class Sequences(StandardNormal):
    reads_sequence = True


@pytest.fixture(autouse=True)
def registered():
    kinds = (StandardNormal, Weighted, Sequences)
    for kind in kinds:
        MODELS.register_module(module=kind)
    yield
    for kind in kinds:
        MODELS.module_dict.pop(kind.__name__)


def make(**kwargs) -> PosePriorLoss:
    return MODELS.build(dict(dict(
        type='PosePriorLoss', loss=MSE, weight=.1,
        prior=dict(type='StandardNormal')), **kwargs))


def test_value_and_gradient_of_coordinates():
    """Base loss plus the closed form, differentiated by hand."""
    assert isinstance(StandardNormal(), PosePrior)
    loss = make(loss=dict(type='SmoothL1Loss', use_target_weight=True))
    g = torch.Generator().manual_seed(0)
    output = torch.rand(3, 16, 2, generator=g).requires_grad_()
    target = torch.rand(3, 16, 2, generator=g)
    weights = torch.ones(3, 16, 1)
    weights[2] = 0  # an un-annotated sample
    value = loss(output, target, weights)
    base = MODELS.build(dict(type='SmoothL1Loss', use_target_weight=True))(
        output, target, weights)
    x = 2 * output - 1
    expected = base + .1 * (.5 * (x**2 + math.log(2 * math.pi))
                            ).sum((1, 2)).mean()
    torch.testing.assert_close(value, expected)
    grad, = torch.autograd.grad(value, output)
    # d/du of .1 / 3 * .5 (2u - 1)^2: the un-annotated sample's only term.
    torch.testing.assert_close(grad[2], .1 / 3 * 2 * x[2].detach())


def test_maps_are_read_around_their_peak():
    """The keypoint is where the Gaussian was drawn, whatever else is on."""
    loss = make(radius=3, temperature=.05)
    g = torch.Generator().manual_seed(1)
    cells = torch.rand(2, 16, 2, generator=g) * 12 + 4
    maps = draw_gaussians(cells, (24, 20), 1.)
    maps = maps + .3 * draw_gaussians(cells.new_tensor([18., 22.]).expand_as(
        cells), (24, 20), 1.)
    found = loss.keypoints(maps)
    shares = cells / cells.new_tensor([20., 24.])
    torch.testing.assert_close(found, 2 * shares - 1, atol=.05, rtol=0)


def test_agrees_with_the_maps_that_a_prior_draws(toy):
    """A pose VAE on 16 x 16 maps sees a pose of 16 x 16 maps unmoved."""
    loss = PosePriorLoss(
        toy.pose_vae_cfg(init_cfg=dict(type='Constant', layer='Linear',
                                       val=0.)), 1., MSE, radius=3,
        temperature=.1)
    cells = torch.rand(2, 16, 2, generator=torch.Generator().manual_seed(2)
                       ) * 8 + 4
    maps = draw_gaussians(cells, (16, 16), 1.)
    torch.testing.assert_close(loss.prior.draw(loss.keypoints(maps)), maps,
                               atol=.2, rtol=0)
    # Twice the resolution, and coordinates: the same place in the image.
    for other in (draw_gaussians(cells * 2, (32, 32), 2.), cells / 16):
        torch.testing.assert_close(loss.keypoints(other),
                                   loss.keypoints(maps), atol=.04, rtol=0)


def test_what_the_ordinary_loss_gets(toy):
    """RLE's deviations and stages of CPMHead pass through."""
    sigma = torch.rand(2, 16, 2)
    pose, target = torch.rand(2, 16, 2), torch.rand(2, 16, 2)
    rle = dict(type='RLELoss', use_target_weight=True)
    torch.manual_seed(0)
    plain = MODELS.build(rle)
    torch.manual_seed(0)
    wrapped = make(loss=rle, weight=0.)
    wrapped.loss.load_state_dict(plain.state_dict())
    torch.testing.assert_close(
        wrapped(pose, sigma, target, torch.ones(2, 16, 1)),
        plain(pose, sigma, target, torch.ones(2, 16, 1)))
    head = toy.build(dict(
        type='CPMHead', in_channels=4, out_channels=16, num_stages=2,
        deconv_out_channels=None, loss=dict(
            type='PosePriorLoss', loss=MSE, weight=1.,
            prior=dict(type='StandardNormal'))))
    feats = [torch.randn(2, 4, 16, 16) for _ in range(2)]
    _, samples = toy.make_batch((True, True))
    out = head.loss(feats, samples)['loss_kpt']
    stages = [head.loss_module(maps, torch.stack(
        [s.gt_fields.heatmaps for s in samples]), torch.cat(
            [s.gt_instance_labels.keypoint_weights for s in samples]))
        for maps in head(feats)]
    torch.testing.assert_close(out, sum(stages))


def test_frozen_and_logged():
    loss = make()
    loss.train()
    assert not loss.prior.training and not loss.prior.norm.training
    output = torch.rand(2, 16, 8, 8)
    loss(output, output, torch.ones(2, 16))
    held = MessageHub.get_current_instance().log_scalars
    value = held['train/mon_plausibility'].current()
    assert value == pytest.approx(float(
        loss.prior.score(loss.keypoints(output)).mean()))


def test_weights_come_from_any_file_that_holds_them(tmp_path):
    trained = Weighted(centre=.5)
    trained.factor.data.fill_(7.)
    path = str(tmp_path / 'prior.pth')
    for prefix in ('', 'pose_vae.', 'module.prior.'):
        state = {prefix + k: v for k, v in trained.state_dict().items()}
        torch.save(dict(state_dict=dict(state, other=torch.ones(2))), path)
        loss = make(prior=dict(type='Weighted'), checkpoint=path)
        loss.init_weights()
        assert float(loss.prior.factor) == 7
        assert float(loss.prior.centre) == .5
        assert not loss.prior.factor.requires_grad
    torch.save(dict(state_dict=dict(backbone=torch.ones(2))), path)
    loss = make(prior=dict(type='Weighted'), checkpoint=path)
    with pytest.raises(ValueError, match="holds no Weighted.*'backbone'"):
        loss.init_weights()
    loss.checkpoint = str(tmp_path / 'none.pth')
    loss._is_init = False
    with pytest.raises(FileNotFoundError, match='none.pth'):
        loss.init_weights()


@pytest.mark.parametrize('change, message', [
    (dict(weight=-1.), 'weight must not be negative'),
    (dict(radius=0), 'radius at least 1'),
    (dict(temperature=0.), 'temperature must be positive'),
    (dict(prior=dict(type='Weighted')), 'no trained weights'),
])
def test_wrong_values(change, message):
    with pytest.raises(ValueError, match=message):
        make(**change)


def test_wrong_priors_and_outputs():
    with pytest.raises(TypeError, match='is no pose prior'):
        make(prior=dict(type='KeypointMSELoss'))
    with pytest.raises(TypeError, match='scores sequences'):
        make(prior=dict(type='Sequences'))
    loss = make()
    with pytest.raises(ValueError, match=r'got \(2, 16\)'):
        loss.keypoints(torch.ones(2, 16))
    with pytest.raises(ValueError, match="17 joints.*'mpii_16'"):
        loss.keypoints(torch.ones(2, 17, 2))


@pytest.mark.parametrize('name', ['heatmap', 'regression'])
def test_example_configs_train(name, tmp_path):
    """The loss falls; the prior's term reaches the backbone; it stays."""
    cfg = Config.fromfile(str(ROOT / f'configs/pose_prior_{name}_lsp.py'))
    spec = cfg.model.head.loss
    torch.manual_seed(0)
    prior = MODELS.build(copy.deepcopy(spec.prior))
    spec.checkpoint = str(tmp_path / 'prior.pth')
    torch.save(dict(state_dict={f'pose_vae.{k}': v for k, v in
                                prior.state_dict().items()}), spec.checkpoint)
    model = MODELS.build(cfg.model)
    model.init_weights()
    held = model.head.loss_module.prior
    for key, value in prior.state_dict().items():
        torch.testing.assert_close(held.state_dict()[key], value)
    still = [t for t in cfg.train_dataloader.dataset.pipeline
             if not t['type'].startswith('Random')]
    dataset = DATASETS.build(dict(
        type='SyntheticPoseDataset', num_samples=4, split='train',
        image_size=96, pipeline=still))
    samples = [dataset[i] for i in range(4)]
    weights = samples[3]['data_samples'].gt_instance_labels.keypoint_weights
    weights.zero_()  # an un-annotated sample
    batch = model.data_preprocessor(pseudo_collate(samples), True)
    model.train()

    def gradient(*rows):
        """Of the prior's term alone, with respect to the backbone."""
        output = model.head(model.extract_feat(batch['inputs']))
        loss = model.head.loss_module
        score = loss.prior.score(loss.keypoints(output))
        grads = torch.autograd.grad(score[list(rows)].sum(),
                                    list(model.backbone.parameters()),
                                    allow_unused=True)
        return sum(float(g.abs().sum()) for g in grads if g is not None)

    assert gradient(0, 1, 2) > 0
    assert gradient(3) > 0
    wrapper = OptimWrapper(torch.optim.Adam(model.parameters(), 1e-3))
    losses, ordinary = [], []
    hub = MessageHub.get_current_instance()
    for _ in range(12):
        with wrapper.optim_context(model):
            out = model(**batch, mode='loss')
        total, _ = model.parse_losses(out)
        wrapper.update_params(total)
        losses.append(float(total.detach()))
        ordinary.append(losses[-1] + spec.weight * hub.get_scalar(
            'train/mon_plausibility').current())
    assert losses[-1] < losses[0]
    assert ordinary[-1] < .95 * ordinary[0]
    for key, value in prior.state_dict().items():
        torch.testing.assert_close(held.state_dict()[key], value, rtol=0,
                                   atol=0)
