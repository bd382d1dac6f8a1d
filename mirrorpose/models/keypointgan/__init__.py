"""KeypointGAN: readable keypoints from unlabelled frames."""
from .data_preprocessor import FramePairPreprocessor
from .image_pool import ImagePool
from .keypointgan import Cycle, KeypointGAN
from .networks import (
    ConditionalDecoder,
    MultiScaleDiscriminator,
    SkeletonTranslator,
)
from .pretraining import SkeletonRegressorPretraining
from .regressor import SkeletonRegressor
from .sides import nearer_sides

__all__ = ['ConditionalDecoder', 'Cycle', 'FramePairPreprocessor',
           'ImagePool', 'KeypointGAN', 'MultiScaleDiscriminator',
           'SkeletonRegressor', 'SkeletonRegressorPretraining',
           'SkeletonTranslator', 'nearer_sides']
