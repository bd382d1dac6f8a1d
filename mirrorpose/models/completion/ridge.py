"""Ridge regression on whole windows, for any pattern of what is observed."""
from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from mmpose.registry import MODELS
from torch import Tensor, nn

from ...structures.joint_sets import LIMB_JOINTS
from ..pose.canonical_frame import FRAMES, canonical_frame
from .base import TrainedCompleter
from .batch import read_batch
from .completer import (
    SKELETON,
    Completion,
    check_windows,
    keep_observed,
)
from .density import by_coordinate, score_sequences
from .gaussian import (
    LowRankGaussian,
    condition,
    draw,
    fit_gaussian,
)

#: Of Student's t.
_FREEDOM = 4.
#: Logit of what is kept of a joint that is where the others expect it, in a
#: window whose joints lie as far off as the Gaussian expects.
_CERTAIN = 2.


@MODELS.register_module()
class RidgeCompleter(TrainedCompleter):
    """A Gaussian of windows, conditioned on what is observed of them.

    For one pattern of observed joints that is ridge regression on the
    window, in closed form; here one set of moments serves all patterns. Of
    the covariance the leading components are kept, and the variance that
    each coordinate has beside them.

    It is fitted by :meth:`fit`, or by ``tools/train.py`` in a single epoch:
    each step adds a batch to the moments (nothing is learnt by gradients;
    the mean is a parameter because mmengine's optimizers want one).

    Args:
        rank (int): Components. Defaults to 192.
        noise (float): Standard deviation of observed coordinates, in the
            canonical unit (twice the distance from pelvis to head top). It
            is the ridge: ``noise**2`` times the number of windows. Defaults
            to 0.005.
        keep (bool | float): Keep observed joints, in proportion to their
            confidence; else they are smoothed too. A number, of a ``robust``
            ridge: keep those that the others confirm, half of one that lies
            so many standard deviations off (of ``noise`` and of what the
            Gaussian does not know), ever less beyond (a logistic function
            of the squared distance). Where half of a window's joints lie
            farther off than they should, the others are no witnesses: the
            limit grows with the cube of the window's own variance. Defaults
            to True.
        robust (int): Observed joints that the others contradict lose
            weight, in so many rounds: the noise is taken for Student's t
            with four degrees of freedom (iteratively reweighted, its EM
            algorithm; Lange, Little and Taylor, 1989). For detectors, with
            their ``noise`` and ``keep=False``. Defaults to 0.
        frames (int): Of a window. Defaults to 24.
        flip (bool): Count every window mirrored as well. Defaults to True.
        data_preprocessor (dict, optional): Of batches from a loader.

    Raises:
        ValueError: rank, noise, frames or a number for ``keep`` are not
            positive, or it is a number without ``robust``.
    """

    skeleton = SKELETON
    reads_sequence = True
    limbs: Tensor
    count: Tensor
    second: Tensor
    factored: Tensor
    components: Tensor
    residual: Tensor

    def __init__(self,
                 rank: int = 192,
                 noise: float = 0.005,
                 keep: bool | float = True,
                 robust: int = 0,
                 frames: int = FRAMES,
                 flip: bool = True,
                 data_preprocessor: dict | BaseDataPreprocessor |
                 None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(data_preprocessor, init_cfg)
        if rank < 1 or frames < 1 or noise <= 0:
            raise ValueError('rank, noise and frames must be positive, got '
                             f'{rank}, {noise} and {frames}')
        if robust < 0:
            raise ValueError(f'robust must not be negative, got {robust}')
        if not isinstance(keep, bool) and not (
                isinstance(keep, (int, float)) and keep > 0 and robust):
            raise ValueError(
                'keep is True, False or, where robust is above 0, a positive '
                f'number; got {keep!r}, robust={robust}')
        self.robust = robust
        size = frames * len(SKELETON) * 2
        self.rank, self.noise, self.keep = min(rank, size), noise, keep
        self.frames, self.flip = frames, flip
        limbs = torch.zeros(len(SKELETON), dtype=torch.bool)
        limbs[SKELETON.index(*LIMB_JOINTS)] = True
        self.register_buffer('limbs', limbs, persistent=False)
        self.mean = nn.Parameter(torch.zeros(size, dtype=torch.float64),
                                 requires_grad=False)
        for name, shape in dict(
                count=(), second=(size, size), factored=(),
                components=(size, self.rank), residual=(size, )).items():
            self.register_buffer(name, torch.zeros(shape,
                                                   dtype=torch.float64))

    # -- fitting ----------------------------------------------------------
    @torch.no_grad()
    def add(self, keypoints: Tensor, observed: Tensor,
            present: Tensor | None = None) -> int:
        """Adds windows to the moments.

        Args:
            keypoints (Tensor): (N, F, 28, 2) truth, in any frame.
            observed (Tensor): (N, F, 28) bool, what a completer would see
                of them: by it they are put into the canonical frame.
            present (Tensor, optional): (N, F, 28) bool; windows that lack a
                joint are left out. All by default.

        Returns:
            int: Windows that were used.

        Raises:
            ValueError: Windows of another length.
        """
        if keypoints.shape[1] != self.frames:
            raise ValueError(f'windows have {keypoints.shape[1]} frames, '
                             f'this ridge is over {self.frames}')
        if present is not None:
            whole = present.flatten(1).all(1)
            keypoints, observed = keypoints[whole], observed[whole]
        if not len(keypoints):
            return 0
        x = canonical_frame(keypoints, observed).apply(keypoints)
        if self.flip:
            mirrored = x[:, :, SKELETON.flip_indices] * x.new_tensor([-1, 1])
            x = torch.cat([x, mirrored])
        rows = x.flatten(1).double()
        before, after = self.count, self.count + len(rows)
        delta = rows.mean(0) - self.mean
        centred = rows - rows.mean(0)
        # Chan, Golub and LeVeque's update of centred moments
        self.second += centred.T @ centred + torch.outer(
            delta, delta) * (before * len(rows) / after)
        self.mean.add_(delta * (len(rows) / after))
        self.count.copy_(after)
        return len(rows)

    def fit(self, batches: Iterable[Mapping[str, Any]]) -> RidgeCompleter:
        """Adds all batches, and factorises.

        Args:
            batches (Iterable[Mapping]): Each with ``inputs`` (N, F, 28, 2),
                ``observed`` and, if need be, ``present`` (N, F, 28), such
                as ``dataset.get_batch(indices, keys)`` of a
                ``PoseSequenceDataset``.

        Raises:
            ValueError: There was no complete window.
        """
        for batch in batches:
            data = read_batch(batch)
            self.add(data.truth, data.observed, data.present)
        self.factorise()
        return self

    @torch.no_grad()
    def factorise(self) -> None:
        """Computes the components of what was added.

        Raises:
            ValueError: Nothing was added.
        """
        if self.count < 2:
            raise ValueError('a RidgeCompleter needs windows before it can '
                             'complete: fit(batches), or load a checkpoint')
        fitted = fit_gaussian(self.mean, self.second / self.count, self.rank)
        self.components.copy_(fitted.components)
        self.residual.copy_(fitted.residual)
        self.factored.copy_(self.count)

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        """Adds a batch to the moments."""
        data = read_batch(self.data_preprocessor(data, True))
        used = self.add(data.truth, data.observed, data.present)
        return dict(mon_windows=self.count.float().clone(),
                    mon_share=torch.tensor(float(used > 0)))

    # -- use --------------------------------------------------------------
    @torch.no_grad()
    def complete(self, keypoints: Tensor, observed: Tensor,
                 confidence: Tensor | None = None) -> Completion:
        """See :class:`~.completer.Completer`.

        A confidence c multiplies the variance of the noise by 1 / c.

        Raises:
            ValueError: Windows of another length, or it was never fitted.
        """
        points, observed, weight = check_windows(keypoints, observed,
                                                 confidence)
        mean, variance = self._posterior(points, self._trust(points, weight))
        kept = None if isinstance(self.keep, bool) else self._kept(
            points, weight, mean, variance)
        return self._finish(mean.view_as(points), variance, points, weight,
                            kept=kept)

    def hypotheses(self, keypoints: Tensor, observed: Tensor,
                   confidence: Tensor | None = None, number: int = 8,
                   seed: int = 0) -> Tensor:
        """Samples of what the windows may be, given what is observed.

        Args:
            keypoints (Tensor): (N, F, 28, 2), see :meth:`complete`.
            observed (Tensor): (N, F, 28) bool.
            confidence (Tensor, optional): (N, F, 28) in [0, 1].
            number (int): S. Defaults to 8.
            seed (int): The same draws for every window. Defaults to 0.

        Returns:
            Tensor: (N, S, F, 28, 2); observed joints are trusted and kept
            as in :meth:`complete`.

        Raises:
            ValueError: ``number`` is not positive, or as :meth:`complete`.
        """
        if number < 1:
            raise ValueError(f'number must be positive, got {number}')
        points, observed, weight = check_windows(keypoints, observed,
                                                 confidence)
        trust = self._trust(points, weight)
        source = torch.Generator().manual_seed(seed)
        normals = torch.randn(number, self.rank, generator=source)
        drawn = draw(self.gaussian(), points.flatten(1), by_coordinate(trust),
                     self.noise, normals.to(points.device)).view(
                         len(points), number, *points.shape[1:])
        if not self.keep:
            return drawn
        kept = weight if self.keep is True else self._kept(
            points, weight, *self._posterior(points, trust))
        return keep_observed(drawn, points[:, None], kept[:, None])

    def _trust(self, points: Tensor, weight: Tensor) -> Tensor:
        """How far observed joints are believed, (N, F, 28).

        Raises:
            ValueError: Windows of another length.
        """
        if points.shape[1] != self.frames:
            raise ValueError(f'windows have {points.shape[1]} frames, this '
                             f'ridge is over {self.frames}')
        trust = weight
        for _ in range(self.robust):
            mean, _ = condition(
                self.gaussian(), points.flatten(1), by_coordinate(trust),
                self.noise, with_variance=False)
            far = (points - mean.view_as(points)).square().sum(-1)
            trust = weight * (_FREEDOM + 2) / (
                _FREEDOM + weight * far / self.noise**2)
        return trust

    def _posterior(self, points: Tensor, trust: Tensor
                   ) -> tuple[Tensor, Tensor]:
        """Mean and variance of every coordinate, (N, F * 28 * 2)."""
        mean, variance = condition(self.gaussian(), points.flatten(1),
                                   by_coordinate(trust), self.noise)
        assert variance is not None
        return mean, variance

    def _kept(self, points: Tensor, weight: Tensor, mean: Tensor,
              variance: Tensor) -> Tensor:
        """How much of observed joints is kept, (N, F, 28)."""
        far = (points - mean.view_as(points)).square().sum(-1)
        off = far / (self.noise**2 + variance.view_as(points).mean(-1))
        # Squared distances of two coordinates are exponential: over ln 2
        # their median is their mean, whatever the worse half does.
        middle = torch.where(weight > 0, off, torch.nan).flatten(1).nanmedian(
            1).values / math.log(2)
        scale = middle.nan_to_num(1.).clamp(min=1)[:, None, None]
        return weight * torch.sigmoid(
            _CERTAIN * scale * (1 - off / (self.keep**2 * scale**3)))

    def gaussian(self) -> LowRankGaussian:
        """What was fitted, of frames * 28 * 2 dimensions."""
        if self.factored != self.count or self.count < 2:
            self.factorise()
        return LowRankGaussian(self.mean.detach(), self.components,
                               self.residual)

    # -- as a prior -------------------------------------------------------
    def score(self, keypoints: Tensor, mask: Tensor | None = None) -> Tensor:
        """Plausibility of sequences: a PosePrior.

        The mean over half-overlapping windows of the Gaussian's log density
        of what is present, all else integrated out, by coordinate.
        Differentiable.

        Args:
            keypoints (Tensor): (N, F, 28, 2) in any frame, F at least
                ``frames``, x right, y down.
            mask (Tensor, optional): (N, F, 28), positive where present.

        Returns:
            Tensor: (N,) nats a coordinate; windows without a joint count
            as 0.

        Raises:
            ValueError: Wrong shapes, too few frames, or coordinates that
                are not finite.
        """
        return score_sequences(
            self.gaussian(), self.noise, self.frames, self.limbs, keypoints,
            mask)
