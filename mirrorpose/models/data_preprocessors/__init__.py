"""What stands between the loader and the model."""
from .crop_preprocessor import CropPreprocessor
from .recombination_preprocessor import RecombinationPreprocessor

__all__ = ['CropPreprocessor', 'RecombinationPreprocessor']
