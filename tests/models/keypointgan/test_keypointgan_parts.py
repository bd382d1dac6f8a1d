"""KeypointGAN on several processes, and its discriminator as a prior."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmpose.registry import MODELS

sys.path.insert(0, str(Path(__file__).parent))
from stick_figures import (  # noqa: E402
    JOINTS,
    SIZE,
    StickFigures,
    model_cfg,
    optim_cfg,
)

from mirrorpose.apis import score_poses  # noqa: E402
from mirrorpose.engine.per_child import (  # noqa: E402
    PerChildDistributedDataParallel,
)
from mirrorpose.engine.runner import check_training  # noqa: E402
from mirrorpose.models.pose import PosePrior  # noqa: E402
from mirrorpose.testing import run_processes  # noqa: E402

STEPS = 3


def trained(rank: int, world: int) -> dict[str, torch.Tensor]:
    """Some steps on one of the shares of a batch of eight."""
    from mirrorpose.engine.optimizers import PerChildOptimWrapperConstructor
    torch.manual_seed(0)
    model: Any = MODELS.build(model_cfg(pool_size=2)).train()
    run = PerChildDistributedDataParallel(model, device_ids=None) \
        if world > 1 else model
    cfg = optim_cfg()
    cfg.pop('constructor')
    wrappers = PerChildOptimWrapperConstructor(cfg)(run)
    data = StickFigures(8)
    mine = list(range(8))[rank::world]
    for _ in range(STEPS):
        run.train_step(data.get_batch(mine, np.zeros(len(mine), np.uint64)),
                       wrappers)
    return {k: v.clone() for k, v in model.state_dict().items()}


def work(rank: int, folder: Path) -> dict[str, torch.Tensor]:
    """What one of two processes has in the end."""
    return trained(rank, 2)


def test_two_processes_hold_one_model(tmp_path):
    """Weights, means of the perceptual loss (T2.3), the pool of images."""
    one, other = run_processes(f'{__file__}:work', 2, tmp_path)
    assert set(one) == set(other)
    for key, value in one.items():
        if 'running_' in key:
            continue  # of batch norm: SyncBuffersHook's task
        torch.testing.assert_close(value, other[key], rtol=0, atol=0,
                                   msg=lambda text, key=key: f'{key}: {text}')
    alone = trained(0, 1)
    means = next(k for k in one if k.endswith('perceptual.means'))
    assert one[means].gt(0).all()
    # The joint batch's means, but for what the weights have drifted.
    torch.testing.assert_close(one[means], alone[means], rtol=.05, atol=1e-4)


@pytest.fixture
def prior():
    torch.manual_seed(0)
    return MODELS.build(model_cfg()).eval()


def test_score_poses_is_the_discriminators(prior):
    """In pixels, of any frame that the poses share."""
    assert isinstance(prior, PosePrior)
    poses = StickFigures(4).poses
    pixels = ((poses + 1) / 2 * (SIZE - 1)).numpy()
    # A frame is 1.25 times its box.
    middle, half = (SIZE - 1) / 2, (SIZE - 1) / 2 / 1.25
    boxes = np.tile([[middle - half] * 2 + [middle + half] * 2], (4, 1))
    found = score_poses(prior, pixels, boxes=boxes)
    with torch.no_grad():
        want = prior.score(poses)
    np.testing.assert_allclose(np.asarray(found), want.numpy(), atol=1e-4)
    assert np.ptp(np.asarray(found)) > 0


def test_it_is_a_prior_of_any_head():
    """Frozen, and without the features that its own training wants."""
    cfg = model_cfg()
    cfg['perceptual'] = dict(type='PerceptualLoss',
                             features='vgg19', weights='absent.pth')
    torch.manual_seed(0)
    loss = MODELS.build(dict(
        type='PosePriorLoss', weight=.1, prior=dict(
            cfg, init_cfg=dict(type='Constant', layer='none')),
        loss=dict(type='MSELoss')))
    held = StickFigures(4)
    points = ((held.poses + 1) / 2).requires_grad_()
    value = loss(points, torch.zeros_like(points))
    value.backward()
    plain = (.1 * -loss.prior.score(held.poses)).mean()
    ordinary = points.detach().square().mean()
    assert float(value) == pytest.approx(float(ordinary + plain), abs=1e-3)
    assert points.grad.abs().max() > 0
    assert not any(p.requires_grad for p in loss.prior.parameters())
    model = MODELS.build(cfg)
    with pytest.raises(FileNotFoundError, match='absent.pth'):
        check_training(model)
    assert len(model.skeleton) == 14 and model.skeleton.name == JOINTS
