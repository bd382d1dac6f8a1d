"""What Python users call: load, recognize, complete and score."""
from .completers import load_completer
from .completion import CompletedTrack, complete
from .models import load_model
from .priors import score_poses
from .recognition import recognize

__all__ = ['CompletedTrack', 'complete', 'load_completer', 'load_model',
           'recognize', 'score_poses']
