"""The hall: how a pose is represented, drawn and judged."""
from .prior import PosePrior
from .representations import (
                              cells_from_normalised,
                              draw_gaussians,
                              draw_one_hot,
                              normalised_from_cells,
                              peaks,
                              soft_argmax,
)
from .skeleton_image import SkeletonRenderer

__all__ = ['PosePrior', 'SkeletonRenderer', 'cells_from_normalised',
           'draw_gaussians', 'draw_one_hot', 'normalised_from_cells', 'peaks',
           'soft_argmax']
