"""A toy data set and a toy two-stage curriculum."""
from __future__ import annotations

import copy
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.runner import Runner
from mmpose.registry import DATASETS, HOOKS

import mirrorpose  # noqa: F401
from mirrorpose.engine import PoseRunner
from mirrorpose.structures import Skeleton

if DefaultScope.get_current_instance() is None:
    init_default_scope('mmpose')

SIDE = 32
CODEC = dict(type='MSRAHeatmap', input_size=(SIDE, SIDE),
             heatmap_size=(SIDE // 4, SIDE // 4), sigma=1.)
META_KEYS = ('id', 'img_id', 'img_path', 'input_size', 'input_center',
             'input_scale', 'flip_indices', 'is_labeled')


@DATASETS.register_module(force=True)
class ToyPeople(torch.utils.data.Dataset):
    """Random people as coloured dots, in mmpose's top-down form."""

    def __init__(self, number: int = 8, seed: int = 0,
                 label_fraction: float = 1., split_seed: int = 0,
                 pipeline: list | tuple = ()) -> None:
        self.number, self.seed = number, seed
        self.label_fraction, self.split_seed = label_fraction, split_seed
        self.pipeline = Compose(list(pipeline))
        skeleton = Skeleton.from_name('mpii_16')
        self.metainfo = dict(dataset_name='toy', flip_indices=np.array(
            skeleton.flip_indices), num_keypoints=16)

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, index: int) -> dict:
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
            flip_indices=list(self.metainfo['flip_indices'])))


@HOOKS.register_module(force=True)
class PowerCut(Hook):
    """Breaks the run at the start of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def before_train_epoch(self, runner) -> None:
        if runner.epoch == self.epoch:
            raise KeyboardInterrupt('power cut')


@HOOKS.register_module(force=True)
class Diary(Hook):
    """Writes down every epoch that is trained, and what it starts from."""

    epochs: list[tuple[str, int]] = []
    weights: dict[str, dict] = {}

    def before_train(self, runner) -> None:
        stage = runner.work_dir.rstrip('/').split('/')[-1]
        model = getattr(runner.model, 'module', runner.model)
        self.weights[stage] = {k: v.clone() for k, v in
                               model.state_dict().items()}

    def after_train_epoch(self, runner) -> None:
        stage = runner.work_dir.rstrip('/').split('/')[-1]
        self.epochs.append((stage, runner.epoch))


def toy_cfg(work_dir, **changes) -> Config:
    """A complete config of a joint stage, with a stage before it."""
    norm = dict(type='BN')
    pipeline = [
        dict(type='GetBBoxCenterScale', padding=1.),
        dict(type='TopdownAffine', input_size=CODEC['input_size']),
        dict(type='GenerateTarget', encoder=CODEC),
        dict(type='PackPoseInputs', meta_keys=META_KEYS)]

    def loader(number, seed, shuffle=False, batch=4):
        return dict(
            batch_size=batch, num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=shuffle),
            dataset=dict(type='ToyPeople', number=number, seed=seed,
                         pipeline=pipeline))

    latent = dict(type='LatentRecognizer', base_channels=4,
                  latent_channels=4, norm_cfg=norm)
    cfg = dict(
        custom_imports=dict(imports=['mirrorpose']),
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
        custom_hooks=[dict(type='StopOnNonFinite'),
                      dict(type='AverageScores', last=2),
                      dict(type='Diary')],
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


def stage_only(work_dir, kind=PoseRunner, **changes) -> Runner:
    """A runner of the pose VAE's stage alone, the cheapest."""
    from mirrorpose.engine.curriculum import CurriculumRunner
    cfg = toy_cfg(work_dir, **changes)
    stage = CurriculumRunner(cfg).stage_config('pose_vae')
    stage.work_dir = str(work_dir)
    stage.experiment_name = f'toy_{time.monotonic_ns()}'
    return kind.from_cfg(stage)


@pytest.fixture
def toy(monkeypatch):
    """The functions of this file, with an empty diary."""
    # mmengine lays a config out with yapf at every save: 1 s each time.
    monkeypatch.setattr('mmengine.config.config.FormatCode',
                        lambda text, **_: (text, True))
    Diary.epochs.clear()
    Diary.weights.clear()
    return SimpleNamespace(cfg=toy_cfg, runner=stage_only, Diary=Diary)
