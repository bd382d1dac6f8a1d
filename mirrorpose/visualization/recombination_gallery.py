"""Images that recombination makes for training, in the report."""
from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmpose.registry import MODELS

from ..structures import Skeleton
from .drawing import denormalise, draw_skeleton
from .gallery import Row, Tile, input_points, mmpose_scope
from .work_dir import Stage, find, lower

#: Draws that are shown of every person.
DRAWS = 4


def recombination_of(stages: Sequence[Stage]) -> tuple[Stage, dict] | None:
    """The last stage that trains on recombined images, and its options."""
    for stage in reversed(stages):
        model = stage.config.model if stage.config is not None else {}
        # Of the preprocessor; of MeanTeacher itself.
        for place in ('batch_augments', 'recombination'):
            for found in find(model, place):
                for options in found if isinstance(found, list) else [found]:
                    if isinstance(options, dict) and (
                            place == 'recombination'
                            or options.get('type') == 'Recombination'):
                        return stage, dict(options)
    return None


def made_rows(stage: Stage, options: dict, preprocessor: Any,
              batch: dict[str, list], skeleton: Skeleton) -> list[Row]:
    """Annotated people, and what training would make of them.

    Silhouettes of test people are for nobody to look at, so capsules around
    the annotated limbs cut them out, whatever training has.

    Args:
        stage (Stage): Whose options they are, for the titles.
        options (dict): Of ``Recombination``.
        preprocessor (nn.Module): Normalises the images.
        batch (dict): Of :func:`.gallery.load_samples`.
        skeleton (Skeleton): Its joints.
    """
    # Without a running model nobody can be cut out by it.
    options = dict(options, type='Recombination', estimator=None,
                   mattes='capsules', mean=preprocessor.mean.flatten(
                   ).tolist(), std=preprocessor.std.flatten().tolist())
    with mmpose_scope():
        part = MODELS.build(options)
    held = dict(inputs=list(batch['inputs']),
                data_samples=copy.deepcopy(batch['data_samples']))
    inputs = preprocessor(held, False)['inputs']
    samples, points = held['data_samples'], []
    for sample in samples:
        xy, there = input_points(sample)
        points.append((xy, there))
        sample.gt_instances.transformed_keypoints = xy[None].astype(
            np.float32)
        sample.gt_instances.keypoints_visible = there[None].astype(
            np.float32)
        sample.set_metainfo(dict(is_labeled=True))
    with torch.no_grad():
        made = [denormalise(part(inputs, copy.deepcopy(samples))[0],
                            preprocessor) for _ in range(DRAWS)]
    plain = denormalise(inputs, preprocessor)
    rows = []
    for n, (xy, there) in enumerate(points):
        title = str(samples[n].metainfo.get('id', n))
        tiles = [Tile('annotated', draw_skeleton(plain[n].copy(), xy, there,
                                                 skeleton))]
        tiles += [Tile(f'draw {d + 1}', image[n])
                  for d, image in enumerate(made)]
        rows.append(Row(f'{title} ({lower(stage.title)})', tiles))
    return rows
