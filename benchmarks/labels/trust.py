"""Does a generative term know what it is asked? On held-out people.

Before a term gets weight: the parts as they are trained alone, and the common
start's own errors (:mod:`mirrorpose.models.mirrornet.trust`).
"""
from __future__ import annotations

import math
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS

from mirrorpose.models.mirrornet.batch import gather
from mirrorpose.models.mirrornet.trust import mean_of, trust

from .data import held_out
from .plan import MIDDLE
from .runs import SEEDS, Name, settings

__all__ = ['measure']

#: Rows whose parts are tested: maps, coordinates, a tight appearance.
ROWS = ('terms-maps', 'terms-coordinates', 'fidelity-tight')
_BATCH = 100


def judge(name: Name) -> dict[str, float | None]:
    """All tests of a row's parts, at its start, on the validation people."""
    init_default_scope('mmpose')
    cfg = settings(name)
    model = MODELS.build(cfg.model)
    model.init_weights()
    dataset = DATASETS.build(held_out(name.data, maps=True))
    people = [dataset[i] for i in range(len(dataset))]
    parts: dict[str, list[torch.Tensor]] = {}
    for first in range(0, len(people), _BATCH):
        data = model.data_preprocessor(
            pseudo_collate(people[first:first + _BATCH]), False)
        batch = gather(data['inputs'], data['data_samples'], model.joints)
        for key, value in trust(model, data['inputs'], batch).items():
            parts.setdefault(key, []).append(value)
    means = mean_of({k: torch.cat(v) for k, v in parts.items()})
    numbers = {k: float(v) for k, v in means.items()}
    return {k: None if math.isnan(v) else round(v, 4)
            for k, v in numbers.items()}


def measure() -> dict[str, Any]:
    """The tests of every row and seed whose parts are there."""
    out: dict[str, Any] = {}
    for row in ROWS:
        for seed in SEEDS:
            name = Name('lsp', row, False, MIDDLE, seed)
            if any(n.checkpoint() is None for n in name.needs()):
                continue
            out.setdefault(row, {})[str(seed)] = judge(name)
            print(row, seed, out[row][str(seed)], flush=True)
    return out
