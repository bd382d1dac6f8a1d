"""Backbones for anybody's config."""
from .bottleneck_hourglass import BottleneckHourglass

__all__ = ['BottleneckHourglass']
