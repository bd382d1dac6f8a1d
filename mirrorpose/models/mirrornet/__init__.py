"""MirrorNet: image -> pose -> primitive -> pose -> image."""
from .image_vae import ImageVAE
from .mirrornet import MirrorNet, PoseRecognition
from .networks import (
    ImageGenerator,
    LatentRecognizer,
    MaskEstimator,
    PoseGenerator,
)
from .pose_vae import PoseVAE
from .pretraining import ImageAutoencoding, MaskEstimation, PoseAutoencoding
from .recombination import Recombination

__all__ = [
    'ImageAutoencoding', 'ImageGenerator', 'ImageVAE', 'LatentRecognizer',
    'MaskEstimation', 'MaskEstimator', 'MirrorNet', 'PoseAutoencoding',
    'PoseGenerator', 'PoseRecognition', 'PoseVAE', 'Recombination'
]
