"""What a pose is made of: joint sets, their names, limbs and mirror pairs."""
from .skeleton import SKELETONS, Skeleton

__all__ = ['Skeleton', 'SKELETONS']
