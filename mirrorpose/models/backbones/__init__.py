"""Backbones for anybody's config."""
from .bottleneck_hourglass import BottleneckHourglass
from .pose_encoder import PoseEncoder

__all__ = ['BottleneckHourglass', 'PoseEncoder']
