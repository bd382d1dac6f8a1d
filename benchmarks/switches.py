"""What channels_last, bfloat16 and torch.compile gain, and how far they drift.

    python benchmarks/switches.py [CONFIG] [--batch 32] [--steps 12]

Trains the top level of a config (MirrorNet's joint stage) on
the same batches under every setting, the settings taking turns so that the
machine's mood meets all alike. Prints seconds a step (median), the gain over
float32, the loss after all steps, and the relative difference of the first
gradient to float32's. (Weights say little: Adam's first steps follow signs,
so that any difference grows.) Writes results/switches.json.
"""
from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

import mirrorpose  # noqa: F401
from mirrorpose.engine import PoseRunner

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {
    'float32': dict(),
    'float32, channels_last': dict(channels_last=True),
    'bfloat16': dict(amp=True),
    'bfloat16, channels_last': dict(amp=True, channels_last=True),
    'bfloat16, channels_last, compile': dict(amp=True, channels_last=True,
                                             compile=True),
}


class Setting:
    """A runner under one setting, taking step after step."""

    def __init__(self, cfg: Config, folder: str, name: str, amp: bool = False,
                 channels_last: bool = False, compile: bool = False) -> None:
        cfg = copy.deepcopy(cfg)
        cfg.channels_last, cfg.compile = channels_last, compile
        cfg.optim_wrapper.type = ('AutocastOptimWrapper' if amp else
                                  'OptimWrapper')
        cfg.work_dir = f'{folder}/{name}'
        cfg.experiment_name = name
        runner = PoseRunner.from_cfg(cfg)
        runner.model.init_weights()
        runner.optim_wrapper = runner.build_optim_wrapper(
            runner.optim_wrapper)
        runner._maybe_compile('train_step')
        runner.model.train()
        self.runner, self.name = runner, name
        self.seconds: list[float] = []
        self.losses: list[float] = []

    def step(self, number: int, batch: dict) -> None:
        """One training step; the noise is the same under all settings."""
        torch.manual_seed(number)
        started = time.perf_counter()
        out = self.runner.model.train_step(copy.deepcopy(batch),
                                           self.runner.optim_wrapper)
        loss = float(out['loss'])
        self.seconds.append(time.perf_counter() - started)
        self.losses.append(loss)

    def gradient(self, batch: dict) -> torch.Tensor:
        """The gradient of the loss at the start, in one vector."""
        model, wrapper = self.runner.model, self.runner.optim_wrapper
        with wrapper.optim_context(model):
            data = model.data_preprocessor(copy.deepcopy(batch), True)
            loss, _ = model.parse_losses(model(**data, mode='loss'))
        loss.backward()
        out = torch.cat([
            (torch.zeros_like(p) if p.grad is None else p.grad)
            .float().flatten() for p in model.parameters()
            if p.requires_grad])
        model.zero_grad()
        return out


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', nargs='?', type=Path, default=ROOT /
                        'configs' / 'mirrornet_small_synthetic.py')
    parser.add_argument('--batch', type=int, default=32)
    parser.add_argument('--steps', type=int, default=12)
    parser.add_argument('--no-compile', action='store_true')
    parser.add_argument('--checkpoint', type=Path,
                        help='weights to start from; random ones exaggerate '
                        'the drift')
    parser.add_argument('--out', type=Path, default=ROOT / 'benchmarks' /
                        'results' / 'switches.json')
    args = parser.parse_args()
    torch.set_num_threads(1)
    cfg = Config.fromfile(args.config)
    init_default_scope('mmpose')
    MMLogger.get_instance('switches', log_level='ERROR')
    for key in ('stages', 'stage_data', 'runner_type'):
        cfg._cfg_dict.pop(key, None)
    cfg.log_level = 'ERROR'
    # Noise by sample: torch fills channels-last tensors in another order.
    cfg.model.noise_per_sample = True
    loader = cfg.train_dataloader
    loader.batch_size, loader.num_workers = args.batch, 0
    loader.persistent_workers = False
    loader.sampler.batch_size = args.batch
    with TemporaryDirectory() as folder:
        settings = [Setting(cfg, folder, name, **options)
                    for name, options in SETTINGS.items()
                    if not (args.no_compile and options.get('compile'))]
        if args.checkpoint:
            settings[0].runner.load_checkpoint(str(args.checkpoint))
        for other in settings[1:]:
            other.runner.model.load_state_dict(
                settings[0].runner.model.state_dict())
        data = iter(PoseRunner.build_dataloader(loader, seed=0))
        batches = [next(data) for _ in range(3)]
        gradients = [s.gradient(batches[0]) for s in settings]
        for number in range(args.steps):
            for setting in settings:
                setting.step(number, batches[number % len(batches)])
    plain = settings[0]
    rows = []
    print(f'{"setting":34s} {"s a step":>9s} {"gain":>6s} {"loss":>8s} '
          f'{"drift of the gradient":>22s}')
    for setting, gradient in zip(settings, gradients):
        # The first steps prepare (and compile).
        seconds = statistics.median(setting.seconds[3:])
        base = statistics.median(plain.seconds[3:])
        drift = float((gradient - gradients[0]).norm()
                      / gradients[0].norm())
        rows.append(dict(
            setting=setting.name, seconds=round(seconds, 4),
            first_step=round(setting.seconds[0], 1),
            gain=round(base / seconds, 2), loss=setting.losses[-1],
            gradient_drift=float(f'{drift:.2g}')))
        row = rows[-1]
        print(f'{row["setting"]:34s} {seconds:9.3f} {row["gain"]:6.2f} '
              f'{row["loss"]:8.4f} {drift:22.2g}')
    args.out.write_text(json.dumps(dict(
        command=f'python benchmarks/switches.py {args.config.name} --batch '
        f'{args.batch} --steps {args.steps}', torch=torch.__version__,
        device='cpu, one thread', rows=rows), indent=1) + '\n')


if __name__ == '__main__':
    main()
