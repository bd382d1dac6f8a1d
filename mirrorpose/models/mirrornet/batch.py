"""What MirrorNet's models read from a batch of mmpose's data samples."""
from __future__ import annotations

import zlib
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmpose.utils.typing import SampleList
from torch import Tensor

from mirrorpose.datasets.crops import CropSamples


class PoseBatch(NamedTuple):
    """A batch at the resolution of the heatmaps.

    Attributes:
        image (Tensor): (N, 3, h, w) normalised image, area-averaged.
        pose (Tensor): (N, K, h, w) annotated heatmaps, zero where absent.
        present (Tensor): (N, K) bool, the annotated joints.
        labelled (Tensor): (N,) bool.
        silhouette (Tensor | None): (N, 1, h, w) in [0, 1].
    """

    image: Tensor
    pose: Tensor
    present: Tensor
    labelled: Tensor
    silhouette: Tensor | None


def sample_id(data_sample: object) -> str:
    """The id under which errors name a sample."""
    meta = getattr(data_sample, 'metainfo', {})
    return str(meta.get('id', meta.get('img_path', '?')))


def sample_keys(data_samples: SampleList) -> list[int]:
    """One integer a sample, a function of its id."""
    return [zlib.crc32(sample_id(d).encode()) for d in data_samples]


def reduce_image(inputs: Tensor, maps: Tensor) -> Tensor:
    """The image x' at the size of maps (N, K, h, w), area-averaged."""
    h, w = maps.shape[-2:]
    return F.adaptive_avg_pool2d(inputs, (h, w))


def gather(inputs: Tensor, data_samples: SampleList,
           joints: int | None = None) -> PoseBatch:
    """Stacks the targets of a batch and reduces its images.

    Args:
        inputs (Tensor): (N, 3, H, W) normalised images.
        data_samples (list[PoseDataSample]): Their annotations.
        joints (int, optional): The joint count that the model wants.

    Raises:
        ValueError: An empty batch, a sample without heatmaps, or another
            joint count than the model's.
    """
    if not data_samples or not len(inputs):
        raise ValueError('the batch is empty')
    if isinstance(data_samples, CropSamples) \
            and data_samples.heatmaps is not None:
        return _from_stacked(inputs, data_samples, joints)
    for d in data_samples:
        if 'gt_fields' not in d or 'heatmaps' not in d.gt_fields:
            raise ValueError(
                f'sample {sample_id(d)} has no heatmaps; its pipeline needs '
                "GenerateTarget with a heatmap codec (un-annotated ones too: "
                'DropLabels before it)')
    pose = torch.stack([d.gt_fields.heatmaps for d in data_samples])
    _check_joints(pose, joints, data_samples)
    labelled = torch.tensor(
        [bool(d.metainfo.get('is_labeled', True)) for d in data_samples],
        device=pose.device)
    present = torch.cat([d.gt_instance_labels.keypoint_weights
                         for d in data_samples]) > 0
    present = present.view(len(pose), -1) & labelled[:, None]
    silhouette = None
    if all('silhouette' in d.gt_fields for d in data_samples):
        silhouette = torch.stack(
            [d.gt_fields.silhouette for d in data_samples]).to(pose)
    # A mask, not a product: what stands at absent joints may be NaN.
    pose = pose.masked_fill(~present[..., None, None], 0.)
    return PoseBatch(reduce_image(inputs, pose), pose, present, labelled,
                     silhouette)


def _check_joints(pose: Tensor, joints: int | None,
                  data_samples: SampleList) -> None:
    if joints is not None and pose.shape[1] != joints:
        raise ValueError(
            f'the model has {joints} joints, but sample '
            f'{sample_id(data_samples[0])} has {pose.shape[1]}: give the data '
            "set's metainfo and the head the same joint set")


def _from_stacked(inputs: Tensor, held: CropSamples,
                  joints: int | None) -> PoseBatch:
    """A batch of the crop cache, whose targets are stacked already."""
    pose, weights = held.heatmaps, held.keypoint_weights
    labelled = held.labelled
    assert pose is not None and weights is not None
    _check_joints(pose, joints, held)
    present = (weights > 0) & labelled[:, None]
    pose = pose.masked_fill(~present[..., None, None], 0.)
    return PoseBatch(reduce_image(inputs, pose), pose, present, labelled,
                     held.silhouette)
