"""Transforms that mmpose's pipelines lack."""
from .labels import DropLabels
from .loading import LoadBlankImage, LoadCheckedImage
from .silhouette import LoadSilhouette, SplitSilhouette

__all__ = [
    'DropLabels', 'LoadBlankImage', 'LoadCheckedImage', 'LoadSilhouette',
    'SplitSilhouette'
]
