"""What Python users call: load, recognize, complete and score."""
from .completers import load_completer
from .completion import CompletedTrack, complete
from .embedding import embed_images
from .models import load_model
from .pose_index import PoseIndex
from .priors import score_poses
from .recognition import recognize

__all__ = ['CompletedTrack', 'PoseIndex', 'complete', 'embed_images',
           'load_completer', 'load_model', 'recognize', 'score_poses']
