"""Losses for anybody's config."""
from .adversarial import LeastSquaresGANLoss, WGANGPLoss
from .hardnet import HardNetLoss
from .heatmap_nll import HeatmapNLLLoss
from .identity_adversary import IdentityAdversary
from .perceptual import PerceptualLoss
from .pose_prior import PosePriorLoss
from .pytorch_metric_learning import PytorchMetricLearningLoss

__all__ = ['HardNetLoss', 'HeatmapNLLLoss', 'IdentityAdversary',
           'LeastSquaresGANLoss', 'PerceptualLoss', 'PosePriorLoss',
           'PytorchMetricLearningLoss', 'WGANGPLoss']
