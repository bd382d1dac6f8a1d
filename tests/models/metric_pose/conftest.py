"""Toy views: figures of sticks in 3D, seen as 2D joints by four cameras."""
from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

import mirrorpose  # noqa: F401
from mirrorpose.models.metric_pose import canonical_pose
from mirrorpose.structures import Skeleton

H36M = Skeleton.from_name('h36m_17')
WIDTH = 16

if DefaultScope.get_current_instance() is None:
    init_default_scope('mmpose')


def figures(number: int, seed: int = 0, tall: float = 1.) -> torch.Tensor:
    """World poses (number, 17, 3) in mm, y up, facing anywhere."""
    rng = np.random.default_rng(seed)
    a = rng.uniform(-1, 1, (number, 12))
    j = {}

    def ray(start, swing, out, length):
        """Down, swung forward and outward."""
        way = np.stack([np.sin(out) * np.cos(swing),
                        -np.cos(out) * np.cos(swing), np.sin(swing)], -1)
        return start + length * way

    zero = np.zeros((number, 3))
    lean = .3 * a[:, 0]
    up = np.stack([np.sin(lean), np.cos(lean), .3 * a[:, 1]], -1)
    j['root'] = zero
    for name, h in (('spine', 230), ('thorax', 480), ('neck_base', 560),
                    ('head', 700)):
        j[name] = zero + h * up
    for s, side in ((1, 'left'), (-1, 'right')):
        b = a[:, 2:7] if s > 0 else a[:, 7:12]
        hip = zero + np.array([130 * s, 0, 0])
        j[f'{side}_hip'] = hip
        knee = ray(hip, .7 * b[:, 0], .3 * s * (b[:, 1] + 1), 440)
        j[f'{side}_knee'] = knee
        j[f'{side}_foot'] = ray(knee, .7 * b[:, 0] - .6 - .5 * b[:, 2],
                                0 * b[:, 0], 430)
        shoulder = j['thorax'] + np.array([150 * s, 0, 0])
        j[f'{side}_shoulder'] = shoulder
        elbow = ray(shoulder, 1.3 * b[:, 3], .9 * s * (b[:, 1] + 1), 280)
        j[f'{side}_elbow'] = elbow
        j[f'{side}_wrist'] = ray(elbow, 1.3 * b[:, 3] + .8 + .7 * b[:, 4],
                                 .5 * s * (b[:, 1] + 1), 250)
    pose = np.stack([j[name] for name in H36M.joints], 1) * tall
    turn = rng.uniform(0, 2 * np.pi, number)
    c, s, o, e = np.cos(turn), np.sin(turn), 0 * turn, 1 + 0 * turn
    spin = np.stack([c, o, s, o, e, o, -s, o, c], -1).reshape(-1, 3, 3)
    return torch.from_numpy(pose @ spin.transpose(0, 2, 1))


def cameras(number: int = 4) -> torch.Tensor:
    """(number, 3, 3) world to camera: round about, looking down a bit."""
    out = []
    for i in range(number):
        azimuth, tilt = 2 * np.pi * (i + .3) / number, .1 + .1 * i
        forward = np.array([-np.cos(tilt) * np.sin(azimuth), -np.sin(tilt),
                            -np.cos(tilt) * np.cos(azimuth)])
        right = np.cross(forward, [0, 1, 0])
        right /= np.linalg.norm(right)
        out.append(np.stack([right, np.cross(forward, right), forward]))
    return torch.from_numpy(np.stack(out))


