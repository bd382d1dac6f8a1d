"""People who walk, and small completers that know them."""
from __future__ import annotations

import numpy as np
import torch
from mmpose.registry import MODELS

from mirrorpose.models.completion import (
    CascadeCompleter,
    InterpolationCompleter,
    RegressorCompleter,
    RidgeCompleter,
)
from mirrorpose.models.completion.completer import SKELETON
from mirrorpose.models.jumps import Jumps, JumpsCompleter
from mirrorpose.structures import Skeleton

COCO = Skeleton.from_name('coco_17')
JUMPS = dict(type='Jumps', encoder=dict(type='PoseSequenceEncoder'),
             generator=dict(type='PoseSequenceGenerator'),
             critic=dict(type='PoseSequenceCritic'))


def walk(frames: int, seed: int = 0) -> np.ndarray:
    """(T, 28, 2) pixels of a person who walks through the picture."""
    rng = np.random.default_rng(0)
    pose = InterpolationCompleter().mean_pose.double().numpy()
    modes, speed = rng.normal(0, .05, (4, 28, 2)), rng.uniform(.05, .2, 4)
    rng = np.random.default_rng(seed)
    time = np.arange(frames)[:, None]
    x = pose + np.einsum('tm,mkc->tkc', np.sin(time * speed + rng.uniform(
        0, 6, 4)), modes)
    place = np.stack([300 + 2.5 * time[:, 0], 240 + 0 * time[:, 0]], -1)
    return 180 * x + place[:, None]


def as_coco(body: np.ndarray) -> np.ndarray:
    """(T, 17, 2), NaN for the face."""
    out, seen = SKELETON.convert(body, np.ones(body.shape[:2]), COCO,
                                 allow_missing=True)
    return np.where(seen[..., None] > 0, out, np.nan)


def fitted_ridge(rank: int = 60) -> RidgeCompleter:
    """Ridge that knows walkers."""
    rng = np.random.default_rng(1)
    windows = np.stack([walk(24, s) for s in rng.integers(0, 99, 60)])
    seen = torch.zeros(60, 24, 28, dtype=torch.bool)
    seen[:, :, SKELETON.index(*COCO.joints[5:])] = True
    return RidgeCompleter(rank=rank).fit([dict(
        inputs=torch.from_numpy(windows).float(), observed=seen)])


def drawn_regressor(**size) -> RegressorCompleter:
    """A regressor that corrects by weights as they were drawn."""
    torch.manual_seed(0)
    model = RegressorCompleter(**size)
    torch.nn.init.normal_(model.network.last.weight, std=.01)
    return model.eval()


def drawn_jumps() -> Jumps:
    """JUMPS with weights as they were drawn."""
    torch.manual_seed(0)
    made = MODELS.build(JUMPS)
    for norm in made.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_var.fill_(.05)
    made.statistics.update(.3 * torch.randn(8, 24, 28, 2))
    return made.eval()


def small_completers() -> dict:
    """One of each kind, by its name."""
    ridge, small = fitted_ridge(), drawn_regressor(width=8, dilations=(1, ))
    search = JumpsCompleter(drawn_jumps(), search=dict(steps=1))
    return dict(interpolation=InterpolationCompleter(), ridge=ridge,
                regressor=small, jumps=search,
                cascade=CascadeCompleter(ridge, small, never=search))
