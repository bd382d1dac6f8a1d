"""The embedded data: a synthetic world where every label is known."""
from .dataset import SyntheticPoseDataset
from .world import SPLIT_START, Instant, SyntheticWorld

__all__ = ['SPLIT_START', 'Instant', 'SyntheticPoseDataset',
           'SyntheticWorld']
