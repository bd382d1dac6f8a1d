"""What stands between the loader and the model."""
from .crop_preprocessor import CropPreprocessor
from .recombination_preprocessor import RecombinationPreprocessor
from .view_preprocessor import KeypointPreprocessor, ViewPreprocessor

__all__ = ['CropPreprocessor', 'KeypointPreprocessor',
           'RecombinationPreprocessor', 'ViewPreprocessor']
