"""Two completers, one after the other."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor

from ...structures.joint_sets import LIMB_JOINTS
from .completer import SKELETON, Completion, check_windows, frame_error


@MODELS.register_module()
class CascadeCompleter(BaseModule):
    """The first repairs what a detector saw, the second adds all other joints.

    On held-out motion capture ridge is better at joints that are hidden for
    a while, and the regressor at joints that are never seen; each does here
    what it is better at.

    Args:
        first (dict | nn.Module): A completer, for ``joints``.
        second (dict | nn.Module): A completer, which takes the first's
            answer for observed.
        joints (Sequence[str]): What the first fills. Defaults to the twelve
            limb joints.
        first_checkpoint (str, optional): A local checkpoint of the first.
        second_checkpoint (str, optional): Of the second.

    Raises:
        ValueError: An unknown joint, or a checkpoint of another model.
    """

    def __init__(self, first: Any, second: Any,
                 joints: Sequence[str] = LIMB_JOINTS,
                 first_checkpoint: str | None = None,
                 second_checkpoint: str | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.first, self.second = (
            MODELS.build(c) if isinstance(c, dict) else c
            for c in (first, second))
        for part, path in ((self.first, first_checkpoint),
                           (self.second, second_checkpoint)):
            if path is not None:
                from mirrorpose.engine.checkpoint import give_weights, load
                give_weights(part, load(path), path)
                part.eval()
        chosen = torch.zeros(len(SKELETON), dtype=torch.bool)
        chosen[SKELETON.index(*joints)] = True
        self.chosen: Tensor
        self.register_buffer('chosen', chosen, persistent=False)

    @torch.no_grad()
    def complete(self, keypoints: Tensor, observed: Tensor,
                 confidence: Tensor | None = None) -> Completion:
        """See :class:`~.completer.Completer`."""
        points, observed, weight = check_windows(keypoints, observed,
                                                 confidence)
        filled = self.first.complete(points, observed, weight)
        # A window in which nothing is seen stays as empty for the second.
        mine = self.chosen & observed.flatten(1).any(1)[:, None, None]
        trust = torch.where(mine, 1., weight)
        both = torch.where(mine[..., None], filled.keypoints, points)
        known = observed | mine
        whole = self.second.complete(both, known, trust)
        out = torch.where(mine[..., None], filled.keypoints, whole.keypoints)
        spread = None
        if filled.spread is not None and whole.spread is not None:
            spread = torch.where(mine, filled.spread, whole.spread)
        return Completion(out, spread, frame_error(out, points, weight)
                          if filled.error is None else filled.error)
