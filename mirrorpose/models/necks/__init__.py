"""Necks for anybody's config."""
from .skeleton_bottleneck import SkeletonBottleneck

__all__ = ['SkeletonBottleneck']
