"""A training step of KeypointGAN: images/s, and what part is rendering.

    python benchmarks/keypointgan_profile.py [--rounds N]

At the paper's size (128 pixels, the published widths, 32 joints; images and
poses drawn at random, which cost the same) and at that of the benchmarks. The
part of rendering, forward and backward, is measured in three ways: by
torch.profiler; by the clock around both; and against the same step whose
renderer hands on an image that was drawn before and gives the keypoints a
gradient of zero, so that nothing but its forward and backward is missing. The
last needs many steps to tell a few percent from the machine's other work, so
not at the paper's size. Steps take turns, in one process on one thread, by
processor time. A step draws four times: the keypoints of the cycle, those of
the regressor's step, and the unpaired poses for the discriminator and again
for the regressor. Writes ``benchmarks/results/keypointgan_profile.json``.
"""
from __future__ import annotations

import argparse
import copy
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from keypoints.runs import CHANNELS_LAST, PRECISION, base
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.autograd import Function
from torch.profiler import ProfilerActivity, profile, record_function

from mirrorpose.utils.files import write_text

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / 'benchmarks' / 'results' / 'keypointgan_profile.json'
#: Names under which the profiler finds what is drawn.
FORWARD, BACKWARD = 'rendering forward', 'rendering backward'


class Drawn(Function):
    """An image that is there already, of keypoints that get no gradient."""

    @staticmethod
    def forward(ctx: Any, keypoints: Tensor, image: Tensor) -> Tensor:
        """The image."""
        ctx.shape = keypoints.shape
        return image.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """Zero."""
        return grad.new_zeros(ctx.shape), None


class Costless(nn.Module):
    """In place of a renderer: draws once a batch size, then never again.

    Args:
        renderer (SkeletonRenderer): Makes the images.
    """

    def __init__(self, renderer: Any) -> None:
        super().__init__()
        for name in ('channels', 'size', 'joints', 'skeleton'):
            setattr(self, name, getattr(renderer, name))
        self.renderer = renderer
        self.held: dict[int, Tensor] = {}

    def forward(self, keypoints: Tensor,
                visible: Tensor | None = None) -> Tensor:
        """As a renderer's."""
        if len(keypoints) not in self.held:
            self.held[len(keypoints)] = self.renderer(
                keypoints.detach(), visible)
        return Drawn.apply(keypoints, self.held[len(keypoints)])


class Watched(nn.Module):
    """A renderer whose forward and backward can be told from the rest.

    Args:
        renderer (SkeletonRenderer): The renderer.

    Attributes:
        seconds (float): Processor time that it has taken so far.
    """

    def __init__(self, renderer: Any) -> None:
        super().__init__()
        for name in ('channels', 'size', 'joints', 'skeleton'):
            setattr(self, name, getattr(renderer, name))
        self.renderer, self.seconds = renderer, 0.

    @contextmanager
    def under(self, name: str) -> Iterator[None]:
        """Counts what is done, and names it for the profiler."""
        begun = time.process_time()
        with record_function(name):
            yield
        self.seconds += time.process_time() - begun

    def forward(self, keypoints: Tensor,
                visible: Tensor | None = None) -> Tensor:
        """As a renderer's."""
        return _Watch.apply(keypoints, visible, self)


class _Watch(Function):
    """Draws under one name, and runs the backward under another."""

    @staticmethod
    def forward(ctx: Any, keypoints: Tensor, visible: Tensor | None,
                watched: Watched) -> Tensor:
        ctx.watched = watched
        with watched.under(FORWARD), torch.enable_grad():
            ctx.start = keypoints.detach().requires_grad_(
                ctx.needs_input_grad[0])
            ctx.end = watched.renderer(ctx.start, visible)
        return ctx.end.detach()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple:
        with ctx.watched.under(BACKWARD):
            found, = torch.autograd.grad(ctx.end, ctx.start, grad)
        return found, None, None


class Stepper:
    """A model with its optimizers, and one batch of random content.

    Args:
        cfg (Config): Of KeypointGAN.
        wrap (Callable, optional): Replaces the renderer.
    """

    def __init__(self, cfg: Config,
                 wrap: Callable[[Any], nn.Module] | None = None) -> None:
        torch.manual_seed(0)
        self.model: Any = MODELS.build(copy.deepcopy(cfg.model)).train()
        for name in CHANNELS_LAST if cfg.get('fast') else ():
            getattr(self.model, name).to(memory_format=torch.channels_last)
        self.wrapper = build_optim_wrapper(self.model, cfg.optim_wrapper)
        side, n = self.model.renderer.size[0], self.batch(cfg)
        shape = (n, 3, side, side)
        joints = len(self.model.skeleton)
        self.data = dict(
            inputs={k: torch.randint(256, shape, dtype=torch.uint8)
                    for k in ('image', 'condition')},
            # Spread as people in their crop are.
            poses=.35 * torch.randn(n, joints, 2).clamp(-2.5, 2.5),
            pose_present=torch.ones(n, joints, dtype=torch.bool),
            data_samples=[])
        if wrap is not None:
            self.model.renderer = wrap(self.model.renderer)

    @staticmethod
    def batch(cfg: Config) -> int:
        """Images a step."""
        return int(cfg.train_dataloader.batch_size)

    def __call__(self) -> float:
        """One step; its seconds."""
        begun = time.process_time()
        self.model.train_step(self.data, self.wrapper)
        return time.process_time() - begun


