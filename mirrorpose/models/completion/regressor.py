"""A temporal convolution network that completes masked windows."""
from __future__ import annotations

import torch
from mmengine.model import BaseDataPreprocessor, BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..pose.canonical_frame import canonical_frame
from .base import TrainedCompleter
from .batch import SequenceBatch
from .completer import SKELETON, Completion, check_windows
from .gaussian import condition, fit_gaussian
from .interpolation import InterpolationCompleter

_SIZE = 2 * len(SKELETON)
#: About a centimetre, in the canonical unit.
_SMOOTH = .005


class TemporalBlock(nn.Module):
    """y = x + conv1x1(relu(conv(relu(norm(x))))), over time.

    Args:
        width (int): Channels.
        kernel (int): Odd, in frames.
        dilation (int): In frames.
    """

    def __init__(self, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.conv = nn.Conv1d(width, width, kernel, dilation=dilation,
                              padding=dilation * (kernel // 2))
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, F) to the same shape."""
        return x + self.mix(self.conv(self.norm(x).relu()).relu())


class TemporalNetwork(BaseModule):
    """Windows to corrections of them, for any number of frames.

    Args:
        in_channels (int): Of a frame.
        out_channels (int): Of a frame.
        width (int): Hidden channels. Defaults to 160.
        dilations (tuple[int]): Of the residual blocks. Defaults to
            (1, 2, 4, 1).
        kernel (int): Odd, in frames. Defaults to 5.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int = 160,
                 dilations: tuple[int, ...] = (1, 2, 4, 1),
                 kernel: int = 5, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if kernel % 2 == 0 or min((kernel, width, *dilations)) < 1:
            raise ValueError('kernel must be odd, width and dilations '
                             f'positive, got {kernel}, {width} and '
                             f'{dilations}')
        self.first = nn.Conv1d(in_channels, width, 1)
        self.blocks = nn.Sequential(*(
            TemporalBlock(width, kernel, d) for d in dilations))
        self.last = nn.Conv1d(width, out_channels, 1)
        nn.init.zeros_(self.last.weight)  # begins as what it reads
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(N, F, C_in) to (N, F, C_out)."""
        hidden = self.first(x.transpose(1, 2))
        return self.last(self.blocks(hidden).relu()).transpose(1, 2)


@MODELS.register_module()
class RegressorCompleter(TrainedCompleter):
    """Learns to complete windows with holes of every kind.

    The network reads interpolated windows and how far each joint is trusted,
    and corrects them. Where it misses the observed joints, its error is
    propagated to the others of the frame by the covariance of its errors,
    which is measured in training.

    Args:
        width (int): Hidden channels. Defaults to 160.
        dilations (Sequence[int]): Of the residual blocks. Defaults to
            (1, 2, 4, 1).
        velocity_weight (float): Of the loss of velocities, beside that of
            positions. Defaults to 0.5.
        observed_weight (float): Of observed joints in the losses, beside 1
            of all others. Defaults to 0.25.
        noise (float): Standard deviation of observed coordinates of
            confidence 1, in the canonical unit, in the propagation. Defaults
            to 0.002.
        keep (bool): Keep observed joints, in proportion to their
            confidence. Defaults to True.
        momentum (float): Of the covariance of errors. Defaults to 0.02.
        data_preprocessor (dict, optional): Of batches from a loader.

    Raises:
        ValueError: A weight is negative, or noise is not positive.
    """

    second: Tensor
    modes = ('loss', 'predict', 'tensor')

    def __init__(self,
                 width: int = 160,
                 dilations: tuple[int, ...] | list[int] = (1, 2, 4, 1),
                 velocity_weight: float = 0.5,
                 observed_weight: float = 0.25,
                 noise: float = 0.002,
                 keep: bool = True,
                 momentum: float = 0.02,
                 data_preprocessor: dict | BaseDataPreprocessor |
                 None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(data_preprocessor, init_cfg)
        if min(velocity_weight, observed_weight) < 0 or noise <= 0 or not (
                0 < momentum <= 1):
            raise ValueError(
                'weights must not be negative, noise must be positive and '
                f'momentum in (0, 1], got {velocity_weight}, '
                f'{observed_weight}, {noise} and {momentum}')
        self.interpolate = InterpolationCompleter()
        self.network = TemporalNetwork(_SIZE + len(SKELETON), _SIZE, width,
                                       tuple(dilations))
        self.velocity_weight = velocity_weight
        self.observed_weight = observed_weight
        self.noise, self.keep, self.momentum = noise, keep, momentum
        # a small isotropic one to begin with: nothing is propagated
        self.register_buffer('second', torch.eye(_SIZE) * 1e-4)

    def estimate(self, points: Tensor, observed: Tensor,
                 confidence: Tensor) -> Tensor:
        """The network's answer, (N, F, 28, 2), before propagation.

        Args:
            points (Tensor): (N, F, 28, 2), canonical and finite.
            observed (Tensor): (N, F, 28) bool.
            confidence (Tensor): (N, F, 28), 0 where nothing is observed.
        """
        filled = self.interpolate.complete(points, observed).keypoints
        read = torch.cat([filled.flatten(2), confidence.to(filled)], -1)
        return filled + self.network(read).view_as(filled)

    # -- training ---------------------------------------------------------
    def loss(self, batch: SequenceBatch) -> dict[str, Tensor]:
        """Distances and differences of velocities, where truth is known.

        Returns:
            dict[str, Tensor]: ``loss_position``, ``loss_velocity`` and
            ``mon_unseen``, the mean distance of joints that were not
            observed; all in the canonical unit.
        """
        frame = canonical_frame(batch.seen, batch.observed)
        points, observed, weight = check_windows(
            frame.apply(batch.seen), batch.observed, batch.confidence)
        present = batch.present
        truth = frame.apply(batch.truth).masked_fill(~present[..., None], 0.)
        estimate = self.estimate(points, observed, weight)
        residual = (truth - estimate).masked_fill(~present[..., None], 0.)
        share = torch.where(observed, self.observed_weight, 1.) * present
        position = (_length(residual) * share).sum() / share.sum().clamp(
            min=1e-6)
        steps = share[:, 1:] * share[:, :-1] > 0
        moved = _length(residual[:, 1:] - residual[:, :-1])
        velocity = (moved * steps).sum() / steps.sum().clamp(min=1)
        unseen = present & ~observed
        with torch.no_grad():
            self._update(residual.detach(), present)
            missed = (torch.linalg.vector_norm(residual, dim=-1) *
                      unseen).sum() / unseen.sum().clamp(min=1)
        return dict(loss_position=position,
                    loss_velocity=self.velocity_weight * velocity,
                    mon_unseen=missed)

    def _update(self, residual: Tensor, present: Tensor) -> None:
        """Moves the covariance of errors towards this batch's."""
        whole = present.flatten(0, 1).all(1)
        rows = residual.flatten(2).flatten(0, 1).float() * whole[:, None]
        count = whole.sum()
        now = rows.T @ rows / count.clamp(min=1)
        self.second += self.momentum * (count > 0) * (now - self.second)

    # -- use --------------------------------------------------------------
    @torch.no_grad()
    def complete(self, keypoints: Tensor, observed: Tensor,
                 confidence: Tensor | None = None) -> Completion:
        """See :class:`~.completer.Completer`; any number of frames.

        The spread is that of the network's errors in training, given its
        errors at the observed joints.
        """
        points, observed, weight = check_windows(keypoints, observed,
                                                 confidence)
        first = self.estimate(points, observed, weight)
        miss = (points - first).flatten(2).flatten(0, 1)
        trust = weight[..., None].expand_as(points).flatten(2).flatten(0, 1)
        zero = torch.zeros(_SIZE, dtype=torch.float64, device=miss.device)
        mean, variance = condition(
            fit_gaussian(zero, self.second, _SIZE), miss, trust, self.noise)
        assert variance is not None
        return self._finish(first + mean.view_as(first), variance, points,
                            weight, judged=first)


def _length(vectors: Tensor) -> Tensor:
    """Euclidean length, smooth below ``_SMOOTH``.

    Observed joints need no correction. A length with a kink at 0 would pull
    on them with full force, and keep a joint from being corrected in the
    windows where it is hidden.
    """
    return (vectors.square().sum(-1) + _SMOOTH**2).sqrt() - _SMOOTH
