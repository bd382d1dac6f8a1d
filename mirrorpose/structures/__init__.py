"""What a pose is made of: joint sets, their names, limbs and mirror pairs."""
from . import joint_sets  # adds the detectors' sets
from .skeleton import SKELETONS, Skeleton

__all__ = ['SKELETONS', 'Skeleton', 'joint_sets']
