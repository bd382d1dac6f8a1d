"""Synchronised views with 3D joints for some of them."""
from .augment import Augmentation
from .clip import TriangulatedClip
from .dataset import MultiViewDataset
from .mocap import MocapViews
from .prepared import PreparedViews
from .rigs import RigViews
from .sampler import ViewGroupSampler
from .sources import Crop, ViewSource
from .synthetic import SyntheticViews
from .views import Views

__all__ = ['Augmentation', 'Crop', 'MocapViews', 'MultiViewDataset',
           'PreparedViews', 'RigViews', 'SyntheticViews', 'TriangulatedClip',
           'ViewGroupSampler', 'ViewSource', 'Views']
