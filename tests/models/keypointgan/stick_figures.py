"""Stick figures as data, and configs of a small KeypointGAN for them."""
from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS
from mmpose.structures import PoseDataSample
from torch import Tensor
from torch.utils.data import Dataset

from mirrorpose.models.pose import SkeletonRenderer
from mirrorpose.structures import Skeleton

SIZE = 32
JOINTS = 'lsp_14'


def stick_poses(number: int, seed: int) -> Tensor:
    """Standing people that move, (N, 14, 2)."""
    rng = np.random.default_rng(seed)
    rest = np.array([
        [-.2, .8], [-.2, .45], [-.12, .1], [.12, .1], [.2, .45], [.2, .8],
        [-.45, .1], [-.4, -.15], [-.22, -.4], [.22, -.4], [.4, -.15],
        [.45, .1], [0, -.5], [0, -.8]])
    poses = rest + rng.normal(0, .06, (number, 14, 2))
    return torch.from_numpy(poses + rng.normal(0, .1, (number, 1, 2))).float()


def stick_images(poses: Tensor, seed: int) -> Tensor:
    """Their pictures, uint8 (N, 3, 32, 32): coloured limbs on a ground."""
    rng = np.random.default_rng(seed)
    drawn = SkeletonRenderer(JOINTS, SIZE, sigma=.25)(poses)
    colours = torch.from_numpy(rng.uniform(0, 255, (2, len(poses), 3, 1, 1)))
    return (drawn * colours[0] + (1 - drawn) * colours[1]).byte()


@DATASETS.register_module(force=True)
class StickFigures(Dataset):
    """Batches as ``UnpairedDataset`` makes them, items as its test mode.

    Args:
        number (int): Of frames and of poses.
        seed (int): Of both.
        test (bool): Items for evaluation.
        poses_only (bool): As ``UnpairedPoseDataset``.
    """

    def __init__(self, number: int = 8, seed: int = 0, test: bool = False,
                 poses_only: bool = False) -> None:
        self.truth = stick_poses(number, seed)
        other = self.truth + .1 * torch.randn(
            number, 14, 2, generator=torch.Generator().manual_seed(seed))
        self.images = stick_images(self.truth, seed)
        self.conditions = stick_images(other, seed)
        self.poses = stick_poses(number, seed + 1000)
        self.test, self.poses_only = test, poses_only
        self.metainfo = Skeleton.from_name(JOINTS).metainfo()
        self.metainfo['flip_indices'] = Skeleton.from_name(
            JOINTS).flip_indices

    def __len__(self) -> int:
        return len(self.truth)

    def sample(self, i: int) -> PoseDataSample:
        pixels = ((self.truth[i:i + 1] + 1) / 2 * (SIZE - 1)).numpy()
        sample = PoseDataSample(metainfo=dict(
            id=str(i), img_id=i, input_size=(SIZE, SIZE),
            input_center=np.array([SIZE / 2] * 2),
            input_scale=np.array([SIZE, SIZE], np.float32),
            dataset_name='sticks'))
        sample.gt_instances = InstanceData(
            keypoints=pixels, keypoints_visible=np.ones((1, 14), np.float32),
            bboxes=np.array([[0, 0, SIZE, SIZE]], np.float32),
            bbox_scores=np.ones(1, np.float32))
        return sample

    def __getitem__(self, i: int) -> dict[str, Any]:
        if not 0 <= i < len(self):
            raise IndexError(i)
        if self.test:
            return dict(inputs=self.images[i], data_samples=self.sample(i))
        present = torch.ones(14, dtype=torch.bool)
        if self.poses_only:
            return dict(poses=self.poses[i], pose_present=present,
                        ids=str(i))
        return dict(inputs=dict(image=self.images[i],
                                condition=self.conditions[i]),
                    poses=self.poses[i], pose_present=present,
                    data_samples=self.sample(i))

    def get_batch(self, indices: list[int],
                  keys: np.ndarray) -> dict[str, Any]:
        items = [self[i] for i in indices]
        # Something that is drawn by the keys, as augmentation is.
        shift = torch.from_numpy((keys % 7).astype(np.float32)) / 100
        out: dict[str, Any] = dict(
            poses=torch.stack([i['poses'] for i in items])
            + shift[:, None, None],
            pose_present=torch.stack([i['pose_present'] for i in items]))
        if not self.poses_only:
            out['inputs'] = {k: torch.stack([i['inputs'][k] for i in items])
                             for k in ('image', 'condition')}
            out['data_samples'] = [i['data_samples'] for i in items]
        return out


def model_cfg(**changes: Any) -> dict[str, Any]:
    """Config of a KeypointGAN of 32 pixels and four channels."""
    cfg = dict(
        type='KeypointGAN',
        backbone=dict(type='SkeletonTranslator', width=4),
        head=dict(type='SkeletonRegressor', skeleton=JOINTS, width=4),
        generator=dict(type='ConditionalDecoder', width=4),
        discriminator=dict(type='MultiScaleDiscriminator', width=4,
                           scales=1),
        renderer=dict(type='SkeletonRenderer', skeleton=JOINTS, size=SIZE),
        perceptual=dict(type='PerceptualLoss', features='random', width=2),
        pool_size=4)
    cfg.update(copy.deepcopy(changes))
    return cfg


def optim_cfg(rate: float = 2e-4) -> dict[str, Any]:
    """The paper's optimizers."""
    adam = dict(type='OptimWrapper', clip_grad=dict(max_norm=1.),
                optimizer=dict(type='Adam', lr=rate, betas=(.5, .999)))
    return dict(
        constructor='PerChildOptimWrapperConstructor',
        generator=dict(adam, children=['backbone', 'generator']),
        discriminator=dict(adam), regressor=dict(adam, children=['head']))
