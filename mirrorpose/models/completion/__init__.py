"""Completion of pose sequences: what is not seen, from what is."""
from ..pose.canonical_frame import FRAMES
from .cascade import CascadeCompleter
from .completer import Completer, Completion
from .interpolation import InterpolationCompleter
from .regressor import RegressorCompleter
from .ridge import RidgeCompleter
from .windows import merge, plan_windows, select

__all__ = [
    'FRAMES', 'CascadeCompleter', 'Completer', 'Completion',
    'InterpolationCompleter', 'RegressorCompleter', 'RidgeCompleter', 'merge',
    'plan_windows', 'select'
]