def cases() -> dict[str, Config]:
    """Configs by title."""
    paper = Config.fromfile(
        ROOT / 'configs' / 'keypointgan_simple_human36m.py')
    paper.model.perceptual.update(features='random', width=64)
    small, plain = base('all'), base('all')
    small.optim_wrapper.generator.type = PRECISION
    small.fast = True
    return {'the benchmarks\' size, float32': plain,
            'the benchmarks\' size, as they train': small,
            'the paper\'s size, float32': paper}


def profiled(stepper: Stepper) -> dict[str, float]:
    """Shares of a step by torch.profiler: forward and backward of drawing.

    Args:
        stepper (Stepper): Its renderer is watched.
    """
    with profile(activities=[ProfilerActivity.CPU]) as found:
        stepper()
    events = found.key_averages()
    total = sum(e.self_cpu_time_total for e in events)
    share = {name: sum(e.cpu_time_total for e in events if e.key == name)
             / total for name in (FORWARD, BACKWARD)}
    calls = sum(e.count for e in events if e.key == FORWARD)
    return dict(forward=round(share[FORWARD], 4), calls=calls,
                backward=round(share[BACKWARD], 4),
                share=round(sum(share.values()), 4))


def measure(cfg: Config, rounds: int, warm: int,
            without: bool = True) -> dict[str, Any]:
    """One case.

    Args:
        cfg (Config): Of KeypointGAN.
        rounds (int): Steps of each form that count.
        warm (int): Steps before them.
        without (bool): Also without rendering. Defaults to True.
    """
    whole = Stepper(cfg, Watched)
    other = Stepper(cfg, Costless) if without else None
    watched: Any = whole.model.renderer
    times: list[float] = []
    inside: list[float] = []
    apart: list[float] = []
    for number in range(warm + rounds):
        watched.seconds = 0.
        spent = whole()
        bare = other() if other is not None else 0.
        if number >= warm:
            times.append(spent)
            inside.append(watched.seconds / spent)
            apart.append(1 - bare / spent)
    step = statistics.median(times)
    model = whole.model
    return dict(
        batch=whole.batch(cfg), size=model.renderer.size[0],
        joints=len(model.skeleton),
        limbs=len(watched.renderer.parts) // 2,
        parameters=sum(p.numel() for p in model.parameters()
                       if p.requires_grad),
        seconds=round(step, 4), fastest=round(min(times), 4),
        images_per_second=round(whole.batch(cfg) / step, 2),
        rendering_by_clock=round(statistics.median(inside), 4),
        rendering_left_out=round(statistics.median(apart), 4)
        if without else None,
        rendering_by_profiler=profiled(whole))


def show(title: str, row: Mapping[str, Any]) -> str:
    """A line of text."""
    traced = row['rendering_by_profiler']
    return (f'{title} ({row["size"]} px, batch {row["batch"]}, '
            f'{row["limbs"]} limbs): {row["seconds"]:.3f} s a step, '
            f'{row["images_per_second"]:.1f} images/s; rendering '
            f'{traced["share"]:.1%} by the profiler ({traced["calls"]} '
            f'drawings), {row["rendering_by_clock"]:.1%} by the clock'
            + ('' if row['rendering_left_out'] is None else
               f', {row["rendering_left_out"]:.1%} if left out'))


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('--rounds', type=int, default=7,
                        help='steps of the small size; a fifth of it, at '
                        'least one, at the paper\'s (default: %(default)s)')
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    init_default_scope('mmpose')
    rows = {}
    for title, cfg in cases().items():
        large = title.startswith('the paper')
        # A step of the paper's size takes half a minute: it needs no warmth.
        rows[title] = measure(cfg, max(rounds // 5, 1) if large else rounds,
                              0 if large else 2, not large)
        print(show(title, rows[title]), flush=True)
    write_text(OUT, json.dumps(dict(
        torch=torch.__version__, threads=torch.get_num_threads(),
        machine=platform.processor() or platform.machine(), rounds=rounds,
        rows=rows), indent=1) + '\n')
    print('written to', OUT)


if __name__ == '__main__':
    main()
