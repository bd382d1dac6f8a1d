"""Toys and helpers that our tests and our users' tests share."""
from .accidents import DieOnce, PowerCutAt
from .adversarial import (
    ToyPoints,
    ToyWGAN,
    toy_gan_cfg,
    toy_gan_optimizers,
    toy_points,
)
from .processes import run_processes
from .toys import ToyPeople, toy_cfg
from .variants import NoisyPoseAutoencoding

__all__ = ['DieOnce', 'NoisyPoseAutoencoding', 'PowerCutAt', 'ToyPeople',
           'ToyPoints', 'ToyWGAN', 'run_processes', 'toy_cfg', 'toy_gan_cfg',
           'toy_gan_optimizers', 'toy_points']
