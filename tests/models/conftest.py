"""Toy batches and toy models of MirrorNet, one set for all its tests."""
from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

import mirrorpose  # noqa: F401
from mirrorpose.models.pose import draw_gaussians
from mirrorpose.structures import Skeleton

MPII = Skeleton.from_name('mpii_16')
GN = dict(type='GN', num_groups=2)
BN = dict(type='BN')
CODEC = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16),
             sigma=1.)

if DefaultScope.get_current_instance() is None:
    init_default_scope('mmpose')


def stick_poses(number: int, seed: int = 0) -> torch.Tensor:
    """Figures of sticks, (number, 16, 2), normalised to [-1, 1].

    The trunk is upright, limbs swing about it: a low-dimensional family in
    which every joint can be told from the others.
    """
    g = torch.Generator().manual_seed(seed)

    def swing(low: float, high: float) -> torch.Tensor:
        return torch.rand(number, generator=g) * (high - low) + low

    def down(start: torch.Tensor, angle: torch.Tensor,
             length: float) -> torch.Tensor:
        way = torch.stack([angle.sin(), angle.cos()], -1)
        return start + length * way

    joints = {}
    pelvis = torch.stack([swing(-.15, .15), swing(.0, .1)], -1)
    lean = swing(-.2, .2)
    up = torch.pi + lean
    joints['pelvis'], joints['thorax'] = pelvis, down(pelvis, up, .4)
    joints['upper_neck'] = down(pelvis, up, .5)
    joints['head_top'] = down(pelvis, up, .75)
    for side, sign in (('right', -1.), ('left', 1.)):
        across = torch.stack([lean.cos(), -lean.sin()], -1) * sign
        hip, shoulder = pelvis + .1 * across, joints['thorax'] + .18 * across
        a, b = swing(-.4, .4), swing(0., .8)
        joints[f'{side}_hip'] = hip
        joints[f'{side}_knee'] = down(hip, sign * a, .38)
        joints[f'{side}_ankle'] = down(joints[f'{side}_knee'],
                                       sign * (a - b / 2), .36)
        c, d = swing(.0, 1.5), swing(0., 1.2)
        joints[f'{side}_shoulder'] = shoulder
        joints[f'{side}_elbow'] = down(shoulder, sign * c, .25)
        joints[f'{side}_wrist'] = down(joints[f'{side}_elbow'],
                                       sign * (c + d), .22)
    return torch.stack([joints[j] for j in MPII.joints], 1)


def make_sample(name: str, heatmaps: torch.Tensor, weights: torch.Tensor,
                labelled: bool = True,
                silhouette: torch.Tensor | None = None,
                size: int = 64) -> PoseDataSample:
    """One sample as PackPoseInputs gives it."""
    sample = PoseDataSample(metainfo=dict(
        id=name, img_id=0, img_path=f'{name}.jpg', input_size=(size, size),
        input_center=np.array([size / 2, size / 2]),
        input_scale=np.array([size, size]),
        img_shape=(size, size), flip_indices=MPII.flip_indices,
        is_labeled=labelled))
    k = heatmaps.shape[0]
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor([[0., 0., size, size]]).numpy(),
        bbox_scores=torch.ones(1).numpy(),
        keypoints=torch.zeros(1, k, 2).numpy(),
        keypoints_visible=weights[None].numpy())
    sample.gt_instance_labels = InstanceData(keypoint_weights=weights[None])
    fields = PixelData()
    fields.heatmaps = heatmaps
    if silhouette is not None:
        fields.silhouette = silhouette
    sample.gt_fields = fields
    return sample


