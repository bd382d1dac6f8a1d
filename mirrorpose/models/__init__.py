"""Models: the hall (``pose``), the four systems, and parts for others."""
from . import backbones, data_preprocessors, losses, mirrornet, pose

__all__ = ['backbones', 'data_preprocessors', 'losses', 'mirrornet', 'pose']
