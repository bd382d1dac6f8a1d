"""Live tests of MirrorNet's generative terms: which of them are blind."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from mmpose.registry import HOOKS
from torch import Tensor

from ..models.mirrornet import MirrorNet
from ..models.mirrornet.batch import gather
from ..models.mirrornet.trust import TERMS, mean_of, trust
from ..utils.random_state import preserved
from .thresholds import Limit
from .watching_hook import WatchingHook

__all__ = ['TermTrust']

_SWAPPED = Limit(
    'mon_truth_over_swapped', 'Share of images that the image VAE explains '
    "better by their own pose than by another image's", 'below', .7,
    'the image VAE hardly reads the pose',
    'Train the stage image_vae longer, lower model.image_vae.variance, or '
    'set model.term_weights.fidelity=0.')
_MOVED = Limit(
    'mon_truth_over_moved', 'The same against a pose with one joint moved',
    'below', .6, 'the image VAE does not feel a single joint',
    'A tight appearance (vector_size of its recognizer) feels joints more; '
    'else set model.term_weights.fidelity=0.')


def _own(term: str) -> Limit:
    return Limit(
        f'mon_truth_over_own_{term}', f"Share of the recognizer's wrong "
        f'poses to which {term} prefers the truth', 'below', .5,
        f"{term} likes the recognizer's own errors better than the truth",
        f'As a loss it keeps them: set model.term_weights.{term}=0.')


def _cosine(term: str) -> Limit:
    return Limit(
        f'mon_cosine_{term}', f"Cosine of {term}'s gradient with the way to "
        'the truth, at wrong joints', 'below', .05,
        f"{term}'s gradient does not point to the truth",
        "Set model.pose_form='coordinates', or model.term_weights."
        f'{term}=0.')


def _ratio(term: str) -> Limit:
    return Limit(
        f'mon_gradient_ratio_{term}', f"{term}'s gradient over "
        "recognition's", 'above', 2.,
        f"{term} pulls harder than the annotation",
        f'Lower model.term_weights.{term}.')


#: Of all tests, by the term that they judge.
LIMITS: dict[str, tuple[Limit, ...]] = {
    term: (*more, _own(term), _cosine(term), _ratio(term))
    for term, more in zip(TERMS, ((), (_SWAPPED, _MOVED)))}


@HOOKS.register_module()
class TermTrust(WatchingHook):
    """Tests a MirrorNet's terms on a few annotated images of the batch.

    Logs ``mon_`` and the names of
    :func:`mirrorpose.models.mirrornet.trust.trust`, and warns where a term
    of weight is blind. Nothing is drawn at random and no weight is changed.
    Stages that train another model are passed over.

    Args:
        interval (int): Test every so many iterations; a test costs less
            than a step. Defaults to 100.
        samples (int): Annotated images of the batch. Defaults to 16.
        begin (int): What was seen before this iteration is not judged.
            Defaults to 500.
        window (int): Tests whose mean is judged. Defaults to 5.
        repeat (int): The same warning comes once in so many iterations at
            most. Defaults to 5000.
        limits (dict[str, float | None], optional): Other thresholds, by
            name; None switches a warning off.

    Raises:
        ValueError: An argument is out of range, or no test has that name.
    """

    watched = MirrorNet

    def __init__(self, interval: int = 100, samples: int = 16,
                 begin: int = 500, window: int = 5, repeat: int = 5000,
                 limits: dict[str, float | None] | None = None) -> None:
        every = [x for term in TERMS for x in LIMITS[term]]
        known = {x.key: x.value for x in every}
        unknown = set(limits or {}) - set(known)
        if unknown:
            raise ValueError(f'limits names {sorted(unknown)}; the tests are '
                             f'{sorted(known)}')
        values: dict[str, float | None] = {**known, **(limits or {})}
        super().__init__(
            [replace(x, value=float(value)) for x in every
             if (value := values[x.key]) is not None],
            interval, samples, begin, window, repeat)
        self._term = {x.key: term for term in TERMS for x in LIMITS[term]}

    def judged(self, limit: Limit) -> bool:
        """Whether its term has weight."""
        return self._model.term_weights[self._term[limit.key]] > 0

    def look(self, data_batch: Any, outputs: Mapping[str, Any]
             ) -> dict[str, Tensor]:
        """The tests, of a few annotated images."""
        with preserved():
            data = self._model.data_preprocessor(data_batch, True)
        inputs = data['inputs']
        batch = gather(inputs, data['data_samples'], self._model.joints)
        rows = torch.nonzero(batch.labelled)[:self.samples, 0]
        few = batch._replace(
            image=batch.image[rows], pose=batch.pose[rows],
            present=batch.present[rows], labelled=batch.labelled[rows],
            silhouette=None)
        return {f'mon_{k}': v for k, v in mean_of(trust(
            self._model, inputs[rows], few)).items()}
