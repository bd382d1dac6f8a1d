"""The likelihood of annotated heatmaps under a fixed variance."""
from __future__ import annotations

import math

from mmpose.registry import MODELS
from torch import Tensor, nn

from ..pose.probability import log_likelihood


@MODELS.register_module()
class HeatmapNLLLoss(nn.Module):
    """-log N(target | output, variance) per sample and heatmap cell.

    MirrorNet's recognition term (Eq. 30) as a loss for any mmpose heatmap
    head. Unlike ``KeypointMSELoss`` it divides by a constant (samples times
    cells), so masked joints do not change the weight of the others.

    Args:
        variance (float): v_alpha. Defaults to 0.01 (paper).
        loss_weight (float): Defaults to 1.

    Raises:
        ValueError: The variance is not positive.
    """

    def __init__(self, variance: float = 0.01,
                 loss_weight: float = 1.) -> None:
        super().__init__()
        if variance <= 0:
            raise ValueError(f'variance must be positive, got {variance}')
        self.variance, self.loss_weight = variance, loss_weight

    def forward(self,
                output: Tensor,
                target: Tensor,
                target_weights: Tensor | None = None,
                mask: Tensor | None = None) -> Tensor:
        """Scalar loss.

        Args:
            output (Tensor): (N, K, h, w).
            target (Tensor): (N, K, h, w).
            target_weights (Tensor, optional): (N, K), 0 leaves a joint out.
            mask (Tensor, optional): Not supported by the likelihood.
        """
        if mask is not None:
            raise ValueError('HeatmapNLLLoss takes no pixel mask')
        keep = None if target_weights is None else \
            (target_weights > 0)[..., None, None]
        nats = log_likelihood(target, output, math.log(self.variance), keep)
        return -self.loss_weight * nats.sum() / output.numel()
