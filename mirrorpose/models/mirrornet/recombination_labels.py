"""What recombination reads from data samples, and writes into them."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mirrorpose.datasets.crops import CropSamples
from mirrorpose.datasets.crops.people import take

from ..pose.representations import peaks
from .batch import sample_id
from .compositing import image_size

#: Metainfo of a data set that knows which of its silhouettes are good.
_GOOD = 'silhouette_good'


@dataclass
class People:
    """The people of a batch, as far as they are annotated.

    Attributes:
        keypoints (Tensor): (N, K, 2) pixels of the input.
        present (Tensor): (N, K) bool, the annotated joints.
        labelled (np.ndarray): (N,) bool.
        silhouette (Tensor | None): (N, 1, h, w) in [0, 1].
        masked (np.ndarray): (N,) bool: the silhouette is there, and good.
    """

    keypoints: Tensor
    present: Tensor
    labelled: np.ndarray
    silhouette: Tensor | None
    masked: np.ndarray


def read_people(samples: Sequence[Any], size: tuple[int, int],
                device: torch.device) -> People:
    """Reads poses and silhouettes from the samples of a batch.

    Poses are in pixels of the input: of the crop cache, or
    ``transformed_keypoints`` (``PackPoseInputs(pack_transformed=True)``), or
    the peaks of the heatmaps, or the labels of a coordinate regression.
    Silhouettes are a ``silhouette`` (1, h, w) among the labels or fields.

    Args:
        samples (Sequence[PoseDataSample]): Of a batch, or ``CropSamples``.
        size (tuple[int, int]): (H, W) of the inputs.
        device (torch.device): Of the inputs.

    Raises:
        ValueError: Samples hold no pose that could be read; the message says
            what gives one.
    """
    if isinstance(samples, CropSamples):
        return _read_crops(samples)
    labelled = np.array([bool(d.metainfo.get('is_labeled', True))
                         for d in samples])
    points, present = zip(*(_pose(d, size, device) for d in samples))
    masks = [_silhouette(d) if known else None
             for d, known in zip(samples, labelled)]
    masked = np.array([m is not None for m in masks])
    silhouette = None
    if masked.any():
        blank = torch.zeros_like(next(m for m in masks if m is not None))
        silhouette = torch.stack([blank if m is None else m for m in masks]
                                 ).to(device).float()
    rows = torch.from_numpy(labelled).to(device)[:, None]
    return People(torch.stack(points), torch.stack(present) & rows,
                  labelled, silhouette, masked)


def _read_crops(samples: CropSamples) -> People:
    columns, records = samples.batch.columns(), samples.batch.records
    n = len(samples)
    told = records['is_labeled'] if ('is_labeled' in records and 'is_labeled'
                                     in samples.batch.spec.meta_keys) else \
        [True] * n
    labelled = np.array([bool(v) for v in told])
    masked = np.zeros(n, bool)
    if samples.silhouette is not None:
        masked = labelled & np.array(
            [bool(v) for v in records.get(_GOOD, [True] * n)])
    present = (columns.visible > 0) & columns.labelled[:, None]
    return People(columns.keypoints, present, labelled, samples.silhouette,
                  masked)


def _silhouette(sample: Any) -> Tensor | None:
    """The silhouette (1, h, w) of a sample, if there is a good one."""
    if not sample.metainfo.get(_GOOD, True):
        return None
    for place in ('gt_instance_labels', 'gt_fields'):
        held = sample.get(place, ())
        if 'silhouette' in held:
            return held.silhouette
    return None


def _pose(sample: Any, size: tuple[int, int],
          device: torch.device) -> tuple[Tensor, Tensor]:
    """Keypoints (K, 2) in input pixels, and which are present (K,)."""
    labels = sample.get('gt_instance_labels', {})
    instances = sample.get('gt_instances', {})
    fields = sample.get('gt_fields', {})
    weights = labels.get('keypoint_weights')
    h, w = size
    if 'transformed_keypoints' in instances:
        points = torch.as_tensor(np.asarray(
            instances.transformed_keypoints)).to(device).float()[0]
    elif 'heatmaps' in fields:
        maps = fields.heatmaps.to(device)
        # Codecs differ by half a cell; a matte does not feel it.
        ratio = maps.new_tensor([w / maps.shape[-1], h / maps.shape[-2]])
        points, value = peaks(maps)
        points = points * ratio
        if weights is None:
            weights = (value > 0)[None]
    elif 'keypoint_labels' in labels:
        points = labels.keypoint_labels.to(device).float()[0, :, :2]
        points = points * points.new_tensor([w, h])
    else:
        raise ValueError(
            f'sample {sample_id(sample)} holds no pose that recombination '
            'could read: no heatmaps, no keypoint_labels and no '
            'transformed_keypoints; use PackPoseInputs('
            'pack_transformed=True) in the pipeline')
    if weights is None:
        weights = torch.as_tensor(np.asarray(instances.keypoints_visible))
    weights = weights.to(device).reshape(-1)
    if len(weights) != len(points):
        raise ValueError(f'sample {sample_id(sample)} has {len(points)} '
                         f'joints and {len(weights)} weights')
    return points, weights > 0


def write_covered(samples: Any, covered: Tensor, cover: Tensor,
                  drop: bool) -> None:
    """Notes what an occluder in front hides.

    Every sample gets ``gt_instance_labels.keypoints_covered`` (1, K) bool;
    ``CropSamples`` an attribute ``covered`` (N, K) in its place. Silhouettes
    lose what is hidden.

    Args:
        samples (list[PoseDataSample]): The batch; changed in place.
        covered (Tensor): (N, K) bool.
        cover (Tensor): (N, 1, H, W) in [0, 1], the occluders.
        drop (bool): Covered joints do not count: weight 0 and a blank map,
            which is what mmpose makes of a joint of visibility 0.
    """
    if isinstance(samples, CropSamples):
        samples.covered = covered  # type: ignore[attr-defined]
        if drop and samples.keypoint_weights is not None:
            samples.keypoint_weights = samples.keypoint_weights.masked_fill(
                covered, 0)
        if drop and samples.heatmaps is not None:
            samples.heatmaps.masked_fill_(covered[..., None, None], 0)
        if samples.silhouette is not None:
            samples.silhouette = samples.silhouette * (
                1 - F.adaptive_avg_pool2d(cover,
                                          image_size(samples.silhouette)))
        return
    for i, sample in enumerate(samples):
        labels = sample.get('gt_instance_labels')
        if labels is not None:
            labels.set_field(covered[i:i + 1], 'keypoints_covered')
            if drop and 'keypoint_weights' in labels:
                weights = labels.keypoint_weights
                labels.keypoint_weights = weights.masked_fill(
                    covered[i].to(weights.device).view_as(weights), 0)
        fields = sample.get('gt_fields')
        if fields is None:
            continue
        if drop and 'heatmaps' in fields:
            maps = fields.heatmaps
            fields.set_field(maps.masked_fill(
                covered[i].to(maps.device)[:, None, None], 0), 'heatmaps')
        if 'silhouette' in fields:
            own = fields.silhouette
            hidden = F.adaptive_avg_pool2d(cover[i], own.shape[-2:])
            fields.set_field(own * (1 - hidden.to(own)), 'silhouette')


def reduce_silhouettes(samples: Any) -> None:
    """Brings silhouettes of the crop cache to the size of the heatmaps.

    They may come at the size of the input, for mattes; mmpose's fields must
    all be of one size.

    Args:
        samples (CropSamples | list): The batch; changed in place.
    """
    if not isinstance(samples, CropSamples) or samples.silhouette is None \
            or samples.heatmaps is None:
        return
    samples.silhouette = F.adaptive_avg_pool2d(
        samples.silhouette, image_size(samples.heatmaps))


def select_samples(samples: Any, rows: np.ndarray) -> Any:
    """Some samples of a batch.

    Args:
        samples (list[PoseDataSample] | CropSamples): The batch.
        rows (np.ndarray): Indices.
    """
    if not isinstance(samples, CropSamples):
        return [samples[i] for i in rows]
    batch = samples.batch
    index = torch.from_numpy(rows).to(batch.numbers.device)
    less = replace(batch, images=None, numbers=batch.numbers[index],
                   records={k: take(v, rows)
                            for k, v in batch.records.items()})
    held = [None if t is None else t[index] for t in (
        samples.heatmaps, samples.keypoint_weights, samples.silhouette)]
    out = CropSamples(less, samples.labelled[index], *held)
    covered = getattr(samples, 'covered', None)
    if covered is not None:
        out.covered = covered[index]  # type: ignore[attr-defined]
    return out
