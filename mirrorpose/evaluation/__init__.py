"""Metrics of the papers."""
from .bound import MeanBound
from .keypoints import InterOcularNME, MeanKeypointError
from .on_frames import OnFrames
from .pck import LspPCK, MpiiPCKTable
from .pose3d import PoseErrors3D, PosePCK3D
from .retrieval import PoseRetrieval
from .sequences import SequenceErrors, SequencePCKh
from .sureness import PoseSureness

__all__ = ['InterOcularNME', 'LspPCK', 'MeanBound', 'MeanKeypointError',
           'MpiiPCKTable', 'OnFrames', 'PoseErrors3D', 'PosePCK3D',
           'PoseRetrieval', 'PoseSureness', 'SequenceErrors', 'SequencePCKh']
