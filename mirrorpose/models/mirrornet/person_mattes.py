"""Which pixels of an image are the person, by whatever tells it."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .compositing import image_size
from .cutting_out import load_recognizer, recognize_mattes
from .mattes import capsules_of, silhouette_mattes
from .recombination_draws import on
from .recombination_labels import People

MATTES = ('auto', 'silhouette', 'capsules', 'estimator')


class PersonMattes(nn.Module):
    """Mattes of the people of a batch, annotated or not.

    Args:
        skeleton (str | Sequence[str] | Mapping): Joint set of the labels.
        mattes (str): ``'silhouette'``, ``'capsules'``, ``'estimator'``, or
            ``'auto'``: the silhouette where there is a good one, capsules
            elsewhere. Defaults to ``'auto'``.
        capsule_width (float): Factor on the capsules' radii. Defaults to 1.
        estimator (str | dict, optional): Who finds people who are not
            annotated: ``'model'`` (see :meth:`use_model`), or
            ``dict(config=..., checkpoint=...)``. Defaults to nobody.
        min_joints (int): People with fewer joints get no capsules. Defaults
            to 6.

    Raises:
        ValueError: An option that does not exist or does not fit.
    """

    def __init__(self,
                 skeleton: str | Sequence[str] | Mapping[str, str],
                 mattes: str = 'auto',
                 capsule_width: float = 1.,
                 estimator: str | dict | None = None,
                 min_joints: int = 6) -> None:
        super().__init__()
        if mattes not in MATTES:
            raise ValueError(f'mattes is one of {MATTES}, got {mattes!r}')
        if isinstance(estimator, str) and estimator != 'model' or (
                isinstance(estimator, dict)
                and set(estimator) != {'config', 'checkpoint'}):
            raise ValueError("estimator is 'model' or dict(config=..., "
                             f'checkpoint=...), got {estimator!r}')
        if mattes == 'estimator' and estimator is None:
            raise ValueError("mattes='estimator' needs an estimator")
        self.capsules = capsules_of(skeleton, capsule_width)
        self.mattes, self.estimator = mattes, estimator
        self.min_joints = min_joints
        # In a list: neither in checkpoints nor among the parameters.
        self._model: list[Any] = []

    def use_model(self, model: nn.Module) -> None:
        """Names the model in training, for ``estimator='model'``."""
        if self.estimator == 'model':
            self._model = [model]

    @property
    def model(self) -> Any:
        """The recognizer of people who are not annotated.

        Raises:
            ValueError: Nobody has named the model in training.
        """
        if not self._model:
            if not isinstance(self.estimator, dict):
                raise ValueError(
                    "estimator='model' works in mirrorpose's PoseRecognition "
                    'and MirrorNet, which name themselves; call use_model, '
                    'or give estimator=dict(config=..., checkpoint=...)')
            self._model = [load_recognizer(**self.estimator)]
        return self._model[0]

    @torch.no_grad()
    def forward(self, inputs: Tensor,
                people: People) -> tuple[Tensor, np.ndarray]:
        """Which pixels are the person.

        Args:
            inputs (Tensor): (N, 3, H, W) normalised.
            people (People): The batch.

        Returns:
            tuple[Tensor, np.ndarray]: Mattes (N, 1, H, W) in [0, 1], all 0
            where there is none; and (N,) bool, where there may be one.

        Raises:
            ValueError: ``mattes='silhouette'`` without a single one.
        """
        size = image_size(inputs)
        # Limbs are wider than that; drawing costs a step's tenth otherwise.
        stride = 2 if max(size) <= 128 else max(size) // 64
        found = people.labelled.copy()
        wanted = ~people.labelled
        if self.mattes == 'estimator':
            wanted = np.ones(len(found), bool)
        masked = people.masked & (self.mattes in ('auto', 'silhouette'))
        if self.mattes == 'silhouette':
            if not masked.any() and people.labelled.any():
                raise ValueError(
                    "mattes='silhouette', but no annotated sample of the "
                    'batch has one; use LoadSilhouette and SplitSilhouette '
                    "in the pipeline, or mattes='auto'")
            found &= masked
        if masked.all():
            assert people.silhouette is not None
            return silhouette_mattes(people.silhouette, size), found
        with torch.autocast(inputs.device.type, enabled=False):
            enough = people.present.sum(1) >= self.min_joints
            mattes = self.capsules(people.keypoints, people.present, size,
                                   stride, 2.) * enough[:, None, None, None]
            if masked.any():
                assert people.silhouette is not None
                mattes = torch.where(
                    on(inputs.device, masked)[:, None, None, None],
                    silhouette_mattes(people.silhouette, size), mattes)
        if wanted.any() and self.estimator is not None:
            rows = on(inputs.device, np.nonzero(wanted)[0])
            cut = recognize_mattes(self.model.to(inputs.device), inputs[rows],
                                   self.capsules, stride,
                                   min_joints=self.min_joints)
            mattes = mattes.index_copy(0, rows, cut.to(mattes))
            found |= wanted
        return mattes, found
