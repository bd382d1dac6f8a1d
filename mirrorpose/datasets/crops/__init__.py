"""People cropped once and augmented in whole batches, on the device."""
from .batch import CropBatch, CropSamples
from .cache import CropCache
from .config import use_crop_cache
from .dataset import CachedCropDataset

__all__ = ['CachedCropDataset', 'CropBatch', 'CropCache', 'CropSamples',
           'use_crop_cache']
