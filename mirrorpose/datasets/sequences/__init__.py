"""Pose sequences: motion, virtual cameras, and what is missing."""
from .cameras import VirtualCameras
from .clips import MotionClips
from .dataset import PoseSequenceDataset, head_lengths
from .detector import DetectorNoise
from .holes import (
    LIMB_JOINTS,
    LIMBS,
    Detection,
    HiddenLimb,
    HoleChain,
    HolePattern,
    MissingFrames,
    OneOfHoles,
    RandomDrops,
    UnseenJoints,
    build_hole,
)
from .parts import assign_parts
from .residuals import ReplayedNoise, Residuals, blazepose_residuals
from .sources import (
    MocapArchive,
    MotionFiles,
    MotionSource,
    SyntheticMotions,
    write_archive,
)

__all__ = [
    'LIMBS', 'LIMB_JOINTS', 'Detection', 'DetectorNoise', 'HiddenLimb',
    'HoleChain', 'HolePattern', 'MissingFrames', 'MocapArchive',
    'MotionClips', 'MotionFiles', 'MotionSource', 'OneOfHoles',
    'PoseSequenceDataset', 'RandomDrops', 'ReplayedNoise', 'Residuals',
    'SyntheticMotions', 'UnseenJoints', 'VirtualCameras', 'assign_parts',
    'blazepose_residuals', 'build_hole', 'head_lengths',
    'write_archive'
]
