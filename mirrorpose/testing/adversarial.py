"""A toy GAN on points of the plane: adversarial training in seconds."""
from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapperDict
from mmpose.registry import DATASETS, MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor, nn

from ..engine.optimizers import PerChildOptimWrapperConstructor
from ..engine.per_child import PerChildDistributedDataParallel
from ..models.adversarial import AdversarialMixin, unwrap
from ..models.losses.adversarial import uniform_from_normal

__all__ = ['ToyPoints', 'ToyWGAN', 'toy_gan_cfg', 'toy_gan_optimizers',
           'toy_points']


@DATASETS.register_module(force=True)
class ToyPoints(torch.utils.data.Dataset):
    """Points on a ring of radius 1, each a function of (seed, index).

    Args:
        number (int): Of points. Defaults to 256.
        seed (int): Of the points. Defaults to 0.
        spread (float): Standard deviation of the radius. Defaults to 0.05.
        jitter (float): Standard deviation of noise that is drawn anew each
            time, as an augmentation is: half of it by numpy, half by torch.
            Defaults to 0.
    """

    METAINFO = dict(dataset_name='toy_points')

    def __init__(self, number: int = 256, seed: int = 0, spread: float = .05,
                 jitter: float = 0.) -> None:
        self.number, self.seed = number, seed
        self.spread, self.jitter = spread, jitter
        self.metainfo = dict(self.METAINFO)

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < self.number:
            raise IndexError(index)
        rng = np.random.default_rng([self.seed, index])
        angle, radius = rng.uniform(0, 2 * math.pi), rng.normal(
            1, self.spread)
        point = torch.tensor([radius * math.cos(angle),
                              radius * math.sin(angle)])
        if self.jitter:
            # The global generators, as transforms use them.
            drawn = np.random.randn(2)  # noqa: NPY002
            point = point + self.jitter * math.sqrt(.5) * (
                torch.randn(2) + torch.from_numpy(drawn))
        sample = PoseDataSample(metainfo=dict(
            id=f'{self.seed}-{index}', img_id=index))
        return dict(inputs=point.float(), data_samples=sample)


def _mlp(inputs: int, width: int, outputs: int,
         dropout: float = 0.) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(2):
        layers += [nn.Linear(inputs, width), nn.LeakyReLU(.2)]
        layers += [nn.Dropout(dropout)] if dropout else []
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


