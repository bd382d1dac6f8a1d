"""How fast JUMPS trains and searches on one core.

    python benchmarks/jumps_speed.py [--checkpoint FILE]
    python benchmarks/jumps_speed.py --threads

With a checkpoint of ``configs/jumps_mocap.py`` also: the fewest steps from
the encoder's start that are as accurate, on held-out motion capture, as the
paper's 200 from 8 starts (its critic off, which spoils it), and a clip of ten
minutes with five people through ``mirrorpose.apis.complete``, with the memory
that it takes; of the trained ridge and regressor too, and of what
``complete()`` takes by itself (``configs/cascade_mocap.py`` where its parts
were trained).

A second of video is 25 frames and, with windows of 24 half overlapping, 25 /
12 windows. The sides of each comparison do the same number of steps from the
same starts; they take turns in one process on one thread. Measured is
processor time, which other work on the machine disturbs less than it does the
clock. Without a checkpoint the weights are as they are drawn: time does not
depend on them. Writes ``benchmarks/results/jumps_speed.json``.
"""
from __future__ import annotations

import argparse
import copy
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from completion.training import checkpoint as trained_checkpoint
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmpose.registry import MODELS
from torch import Tensor, nn

import mirrorpose  # noqa: F401  (registers everything)
from mirrorpose.engine import checkpoint as checkpoints
from mirrorpose.engine.optimizers import PerChildOptimWrapperConstructor
from mirrorpose.models.jumps import Jumps, JumpsCompleter
from mirrorpose.models.jumps.one_cell import (
    CollapsingConv2d,
    ExpandingConvTranspose2d,
)
from mirrorpose.models.pose.canonical_frame import SKELETON

ROOT = Path(__file__).resolve().parents[1]
#: Of the results; measured apart, by ``--threads``.
THREADS = 'iterations a second by threads'
WINDOWS_A_SECOND = 25 / 12
TWELVE = [f'{side}_{part}' for side in ('left', 'right') for part in (
    'shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')]


def seconds(work: Callable[[], object],
            clock: Callable[[], float] = time.process_time) -> float:
    """Time of one call, processor time by default."""
    start = clock()
    work()
    return clock() - start


# -- the straightforward search ---------------------------------------------
def plain_loss(made: Tensor, target: Tensor, observed: Tensor,
               critic: Callable[[Tensor], Tensor] | None) -> Tensor:
    """Eq. 10 of one generated window, by an SVD as textbooks do it."""
    a, b = made[observed], target[observed]
    mean_a, mean_b = a.mean(0), b.mean(0)
    u, s, vt = torch.linalg.svd((b - mean_b).T @ (a - mean_a))
    turn = u @ vt
    size = s.sum() / (a - mean_a).square().sum()
    out = size * (made - mean_a) @ turn.T + mean_b
    loss = 10 * (out - target)[observed].norm(dim=-1).mean()
    both = observed[1:] & observed[:-1]
    steps = (out.diff(dim=0) - target.diff(dim=0))[both]
    loss = loss + 5 * steps.norm(dim=-1).mean()
    if critic is not None:
        loss = loss - 15 * critic(made[None])[0]
    return loss


def textbook(network: nn.Module) -> nn.Module:
    """A copy with convolutions of torch where ours are matrix products."""
    copied = copy.deepcopy(network)
    for module in copied.modules():
        if isinstance(module, CollapsingConv2d):
            module.__class__ = nn.Conv2d
        elif isinstance(module, ExpandingConvTranspose2d):
            module.__class__ = nn.ConvTranspose2d
    return copied


def one_by_one(model: Jumps, target: Tensor, observed: Tensor,
               starts: Tensor, steps: int, with_critic: bool) -> None:
    """A window at a time, a start at a time, ``torch.optim.Adam``."""
    critic = model.critic if with_critic else None
    for window, seen in zip(target, observed):
        for start in starts:
            z = start[None].clone().requires_grad_()
            adam = torch.optim.Adam([z], 1., (.8, .999))
            for _ in range(steps):
                adam.zero_grad()
                loss = plain_loss(model.generator(z)[0], window, seen, critic)
                loss.backward(inputs=[z])
                adam.step()


