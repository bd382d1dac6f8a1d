"""Metric pose: 3D from one image, by the likeness of views."""
from mirrorpose.structures.canonical import (
    canonical_pose,
    decode_rotation,
    encode_rotation,
    mirrored,
    to_camera,
)

from .batch import MetricPoseLabels, read_labels
from .heads import MetricPoseHead, MetricPoseOutput
from .metric_pose import MetricPoseRegressor
from .statistics import PoseStatistics

__all__ = ['MetricPoseHead', 'MetricPoseLabels', 'MetricPoseOutput',
           'MetricPoseRegressor', 'PoseStatistics', 'canonical_pose',
           'decode_rotation', 'encode_rotation', 'mirrored', 'read_labels',
           'to_camera']
