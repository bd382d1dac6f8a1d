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
from .steps import ThreeSteps, assert_same, three_inputs, weights
from .toys import ToyPeople, toy_cfg
from .variants import NoisyPoseAutoencoding

__all__ = ['DieOnce', 'NoisyPoseAutoencoding', 'PowerCutAt', 'ThreeSteps',
           'ToyPeople', 'ToyPoints', 'ToyWGAN', 'assert_same',
           'run_processes', 'three_inputs', 'toy_cfg', 'toy_gan_cfg',
           'toy_gan_optimizers', 'toy_points', 'weights']
