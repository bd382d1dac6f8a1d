"""What stands between the loader and the model."""
from .crop_preprocessor import CropPreprocessor

__all__ = ['CropPreprocessor']