def make_batch(labels: tuple[bool, ...] = (True, ) * 4, size: int = 64,
               seed: int = 0, absent: float = 0., silhouettes: bool = False,
               sigma: float = 1.):
    """Images (N, 3, size, size) of bright sticks, and their samples."""
    n, cells = len(labels), size // 4
    poses = stick_poses(n, seed)
    g = torch.Generator().manual_seed(seed + 1)
    weights = (torch.rand(n, 16, generator=g) >= absent).float()
    maps = draw_gaussians((poses + 1) / 2 * (cells - 1), (cells, cells),
                          sigma)
    blobs = draw_gaussians((poses + 1) / 2 * (size - 1), (size, size), 3.)
    tint = torch.randn(n, 3, 1, 1, generator=g)
    person = blobs.amax(1, keepdim=True)
    back = torch.randn(n, 3, 4, 4, generator=g).repeat_interleave(
        size // 4, -1).repeat_interleave(size // 4, -2)
    # Some joints have a mark of their own, so that images tell them apart.
    colour = torch.randn(3, 16, generator=g)
    image = (1 - person) * .5 * back + person * tint + torch.einsum(
        'ck,nkhw->nchw', colour, blobs)
    mask = torch.nn.functional.adaptive_avg_pool2d((person > .3).float(),
                                                   cells)
    samples = []
    for i, labelled in enumerate(labels):
        keep = weights[i] if labelled else torch.zeros(16)
        samples.append(make_sample(
            f'{seed}-{i}', maps[i] * keep[:, None, None], keep, labelled,
            mask[i] if silhouettes else None, size))
    return image, samples


def pose_vae_cfg(norm=BN, **kwargs) -> dict:
    return dict(
        dict(type='PoseVAE',
             recognizer=dict(type='LatentRecognizer', in_channels=16,
                             base_channels=8, latent_channels=8,
                             norm_cfg=norm),
             generator=dict(type='PoseGenerator', base_channels=8,
                            latent_channels=8, norm_cfg=norm),
             map_size=(16, 16), sigma=1.), **kwargs)


def image_vae_cfg(norm=BN, **kwargs) -> dict:
    latent = dict(type='LatentRecognizer', in_channels=3, base_channels=8,
                  latent_channels=4, norm_cfg=norm)
    return dict(
        dict(type='ImageVAE', appearance_recognizer=latent,
             scene_recognizer=latent,
             generator=dict(type='ImageGenerator', base_channels=8,
                            appearance_channels=4, scene_channels=4,
                            norm_cfg=norm)), **kwargs)


def mask_cfg(norm=BN) -> dict:
    return dict(type='MaskEstimator', widths=(8, 8, 16), norm_cfg=norm)


def recognizer_cfg(norm=BN, decoder: bool = False, **kwargs) -> dict:
    """A tiny backbone and head; no batch statistics with GroupNorm."""
    return dict(
        dict(backbone=dict(type='ResNet', depth=18, num_stages=2,
                           strides=(1, 1), dilations=(1, 1),
                           out_indices=(1, ), base_channels=8,
                           stem_channels=8, norm_cfg=norm, norm_eval=False),
             head=dict(type='HeatmapHead', in_channels=16, out_channels=16,
                       deconv_out_channels=None,
                       loss=dict(type='HeatmapNLLLoss', variance=.01),
                       decoder=CODEC if decoder else None)), **kwargs)


def mirrornet_cfg(norm=BN, decoder: bool = False, **kwargs) -> dict:
    vaes = {k: kwargs.pop(k, {}) for k in ('image_vae', 'pose_vae')}
    return dict(
        dict(type='MirrorNet', sigma=1., **recognizer_cfg(norm, decoder),
             image_vae=image_vae_cfg(norm, **vaes['image_vae']),
             pose_vae=pose_vae_cfg(norm, **vaes['pose_vae']),
             mask_estimator=mask_cfg(norm)), **kwargs)


def build(cfg: dict, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return MODELS.build(copy.deepcopy(cfg))


def total(losses: dict) -> torch.Tensor:
    """The sum that mmengine trains on."""
    return sum(v for k, v in losses.items() if 'loss' in k)


def gradients(model: torch.nn.Module, losses: dict) -> dict:
    model.zero_grad()
    total(losses).backward()
    return {k: None if p.grad is None else p.grad.clone()
            for k, p in model.named_parameters()}


def recognizer_part(grads: dict) -> dict:
    """What belongs to the recognizer alone."""
    return {k: v for k, v in grads.items()
            if k.startswith(('backbone.', 'head.'))}


def twin(model: torch.nn.Module, type_: str = 'PoseRecognition', norm=BN,
         decoder: bool = False) -> torch.nn.Module:
    """The plain recognizer with MirrorNet's weights."""
    plain = build(dict(type=type_, **recognizer_cfg(norm, decoder)))
    plain.load_state_dict(recognizer_part(model.state_dict()))
    return plain


def seeded(model: torch.nn.Module, batch: tuple, seed: int = 0) -> dict:
    """Losses of a batch, with the noise of a seed."""
    torch.manual_seed(seed)
    return model(*batch, mode='loss')


@pytest.fixture(scope='session')
def toy():
    """The functions of this file."""
    return SimpleNamespace(**{
        k: v for k, v in globals().items() if not k.startswith('_')})


@pytest.fixture
def hub(request):
    """A message hub in which no runner has left an iteration."""
    return MessageHub.get_instance(f'{request.node.name}-{id(request)}')
