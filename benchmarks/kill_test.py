"""SIGKILL at random moments, also inside a save; does the run end the same?

    python benchmarks/kill_test.py --kills 100

Every variant of a run (by epoch or iteration, data workers, averaged
weights, accumulation, two optimizers, every stage of a curriculum ...) is
trained once unbroken. Then, for each kill, a run is started, killed, started
again as a user would (``tools/train.py CONFIG --resume``), and the final
checkpoint is compared with the unbroken run's, bit for bit: weights,
averaged weights, optimizer states, schedulers and random states.

``--only NAME`` runs one variant. Writes results/kill_test.json.
"""
from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / 'tools'), str(ROOT)]


def unaided(config: Path, work_dir: Path, resume: bool) -> None:
    """What tools/train.py does, in this process."""
    import train
    sys.argv = ['train.py', str(config), '--work-dir', str(work_dir)] + (
        ['--resume'] if resume else [])
    train.main()


def trial(config: Path, folder: Path, name: str, seconds: float,
          rng: random.Random) -> tuple[Counter, dict]:
    """One run, killed once and resumed. Returns kills and final states."""
    from mirrorpose.testing import kills
    shutil.rmtree(folder, ignore_errors=True)
    counts: Counter = Counter()
    while not counts:
        shutil.rmtree(folder, ignore_errors=True)
        inside = rng.random() < .4

        def begin(inside: bool = inside) -> None:
            with kills.slow_disk(.03 if inside else 0.):
                unaided(config, folder, False)

        child = kills.Child(begin, folder.with_suffix('.log'))
        where = kills.kill_at_random(child, folder, seconds, rng, inside)
        if where is None:
            child.wait()
            seconds *= .8  # it was over before the moment came
        else:
            counts[where] += 1
    kills.Child(lambda: unaided(config, folder, True),
                folder.with_suffix('.log')).wait()
    return counts, kills.final_states(folder)


def main() -> None:
    """Runs all variants and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--kills', type=int, default=100)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--only')
    parser.add_argument('--out', type=Path, default=ROOT / 'benchmarks' /
                        'results' / 'kill_test.json')
    args = parser.parse_args()
    import torch
    torch.set_num_threads(1)
    import mirrorpose  # noqa: F401
    from mirrorpose.testing import kills, variants
    names = [args.only] if args.only else list(variants.VARIANTS)
    rng = random.Random(args.seed)
    rows, begun = [], time.monotonic()
    print(f'{"variant":28s} {"seconds":>8s} {"kills":>6s} {"in a save":>10s} '
          f'{"same":>5s}')
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for number, name in enumerate(names):
            config = folder / f'{name}.py'
            variants.make(name, folder / name).dump(config)
            start = time.monotonic()
            kills.Child(lambda c=config, n=name: unaided(
                c, folder / f'{n}_whole', False),
                folder / f'{name}_whole.log').wait()
            seconds = time.monotonic() - start
            whole = kills.final_states(folder / f'{name}_whole')
            share = args.kills // len(names) + (
                number < args.kills % len(names))
            counts: Counter = Counter()
            same, differences = 0, []
            for kill in range(share):
                counted, states = trial(config, folder / f'{name}_{kill}',
                                        name, seconds * .8, rng)
                counts += counted
                found = kills.first_difference(whole, states)
                same += found is None
                differences += [found] if found else []
                shutil.rmtree(folder / f'{name}_{kill}', ignore_errors=True)
            rows.append(dict(variant=name, seconds=round(seconds, 1),
                             kills=sum(counts.values()),
                             in_a_save=counts['save'], same=same,
                             differences=differences))
            print(f'{name:28s} {seconds:8.1f} {sum(counts.values()):6d} '
                  f'{counts["save"]:10d} {same:5d}'
                  + (f'  {differences[0]}' if differences else ''),
                  flush=True)
    total = sum(r['kills'] for r in rows)
    same = sum(r['same'] for r in rows)
    print(f'{total} kills, {sum(r["in_a_save"] for r in rows)} of them inside '
          f'a save; {same} ended bit for bit like the unbroken run')
    if not args.only:
        args.out.write_text(json.dumps(dict(
            command=f'python benchmarks/kill_test.py --kills {args.kills} '
            f'--seed {args.seed}', seconds=round(time.monotonic() - begun),
            kills=total, same=same, rows=rows), indent=1) + '\n')
    if same != total:
        raise SystemExit(1)


if __name__ == '__main__':
    main()
