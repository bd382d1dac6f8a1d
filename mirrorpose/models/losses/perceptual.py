"""Perceptual loss: images compared by the features of a fixed network."""
from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from mmengine.logging import print_log
from mmpose.registry import MODELS
from torch import Tensor, nn

from .perceptual_features import build_features

#: What the terms are logged as, in order.
TERMS = ('image', 'level1', 'level2', 'level3', 'level4', 'level5')


@MODELS.register_module()
class PerceptualLoss(nn.Module):
    """Mean of six squared errors, each divided by its own running mean.

    Those of the image and of five levels of features (KeypointGAN, Eq. 4,
    as in its code). The running means (momentum 0.99, begun with the first
    value) are updated in training, over all processes, and saved. The loss
    hovers about 1 and tells no progress (trap T2.3): log :meth:`terms`.

    Args:
        features (str): ``'vgg19'`` (the paper's), ``'efficientnet_lite0'``,
            ``'random'``, or ``'auto'``: the first of these whose weights
            are there. The log says which. Defaults to ``'vgg19'``.
        weights (str, optional): File of VGG-19's weights, a state dict of
            torchvision's. Defaults to that in torchvision's cache.
        rectified (bool): ReLUs between VGG's convolutions; the published
            code has none. Defaults to False.
        width (int): Of the random network. Defaults to 16.
        momentum (float): Of the running means. Defaults to 0.99.
        loss_weight (float): Defaults to 1.

    Where there are no such weights it can be built, so that a trained model
    is tested and used without them, and a training stops at its beginning.

    Raises:
        ValueError: An argument is out of range.
    """

    means: Tensor

    def __init__(self, features: str = 'vgg19',
                 weights: str | Path | None = None, rectified: bool = False,
                 width: int = 16, momentum: float = 0.99,
                 loss_weight: float = 1.) -> None:
        super().__init__()
        if not 0 <= momentum < 1 or loss_weight < 0:
            raise ValueError('momentum lies in [0, 1) and loss_weight is not '
                             f'negative, got {momentum} and {loss_weight}')
        self._missing: Exception | None = None
        try:
            self.features: Any = build_features(features, weights, rectified,
                                                width)
        except (FileNotFoundError, ModuleNotFoundError) as error:
            # A trained model predicts without them.
            self.features, self._missing = None, error
            print_log(f'{error}. Until then nothing can be trained.',
                      'current', logging.WARNING)
        self.momentum, self.loss_weight = momentum, loss_weight
        # 0: nothing seen yet.
        self.register_buffer('means', torch.zeros(len(TERMS)))

    def check_training(self) -> None:
        """Stops a training before its first step.

        Raises:
            FileNotFoundError, ModuleNotFoundError: There are no weights.
        """
        if self._missing is not None:
            raise self._missing

    def terms(self, images: Tensor, targets: Tensor) -> Tensor:
        """The squared errors as they are.

        Args:
            images (Tensor): (N, 3, h, w), RGB in [-1, 1].
            targets (Tensor): Same shape; no gradient flows to them.

        Returns:
            Tensor: (6,), float32.
        """
        self.check_training()
        with torch.no_grad():
            wanted = self.features(targets)
        return torch.stack([
            F.mse_loss(a.float(), b.float())
            for a, b in zip(self.features(images), wanted)])

    def weigh(self, terms: Tensor) -> Tensor:
        """The loss of squared errors (6,); updates the running means."""
        if self.training and torch.is_grad_enabled():
            seen = terms.detach().clone()
            all_reduce(seen, 'mean')
            self.means.copy_(torch.where(
                self.means == 0, seen,
                self.momentum * self.means + (1 - self.momentum) * seen))
        divisor = torch.where(self.means == 0, terms.detach(), self.means)
        return self.loss_weight * (terms / (divisor + 1e-8)).mean()

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """The loss; see :meth:`terms` for the arguments."""
        return self.weigh(self.terms(images, targets))
