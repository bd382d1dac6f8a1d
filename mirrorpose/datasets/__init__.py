"""Data sets, transforms, samplers."""
from . import transforms
from .coco import CocoPoseDataset
from .codecs import OneHotHeatmap
from .lsp import LspDataset
from .poses import PoseCollectionDataset
from .samplers import SemiSupervisedSampler
from .silhouettes import SilhouetteDataset
from .zip_backend import ZipBackend

__all__ = [
    'CocoPoseDataset', 'LspDataset', 'OneHotHeatmap', 'PoseCollectionDataset',
    'SemiSupervisedSampler', 'SilhouetteDataset', 'ZipBackend', 'transforms'
]
