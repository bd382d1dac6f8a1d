"""How fast the synthetic world is, and how hard.

    python benchmarks/synthetic_world.py

prints images per second on one core, and the learning curve of a small
recognizer: trained on 200, 1,000 and 5,000 images with equal optimizer steps
from the same start, tested on 500 people that no training set holds. Writes
``benchmarks/results/synthetic_world.json``.
"""
from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmpose.registry import DATASETS, MODELS
from torch.utils.data import DataLoader

import mirrorpose  # noqa: F401  (registers everything)
from mirrorpose.datasets.synthetic import SyntheticWorld
from mirrorpose.evaluation import LspPCK

INPUT = 64
CODEC = dict(type='MSRAHeatmap', input_size=(INPUT, INPUT),
             heatmap_size=(INPUT // 4, INPUT // 4), sigma=1)
TRAIN = [
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', shift_factor=.08,
         scale_factor=(.75, 1.25), rotate_factor=40),
    dict(type='TopdownAffine', input_size=(INPUT, INPUT)),
    dict(type='GenerateTarget', encoder=CODEC),
    dict(type='PackPoseInputs'),
]
TEST = [TRAIN[0], TRAIN[3], dict(type='PackPoseInputs')]
# ResNet-18 at three eighths of its width: 1.6 million parameters.
MODEL = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(type='ResNet', depth=18, stem_channels=24,
                  base_channels=24),
    head=dict(
        type='HeatmapHead', in_channels=192, out_channels=16,
        deconv_out_channels=(64, 64, 64), deconv_kernel_sizes=(4, 4, 4),
        loss=dict(type='KeypointMSELoss', use_target_weight=True,
                  loss_weight=100.),
        decoder=CODEC),
    test_cfg=dict(flip_test=False, shift_heatmap=False))


def speed(images: int, image_size: int) -> dict[str, float]:
    """Images per second of wall-clock and of processor time, one thread."""
    world = SyntheticWorld(image_size=image_size)
    world.sample(0)
    wall, busy = time.perf_counter(), time.process_time()
    for index in range(1, images + 1):
        world.sample(index)
    return dict(image_size=image_size, images=images,
                per_second=images / (time.perf_counter() - wall),
                per_cpu_second=images / (time.process_time() - busy))


def dataset(samples: int, split: str, pipeline: list[dict], seed: int) -> Any:
    """A part of the world for the recognizer."""
    return DATASETS.build(dict(
        type='SyntheticPoseDataset', num_samples=samples, split=split,
        seed=seed, pipeline=pipeline, _scope_='mmpose'))


def train(data: Any, steps: int, batch: int, rate: float, seed: int) -> Any:
    """The recognizer after a number of optimizer steps."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (mmpose's transforms draw there)
    model = MODELS.build(dict(MODEL, _scope_='mmpose'))
    model.init_weights()
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps,
                                               pct_start=.1)
    loader = DataLoader(data, batch, shuffle=True, drop_last=True,
                        collate_fn=pseudo_collate)
    step, begin = 0, time.perf_counter()
    while step < steps:
        for items in loader:
            inputs = model.data_preprocessor(items, training=True)
            losses = model(**inputs, mode='loss')
            optimizer.zero_grad()
            losses['loss_kpt'].backward()
            optimizer.step()
            plan.step()
            step += 1
            if step % 200 == 0 or step == steps:
                spent = time.perf_counter() - begin
                print(f'  step {step}/{steps}, loss '
                      f'{losses["loss_kpt"].item():.3f}, {spent:.0f} s, '
                      f'{spent / step * (steps - step):.0f} s to go',
                      flush=True)
            if step == steps:
                break
    return model.eval()


@torch.no_grad()
def evaluate(model: Any, data: Any) -> dict[str, float]:
    """PCK@0.2 over the longer side of the tight box, in percent."""
    found, truth, visible = [], [], []
    for items in DataLoader(data, 50, collate_fn=pseudo_collate):
        for sample in model.test_step(items):
            found.append(sample.pred_instances.keypoints[0])
            truth.append(sample.gt_instances.keypoints[0])
            visible.append(sample.gt_instances.keypoints_visible[0])
    return LspPCK.calculate(np.stack(found), np.stack(truth),
                            np.stack(visible))


def main() -> None:
    """Runs both parts and writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--sizes', type=int, nargs='*',
                        default=[200, 1000, 5000])
    parser.add_argument('--test', type=int, default=500)
    parser.add_argument('--steps', type=int, default=1500)
    parser.add_argument('--batch', type=int, default=32)
    parser.add_argument('--lr', type=float, default=2e-3)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--images', type=int, default=600,
                        help='images that the speed is measured on')
    parser.add_argument('--out', type=Path, default=Path(__file__).parent
                        / 'results' / 'synthetic_world.json')
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    MMLogger.get_instance('mmengine', log_level='WARNING')
    begin = time.perf_counter()
    report: dict[str, Any] = dict(
        speed=[speed(args.images, 128), speed(args.images // 4, 256)],
        settings=dict(steps=args.steps, batch=args.batch, lr=args.lr,
                      seed=args.seed, input=INPUT, test_people=args.test),
        curve=[])
    for row in report['speed']:
        print(f'{row["image_size"]} px: {row["per_second"]:.0f} images/s '
              f'({row["per_cpu_second"]:.0f} per second of processor time)')
    test = dataset(args.test, 'test', TEST, args.seed)
    for size in args.sizes:
        print(f'{size} training images')
        data = dataset(size, 'train', TRAIN, args.seed)
        start = time.perf_counter()
        model = train(data, args.steps, args.batch, args.lr, args.seed)
        report['curve'].append(dict(
            images=size, seconds=time.perf_counter() - start,
            train_pck=evaluate(model, dataset(min(size, args.test), 'train',
                                              TEST, args.seed))['Total'],
            pck=evaluate(model, test)))
    report['seconds'] = time.perf_counter() - begin
    names = list(report['curve'][0]['pck']) if args.sizes else []
    print('\nPCK@0.2 (tight box) on', args.test, 'held-out people, percent')
    print('images  train ' + ' '.join(f'{n:>8}' for n in names))
    for row in report['curve']:
        print(f'{row["images"]:6d} {row["train_pck"]:6.1f} ' + ' '.join(
            f'{row["pck"][n]:8.1f}' for n in names))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1) + '\n')
    print('written to', args.out)


if __name__ == '__main__':
    main()
