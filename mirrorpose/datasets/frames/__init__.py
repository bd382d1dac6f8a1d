"""Frames of clips and unpaired poses: the data of KeypointGAN."""
from .archives import FrameArchive
from .cache import FrameCache
from .clips import Clip, shared_clips
from .files import FrameFolders, VideoFiles
from .held import HeldFrames
from .pairs import FramePairDataset
from .pose_sources import DatasetPoses, FramePoses, MotionPoses, PoseSource
from .poses import UnpairedPoseDataset
from .real import (
    FaceClips,
    MultiviewCrops,
    SilhouetteStills,
    VideoCrops,
    ViewFrames,
)
from .sources import FrameSource
from .stills import StillPairDataset
from .store import FrameStore
from .tps import TpsSampler
from .unpaired import UnpairedDataset
from .world import SyntheticClips

__all__ = [
    'Clip', 'DatasetPoses', 'FaceClips', 'FrameArchive', 'FrameCache',
    'FrameFolders', 'FramePairDataset', 'FramePoses', 'FrameSource',
    'FrameStore', 'HeldFrames', 'MotionPoses', 'MultiviewCrops', 'PoseSource',
    'SilhouetteStills', 'StillPairDataset', 'SyntheticClips', 'TpsSampler',
    'UnpairedDataset', 'UnpairedPoseDataset', 'VideoCrops', 'VideoFiles',
    'ViewFrames', 'shared_clips'
]
