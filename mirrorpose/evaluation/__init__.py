"""Metrics of the papers."""
from .bound import MeanBound
from .pck import LspPCK, MpiiPCKTable
from .sequences import SequenceErrors, SequencePCKh

__all__ = ['LspPCK', 'MeanBound', 'MpiiPCKTable', 'SequenceErrors',
           'SequencePCKh']
