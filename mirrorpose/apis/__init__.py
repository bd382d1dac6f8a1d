"""What Python users call: load, recognize, complete and score."""
from .completers import load_completer
from .completion import CompletedTrack, complete
from .editing import PoseEditor
from .embedding import embed_images, embed_keypoints
from .export import Exported, export_recognizer
from .models import load_model
from .pose_index import PoseIndex
from .priors import score_poses
from .recognition import recognize

__all__ = ['CompletedTrack', 'Exported', 'PoseEditor', 'PoseIndex',
           'complete', 'embed_images', 'embed_keypoints', 'export_recognizer',
           'load_completer', 'load_model', 'recognize', 'score_poses']
