"""What recombination makes of images, to be looked at.

    python benchmarks/recombination_sheet.py --out work_dirs/recombination

Writes a sheet for LSP (where ``MIRRORPOSE_DATA`` has it) and one for the
embedded world: a row each for some people, with the person, its matte from
the silhouette and from capsules, the scene filled in, and recombined images
under three draws, the last with people behind and in front, joints drawn in
(hidden ones as rings).
"""
from __future__ import annotations

import argparse
import copy
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS

import mirrorpose  # noqa: F401
from mirrorpose.models.mirrornet.recombination_labels import read_people
from mirrorpose.structures import Skeleton
from mirrorpose.visualization.drawing import (
    denormalise,
    draw_skeleton,
    enlarge_points,
    png,
)
from mirrorpose.visualization.gallery import Row
from mirrorpose.visualization.sheets import image_tile, picture_sheet

META = ('id', 'img_id', 'img_path', 'is_labeled', 'flip_indices',
        'silhouette_good')
NORM = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True)
TILE = 160


def load(source: str, size: int, number: int, first: int) -> dict[str, Any]:
    """A collated batch of annotated people with silhouettes."""
    codec = dict(type='MSRAHeatmap', input_size=(size, size),
                 heatmap_size=(size // 4, size // 4), sigma=1.)
    pipeline = [
        dict(type='LoadSilhouette'),
        dict(type='GetBBoxCenterScale', padding=1.25),
        dict(type='TopdownAffine', input_size=(size, size)),
        dict(type='GenerateTarget', encoder=codec),
        dict(type='PackPoseInputs', meta_keys=META, pack_transformed=True)]
    if source == 'lsp':
        data = DATASETS.build(dict(
            type='LspDataset', with_silhouette=True, min_mask_quality=False,
            data_root=os.environ['MIRRORPOSE_DATA'],
            pipeline=[dict(type='LoadCheckedImage'), *pipeline]))
    else:
        data = DATASETS.build(dict(
            type='SyntheticPoseDataset', num_samples=first + number,
            image_size=max(96, size), with_silhouette=True,
            pipeline=pipeline))
    return pseudo_collate([data[first + i] for i in range(number)])


def recombined(batch: dict, **options: Any) -> tuple[np.ndarray, Any]:
    """Images (N, H, W, 3) and samples of a recombined batch."""
    model = MODELS.build(dict(
        type='RecombinationPreprocessor', **NORM,
        recombination=dict(dict(skeleton='mpii_16'), **options)))
    out = model(pseudo_collate([
        dict(inputs=x, data_samples=copy.deepcopy(s)) for x, s in zip(
            batch['inputs'], batch['data_samples'])]), True)
    return denormalise(out['inputs'], model), out['data_samples']


def with_joints(image: np.ndarray, points: np.ndarray, present: np.ndarray,
                covered: np.ndarray) -> np.ndarray:
    """The pose over an image, hidden joints as rings."""
    factor = TILE / image.shape[0]
    big = cv2.resize(image, (TILE, TILE), interpolation=cv2.INTER_LINEAR)
    points = enlarge_points(points, factor)
    big = draw_skeleton(big, points, present, Skeleton.from_name('mpii_16'),
                        1)
    for x, y in points[covered & present]:
        cv2.circle(big, (round(float(x)), round(float(y))), 5,
                   (255, 0, 255), 1, cv2.LINE_AA)
    return big


def sheet(source: str, size: int, number: int, first: int) -> np.ndarray:
    """The sheet of one data set."""
    batch = load(source, size, number, first)
    plain = MODELS.build(dict(type='RecombinationPreprocessor', **NORM,
                              recombination=dict(skeleton='mpii_16')))
    part = plain.batch_augments[0]
    inputs = plain(dict(batch), False)
    for x, sample in zip(batch['inputs'], inputs['data_samples']):
        sample.gt_instance_labels.silhouette = x[3:].float() / 255
    people = read_people(inputs['data_samples'], (size, size),
                         torch.device('cpu'))
    for sample in batch['data_samples']:
        sample.gt_instance_labels.pop('silhouette', None)
    images = inputs['inputs'] * part.std + part.mean
    columns = [('person', denormalise(inputs['inputs'], plain))]
    for kind in ('silhouette', 'capsules'):
        part.person_mattes.mattes = kind
        mattes = part.person_mattes(inputs['inputs'], people)[0]
        filled = part.fill_scenes(images, mattes)
        columns += [
            (kind, (mattes[:, 0, :, :, None].expand(-1, -1, -1, 3) * 255
                    ).round().byte().numpy()),
            ('scene', (filled.permute(0, 2, 3, 1) * 255).round().byte(
            ).numpy())]
    still = dict(jitter={}, mattes='silhouette')
    columns += [
        ('other scene', recombined(batch, scene_prob=1., appearance_prob=0.,
                                   **still)[0]),
        ('+ appearance', recombined(batch, scene_prob=1., appearance_prob=1.,
                                    **still)[0]),
        ('by capsules', recombined(batch, scene_prob=1., appearance_prob=1.,
                                   mattes='capsules')[0])]
    crowd, samples = recombined(batch, scene_prob=.8, appearance_prob=.5,
                                behind_prob=1., front_prob=.8)
    rows = []
    for i in range(number):
        covered = samples[i].gt_instance_labels.get(
            'keypoints_covered', torch.zeros(1, 16, dtype=torch.bool))
        tiles = [image_tile(name, column[i], TILE)
                 for name, column in columns]
        tiles.append(image_tile('people and joints', with_joints(
            crowd[i], people.keypoints[i].numpy(),
            people.present[i].numpy(), covered[0].numpy()), TILE))
        rows.append(Row(str(i), tiles))
    return picture_sheet(rows)


def main() -> None:
    """Writes the sheets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--size', type=int, default=64)
    parser.add_argument('--number', type=int, default=8)
    parser.add_argument('--first', type=int, default=0)
    parser.add_argument('--sources', nargs='+', default=['lsp', 'world'],
                        choices=['lsp', 'world'])
    parser.add_argument('--out', type=Path,
                        default=Path('work_dirs/recombination'))
    args = parser.parse_args()
    init_default_scope('mmpose')
    args.out.mkdir(parents=True, exist_ok=True)
    for source in args.sources:
        if source == 'lsp' and not os.environ.get('MIRRORPOSE_DATA'):
            print('no sheet of LSP: MIRRORPOSE_DATA is not set')
            continue
        path = args.out / f'{source}_{args.size}.png'
        path.write_bytes(png(sheet(source, args.size, args.number,
                                   args.first)))
        print(path)


if __name__ == '__main__':
    main()
