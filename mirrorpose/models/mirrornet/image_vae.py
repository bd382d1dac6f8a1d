"""The image half of the mirror: appearance and scene, and back to pixels."""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor

from ..pose import probability

Noise = Callable[[Tensor], Tensor]


class ImageVAEOutput(NamedTuple):
    """What one pass of the image VAE gives; means and log-variances."""

    mean: Tensor
    log_variance: Tensor | float
    appearance: tuple[Tensor, Tensor]
    scene: tuple[Tensor, Tensor]


@MODELS.register_module()
class ImageVAE(BaseModule):
    """q(a|y,x), q(s|y,x) and p(x|y,a,s) (Eqs. 2, 12, 13, 32, 33).

    Appearance is read from the image under the mask, the scene from the rest.

    Args:
        appearance_recognizer (dict): Config of a :class:`LatentRecognizer`.
        scene_recognizer (dict): The same.
        generator (dict): Config of an :class:`ImageGenerator`.
        variance (float): Of a pixel given everything, in the units of the
            normalised image. The paper fixes 1, at which the latents are
            ignored; see docs/mirrornet.md. Defaults to 0.1.
    """

    def __init__(self,
                 appearance_recognizer: dict,
                 scene_recognizer: dict,
                 generator: dict,
                 variance: float = 0.1,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if variance <= 0:
            raise ValueError(f'variance must be positive, got {variance}')
        self.appearance_recognizer = MODELS.build(appearance_recognizer)
        self.scene_recognizer = MODELS.build(scene_recognizer)
        self.generator = MODELS.build(generator)
        self.variance = variance

    def decode(self, pose: Tensor, appearance: Tensor,
               scene: Tensor) -> tuple[Tensor, Tensor | float]:
        """p(x|y,a,s): mean (N, 3, h, w) and log-variance."""
        mean, log_variance = self.generator(pose, appearance, scene)
        if log_variance is None:
            return mean, math.log(self.variance)
        return mean, log_variance

    def forward(self,
                image: Tensor,
                pose: Tensor,
                mask: Tensor,
                noise: Noise | None = None) -> ImageVAEOutput:
        """Recognises appearance and scene and generates the image back.

        Args:
            image (Tensor): (N, 3, h, w) reduced image.
            pose (Tensor): (N, K, h, w) heatmaps.
            mask (Tensor): (N, 1, h, w) in [0, 1], 1 on the person.
            noise (Callable, optional): Gives standard normal noise shaped
                like its argument. Defaults to torch's generator.
        """
        noise = noise or _torch_noise
        appearance = self.appearance_recognizer(mask * image)
        scene = self.scene_recognizer((1 - mask) * image)
        mean, log_variance = self.decode(
            pose,
            probability.sample(appearance[0], appearance[1],
                               noise(appearance[0])),
            probability.sample(scene[0], scene[1], noise(scene[0])))
        return ImageVAEOutput(mean, log_variance, appearance, scene)


def _torch_noise(like: Tensor) -> Tensor:
    return like.new_empty(like.shape).normal_()
