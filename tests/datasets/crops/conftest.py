"""The stock pipeline with given draws, to hold the fast one against."""
from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmpose.datasets.transforms import (
    RandomBBoxTransform,
    RandomFlip,
    RandomHalfBody,
    YOLOXHSVRandomAug,
)
from mmpose.registry import DATASETS, MODELS

import mirrorpose.datasets.crops
import mirrorpose.models.data_preprocessors  # noqa: F401
from mirrorpose.datasets.crops.augment import draw

META = ('id', 'img_id', 'img_path', 'ori_shape', 'img_shape', 'input_size',
        'input_center', 'input_scale', 'flip', 'flip_direction',
        'flip_indices', 'dataset_name', 'is_labeled')
NORMALISE = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
                 bgr_to_rgb=True)


def pipeline(size: int = 64, codec: dict | None = None, augment: bool = True,
             udp: bool = False, box: dict | None = None,
             target: bool = True, extra: tuple = (),
             after: tuple = ()) -> list[dict]:
    """A stock pipeline after loading."""
    codec = codec or dict(type='MSRAHeatmap', input_size=(size, size),
                          heatmap_size=(size // 4, size // 4), sigma=2.)
    steps = [dict(type='GetBBoxCenterScale', padding=1.25)]
    if augment:
        steps += [dict(type='RandomFlip', direction='horizontal'), *extra,
                  dict(type='RandomBBoxTransform', **(box or dict(
                      shift_prob=0., rotate_factor=60.,
                      scale_factor=(.75, 1.25))))]
    steps.append(dict(type='TopdownAffine', input_size=codec['input_size'],
                      use_udp=udp))
    if target:
        steps += [*after, dict(type='GenerateTarget', encoder=codec)]
    return steps + [dict(type='PackPoseInputs', meta_keys=META)]


def frames(root: Path, people: int = 12, shape: tuple = (200, 260),
           box: float = 90, seed: int = 0, absent: float = .15,
           smooth: float = 2.) -> dict:
    """Smooth random pictures with random people: a COCO data set's config.

    Boxes of ``box`` pixels, some of them over the border.
    """
    rng = np.random.default_rng(seed)
    (root / 'images').mkdir(parents=True)
    images, notes = [], []
    for i in range(people):
        picture = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        picture = cv2.GaussianBlur(picture, (0, 0), smooth)
        picture = cv2.normalize(picture, None, 0, 255, cv2.NORM_MINMAX)
        cv2.imwrite(str(root / 'images' / f'{i}.png'), picture)
        images.append(dict(id=i, file_name=f'{i}.png'))
        center = rng.uniform(.2, .8, 2) * [shape[1], shape[0]]
        half = rng.uniform(.3, .5, 2) * box
        points = center + rng.uniform(-1, 1, (17, 2)) * half
        seen = (rng.random(17) > absent) * 2
        low = center - half
        notes.append(dict(
            id=i, image_id=i, category_id=1, iscrowd=0,
            bbox=[*low.tolist(), *(2 * half).tolist()],
            keypoints=np.column_stack([points, seen]).ravel().tolist()))
    import json

    from mirrorpose.structures import Skeleton
    (root / 'people.json').write_text(json.dumps(dict(
        images=images, annotations=notes, categories=[dict(
            id=1, name='person',
            keypoints=list(Skeleton.from_name('coco_17').joints))])))
    # mmengine collects garbage when it serializes: half a second each.
    return dict(type='CocoPoseDataset', data_root=str(root),
                ann_file='people.json', serialize_data=False)


def stock_item(dataset, plan_draws, index: int, row: int) -> dict:
    """``dataset[index]`` of a stock data set with the draws of a row."""
    steps = dataset.pipeline.transforms
    for step in steps:
        if isinstance(step, RandomFlip):
            step._choose_direction = lambda: (
                'horizontal' if plan_draws.flip[row] else None)
        elif isinstance(step, RandomBBoxTransform):
            step._get_transform_params = lambda n: (
                plan_draws.offset[row:row + 1],
                plan_draws.scale[row:row + 1, None],
                plan_draws.rotation[row:row + 1])
        elif isinstance(step, YOLOXHSVRandomAug):
            step._get_hsv_gains = lambda: plan_draws.colour[row]
        elif isinstance(step, RandomHalfBody):
            vars(step).pop('_random_select_half_body', None)

            def select(own=step._random_select_half_body, **kwargs):
                values = iter(plan_draws.half[row].tolist())
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(np.random, 'rand', lambda: next(values))
                    return own(**kwargs)
            step._random_select_half_body = select
    return dataset[index]


def compare(config: dict, rows, keys, **kwargs) -> SimpleNamespace:
    """Stock and fast outputs of the preprocessor for the same draws."""
    fast = DATASETS.build(dict(type='CachedCropDataset',
                               dataset=copy.deepcopy(config), **kwargs))
    stock = DATASETS.build(copy.deepcopy(config))
    keys = np.asarray(keys, np.uint64)
    drawn = draw(fast.plan, keys)
    items = [stock_item(stock, drawn, int(i), n) for n, i in enumerate(rows)]
    theirs = MODELS.build(dict(type='PoseDataPreprocessor', **NORMALISE))(
        dict(inputs=[x['inputs'] for x in items],
             data_samples=[x['data_samples'] for x in items]))
    batch = fast.get_batch(list(rows), keys)
    ours = MODELS.build(dict(type='CropPreprocessor', **NORMALISE))(batch)
    std = np.array(NORMALISE['std'])[:, None, None]
    return SimpleNamespace(
        fast=fast, batch=batch['inputs'], draws=drawn,
        stock_inputs=theirs['inputs'].numpy() * std,
        inputs=ours['inputs'].numpy() * std,
        stock_samples=theirs['data_samples'], samples=ours['data_samples'])


@pytest.fixture(scope='session')
def crops():
    """The functions of this file."""
    return SimpleNamespace(**{
        k: v for k, v in globals().items() if not k.startswith('_')})


@pytest.fixture(autouse=True)
def one_thread():
    """OpenCV's threads would only fight for the cores."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)