def searches(model: Jumps, windows: Tensor, observed: Tensor,
             rounds: int) -> dict:
    """Seconds of processor time a second of video."""
    few, steps = 2, 10
    starts = torch.randn(8, model.latent)
    works: dict[str, tuple[Callable[[], object], int, int]] = {}
    for name, weight in (('critic', 15.), ('no critic', 0.)):
        ours = JumpsCompleter(model, restarts=7, keep=False, search=dict(
            steps=steps, rate=1., critic_weight=weight))
        for kind, its in (('loop', textbook(model)),
                          ('loop, our layers', model)):
            works[f'{kind}, {name}'] = (
                lambda w=weight, m=its: one_by_one(
                    m, windows[:few], observed[:few], starts, steps,
                    bool(w)), few, steps)
        works[f'batched, {name}'] = (
            lambda o=ours: o.complete(windows, observed), len(windows), steps)
    fast = JumpsCompleter(model, search=dict(steps=50))
    works['encoder start, 50 steps'] = (
        lambda: fast.complete(windows, observed), len(windows), 50)
    fewest = JumpsCompleter(model, search=dict(steps=10))
    works['encoder start, 10 steps'] = (
        lambda: fewest.complete(windows, observed), len(windows), 10)
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, (work, number, made) in works.items():
            spent = seconds(work) / number
            if name.startswith(('loop', 'batched')):
                spent *= 200 / made  # of 200 steps
            if turn:
                times[name].append(spent * WINDOWS_A_SECOND)
    return {name: dict(median=statistics.median(v), least=min(v),
                       most=max(v)) for name, v in times.items()}


def by_threads(rounds: int) -> dict[str, float]:
    """Iterations a second by the clock with one and two threads, in turns."""
    spent: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(2):
        for threads, found in spent.items():
            torch.set_num_threads(threads)
            found.append(training(MODELS.build(Config.fromfile(
                ROOT / 'configs' / '_base_' / 'models' / 'jumps.py').model),
                rounds, clock=time.perf_counter)['iterations_a_second'])
    torch.set_num_threads(1)
    return {str(k): round(statistics.mean(v), 3) for k, v in spent.items()}


def training(model: Jumps, rounds: int, batch: int = 256,
             clock: Callable[[], float] = time.process_time) -> dict:
    """Iterations a second, of processor time by default."""
    entry = dict(optimizer=dict(type='Adam', lr=1e-4, betas=(.5, .999)))
    wrappers = PerChildOptimWrapperConstructor(dict(
        critic=entry, generator=dict(entry, children=[
            'generator', 'encoder'])))(model)
    data = dict(inputs=.3 * torch.randn(batch, 24, len(SKELETON), 2))
    model.train()
    spent = [seconds(lambda: model.train_step(data, wrappers), clock)
             for _ in range(rounds + 1)][1:]
    return dict(batch=batch, iterations_a_second=1 / statistics.median(spent),
                windows_a_second=batch / statistics.median(spent))


# -- equal accuracy, and long clips ------------------------------------------
def fewest_steps(checkpoint: Path) -> dict:
    """Unseen area and processor time by steps, beside 8 starts of 200."""
    from completion import rows
    from completion.clips import held_out, through
    from completion.scores import score
    clips = [c for m in ('cmu', 'bandai') for c in through(
        held_out(m, 16, 96), [dict(type='UnseenJoints')])]
    model = rows.load_completer(checkpoint).model
    out = {}
    for name, options in {
            '8 starts, 200 steps of rate 1': dict(
                restarts=7, keep=False, search=dict(steps=200, rate=1.)),
            **{f'encoder start, {n} steps': dict(search=dict(steps=n))
               for n in (0, 2, 5, 10, 20, 50, 100)}}.items():
        done, spent, _ = rows.run(rows.jumps(model, options), clips)
        values, _ = score(done, clips)
        out[name] = dict(unseen=values['unseen']['AUC'],
                         seconds=round(spent, 4))
    return out


