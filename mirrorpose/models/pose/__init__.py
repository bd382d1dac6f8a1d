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

__all__ = ['PosePrior', 'cells_from_normalised', 'draw_gaussians',
           'draw_one_hot', 'normalised_from_cells', 'peaks', 'soft_argmax']
