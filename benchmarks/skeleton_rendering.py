"""How fast poses are drawn, beside the straightforward form.

    python benchmarks/skeleton_rendering.py [--device cuda] [--compile]

The straightforward form is one broadcast of (N, E, P, 2) with autograd's
gradient. Both sides draw the same poses in one process on one thread and take
turns; on the CPU, processor time is measured, which other work on the machine
disturbs less than it does the clock. Their values and gradients are compared
in float64 first. Writes ``benchmarks/results/skeleton_rendering.json``.
"""
from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

import mirrorpose  # noqa: F401  (registers everything)
from mirrorpose.models.pose import SkeletonRenderer
from mirrorpose.structures import Skeleton

ROOT = Path(__file__).resolve().parents[1]
#: Batch, limbs and pixels of the target; faces; a small world.
CASES = [('h36m_17', 32, 128), ('h36m_17', 16, 64), ('ibug_68', 32, 128)]


def naive(keypoints: Tensor, limbs: list[tuple[int, int]], size: int,
          gamma: float = 25.) -> Tensor:
    """Eq. 2 as it is written, (N, size, size)."""
    a = keypoints[:, [i for i, _ in limbs], None]
    v = keypoints[:, [j for _, j in limbs], None] - a
    axis = torch.linspace(-1, 1, size, dtype=a.dtype, device=a.device)
    u = torch.stack(torch.meshgrid(axis, axis, indexing='xy'), -1)
    far = u.view(1, 1, -1, 2) - a
    t = (far * v).sum(-1) / v.square().sum(-1).clamp(min=1e-6)
    d = (far - t.clamp(0, 1)[..., None] * v).square().sum(-1)
    return torch.exp(-gamma * (d + 1e-6).sqrt()).amax(1).view(
        -1, size, size)


def poses(skeleton: Skeleton, number: int) -> Tensor:
    """Random ones with limbs of plausible length, (N, K, 2)."""
    generator = torch.Generator().manual_seed(0)
    place = torch.zeros(number, len(skeleton), 2)
    done = {0}
    limbs = list(skeleton.limb_indices)
    step = 1.2 / len(limbs)**.5
    while limbs:  # a walk along the limbs; islands begin anywhere
        limb = next((x for x in limbs if done & set(x)), limbs[0])
        limbs.remove(limb)
        for a, b in (limb, limb[::-1]):
            if b not in done:
                start = place[:, a] if a in done else torch.rand(
                    number, 2, generator=generator) - .5
                place[:, b] = start + step * (torch.rand(
                    number, 2, generator=generator) - .5) * 2
                done.add(b)
    return place.clamp(-.95, .95)


def clock(work: Callable[[], object], device: str) -> float:
    """Seconds of one call: of the processor, or of the device."""
    if device == 'cpu':
        start = time.process_time()
        work()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def deviation(draw: SkeletonRenderer, limbs: list[tuple[int, int]],
              keypoints: Tensor) -> dict[str, float]:
    """Largest differences to the naive form, in float64 and float32."""
    wide = keypoints.double().requires_grad_()
    size = draw.size[0]
    ours, theirs = draw(wide)[:, 0], naive(wide, limbs, size)
    weight = torch.randn_like(theirs)
    one, two = (torch.autograd.grad((x * weight).sum(), wide)[0]
                for x in (ours, theirs))
    return dict(
        value=(ours - theirs).abs().max().item(),
        gradient=((one - two).abs().max() / two.abs().max()).item(),
        value_float32=(draw(keypoints)[:, 0] - theirs).abs().max().item())


def measure(name: str, batch: int, size: int, device: str, rounds: int,
            compiled: bool) -> dict:
    """One row of the table."""
    skeleton = Skeleton.from_name(name)
    limbs = list(skeleton.limb_indices)
    if len(limbs) == 16:  # the seventeenth
        limbs.append(tuple(skeleton.index('left_hip', 'right_hip')))
    keypoints = poses(skeleton, batch).to(device)
    ours = SkeletonRenderer(limbs=limbs, size=size).to(device)
    off = deviation(ours, limbs, keypoints)
    sides: dict[str, Callable[[Tensor], Tensor]] = dict(
        naive=lambda p: naive(p, limbs, size), ours=ours)
    if compiled:
        fast = torch.compile(lambda p: naive(p, limbs, size))
        sides['naive, compiled'] = fast
    moving = keypoints.clone().requires_grad_()
    times: dict[str, dict[str, list[float]]] = {
        side: dict(forward=[], both=[]) for side in sides}
    for turn in range(rounds + 1):  # the first warms up
        for side, draw in sides.items():
            forward = clock(lambda d=draw: d(keypoints), device)
            both = clock(lambda d=draw: d(moving).sum().backward(), device)
            if turn:
                times[side]['forward'].append(forward)
                times[side]['both'].append(both)
    row = dict(skeleton=name, limbs=len(limbs), batch=batch, size=size,
               deviation=off)
    for what in ('forward', 'both'):
        middle = {s: statistics.median(t[what]) for s, t in times.items()}
        row[what] = {
            **{f'{s}_ms': round(1e3 * m, 3) for s, m in middle.items()},
            # Of neighbouring runs, so that a slow minute hits both.
            'ratio': round(statistics.median(
                a / b for a, b in zip(times['naive'][what],
                                      times['ours'][what])), 2)}
    return row


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--compile', action='store_true',
                        help='also the naive form by torch.compile')
    parser.add_argument('--out', type=Path, default=(
        ROOT / 'benchmarks/results/skeleton_rendering.json'))
    args = parser.parse_args()
    torch.set_num_threads(1)
    report = dict(
        device=torch.cuda.get_device_name() if args.device != 'cpu'
        else f'{platform.machine()}, 1 thread',
        torch=torch.__version__, rounds=args.rounds,
        rows=[measure(name, batch, size, args.device, args.rounds,
                      args.compile) for name, batch, size in CASES])
    print('| skeleton | limbs | batch | size | naive | ours | ratio | naive, '
          'with gradient | ours | ratio |')
    print('| --- |' + ' ---: |' * 9)
    for row in report['rows']:
        cells = [row[k] for k in ('skeleton', 'limbs', 'batch', 'size')]
        for what in ('forward', 'both'):
            cells += [f'{row[what]["naive_ms"]:.1f} ms',
                      f'{row[what]["ours_ms"]:.1f} ms', row[what]['ratio']]
        print('| ' + ' | '.join(map(str, cells)) + ' |')
    worst = {k: max(r['deviation'][k] for r in report['rows'])
             for k in report['rows'][0]['deviation']}
    print('largest differences:', {k: f'{v:.1e}' for k, v in worst.items()})
    args.out.write_text(json.dumps(report, indent=1) + '\n')


if __name__ == '__main__':
    main()
