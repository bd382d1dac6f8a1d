"""HardNetLoss against HardNet's rule in a double loop.

    python benchmarks/metric_losses.py [--pairs 64 256]

Both compute the same value from the same embeddings of 128 dimensions, in one
process on one thread, with and without the gradient. Measured is processor
time, which other work on the machine disturbs less than it does the clock.
The loop is the rule as it is read: for each anchor and each candidate a
distance. Beside it, what the masks and the pairs of all views cost. Writes
``benchmarks/results/metric_losses.json``.
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
from mirrorpose.models.losses import HardNetLoss
from mirrorpose.models.pose.views import ViewLabels

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 128


def double_loop(anchors: Tensor, positives: Tensor,
                margin: float = 1.) -> Tensor:
    """M3 with anchor swap and the floor of duplicates, pair by pair."""
    n = len(anchors)
    distance = [[((anchors[i] - positives[j]).square().sum() + 1e-6).sqrt()
                 for j in range(n)] for i in range(n)]
    total = anchors.new_zeros(())
    for i in range(n):
        least = None
        for j in range(n):
            if j == i:
                continue
            for d in (distance[i][j], distance[j][i]):
                if d >= .008 and (least is None or d < least):
                    least = d
        assert least is not None
        total = total + (margin + distance[i][i] - least).clamp(min=0)
    return total / n


def batch(pairs: int) -> tuple[Tensor, ViewLabels]:
    """Embeddings (2 * pairs, 128) of one subject, and their labels."""
    generator = torch.Generator().manual_seed(0)
    centre = torch.randn(pairs, 1, WIDTH, generator=generator)
    rows = centre + .7 * torch.randn(pairs, 2, WIDTH, generator=generator)
    rows = torch.nn.functional.normalize(rows, dim=-1).flatten(0, 1)
    group = torch.arange(pairs).repeat_interleave(2)
    zero = torch.zeros_like(group)
    return rows, ViewLabels(group, zero, zero, torch.arange(2).repeat(pairs),
                            10. * group.double())


def seconds(work: Callable[[], Tensor], rows: Tensor, backward: bool,
            times: int) -> tuple[float, float]:
    """Median processor time of one call, and its value."""
    spent, value = [], 0.
    for _ in range(times):
        rows.grad = None
        start = time.process_time()
        loss = work()
        if backward:
            loss.backward()
        spent.append(time.process_time() - start)
        value = float(loss.detach())
    return statistics.median(spent), value


def measure(pairs: int, rounds: int) -> dict:
    """Both on one batch."""
    rows, views = batch(pairs)
    rows.requires_grad_()
    same = HardNetLoss(pairs='first', candidates='place')
    full = HardNetLoss()
    found: dict = dict(pairs=pairs)
    for name, backward in (('forward', False), ('with gradient', True)):
        with torch.set_grad_enabled(backward):
            seconds(lambda: same(rows, views)['loss_metric'], rows, backward,
                    3)
            ours, value = seconds(lambda: same(rows, views)['loss_metric'],
                                  rows, backward, 20 * rounds)
            loop, want = seconds(lambda: double_loop(rows[::2], rows[1::2]),
                                 rows, backward, rounds)
            every, _ = seconds(lambda: full(rows, views)['loss_metric'],
                               rows, backward, 20 * rounds)
        if abs(value - want) > 1e-4:
            raise RuntimeError(f'{value} and {want} are not the same loss')
        found[name] = dict(
            loop_ms=1e3 * loop, loss_ms=1e3 * ours, ratio=loop / ours,
            all_pairs_and_candidates_ms=1e3 * every)
    return found


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--pairs', type=int, nargs='+', default=[64, 256])
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--out', type=Path, default=(
        ROOT / 'benchmarks' / 'results' / 'metric_losses.json'))
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measure(pairs, args.rounds) for pairs in args.pairs]
    for row in rows:
        for name in ('forward', 'with gradient'):
            print('{:4d} pairs, {:13s}: loop {loop_ms:9.1f} ms, HardNetLoss '
                  '{loss_ms:6.2f} ms, {ratio:6.0f} times; all pairs and '
                  'candidates {all_pairs_and_candidates_ms:.2f} ms'.format(
                      row['pairs'], name, **row[name]))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(dict(
        machine=dict(processor=platform.processor() or platform.machine(),
                     torch=torch.__version__, threads=1),
        width=WIDTH, rounds=args.rounds, sizes=rows), indent=1) + '\n')
    print('written to', args.out)


if __name__ == '__main__':
    main()
