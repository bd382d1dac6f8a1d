"""What the pose prior makes of recognized poses."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..models.mirrornet.scores import plausibility_scores
from ..models.pose import soft_argmax
from ..structures import Skeleton
from . import drawing
from .gallery import (
    Networks,
    Row,
    Tile,
    _over,
    _verdict,
    clean_pose,
    input_points,
)

#: Of so many test images, the worst one is shown.
POOL = 12
_BATCH = 32


class Judged(NamedTuple):
    """Recognized poses and the prior's opinion, in pixels of the input.

    Attributes:
        images (np.ndarray): (N, H, W, 3) uint8.
        before (np.ndarray): (N, K, 2) recognized.
        after (np.ndarray): (N, K, 2) through the pose VAE.
        score (np.ndarray): (N,) plausibility before, in nats.
        score_after (np.ndarray): (N,) after.
        samples (list): The data samples.
    """

    images: np.ndarray
    before: np.ndarray
    after: np.ndarray
    score: np.ndarray
    score_after: np.ndarray
    samples: list


@torch.no_grad()
def judge(networks: Networks, batch: dict[str, list]) -> Judged:
    """Recognizes a batch and puts every pose through the pose VAE.

    Raises:
        ValueError: There is no recognizer, or no pose VAE.
    """
    if networks.recognizer is None or networks.pose_vae is None:
        raise ValueError('recognizer and pose VAE are needed')
    held: list[tuple] = []
    samples: list[Any] = []
    for start in range(0, len(batch['inputs']), _BATCH):
        part = {k: v[start:start + _BATCH] for k, v in batch.items()}
        data = networks.preprocessor(part, training=False)
        inputs = data['inputs']
        maps = networks.recognizer.recognize(inputs)[-1]
        clean = clean_pose(networks, maps)
        # At the mean of the latent: the same picture every time.
        rebuilt = clean_pose(
            networks, networks.pose_vae(clean, torch.zeros_like).mean)
        held.append((
            np.asarray(drawing.denormalise(inputs, networks.preprocessor)),
            _pixels(clean, inputs), _pixels(rebuilt, inputs),
            *(plausibility_scores(networks.pose_vae, pose)[0].numpy()
              for pose in (clean, rebuilt))))
        samples += data['data_samples']
    images, before, after, score, score_after = (
        np.concatenate(column) for column in zip(*held))
    return Judged(images, before, after, score, score_after, samples)


def _pixels(pose: Tensor, inputs: Tensor) -> np.ndarray:
    """Joints of clean maps in the pixels of the input, (N, K, 2)."""
    ratio = inputs.shape[-1] / pose.shape[-1]
    return (soft_argmax(pose, 0.05, 3) * ratio).numpy()


def prior_rows(judged: Judged, chosen: Sequence[int],
               skeleton: Skeleton) -> list[Row]:
    """Annotation, recognized pose, and what the prior makes of it."""
    everything = np.ones(len(skeleton))
    rows = []
    for i in chosen:
        sample, image = judged.samples[i], judged.images[i]
        truth, present = input_points(sample)
        tiles = [Tile('annotated', _over(image, truth, present, skeleton))]
        for name, points, score in (
                ('recognized', judged.before[i], judged.score[i]),
                ('after the prior', judged.after[i], judged.score_after[i])):
            tiles.append(Tile(
                f'{name}: {_verdict(points, truth, present)}, {score:.0f} '
                'nats', _over(image, points, everything, skeleton)))
        name = sample.metainfo.get('id', sample.metainfo.get('img_id', i))
        rows.append(Row(f'Test image {name}', tiles))
    return rows


def least_plausible(judged: Judged, number: int) -> list[int]:
    """The images of the lowest plausibility, worst first."""
    return [int(i) for i in np.argsort(judged.score, kind='stable')[:number]]


def errors(judged: Judged) -> np.ndarray:
    """Mean error of each recognized pose over the input's longer side."""
    out = np.empty(len(judged.samples))
    side = max(judged.images.shape[1:3])
    for i, sample in enumerate(judged.samples):
        truth, present = input_points(sample)
        apart = np.linalg.norm(judged.before[i] - truth, axis=-1)
        out[i] = apart[present].mean() / side if present.any() else np.nan
    return out
