"""Completers one after the other, each for what it is better at."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor

from ...structures.joint_sets import LIMB_JOINTS
from .completer import SKELETON, Completion, check_windows, frame_error
from .weights import find_checkpoint, give_checkpoint


@MODELS.register_module()
class CascadeCompleter(BaseModule):
    """The first repairs what a detector saw, the second adds all other joints.

    On held-out motion capture ridge is better at joints that are hidden for
    a while, the regressor at joints that no detector sees, and JUMPS around
    ridge at limbs that are hidden throughout (docs/jumps.md); each does here
    what it is better at.

    Args:
        first (dict | nn.Module): A completer, for ``joints``.
        second (dict | nn.Module): A completer, which takes the others'
            answers for observed.
        joints (Sequence[str]): What the first fills. Defaults to the twelve
            limb joints.
        first_checkpoint (str, optional): Weights of the first: a local
            checkpoint, or a work dir, of which the last good one is taken.
        second_checkpoint (str, optional): Of the second, alike.
        never (dict | nn.Module, optional): A completer for those of
            ``joints`` that are seen in no frame of a window. It is asked for
            windows that have such joints and some other ones, and for no
            others. Where it gives no spread, a joint's is the root mean
            square distance from its answer under the first's. Defaults to
            None: the first fills them, too.
        never_checkpoint (str, optional): Of ``never``, alike.
        never_optional (bool): Leave ``never`` out where ``never_checkpoint``
            is absent, and say so in the log, instead of an error. Defaults
            to False.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: An unknown joint, or a checkpoint of another model.
    """

    chosen: Tensor

    def __init__(self, first: Any, second: Any,
                 joints: Sequence[str] = LIMB_JOINTS,
                 first_checkpoint: str | None = None,
                 second_checkpoint: str | None = None,
                 never: Any = None,
                 never_checkpoint: str | None = None,
                 never_optional: bool = False,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if never is not None and never_optional and never_checkpoint:
            try:
                find_checkpoint(never_checkpoint)
            except FileNotFoundError as error:
                print_log(f'{error}. Limbs that are hidden throughout are '
                          'left to the first completer', logger='current')
                never = never_checkpoint = None
        self.first, self.second, self.never = (
            MODELS.build(c) if isinstance(c, dict) else c
            for c in (first, second, never))
        for part, path in ((self.first, first_checkpoint),
                           (self.second, second_checkpoint),
                           (self.never, never_checkpoint)):
            if part is not None and path is not None:
                give_checkpoint(part, path)
        chosen = torch.zeros(len(SKELETON), dtype=torch.bool)
        chosen[SKELETON.index(*joints)] = True
        self.register_buffer('chosen', chosen, persistent=False)

    @torch.no_grad()
    def complete(self, keypoints: Tensor, observed: Tensor,
                 confidence: Tensor | None = None) -> Completion:
        """See :class:`~.completer.Completer`."""
        points, observed, weight = check_windows(keypoints, observed,
                                                 confidence)
        filled = self.first.complete(points, observed, weight)
        if self.never is not None:
            filled = self._with_hidden(filled, points, observed, weight)
        # A window in which nothing is seen stays as empty for the second.
        mine = self.chosen & observed.flatten(1).any(1)[:, None, None]
        trust = torch.where(mine, 1., weight)
        # The second is not to read on from what the first doubts.
        believed = filled.keypoints if filled.believed is None \
            else filled.believed
        both = torch.where(mine[..., None], believed, points)
        known = observed | mine
        whole = self.second.complete(both, known, trust)
        out = torch.where(mine[..., None], filled.keypoints, whole.keypoints)
        spread = None
        if filled.spread is not None and whole.spread is not None:
            spread = torch.where(mine, filled.spread, whole.spread)
        return Completion(out, spread, frame_error(out, points, weight)
                          if filled.error is None else filled.error)

    def _with_hidden(self, filled: Completion, points: Tensor,
                     observed: Tensor, weight: Tensor) -> Completion:
        """The first's answer, but for joints that no frame shows."""
        hidden = self.chosen & ~observed.any(1)
        rows = (hidden.any(1) & observed.flatten(1).any(1)).nonzero()[:, 0]
        if not len(rows):
            return filled
        found = self.never.complete(points[rows], observed[rows],
                                    weight[rows])
        here = hidden[rows, None]
        before = filled.keypoints[rows]
        keypoints, spread = filled.keypoints.clone(), filled.spread
        keypoints[rows] = torch.where(here[..., None], found.keypoints.to(
            before), before)
        believed = filled.believed
        if believed is not None:
            believed = believed.clone()
            believed[rows] = torch.where(here[..., None], keypoints[rows],
                                         believed[rows])
        if spread is not None:
            spread = spread.clone()
            # E|x - a|^2 = Var x + |a - E x|^2
            apart = torch.hypot(spread[rows], torch.linalg.vector_norm(
                keypoints[rows] - before, dim=-1)) if found.spread is None \
                else found.spread.to(spread)
            spread[rows] = torch.where(here, apart, spread[rows])
        return Completion(keypoints, spread, filled.error, believed)
