"""The engine: runner, curriculum, checkpoints, hooks, mixed precision."""
from .amp import AutocastOptimWrapper
from .curriculum import CurriculumRunner
from .hooks import AverageScores, StopOnNonFinite
from .runner import PoseRunner

__all__ = ['AutocastOptimWrapper', 'AverageScores', 'CurriculumRunner',
           'PoseRunner', 'StopOnNonFinite']
