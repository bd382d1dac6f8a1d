"""Losses for anybody's config."""
from .heatmap_nll import HeatmapNLLLoss

__all__ = ['HeatmapNLLLoss']
