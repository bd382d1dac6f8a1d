"""JUMPS as a completer of windows: Section III-C."""
from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..completion.completer import (
    Completer,
    Completion,
    check_windows,
    frame_error,
    keep_observed,
)
from ..completion.weights import give_checkpoint
from ..pose.canonical_frame import (
    FRAMES,
    SKELETON,
    CanonicalFrame,
    canonical_frame,
)
from .folding import FoldedGenerator
from .inpainting import (
    SearchResult,
    SearchSettings,
    prior_starts,
    search_latent,
)
from .jumps import Jumps


@MODELS.register_module()
class JumpsCompleter(BaseModule):
    """Completes windows by a search of the latent space (Eqs. 9, 10).

    The first start is the encoder's reading of the window with its holes
    filled in, the others come from the prior; the start with the lowest
    objective is kept. Defaults are the settings that worked in the trial
    (spec 3.7); ``configs/jumps_search_paper.py`` has the paper's.

    Args:
        model (dict | Jumps): The networks.
        checkpoint (str, optional): A local checkpoint of the model's
            training, or its work dir, of which the last good one is taken.
            Defaults to None: the model's weights as they are.
        restarts (int): Starts from the prior. Defaults to 0.
        use_encoder (bool): Start from the encoder too; without it, the
            paper's row "w/o encoder". Defaults to True.
        keep (bool): Observed joints stay where they are, in proportion to
            their confidence. Defaults to True.
        seed (int): Of the restarts. Defaults to 0.
        first (dict | Completer, optional): Completes the windows before: the
            encoder then reads its answer, and the body's frame is that of
            the answer. Defaults to None: holes are filled by
            :class:`PoseStatistics`.
        first_checkpoint (str, optional): Of ``first``, as ``checkpoint``.
        first_weight (float): How much the search is held to that answer
            where nothing is observed (1: as to an observation). Defaults to
            0.
        temperature (float, optional): Gives every joint a ``spread``: its
            standard deviation over all starts, which weigh
            exp(-(objective - lowest) / (temperature * lowest)). Wants
            restarts. Defaults to None, no spread.
        search (dict, optional): Of :class:`SearchSettings`.

    Raises:
        ValueError: There is no start, a negative number of restarts, a
            temperature that is not positive or without restarts, or a
            ``first_weight`` without ``first`` or outside of [0, 1].
    """

    def __init__(self,
                 model: dict | Jumps,
                 checkpoint: str | None = None,
                 restarts: int = 0,
                 use_encoder: bool = True,
                 keep: bool = True,
                 seed: int = 0,
                 first: dict | Completer | None = None,
                 first_weight: float = 0.,
                 first_checkpoint: str | None = None,
                 temperature: float | None = None,
                 search: dict[str, Any] | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if restarts < 0 or restarts + use_encoder < 1:
            raise ValueError('a search needs a start: use_encoder=True, or '
                             f'restarts above 0 (got {restarts})')
        if temperature is not None and (
                temperature <= 0 or restarts + use_encoder < 2):
            raise ValueError('temperature has to be positive, and a spread '
                             'needs two starts or more; got temperature='
                             f'{temperature}, restarts={restarts}')
        if not 0 <= first_weight <= 1 or (first is None and (
                first_weight or first_checkpoint)):
            raise ValueError('first_weight lies in [0, 1], and it and '
                             'first_checkpoint are of the completer `first`;'
                             f' got {first_weight}, {first_checkpoint} and '
                             f'{first}')
        self.model = model if isinstance(model, nn.Module) else \
            MODELS.build(model)
        if checkpoint is not None:
            give_checkpoint(self.model, checkpoint)
        self.restarts, self.use_encoder = restarts, use_encoder
        self.keep, self.seed, self.temperature = keep, seed, temperature
        self.first: Any = MODELS.build(first) if isinstance(
            first, dict) else first
        if first_checkpoint is not None:
            give_checkpoint(self.first, first_checkpoint)
        self.first_weight = first_weight
        search = dict(search or {})
        if 'betas' in search:
            search['betas'] = tuple(search['betas'])
        self.settings = SearchSettings(**search)
        self.skeleton = SKELETON
        self.eval()

    @property
    def learner(self) -> Jumps:
        """What a checkpoint is of."""
        return self.model

    def train(self, mode: bool = True) -> JumpsCompleter:
        """Stays in evaluation mode: nothing is trained here."""
        return super().train(False)

    def search(self, keypoints: Tensor, observed: Tensor,
               confidence: Tensor | None = None) -> SearchResult:
        """The search alone, all starts of all windows.

        Args:
            keypoints (Tensor): (N, 24, 28, 2) in any frame.
            observed (Tensor): (N, 24, 28) bool.
            confidence (Tensor, optional): (N, 24, 28) in [0, 1].

        Returns:
            SearchResult: In the canonical frame that the observed joints
            tell (:func:`canonical_frame`), or the answer of ``first``.
        """
        return self._search(*self._checked(keypoints, observed,
                                           confidence))[0]

    @staticmethod
    def _checked(keypoints: Tensor, observed: Tensor,
                 confidence: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        checked = check_windows(keypoints, observed, confidence)
        if keypoints.shape[1] != FRAMES:
            raise ValueError(
                f'JUMPS reads windows of {FRAMES} frames, got '
                f'{keypoints.shape[1]}: mirrorpose.apis.complete takes any '
                'length')
        return checked

    def _search(self, keypoints: Tensor, observed: Tensor, weight: Tensor,
                restarts: int | None = None
                ) -> tuple[SearchResult, CanonicalFrame]:
        n, model = len(keypoints), self.model
        restarts = self.restarts if restarts is None else restarts
        answer = None
        if self.first is not None:
            with torch.no_grad():
                answer = self.first.complete(keypoints, observed,
                                             weight).keypoints.to(keypoints)
        frame = canonical_frame(keypoints, observed) if answer is None \
            else canonical_frame(answer)
        target = frame.apply(keypoints).float()
        with torch.no_grad():
            whole = model.statistics.fill(target, observed) \
                if answer is None else frame.apply(answer).float()
        if self.first_weight:
            target = torch.where(observed[..., None], target, whole)
            weight = torch.where(observed, weight, self.first_weight)
        starts = []
        if self.use_encoder:
            with torch.no_grad():
                starts.append(model.encoder(whole)[:, None])
        if restarts:
            drawn = prior_starts(restarts, model.latent, self.seed)
            starts.append(drawn.to(target).expand(n, -1, -1))
        # Milliseconds, so that it is of the weights as they are now.
        generator = FoldedGenerator(model.generator) \
            if model.generator.norm in ('bn', 'none') else model.generator
        return search_latent(generator, model.critic, torch.cat(starts, 1),
                             target, weight, self.settings), frame

    def complete(self, keypoints: Tensor, observed: Tensor,
                 confidence: Tensor | None = None) -> Completion:
        """Fills what is not observed, see :class:`Completer`."""
        points, observed, weight = self._checked(keypoints, observed,
                                                 confidence)
        found, frame = self._search(points, observed, weight)
        made = frame.invert(found.keypoints.to(points))
        error = frame_error(made, points, weight)
        spread = None
        if self.temperature is not None:
            spread = self._spread(found).to(points) * frame.scale[..., 0]
        if self.keep:
            made = keep_observed(made, points, weight)
            if spread is not None:
                spread = spread * (1 - weight)
        return Completion(made, spread, error)

    def hypotheses(self, keypoints: Tensor, observed: Tensor,
                   confidence: Tensor | None = None,
                   number: int | None = None) -> Tensor:
        """What every start found: several answers, the best not marked.

        Args:
            keypoints (Tensor): (N, 24, 28, 2), see :meth:`complete`.
            observed (Tensor): (N, 24, 28) bool.
            confidence (Tensor, optional): (N, 24, 28) in [0, 1].
            number (int, optional): Starts, whatever ``restarts`` says; the
                prior's are the same for every window. Defaults to None:
                those of :meth:`complete`.

        Returns:
            Tensor: (N, starts, 24, 28, 2); the encoder's start, if it is
            used, is the first. Observed joints are kept as in
            :meth:`complete`.

        Raises:
            ValueError: ``number`` is not positive.
        """
        if number is not None and number < 1:
            raise ValueError(f'number must be positive, got {number}')
        points, observed, weight = self._checked(keypoints, observed,
                                                 confidence)
        found, frame = self._search(
            points, observed, weight,
            None if number is None else number - self.use_encoder)
        made = torch.stack([frame.invert(c.to(points))
                            for c in found.candidates.unbind(1)], 1)
        return keep_observed(made, points[:, None], weight[:, None]) \
            if self.keep else made

    def _spread(self, found: SearchResult) -> Tensor:
        """Standard deviation of each joint over the starts, canonical."""
        assert self.temperature is not None
        lowest = found.objective.amin(1, keepdim=True)
        share = torch.softmax(-(found.objective - lowest) / (
            self.temperature * lowest.abs().clamp(min=1e-6)), 1)
        share = share[:, :, None, None, None]
        mean = (share * found.candidates).sum(1, keepdim=True)
        variance = (share * (found.candidates - mean).square()).sum(1)
        return variance.sum(-1).sqrt()
