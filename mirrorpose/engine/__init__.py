"""The engine: runner, curriculum, checkpoints, hooks, mixed precision."""
from .adversarial_monitor import AdversarialMonitor
from .amp import AutocastOptimWrapper
from .checkpoint_hook import DurableCheckpointHook
from .crop_visualization import CropVisualizationHook
from .curriculum import CurriculumRunner
from .embedding_watch import EmbeddingWatch
from .hooks import AverageScores
from .keypoint_observatory import KeypointObservatory
from .loops import EpochTrainLoop, IterTrainLoop
from .nonfinite import NonFiniteGuard
from .optimizers import PerChildOptimWrapperConstructor
from .per_child import PerChildDistributedDataParallel
from .runner import PoseRunner
from .runtime_info import LazyRuntimeInfoHook
from .term_trust import TermTrust

__all__ = ['AdversarialMonitor', 'AutocastOptimWrapper', 'AverageScores',
           'CropVisualizationHook', 'CurriculumRunner',
           'DurableCheckpointHook', 'EmbeddingWatch', 'EpochTrainLoop',
           'IterTrainLoop', 'KeypointObservatory',
           'LazyRuntimeInfoHook', 'NonFiniteGuard',
           'PerChildDistributedDataParallel',
           'PerChildOptimWrapperConstructor', 'PoseRunner', 'TermTrust']
