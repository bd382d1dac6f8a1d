"""The pose half of the mirror: a pose to its primitive and back."""
from __future__ import annotations

import math
from typing import NamedTuple

import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor

from mirrorpose.structures import Skeleton

from ..pose import cells_from_normalised, draw_gaussians, probability
from ..pose.prior import check_keypoints
from .image_vae import Noise, _torch_noise


class PoseVAEOutput(NamedTuple):
    """What one pass of the pose VAE gives; means and log-variances."""

    mean: Tensor
    log_variance: Tensor | float
    primitive: tuple[Tensor, Tensor]


@MODELS.register_module()
class PoseVAE(BaseModule):
    """q(z|y) and p(y|z) over heatmaps (Eqs. 3, 14, 34); a PosePrior.

    Args:
        recognizer (dict): Config of a :class:`LatentRecognizer`.
        generator (dict): Config of a :class:`PoseGenerator`.
        variance (float): Of a heatmap cell given z, for maps of peak 1. The
            paper fixes 1, at which z is ignored (8 nats can be gained, and
            16,384 latent dimensions ask for them); an amplitude of 10 at
            variance 1 is 0.01. Defaults to 0.02.
        skeleton (str): Name of the joint set. Defaults to ``'mpii_16'``.
        map_size (tuple[int, int]): (h, w) of the maps that
            :meth:`score` draws. Defaults to (64, 64).
        sigma (float): Their standard deviation in cells; the codec's.
            Defaults to 2.
    """

    reads_sequence = False

    def __init__(self,
                 recognizer: dict,
                 generator: dict,
                 variance: float = 0.02,
                 skeleton: str = 'mpii_16',
                 map_size: tuple[int, int] = (64, 64),
                 sigma: float = 2.,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if variance <= 0:
            raise ValueError(f'variance must be positive, got {variance}')
        self.skeleton = Skeleton.from_name(skeleton)
        for part, key in ((recognizer, 'in_channels'),
                          (generator, 'out_channels')):
            if part.get(key, len(self.skeleton)) != len(self.skeleton):
                raise ValueError(
                    f'PoseVAE over {skeleton!r} has {len(self.skeleton)} '
                    f'joints, but its {part["type"]} has {key}={part[key]}')
        self.recognizer = MODELS.build(recognizer)
        self.generator = MODELS.build(generator)
        self.variance = variance
        self.map_size, self.sigma = (map_size[0], map_size[1]), sigma

    def decode(self, z: Tensor) -> tuple[Tensor, Tensor | float]:
        """p(y|z): mean (N, K, h, w) and log-variance."""
        mean, log_variance = self.generator(z)
        if log_variance is None:
            return mean, math.log(self.variance)
        return mean, log_variance

    def forward(self, pose: Tensor,
                noise: Noise | None = None) -> PoseVAEOutput:
        """Recognises the primitive and generates the pose back.

        Args:
            pose (Tensor): (N, K, h, w) heatmaps; zero maps for absent joints.
            noise (Callable, optional): As in :class:`ImageVAE`.
        """
        primitive = self.recognizer(pose)
        noise = noise or _torch_noise
        mean, log_variance = self.decode(
            probability.sample(primitive[0], primitive[1],
                               noise(primitive[0])))
        return PoseVAEOutput(mean, log_variance, primitive)

    # -- PosePrior --------------------------------------------------------
    def draw(self, keypoints: Tensor, mask: Tensor | None = None) -> Tensor:
        """Heatmaps (N, K, h, w) of normalised keypoints, absent ones zero."""
        keypoints = check_keypoints(keypoints, mask, self.skeleton, False)
        maps = draw_gaussians(cells_from_normalised(keypoints, self.map_size),
                              self.map_size, self.sigma)
        if mask is not None:
            maps = maps * (mask > 0)[..., None, None]
        return maps

    def _reconstruct(self, maps: Tensor) -> PoseVAEOutput:
        # The mean of z, so that a score is a function of the pose alone.
        primitive = self.recognizer(maps)
        return PoseVAEOutput(*self.decode(primitive[0]), primitive)

    def score(self, keypoints: Tensor, mask: Tensor | None = None) -> Tensor:
        """Bound of log p(y) in nats (Eq. 34 at the mean of z), (N,).

        The number of present joints moves it: compare like with like.
        """
        maps = self.draw(keypoints, mask)
        out = self._reconstruct(maps)
        likelihood = probability.log_likelihood(
            maps, out.mean, out.log_variance, _over_maps(mask))
        return likelihood - probability.kl_standard_normal(*out.primitive)

    def per_joint(self, keypoints: Tensor,
                  mask: Tensor | None = None) -> Tensor:
        """log p(y_j|z) of every joint in nats, (N, K); 0 where absent."""
        maps = self.draw(keypoints, mask)
        out = self._reconstruct(maps)
        n, k = maps.shape[:2]
        log_variance = out.log_variance
        if isinstance(log_variance, Tensor):
            log_variance = log_variance.flatten(0, 1)
        terms = probability.log_likelihood(
            maps.flatten(0, 1), out.mean.flatten(0, 1), log_variance)
        terms = terms.view(n, k)
        return terms if mask is None else terms * (mask > 0)

    @torch.no_grad()
    def generate(self, number: int, latent_shape: tuple[int, int, int],
                 generator: torch.Generator | None = None) -> Tensor:
        """Samples (number, K, h, w) heatmap means from p(z) p(y|z).

        Args:
            number (int): How many.
            latent_shape (tuple): (C, h/8, w/8) of the recognizer's output.
            generator (torch.Generator, optional): Source of the noise.
        """
        parameter = next(self.parameters())
        z = torch.randn(number, *latent_shape, generator=generator)
        return self.decode(z.to(parameter))[0]


def _over_maps(mask: Tensor | None) -> Tensor | None:
    return None if mask is None else (mask > 0)[..., None, None]