@MODELS.register_module(force=True)
class ToyWGAN(AdversarialMixin, BaseModel):
    """Generator, critic and encoder of points, trained in two steps.

    Step ``critic`` by WGAN-GP, then step ``generator`` (generator and
    encoder) by the critic's score and by reconstruction both ways, as JUMPS.

    Args:
        noise (str): ``'torch'``: latents from torch's generator;
            ``'sample'``: a function of seed, iteration and sample, equal in
            whatever process a sample is. Defaults to ``'torch'``.
        latent (int): Size of the latent. Defaults to 2.
        width (int): Of the hidden layers. Defaults to 32.
        dropout (float): In the generator. Defaults to 0.
        critic_steps (int): Iterations a generator step. Defaults to 1.
        reconstruction (float): Weight of the encoder's terms. Defaults to 1.
        gan_loss (dict, optional): Defaults to ``WGANGPLoss``.
        float32 (bool): The critic keeps out of autocast. Defaults to True.
        micro_batches (int): See :meth:`AdversarialMixin.set_steps`.
        data_preprocessor, init_cfg: As in mmengine's ``BaseModel``.
    """

    def __init__(self,
                 noise: str = 'torch',
                 latent: int = 2,
                 width: int = 32,
                 dropout: float = 0.,
                 critic_steps: int = 1,
                 reconstruction: float = 1.,
                 gan_loss: dict | None = None,
                 float32: bool = True,
                 micro_batches: int = 1,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(data_preprocessor, init_cfg)
        if noise not in ('torch', 'sample'):
            raise ValueError(f"noise is 'torch' or 'sample', got {noise!r}")
        self.noise, self.latent = noise, latent
        self.reconstruction = reconstruction
        self.generator = _mlp(latent, width, 2, dropout)
        self.critic = _mlp(2, width, 1)
        self.encoder = _mlp(2, width, latent)
        self.gan_loss = MODELS.build(dict(gan_loss or {
            'type': 'WGANGPLoss', 'penalty_weight': 1.}))
        self.set_steps([
            dict(name='critic', trains=['critic'], float32=float32),
            dict(name='generator', trains=['generator', 'encoder'],
                 every=critic_steps)], micro_batches)

    @staticmethod
    def _points(inputs: Tensor | Sequence[Tensor]) -> Tensor:
        return inputs if isinstance(inputs, Tensor) else torch.stack(
            list(inputs))

    def _noise(self, samples: Sequence[PoseDataSample]
               ) -> Callable[[Tensor], Tensor]:
        if self.noise == 'torch':
            return torch.randn_like
        return self.sample_noise([int(s.img_id) for s in samples])

    def critic_losses(self, inputs: Any,
                      data_samples: Sequence[PoseDataSample]
                      ) -> dict[str, Tensor]:
        """What the critic minimises."""
        real, noise = self._points(inputs), self._noise(data_samples)
        with torch.no_grad():
            fake = self.generator(noise(real.new_zeros(len(real),
                                                       self.latent)))
        mix = uniform_from_normal(noise(real.new_zeros(len(real))))
        return self.gan_loss.critic_losses(self.critic, real, fake, mix)

    def generator_losses(self, inputs: Any,
                         data_samples: Sequence[PoseDataSample]
                         ) -> dict[str, Tensor]:
        """What generator and encoder minimise."""
        real, noise = self._points(inputs), self._noise(data_samples)
        z = noise(real.new_zeros(len(real), self.latent))
        fake = self.generator(z)
        again = self.generator(self.encoder(real))
        self.step_cache.update(generated=fake, real=real)
        return dict(
            self.gan_loss.generator_losses(self.critic, fake),
            loss_points=self.reconstruction * F.mse_loss(again.float(), real),
            loss_latents=self.reconstruction * F.mse_loss(
                self.encoder(fake).float(), z))

    @torch.no_grad()
    def generate(self, number: int, seed: int = 0) -> Tensor:
        """Points from the generator, (number, 2); moves no random state."""
        source = torch.Generator().manual_seed(seed)
        z = torch.randn(number, self.latent, generator=source)
        generator = unwrap(self.generator)
        was, device = generator.training, next(generator.parameters()).device
        generator.eval()
        try:
            return generator(z.to(device))
        finally:
            generator.train(was)

    def forward(self, inputs: Any,
                data_samples: Sequence[PoseDataSample] | None = None,
                mode: str = 'tensor') -> Any:
        """mmengine's entry.

        ``predict`` gives the data samples back, each with a dict ``bound``
        of its squared reconstruction error; ``tensor`` maps latents (N, L)
        to points; ``loss`` is refused, see :meth:`AdversarialMixin.loss`.
        """
        if mode == 'loss':
            return self.loss()
        if mode == 'tensor':
            return self.generator(inputs)
        real = self._points(inputs)
        error = (self.generator(self.encoder(real)) - real).square().sum(1)
        for value, sample in zip(error.tolist(), data_samples or ()):
            sample.set_field(dict(squared_error=value), 'bound')
        return data_samples


def toy_points(number: int, seed: int = 0) -> dict[str, list]:
    """The first points of a :class:`ToyPoints` as one collated batch."""
    data = ToyPoints(number, seed=seed)
    items = [data[i] for i in range(number)]
    return {key: [item[key] for item in items]
            for key in ('inputs', 'data_samples')}


def toy_gan_optimizers(model: nn.Module, kind: str = 'Adam',
                       wrapper: str = 'OptimWrapper',
                       **kwargs: Any) -> OptimWrapperDict:
    """Optimizers of a :class:`ToyWGAN`, for training without a runner.

    Where runs are compared, take SGD: Adam turns the rounding of gradients
    that are 0 (the critic's last bias, in WGAN-GP) into full steps.

    Args:
        model (nn.Module): Bare or wrapped.
        kind (str): ``'Adam'`` or ``'SGD'``.
        wrapper (str): Type of the optimizer wrappers.
        **kwargs: For both wrappers.
    """
    optimizer = dict(
        Adam=dict(type='Adam', lr=2e-3, betas=(.5, .9)),
        SGD=dict(type='SGD', lr=5e-2, momentum=.5))[kind]
    entry = dict(type=wrapper, optimizer=optimizer, **kwargs)
    return PerChildOptimWrapperConstructor(dict(
        critic=entry, generator=dict(entry, children=[
            'generator', 'encoder'])))(model)


def toy_gan_cfg(work_dir: str | Path, **changes: Any) -> Config:
    """A complete config that trains and validates the toy GAN.

    Two epochs of eight iterations with batches of 8, checkpoints and a
    validation after each; an optimizer and a schedule for each step.

    Args:
        work_dir (str | Path): Its work dir.
        **changes: Entries of the config to replace; ``model`` is merged.
    """
    def adam(lr: float) -> dict:
        return dict(type='OptimWrapper',
                    optimizer=dict(type='Adam', lr=lr, betas=(.5, .9)))

    def loader(number: int, seed: int, shuffle: bool) -> dict:
        return dict(
            batch_size=8, num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=shuffle),
            dataset=dict(type='ToyPoints', number=number, seed=seed,
                         jitter=.02 if shuffle else 0.))

    schedule = [dict(type='LinearLR', start_factor=.1, by_epoch=False,
                     begin=0, end=10)]
    model = dict(type='ToyWGAN', data_preprocessor=dict(
        type='BaseDataPreprocessor'))
    model.update(copy.deepcopy(changes.pop('model', {})))
    cfg = dict(
        custom_imports=dict(imports=['mirrorpose', 'mirrorpose.testing']),
        default_scope='mmpose', runner_type='PoseRunner',
        work_dir=str(work_dir), log_level='WARNING',
        batch_size_is_global=True, randomness=dict(seed=0),
        default_hooks=dict(
            timer=dict(type='IterTimerHook'),
            logger=dict(type='LoggerHook', interval=1),
            param_scheduler=dict(type='ParamSchedulerHook'),
            checkpoint=dict(type='CheckpointHook', interval=1,
                            max_keep_ckpts=2),
            sampler_seed=dict(type='DistSamplerSeedHook')),
        visualizer=dict(type='PoseLocalVisualizer', name='visualizer',
                        vis_backends=[dict(type='LocalVisBackend')]),
        model=model,
        model_wrapper_cfg=dict(
            type=PerChildDistributedDataParallel.__name__),
        optim_wrapper=dict(
            constructor=PerChildOptimWrapperConstructor.__name__,
            critic=adam(2e-3),
            generator=dict(adam(1e-3), children=['generator', 'encoder'])),
        param_scheduler=dict(critic=copy.deepcopy(schedule),
                             generator=copy.deepcopy(schedule)),
        train_cfg=dict(by_epoch=True, max_epochs=2, val_interval=1),
        val_cfg=dict(), test_cfg=dict(),
        train_dataloader=loader(64, 0, True),
        val_dataloader=loader(16, 1, False),
        test_dataloader=loader(16, 1, False),
        val_evaluator=dict(type='MeanBound'),
        test_evaluator=dict(type='MeanBound'))
    cfg.update(copy.deepcopy(changes))
    return Config(cfg)
