"""Every stage of a curriculum on one repeated batch: finite, and falling.

    python benchmarks/one_batch.py configs/mirrornet_hrnet_lsp.py

For machines that cannot train a config at its full size: builds each stage
as the curriculum would (from scratch), takes one batch of its own data
loader and repeats it.
"""
from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.registry import MODELS, RUNNERS

import mirrorpose  # noqa: F401
from mirrorpose.engine.runner import resolve

ROOT = Path(__file__).resolve().parents[1]


def run_stage(cfg: Config, batch: int, iterations: int,
              lr: float) -> list[float]:
    """Losses of the iterations, the last one after the last step."""
    torch.manual_seed(0)
    loader = cfg.train_dataloader
    loader.batch_size, loader.num_workers = batch, 0
    loader.persistent_workers = False
    if 'batch_size' in loader.sampler:
        loader.sampler.batch_size = batch
    model = MODELS.build(cfg.model)
    model.init_weights()
    model.train()
    data = next(iter(Runner.build_dataloader(loader, seed=0)))
    data = model.data_preprocessor(data, True)
    optimizer = torch.optim.Adam(
        [p for p in model.parameters() if p.requires_grad], lr=lr)
    losses = []
    for _ in range(iterations + 1):
        torch.manual_seed(0)  # the same latent noise every time
        loss, _ = model.parse_losses(model(**data, mode='loss'))
        losses.append(float(loss))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


def main() -> None:
    """Prints a table, writes it as JSON; exit status 1 if a stage fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', type=Path)
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--iterations', type=int, default=10)
    parser.add_argument('--lr', type=float, default=1e-4)
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)
    init_default_scope('mmpose')
    MMLogger.get_instance('one_batch', log_level='ERROR')
    table = []
    with TemporaryDirectory() as work_dir:
        cfg.work_dir = work_dir
        for stage in cfg.stages:  # from scratch: no earlier weights here
            stage.pop('init_from', None)
            stage.pop('load_from_stage', None)
        runner = RUNNERS.build(cfg)
        for name in runner.stage_names:
            started = time.monotonic()
            losses = run_stage(resolve(runner.stage_config(name)),
                               args.batch, args.iterations, args.lr)
            good = all(map(math.isfinite, losses)) and losses[-1] < losses[0]
            table.append(dict(
                stage=name, first=losses[0], last=losses[-1],
                finite_and_falling=good, losses=losses,
                seconds=round(time.monotonic() - started, 1)))
            print(f'{name:16s} {losses[0]:10.4f} -> {losses[-1]:10.4f}  '
                  f'{"ok" if good else "FAILED":6s} '
                  f'{table[-1]["seconds"]:7.1f} s', flush=True)
    path = ROOT / 'benchmarks' / 'results' / f'one_batch_{args.config.stem}' \
        '.json'
    path.write_text(json.dumps(dict(
        batch=args.batch, iterations=args.iterations, lr=args.lr,
        torch=torch.__version__, stages=table), indent=1) + '\n')
    if not all(row['finite_and_falling'] for row in table):
        raise SystemExit(1)


if __name__ == '__main__':
    main()
