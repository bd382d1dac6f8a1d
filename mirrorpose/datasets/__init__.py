"""Data sets, transforms, samplers."""
from . import transforms
from .annotation_checks import check_annotations
from .broken import BrokenSampleError, BrokenSamples
from .coco import CocoPoseDataset
from .codecs import OneHotHeatmap
from .combined import CombinedPoseDataset
from .crops import CachedCropDataset
from .frames import (
    FramePairDataset,
    StillPairDataset,
    UnpairedDataset,
    UnpairedPoseDataset,
)
from .lsp import LspDataset
from .mpii import MpiiSplitDataset
from .multiview import MultiViewDataset, ViewGroupSampler
from .poses import PoseCollectionDataset
from .samplers import SemiSupervisedSampler
from .sequences import (
    DetectorNoise,
    MocapArchive,
    MotionFiles,
    PoseSequenceDataset,
    ReplayedNoise,
    SyntheticMotions,
)
from .silhouettes import SilhouetteDataset
from .synthetic import SyntheticPoseDataset, SyntheticWorld
from .zip_backend import ZipBackend

__all__ = [
    'BrokenSampleError', 'BrokenSamples', 'CachedCropDataset',
    'CocoPoseDataset', 'CombinedPoseDataset', 'DetectorNoise',
    'FramePairDataset', 'LspDataset', 'MocapArchive', 'MotionFiles',
    'MpiiSplitDataset', 'MultiViewDataset', 'OneHotHeatmap',
    'PoseCollectionDataset', 'PoseSequenceDataset', 'ReplayedNoise',
    'SemiSupervisedSampler', 'SilhouetteDataset', 'StillPairDataset',
    'SyntheticMotions', 'SyntheticPoseDataset', 'SyntheticWorld',
    'UnpairedDataset', 'UnpairedPoseDataset', 'ViewGroupSampler',
    'ZipBackend', 'check_annotations', 'transforms'
]
