"""What metric pose reads from a batch of mmpose's data samples."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..pose.views import ViewLabels, read_views

#: Labels of annotated samples.
LABELS = ('keypoints_3d_canonical', 'camera_rotation')


class MetricPoseLabels(NamedTuple):
    """Labels of N images; clean, whatever stood where nothing is known.

    Attributes:
        views (ViewLabels): Who, when and from where.
        annotated (Tensor): (N,) bool, where poses may be learnt from.
        present (Tensor): (N, K) bool, their known joints.
        canonical (Tensor): (N, K, 3) mm, 0 where not present.
        rotation (Tensor): (N, 3, 3) canonical to camera; the identity where
            not annotated.
        subject (Tensor): (N,) int64, numbers of the subjects; -1 where a
            sample has none.
        calibrated (Tensor): (N,) bool.
        extrinsics (Tensor): (N, 3, 3), world to camera; the identity where
            not calibrated.
    """

    views: ViewLabels
    annotated: Tensor
    present: Tensor
    canonical: Tensor
    rotation: Tensor
    subject: Tensor
    calibrated: Tensor
    extrinsics: Tensor


def read_labels(data_samples: Sequence[Any], joints: int,
                device: torch.device | str = 'cpu') -> MetricPoseLabels:
    """Stacks the labels of a batch.

    Args:
        data_samples (Sequence[PoseDataSample]): In ``gt_instance_labels``
            ``pose_annotated`` (1,), and for annotated ones
            ``keypoints_3d_canonical`` (1, K, 3) mm and ``camera_rotation``
            (1, 3, 3); ``extrinsics`` (1, 3, 4) where cameras are calibrated.
            Metainfo as for :func:`read_views`, and ``subject_index``.
        joints (int): K.
        device (torch.device | str): Where the labels go.

    Raises:
        ValueError: An annotated sample without labels, or another number
            of joints.
    """
    annotated, canonical, rotation, extrinsics, subject = [], [], [], [], []
    blank = torch.full((1, joints, 3), float('nan'))
    unknown = torch.full((1, 3, 3), float('nan'))
    for sample in data_samples:
        held = sample.get('gt_instance_labels', {})
        name = sample.metainfo.get('id', '?')
        known = 'pose_annotated' in held and bool(
            torch.as_tensor(held['pose_annotated']).reshape(-1)[0] > 0)
        missing = [key for key in LABELS if key not in held]
        if known and missing:
            raise ValueError(f'sample {name} is annotated, but has no '
                             f'{missing} in gt_instance_labels')
        pose = _tensor(held['keypoints_3d_canonical']) if known else blank
        if tuple(pose.shape) != (1, joints, 3):
            raise ValueError(
                f'sample {name} has a pose of {tuple(pose.shape)}, the model '
                f'wants (1, {joints}, 3): give the data set and the head the '
                'same joint set')
        annotated.append(known)
        canonical.append(pose)
        rotation.append(_tensor(held['camera_rotation']) if known
                        else unknown)
        extrinsics.append(_tensor(held['extrinsics'])[..., :3]
                          if 'extrinsics' in held else unknown)
        subject.append(int(sample.metainfo.get('subject_index', -1)))
    views = read_views(data_samples, device)
    poses = torch.cat(canonical).to(device)
    flags = torch.tensor(annotated, device=device)
    turns = torch.cat(rotation).to(device)
    turned = turns.isfinite().flatten(1).all(1)
    cameras = torch.cat(extrinsics).to(device)
    calibrated = cameras.isfinite().flatten(1).all(1)
    present = poses.isfinite().all(-1) & flags[:, None]
    eye = torch.eye(3, device=device)
    return MetricPoseLabels(
        views, flags & turned, present & turned[:, None],
        poses.masked_fill(~present[..., None], 0.),
        torch.where(turned[:, None, None], turns, eye),
        torch.tensor(subject, device=device), calibrated,
        torch.where(calibrated[:, None, None], cameras, eye))


def _tensor(value: Any) -> Tensor:
    return torch.as_tensor(value).float()