def make_samples(groups: int = 12, views: int = 2, subjects: int = 2,
                 seed: int = 0, annotated: float = 1.,
                 calibrated: bool = True, identity: float = 0.):
    """2D joints (N, 17, 3) and their samples, group by group.

    With ``identity`` each subject's joints are moved by its own pattern, so
    that people can be told by their input.
    """
    rng = np.random.default_rng(seed + 1000)
    rig = cameras()
    marks = np.random.default_rng(7).normal(size=(subjects, 17, 2))
    subject = np.arange(groups) % subjects
    world = figures(groups, seed) * torch.from_numpy(
        1 + .05 * subject)[:, None, None]
    known = rng.random(groups) < annotated
    seen_by = np.stack([rng.permutation(len(rig))[:views]
                        for _ in range(groups)])
    turn = rig[torch.from_numpy(seen_by)].flatten(0, 1)
    camera = world.repeat_interleave(views, 0) @ turn.transpose(1, 2)
    canonical, rotation = canonical_pose(
        camera, turn @ torch.tensor([0., -1., 0.]).double())
    flat = camera[..., :2] / (4000 + camera[..., 2:]) / .25
    flat = flat + identity * torch.from_numpy(
        marks[subject]).repeat_interleave(views, 0)
    inputs = torch.cat([flat, torch.ones_like(flat[..., :1])], -1).float()
    nan = torch.from_numpy(np.where(known, 1., np.nan)).repeat_interleave(
        views)[:, None, None]
    move = torch.cat([turn, torch.zeros_like(turn[..., :1])], 2)
    held = dict(
        pose_annotated=torch.from_numpy(known).repeat_interleave(views),
        keypoints_3d_canonical=canonical * nan,
        keypoints_3d_camera=camera * nan, camera_rotation=rotation * nan,
        extrinsics=move if calibrated else move * float('nan'))
    held = {k: v.float() for k, v in held.items()}
    samples = []
    for g in range(groups):
        who = int(subject[g])
        for c in seen_by[g]:
            i = len(samples)
            labels = InstanceData(**{k: v[i:i + 1] for k, v in held.items()})
            sample = PoseDataSample(metainfo=dict(
                id=f'{seed}-{g}-{c}', img_path=f'{g}-{c}.jpg',
                subject=f'S{who}', subject_index=who,
                sequence=f'S{who}/walk{seed}', action='walk',
                frame=50 * g, seconds=float(g), camera=f'cam{c}',
                view_group=g, input_size=(WIDTH, WIDTH),
                input_center=np.array([8., 8.]),
                input_scale=np.array([16., 16.])))
            sample.gt_instance_labels = labels
            sample.gt_instances = InstanceData(
                bboxes=np.array([[0., 0., WIDTH, WIDTH]], np.float32),
                bbox_scores=np.ones(1, np.float32),
                keypoints=np.zeros((1, 17, 2), np.float32),
                keypoints_visible=np.ones((1, 17), np.float32))
            samples.append(sample)
    return inputs, samples


def lifter_cfg(norm: str = 'LN', **changes) -> dict:
    """A small regressor over 2D joints; LN: no batch statistics."""
    cfg = dict(
        type='MetricPoseRegressor',
        backbone=dict(type='PoseEncoder', num_keypoints=17, channels=96,
                      num_blocks=1, dropout=0.,
                      norm_cfg=dict(type='GN', num_groups=8) if norm == 'LN'
                      else dict(type='BN1d')),
        head=dict(type='MetricPoseHead', in_channels=96, embedding_dim=32,
                  rotation_hidden=32,
                  pose=dict(hidden=64, norm_cfg=dict(type=norm)),
                  loss=dict(type='HardNetLoss', near_seconds=.5)))
    for key, value in changes.items():
        if isinstance(value, dict) and key == 'head':
            cfg['head'].update(value)
        else:
            cfg[key] = value
    return cfg


def adversary(**kwargs) -> dict:
    """Of the two subjects of the toys, at its full weight from the start."""
    return dict(type='IdentityAdversary', num_subjects=2, ramp_steps=0,
                **kwargs)


def build(cfg: dict, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return MODELS.build(copy.deepcopy(cfg))


def total(losses: dict) -> torch.Tensor:
    """The sum that mmengine trains on."""
    return sum(v for k, v in losses.items() if 'loss' in k)


def train(model, steps, lr=2e-3, groups=24, **kwargs):
    """Steps on fresh batches; the losses of each."""
    adam = torch.optim.Adam(model.parameters(), lr)
    model.train()
    history = []
    for step in range(steps):
        x, samples = make_samples(groups, seed=step + 1, **kwargs)
        losses = model(x, samples, mode='loss')
        adam.zero_grad()
        total(losses).backward()
        adam.step()
        history.append({k: float(v.detach()) for k, v in losses.items()})
    return history


@pytest.fixture(scope='session')
def views():
    """The functions of this file."""
    return SimpleNamespace(**{
        k: v for k, v in globals().items() if not k.startswith('_')})
