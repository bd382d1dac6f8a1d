"""Figures, and the offline report of a work dir."""
from .curves import Panel, Scalars, curves_figure, read_scalars
from .drawing import (
    denormalise,
    draw_skeleton,
    enlarge,
    heatmap_image,
    mask_image,
)
from .report import build_report
from .sequences import animate_completion, joint_paths_figure

__all__ = [
    'Panel', 'Scalars', 'animate_completion', 'build_report', 'curves_figure',
    'denormalise', 'draw_skeleton', 'enlarge', 'heatmap_image',
    'joint_paths_figure', 'mask_image', 'read_scalars'
]
