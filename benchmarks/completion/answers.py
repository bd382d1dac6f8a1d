"""Several answers to one window: how near comes the nearest?"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mirrorpose.evaluation.sequences import SequencePCKh
from mirrorpose.models.pose.canonical_frame import FRAMES, canonical_frame

from .clips import TWELVE, Clip


class Windows:
    """Windows of clips, end to end, and what is hidden of them.

    Args:
        clips (Sequence[Clip]): As seen through holes.
    """

    def __init__(self, clips: Sequence[Clip]) -> None:
        places = [(c, s) for c in clips
                  for s in range(0, len(c.truth) - FRAMES + 1, FRAMES)]
        self.truth, seen, self.observed, present = (
            torch.from_numpy(np.stack([getattr(c, k)[s:s + FRAMES]
                                       for c, s in places]))
            for k in ('truth', 'seen', 'observed', 'present'))
        self.heads = torch.from_numpy(SequencePCKh.heads(
            self.truth.numpy(), present.numpy()).mean(1)).float()
        self.lost = present & ~self.observed & torch.from_numpy(TWELVE)
        self.frame = canonical_frame(seen, self.observed)
        self.local = self.frame.apply(seen)
        self.used = self.lost.flatten(1).any(1) & self.heads.isfinite()

    def errors(self, answers: Tensor) -> Tensor:
        """Mean distance of the lost joints, in heads.

        Args:
            answers (Tensor): (N, S, F, 28, 2), canonical.

        Returns:
            Tensor: (used windows, S).
        """
        placed = torch.stack([self.frame.invert(a)
                              for a in answers.unbind(1)], 1)
        apart = (placed - self.truth[:, None]).norm(dim=-1)
        total = (apart * self.lost[:, None]).flatten(2).sum(2)
        count = self.lost.flatten(1).sum(1).clamp(min=1) * self.heads
        return (total / count[:, None])[self.used]

    def judge(self, one: Any, several: Any) -> dict[str, float]:
        """Of one answer, of all eight, of the nearest of the eight.

        Args:
            one (Completer): Gives one.
            several (Any): Has ``hypotheses``, or None.
        """
        single = one.complete(self.local, self.observed).keypoints
        row = dict(one=self.errors(single[:, None]).mean())
        if several is not None:
            many = self.errors(several.hypotheses(
                self.local, self.observed)[:, :8])
            row.update(mean_of_8=many.mean(), best_of_8=many.amin(1).mean())
        return dict({k: round(float(v), 4) for k, v in row.items()},
                    windows=int(self.used.sum()))
