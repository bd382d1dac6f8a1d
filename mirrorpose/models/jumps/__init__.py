"""JUMPS: dense and complete pose sequences from sparse ones."""
from ..pose.canonical_frame import CanonicalFrame, canonical_frame
from .completer import JumpsCompleter
from .data_preprocessor import PoseSequencePreprocessor
from .inpainting import SearchResult, SearchSettings, search_latent
from .jumps import Jumps
from .networks import (
    PoseSequenceCritic,
    PoseSequenceEncoder,
    PoseSequenceGenerator,
)

__all__ = ['CanonicalFrame', 'Jumps', 'JumpsCompleter',
           'PoseSequenceCritic', 'PoseSequenceEncoder',
           'PoseSequenceGenerator', 'PoseSequencePreprocessor',
           'SearchResult', 'SearchSettings', 'canonical_frame',
           'search_latent']