def long_clip(completer: Any, minutes: float = 10.,
              people: int = 5) -> dict:
    """Time and peak memory of a long clip, in a process of its own."""
    code = f"""
import resource, time, numpy as np, torch
torch.set_num_threads(1)
from mirrorpose.apis import complete
rng = np.random.default_rng(0)
frames = int({minutes} * 60 * 25)
walk = np.cumsum(rng.normal(0, 2, ({people}, frames, 1, 2)), 1)
body = rng.normal(0, 40, ({people}, 1, 17, 2))
poses = (walk + body + rng.normal(0, 1, ({people}, frames, 17, 2)))
poses[rng.random(poses.shape[:3]) < .1] = np.nan
one = poses[:1, :50]
complete(list(one), completer={completer!r})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start, wall = time.process_time(), time.time()
done = complete(list(poses), completer={completer!r})
assert len(done) == {people} and all(
    np.isfinite(d.keypoints).all() for d in done)
print(time.process_time() - start, time.time() - wall, before / 1024,
      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, text=True,
                          capture_output=True, check=True)
    spent, wall, before, peak = map(float, done.stdout.split()[-4:])
    return dict(processor_seconds=round(spent, 1),
                a_video_second=round(spent / minutes / 60, 4),
                MiB_before=round(before), MiB_peak=round(peak))


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description='Speed of JUMPS')
    parser.add_argument('--checkpoint', type=Path)
    parser.add_argument('--windows', type=int, default=32)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--threads', action='store_true',
                        help='only: what a second thread gains in training')
    parser.add_argument('--out', type=Path, default=(
        ROOT / 'benchmarks' / 'results' / 'jumps_speed.json'))
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    MMLogger.get_instance('mmengine').setLevel('ERROR')
    before = json.loads(args.out.read_text()) if args.out.is_file() else {}
    if args.threads:
        before[THREADS] = by_threads(args.rounds)
        print(before[THREADS])
        args.out.write_text(json.dumps(before, indent=1) + '\n')
        return
    cfg = Config.fromfile(ROOT / 'configs' / '_base_' / 'models' / 'jumps.py')
    model = MODELS.build(cfg.model)
    if args.checkpoint:
        held = checkpoints.load(args.checkpoint, 'cpu')
        checkpoints.check_fits(model, held, str(args.checkpoint))
        model.load_state_dict(held['state_dict'])
    model.eval()
    windows = .3 * torch.randn(args.windows, 24, len(SKELETON), 2)
    observed = torch.zeros(windows.shape[:-1], dtype=torch.bool)
    observed[:, :, SKELETON.index(*TWELVE)] = True
    found = searches(model, windows, observed, args.rounds)
    report = dict(
        machine=dict(processor=platform.processor() or platform.machine(),
                     torch=torch.__version__, threads=1),
        windows=args.windows, rounds=args.rounds, restarts=8,
        processor_seconds_a_video_second=found,
        ratio={f'{kind}, {name}': found[f'{kind}, {name}']['median']
               / found[f'batched, {name}']['median']
               for kind in ('loop', 'loop, our layers')
               for name in ('critic', 'no critic')},
        training={d: training(MODELS.build(Config.fromfile(
            ROOT / 'configs' / '_base_' / 'models' / 'jumps.py').model),
            args.rounds) for d in ('S5', )})
    for name, value in found.items():
        print(f'{name:28s} {value["median"]:8.3f} s of a core a second of '
              f'video [{value["least"]:.3f}, {value["most"]:.3f}]')
    print('batched over loop, equal steps: ' + ', '.join(
        f'{k} {v:.1f}' for k, v in report['ratio'].items()))
    print('training: {iterations_a_second:.2f} iterations of {batch} '
          'windows a second of a core'.format(**report['training']['S5']))
    if args.checkpoint:
        report['accuracy'] = fewest_steps(args.checkpoint)
        for name, value in report['accuracy'].items():
            print(f'{name:32s} unseen AUC {value["unseen"]:.3f}, '
                  f'{value["seconds"]:.4f} s a second of video')
        made: dict[str, Any] = {
            'interpolation': dict(type='InterpolationCompleter'),
            'what complete() takes': None, 'JUMPS': str(args.checkpoint)}
        for kind in ('ridge', 'regressor'):
            made[kind] = str(trained_checkpoint(f'{kind}_both_0'))
        report['ten minutes, five people'] = {}
        for name, path in made.items():
            value = report['ten minutes, five people'][name] = long_clip(path)
            print(f'ten minutes of five people, {name}: {value}')
    if THREADS in before:
        report[THREADS] = before[THREADS]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1) + '\n')
    print('written to', args.out)


if __name__ == '__main__':
    main()
