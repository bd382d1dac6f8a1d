"""P-MPJPE of many poses: batched quaternions against mmpose's loop.

    python benchmarks/pose3d_metrics.py [--poses 100000]

Measured is processor time on one thread, which other work on the machine
disturbs less than it does the clock; the ways take turns, and the middle of
the rounds counts. Writes ``benchmarks/results/pose3d_metrics.json``.
"""
from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import mirrorpose  # noqa: F401  (makes mmpose importable)
from mirrorpose.evaluation import PoseErrors3D
from mirrorpose.structures.alignment import _svd_rotation, aligned_distances
from mirrorpose.structures.pairwise import pairwise_distances

ROOT = Path(__file__).resolve().parents[1]


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Median processor time of one call."""
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def by_svd(pred: torch.Tensor, gt: torch.Tensor) -> float:
    """P-MPJPE by one batched SVD, as peers write it."""
    mean_p, mean_g = pred.mean(1, keepdim=True), gt.mean(1, keepdim=True)
    a, b = pred - mean_p, gt - mean_g
    h = a.mT @ b
    turn = _svd_rotation(h)
    scale = (turn.mT * h).sum((1, 2)) / a.square().sum((1, 2))
    made = scale[:, None, None] * (a @ turn.mT) + mean_g
    return float((made - gt).norm(dim=2).mean())


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description='Speed of 3D pose metrics')
    parser.add_argument('--poses', type=int, default=100_000)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--out', type=Path, default=(
        ROOT / 'benchmarks' / 'results' / 'pose3d_metrics.json'))
    args = parser.parse_args()
    from mmpose.evaluation.functional import keypoint_mpjpe
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    gt = 300 * rng.normal(size=(args.poses, 17, 3))
    pred = gt + 60 * rng.normal(size=gt.shape)
    a, b = torch.from_numpy(pred), torch.from_numpy(gt)
    everything = np.ones(gt.shape[:2], bool)
    ways: dict[str, Callable[[], float]] = {
        'mmpose keypoint_mpjpe': lambda: keypoint_mpjpe(
            pred, gt, everything, 'procrustes'),
        'batched SVD (torch)': lambda: by_svd(a, b),
        'mirrorpose aligned_distances': lambda: float(
            aligned_distances(a, b).mean())}
    found = {name: float(way()) for name, way in ways.items()}
    worst = max(found.values()) - min(found.values())
    assert worst < 1e-6, f'the ways differ: {found}'
    spent = {name: seconds(way, args.rounds) for name, way in ways.items()}
    spent['mirrorpose PoseErrors3D (all three)'] = seconds(
        lambda: PoseErrors3D.calculate(pred, gt), args.rounds)
    slow = spent['mmpose keypoint_mpjpe']
    print(f'P-MPJPE of {args.poses} x 17 poses, seconds of one thread; the '
          f'values agree to {worst:.0e} mm\n')
    for name, value in spent.items():
        print(f'{name:38} {value:8.3f} s {slow / value:8.1f} x')
    few = min(2000, args.poses)
    pairs = {}
    for kind, dtype in (('float32', torch.float32),
                        ('float64', torch.float64)):
        x, y = a[:few].to(dtype), b[:few].to(dtype)
        rate = few**2 / seconds(lambda: pairwise_distances(x, y),  # noqa: B023
                                args.rounds)
        pairs[kind] = rate
        print(f'all pairs, rotation aligned, {kind:9} {rate / 1e6:8.1f} '
              'million a second')
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(dict(
        poses=args.poses, joints=17, seconds=spent,
        times_faster={k: slow / v for k, v in spent.items()},
        largest_difference_mm=worst, pairs_a_second=pairs,
        machine=platform.processor() or platform.machine(),
        torch=torch.__version__, threads=1), indent=2) + '\n')


if __name__ == '__main__':
    main()
