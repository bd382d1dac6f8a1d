"""What Python users call: load a model, recognize poses, score poses."""
from .models import load_model
from .priors import score_poses
from .recognition import recognize

__all__ = ['load_model', 'recognize', 'score_poses']
