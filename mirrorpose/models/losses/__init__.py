"""Losses for anybody's config."""
from .adversarial import LeastSquaresGANLoss, WGANGPLoss
from .heatmap_nll import HeatmapNLLLoss

__all__ = ['HeatmapNLLLoss', 'LeastSquaresGANLoss', 'WGANGPLoss']
