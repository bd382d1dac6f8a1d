"""Windows of a body that moves, without data."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mirrorpose.models.completion.completer import SKELETON
from mirrorpose.models.completion.interpolation import InterpolationCompleter

TWELVE = [i for i, j in enumerate(SKELETON.joints) if j.split('_')[-1] in (
    'shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')]


@pytest.fixture(scope='session')
def make_windows():
    """(N, F, 28, 2): a mean pose, deformed by a few smooth modes."""
    rng = np.random.default_rng(0)
    pose = InterpolationCompleter().mean_pose.numpy()
    modes = rng.normal(0, .06, (6, 28, 2))
    phase, speed = rng.uniform(0, 6, 6), rng.uniform(.05, .3, 6)

    def make(number: int, seed: int = 0, frames: int = 24) -> torch.Tensor:
        draw = np.random.default_rng(seed)
        time = np.arange(frames)[:, None] * speed + phase
        weight = draw.normal(size=(number, 1, 6)) * np.sin(
            time + draw.uniform(0, 6, (number, 1, 1)))
        x = pose + np.einsum('nfm,mkc->nfkc', weight, modes)
        return torch.from_numpy(x.astype(np.float32))

    return make


@pytest.fixture(scope='session')
def twelve():
    """What a detector of twelve joints sees, (N, F, 28) bool."""
    def make(number: int, frames: int = 24) -> torch.Tensor:
        seen = torch.zeros(number, frames, 28, dtype=torch.bool)
        seen[:, :, TWELVE] = True
        return seen

    return make
