"""Models: the hall (``pose``), the four systems, and parts for others."""
from . import backbones, losses, mirrornet, pose

__all__ = ['backbones', 'losses', 'mirrornet', 'pose']
