"""Metrics of the papers."""
from .bound import MeanBound
from .keypoints import InterOcularNME, MeanKeypointError
from .pck import LspPCK, MpiiPCKTable
from .pose3d import PoseErrors3D, PosePCK3D
from .retrieval import PoseRetrieval
from .sequences import SequenceErrors, SequencePCKh

__all__ = ['InterOcularNME', 'LspPCK', 'MeanBound', 'MeanKeypointError',
           'MpiiPCKTable', 'PoseErrors3D', 'PosePCK3D', 'PoseRetrieval',
           'SequenceErrors', 'SequencePCKh']
