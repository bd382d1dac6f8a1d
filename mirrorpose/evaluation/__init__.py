"""Metrics of the papers."""
from .bound import MeanBound
from .pck import LspPCK, MpiiPCKTable

__all__ = ['LspPCK', 'MeanBound', 'MpiiPCKTable']
