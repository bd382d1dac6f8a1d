"""Toys and helpers that our tests and our users' tests share."""
from .adversarial import (
    ToyPoints,
    ToyWGAN,
    toy_gan_cfg,
    toy_gan_optimizers,
    toy_points,
)
from .processes import run_processes
from .toys import ToyPeople, toy_cfg

__all__ = ['ToyPeople', 'ToyPoints', 'ToyWGAN', 'run_processes', 'toy_cfg',
           'toy_gan_cfg', 'toy_gan_optimizers', 'toy_points']
