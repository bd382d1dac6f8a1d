"""How far the other views' embeddings may lie."""
from __future__ import annotations

import math

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..pose.gathering import joint_mean
from ..pose.views import ViewLabels


class EmbeddingUncertainty(BaseModule):
    """The variance of an image's embedding about that of its pose.

    Two views of an instant have embeddings f_a, f_b that are taken as
    independent Gaussians of one mean, so f_a - f_b ~ N(0, (v_a + v_b) I) in
    each of D dimensions, whose negative log-likelihood is minimised. Neither
    the embedding nor the backbone receives a gradient: this is a reading of
    them, and changes nothing else.

    Args:
        in_channels (int): C of the feature.
        hidden (int): Defaults to 256.
        log_range (tuple[float, float]): The log-variance stays within.
            Defaults to (-12, 2).
        loss_weight (float): Defaults to 0.01, of a sum over D dimensions.
    """

    def __init__(self, in_channels: int, hidden: int = 256,
                 log_range: tuple[float, float] = (-12., 2.),
                 loss_weight: float = .01,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        low, high = log_range
        if not low < high or loss_weight < 0:
            raise ValueError('log_range ascends and loss_weight is not '
                             f'negative, got {log_range}, {loss_weight}')
        self.low, self.high, self.loss_weight = low, high, loss_weight
        self.network = nn.Sequential(nn.Linear(in_channels, hidden),
                                     nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, feature: Tensor) -> Tensor:
        """Log-variances (N,) of features (N, C)."""
        x = self.network(feature.detach())[:, 0].float()
        return self.low + (self.high - self.low) * torch.sigmoid(x)

    @staticmethod
    def nll(a: Tensor, b: Tensor, log_a: Tensor, log_b: Tensor) -> Tensor:
        """Negative log-likelihood (P,) of pairs (P, D), in nats."""
        log_sum = torch.logaddexp(log_a, log_b)
        squared = (a - b).square().sum(-1)
        width = a.shape[-1]
        return .5 * (squared * torch.exp(-log_sum) + width * (
            log_sum + math.log(2 * math.pi)))

    def loss(self, feature: Tensor, unit: Tensor,
             views: ViewLabels) -> dict[str, Tensor]:
        """Over all pairs of views of one instant in this batch.

        Args:
            feature (Tensor): (N, C).
            unit (Tensor): (N, D) of unit length.
            views (ViewLabels): Of the N images.
        """
        log = self(feature)
        fixed = unit.detach().float()
        a, b = views.positives().triu(1).nonzero(as_tuple=True)
        each = self.nll(fixed[a], fixed[b], log[a], log[b])
        return dict(loss_uncertainty=self.loss_weight * joint_mean(each),
                    mon_deviation=(.5 * log.detach()).exp().mean())
