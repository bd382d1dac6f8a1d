"""Models: the hall (``pose``), the four systems, and parts for others."""
from . import (
    backbones,
    completion,
    data_preprocessors,
    jumps,
    losses,
    mirrornet,
    pose,
)

__all__ = ['backbones', 'completion', 'data_preprocessors', 'jumps', 'losses',
           'mirrornet', 'pose']
