"""Models: the hall (``pose``), the four systems, and parts for others."""
from . import (
    backbones,
    completion,
    data_preprocessors,
    heads,
    jumps,
    keypointgan,
    losses,
    metric_pose,
    mirrornet,
    necks,
    pose,
    rivals,
)

__all__ = ['backbones', 'completion', 'data_preprocessors', 'heads', 'jumps',
           'keypointgan', 'losses', 'metric_pose', 'mirrornet', 'necks',
           'pose', 'rivals']
