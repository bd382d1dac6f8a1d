"""One training step and one prediction of a run, on a few samples."""
from __future__ import annotations

import logging
import math
import tempfile
import time
import warnings
from collections.abc import Mapping
from typing import Any

import mmengine.config.config
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger

from mirrorpose.engine.optimizers import members
from mirrorpose.engine.runner import PoseRunner

from .findings import Report
from .stages import make_small

TRAINING = 'Training'


def silence() -> None:
    """For a process that only tries things out: no chatter, no frills.

    mmengine's loggers say errors only, and the text of a config, which every
    runner logs and dumps, is not laid out (seconds each).
    """
    warnings.simplefilter('ignore')
    mmengine.config.config.FormatCode = lambda text, **_: (text, True)
    for logger in MMLogger._instance_dict.values():
        logger.setLevel(logging.ERROR)


def parameters(model: torch.nn.Module) -> tuple[int, int]:
    """Numbers of all and of trained parameters and buffers."""
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    state = sum(v.numel() for v in model.state_dict().values())
    return state, trained


def built_optimizer(runner: PoseRunner) -> Any:
    """The runner's optimizer wrapper, built."""
    wrapper = runner.optim_wrapper
    if isinstance(wrapper, Mapping):
        wrapper = runner.build_optim_wrapper(wrapper)
        runner.optim_wrapper = wrapper
    return wrapper


def one_step(cfg: Config) -> dict[str, float]:
    """Trains one step and predicts one batch.

    Args:
        cfg (Config): Of one run, see :func:`make_small`.

    Returns:
        dict: ``seconds`` of the step, ``state`` and ``trained`` (numbers of
        parameters), ``sizes`` of the optimizer's state, and the losses.

    Raises:
        FloatingPointError: A loss is not finite.
        Exception: Whatever keeps the run from working.
    """
    runner = PoseRunner.from_cfg(cfg)
    silence()
    loop: Any = runner.train_loop
    wrapper = built_optimizer(runner)
    model: Any = runner.model
    model.train()
    batch = next(iter(loop.dataloader))
    start = time.monotonic()
    losses = model.train_step(batch, wrapper)
    seconds = time.monotonic() - start
    values = {k: float(v.detach().float().mean()) for k, v in losses.items()
              if isinstance(v, torch.Tensor)}
    bad = {k: v for k, v in values.items() if not math.isfinite(v)}
    if bad:
        raise FloatingPointError(f'these losses are not finite: {bad}')
    if cfg.get('val_dataloader'):
        loader = PoseRunner.build_dataloader(cfg.val_dataloader)
        model.eval()
        with torch.no_grad():
            predictions = model.val_step(next(iter(loader)))
        evaluator = runner.build_evaluator(cfg.val_evaluator)
        evaluator.dataset_meta = loader.dataset.metainfo
        evaluator.process(data_samples=predictions, data_batch=None)
    state, trained = parameters(model)
    moments = sum(v.numel() for m in members(wrapper).values()
                  for s in m.optimizer.state.values()
                  for v in s.values() if isinstance(v, torch.Tensor))
    return dict(values, seconds=seconds, state=state, trained=trained,
                moments=moments)


def check_steps(stages: Mapping[str, Config],
                report: Report) -> dict[str, dict[str, float]]:
    """Trains one step of every run.

    Returns:
        dict: What :func:`one_step` gave, by stage.
    """
    done: dict[str, dict[str, float]] = {}
    for name, cfg in stages.items():
        with tempfile.TemporaryDirectory(prefix='doctor-') as folder:
            try:
                done[name] = one_step(make_small(cfg, folder))
            except Exception as error:
                lines = str(error).strip().splitlines() or ['']
                report.add(TRAINING, 'problem', f'{name}: a step fails: '
                           f'{type(error).__name__}: {lines[0]}', '',
                           lines[1:8])
                continue
        facts = done[name]
        report.add(TRAINING, 'ok', f'{name}: a step on '
                   f'{_device()} works ({facts["trained"] / 1e6:.2f} M '
                   f'trained parameters, {facts["seconds"]:.1f} s)')
    return done


def _device() -> str:
    from mmengine.device import get_device
    return get_device()
