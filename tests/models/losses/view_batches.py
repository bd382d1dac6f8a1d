"""Embeddings and labels of small batches of views."""
from __future__ import annotations

import numpy as np
import torch

from mirrorpose.models.pose.views import ViewLabels


def unit(number, width=6, seed=0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(number, width, generator=g, dtype=dtype)
    return x / x.norm(dim=1, keepdim=True)


def labels(group, camera, subject=None, sequence=None, seconds=None):
    """Everything else: one subject, one sequence, 10 s a group."""
    group = torch.as_tensor(group)
    n = len(group)

    def column(value):
        return torch.zeros(n, dtype=torch.long) if value is None \
            else torch.as_tensor(value)

    return ViewLabels(
        group, column(subject), column(sequence), torch.as_tensor(camera),
        10. * group.double() if seconds is None else torch.as_tensor(
            seconds, dtype=torch.float64))


def two_views(number):
    """Groups of two views: anchor, positive, anchor, positive ..."""
    return labels(np.repeat(np.arange(number), 2), [0, 1] * number)


def mixed(seed=0):
    """Three subjects, five sequences, up to three views, near in time."""
    rng = np.random.default_rng(seed)
    rows = []
    for sequence in range(5):
        for step in range(4):
            for camera in rng.permutation(4)[:rng.integers(1, 4)]:
                rows.append((4 * sequence + step, camera, sequence % 3,
                             sequence, .4 * step * (1 + sequence)))
    g, c, u, q, t = (np.array(v) for v in zip(*rows))
    return labels(g, c, u, q, t)
