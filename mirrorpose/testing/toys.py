"""A toy data set and a toy curriculum: every part of a run, in seconds.

Registered for configs by ``custom_imports = dict(imports=['mirrorpose',
'mirrorpose.testing'])``.
"""
from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmpose.registry import DATASETS

from ..structures import Skeleton

#: Pixels of a side of the image.
SIDE = 32
CODEC = dict(type='MSRAHeatmap', input_size=(SIDE, SIDE),
             heatmap_size=(SIDE // 4, SIDE // 4), sigma=1.)
META_KEYS = ('id', 'img_id', 'img_path', 'input_size', 'input_center',
             'input_scale', 'flip_indices', 'is_labeled')


@DATASETS.register_module(force=True)
class ToyPeople(torch.utils.data.Dataset):
    """Random people as coloured dots, in mmpose's top-down form.

    Args:
        number (int): Of people. Defaults to 8.
        seed (int): Of the people. Defaults to 0.
        label_fraction, split_seed: Kept, not used.
        pipeline (list): Transforms.
    """

    def __init__(self, number: int = 8, seed: int = 0,
                 label_fraction: float = 1., split_seed: int = 0,
                 pipeline: list | tuple = ()) -> None:
        self.number, self.seed = number, seed
        self.label_fraction, self.split_seed = label_fraction, split_seed
        self.pipeline = Compose(list(pipeline))
        skeleton = Skeleton.from_name('mpii_16')
        self.flip_indices = list(skeleton.flip_indices)
        self.metainfo = dict(dataset_name='toy', flip_indices=np.array(
            skeleton.flip_indices), num_keypoints=16)

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < self.number:
            raise IndexError(index)
        rng = np.random.default_rng([self.seed, index])
        points = rng.uniform(4, SIDE - 4, (1, 16, 2)).astype(np.float32)
        image = np.zeros((SIDE, SIDE, 3), np.uint8)
        for k, (x, y) in enumerate(points[0]):
            cv2.circle(image, (int(x), int(y)), 2,
                       (16 * k, 255 - 16 * k, 99), -1)
        return self.pipeline(dict(
            img=image, img_path=f'{index}.jpg', id=f'{self.seed}-{index}',
            img_id=index, bbox=np.array([[0, 0, SIDE, SIDE]], np.float32),
            bbox_score=np.ones(1, np.float32), keypoints=points,
            keypoints_visible=np.ones((1, 16), np.float32), is_labeled=True,
            ori_shape=(SIDE, SIDE), img_shape=(SIDE, SIDE),
            flip_indices=self.flip_indices))


def toy_cfg(work_dir: str | Path, **changes: Any) -> Config:
    """A complete config of MirrorNet's joint stage, with a stage before it.

    Args:
        work_dir (str | Path): Its work dir.
        **changes: Entries of the config to replace.
    """
    norm = dict(type='BN')
    pipeline = [
        dict(type='GetBBoxCenterScale', padding=1.),
        dict(type='TopdownAffine', input_size=CODEC['input_size']),
        dict(type='GenerateTarget', encoder=CODEC),
        dict(type='PackPoseInputs', meta_keys=META_KEYS)]

    def loader(number: int, seed: int, shuffle: bool = False,
               batch: int = 4) -> dict:
        return dict(
            batch_size=batch, num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=shuffle),
            dataset=dict(type='ToyPeople', number=number, seed=seed,
                         pipeline=pipeline))

    latent = dict(type='LatentRecognizer', base_channels=4,
                  latent_channels=4, norm_cfg=norm)
    cfg = dict(
        custom_imports=dict(imports=['mirrorpose', 'mirrorpose.testing']),
        default_scope='mmpose', runner_type='CurriculumRunner',
        work_dir=str(work_dir), log_level='WARNING',
        batch_size_is_global=True,
        randomness=dict(seed=0), param_scheduler=[],
        default_hooks=dict(
            timer=dict(type='IterTimerHook'),
            logger=dict(type='LoggerHook', interval=1),
            param_scheduler=dict(type='ParamSchedulerHook'),
            checkpoint=dict(type='CheckpointHook', interval=1,
                            max_keep_ckpts=2),
            sampler_seed=dict(type='DistSamplerSeedHook')),
        custom_hooks=[dict(type='NonFiniteGuard'),
                      dict(type='AverageScores', last=2)],
        visualizer=dict(type='PoseLocalVisualizer', name='visualizer',
                        vis_backends=[dict(type='LocalVisBackend')]),
        optim_wrapper=dict(type='OptimWrapper',
                           optimizer=dict(type='Adam', lr=3e-3)),
        train_cfg=dict(by_epoch=True, max_epochs=2, val_interval=1),
        val_cfg=dict(), test_cfg=dict(),
        train_dataloader=loader(8, 0, True),
        val_dataloader=loader(4, 1), test_dataloader=loader(4, 1),
        val_evaluator=dict(type='PCKAccuracy', thr=.2, norm_item='bbox'),
        test_evaluator=dict(type='PCKAccuracy', thr=.2, norm_item='bbox'),
        model=dict(
            type='MirrorNet', sigma=1.,
            data_preprocessor=dict(
                type='PoseDataPreprocessor', mean=[99., 99, 99],
                std=[60., 60, 60], bgr_to_rgb=True),
            backbone=dict(type='ResNet', depth=18, num_stages=1,
                          strides=(1, ), dilations=(1, ), out_indices=(0, ),
                          base_channels=4, stem_channels=4),
            head=dict(type='HeatmapHead', in_channels=4, out_channels=16,
                      deconv_out_channels=None, decoder=CODEC,
                      loss=dict(type='HeatmapNLLLoss')),
            image_vae=dict(
                type='ImageVAE',
                appearance_recognizer=dict(latent, in_channels=3),
                scene_recognizer=dict(latent, in_channels=3),
                generator=dict(type='ImageGenerator', base_channels=4,
                               appearance_channels=4, scene_channels=4)),
            pose_vae=dict(
                type='PoseVAE', map_size=(8, 8), sigma=1.,
                recognizer=dict(latent, in_channels=16),
                generator=dict(type='PoseGenerator', base_channels=4,
                               latent_channels=4)),
            mask_estimator=dict(type='MaskEstimator', widths=(4, 4, 8)),
            test_cfg=dict(flip_test=False)),
        stage_data=dict(poses=dict(
            train_dataloader=loader(12, 2, True),
            val_dataloader=loader(4, 1),
            val_evaluator=dict(type='MeanBound'))),
        stages=[
            dict(name='pose_vae', epochs=3, data='poses',
                 model=dict(type='PoseAutoencoding',
                            take=['pose_vae', 'data_preprocessor'])),
            dict(name='joint', epochs=2,
                 init_from=dict(pose_vae='pose_vae'))])
    cfg.update(copy.deepcopy(changes))
    return Config(cfg)
