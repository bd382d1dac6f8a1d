"""What do annotated images give, by what they are trained with?

    python benchmarks/label_efficiency.py --plan
    python -m benchmarks.labels.training --group main
    python benchmarks/label_efficiency.py [--only PART ...] [--final]
    python -m benchmarks.labels.tables

A small recognizer (ResNet-18 of 24 channels, 1.9 M parameters, crops of 64 x
64) on LSP + LSPET, and on the embedded world; with a CUDA device, or
``LABELS_SIZE=full``, MirrorNet around HRNet-W32 at 256 x 256. All rows of one
share of labels (5, 20, 80 %) and one seed (of people, order, augmentation and
noise) go on from one recognizer that has stopped gaining, for as many
optimizer steps; generative parts are trained once a share and seed. Rows run
one by one and resume (benchmarks/labels/training.py). Everything runs with
channels-last weights, and in bfloat16 on processors that have it, 1.2 to 1.5
times as fast there; the ledger says in which precision a row ran, and the row
``float32`` tells whether that changes anything.

Parts of the results: ``cost`` (seconds of a step, by which ``--plan``
estimates), ``tuning`` (three trials for every form, one seed, before all
others), ``main`` and ``synthetic`` (plain recognizer, supervised and
semi-supervised MirrorNet, mean teacher; three shares, three seeds),
``terms`` (the paper's terms one by one), ``compositions`` (Table 9),
``parts`` (of recombination), ``rivals``, ``beyond`` (what may come on top),
``priors`` (poses without images), ``prior_loss`` (a pose prior in the loss of
ordinary heads), ``unpaired`` (no pairs), ``long`` (three times the steps),
``floor`` (everybody as the mean pose), ``curves`` (has the start
saturated?), ``trust`` (which terms know what they are asked, before they get
weight), ``own_errors`` (a prior taught by the recognizer's errors; choosing
among several poses). They are of the *validation* people, for every choice.
``--final`` scores the test people, once: only when all runs of a part are
done, and not again. Runs go into a ledger with what they recognized, and need
not be done in one go (benchmarks/labels/ledger.py).

Every score is PCK@0.2 by the tight box and by the torso, mean of 16 joints.
Beside every difference stand its 95 % interval over people (paired
bootstrap) and over seeds (Student's t). Results go part by part to
``benchmarks/results/label_efficiency.json``; ``--plan`` says what is done,
and what the rest costs.
"""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def print_part(found: dict[str, Any]) -> None:
    """Prints a group's tables."""
    from benchmarks.labels.tables import group_tables
    print('\n\n'.join(group_tables(found)), flush=True)


def final(held: dict[str, Any], group: str) -> dict[str, Any]:
    """A group on the test people.

    Raises:
        SystemExit: Runs are missing, or it was measured before.
    """
    from benchmarks.labels.comparison import compare, missing
    if group in held.get('final', {}):
        raise SystemExit(f'the test people were measured for {group!r}; '
                         'they are looked at once')
    absent = [str(n) for n in missing(group)]
    if absent:
        raise SystemExit(f'{len(absent)} runs of {group!r} are not done '
                         f'({", ".join(absent[:5])} ...): the test people '
                         'are looked at when all choices are made')
    return compare(group, 'test')


def merged(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Row by row and seed by seed, the younger wins."""
    out = dict(before)
    for key, value in now.items():
        known = out.get(key)
        out[key] = merged(known, value) if isinstance(
            known, dict) and isinstance(value, dict) else value
    return out


def main() -> None:
    """Measures the parts that the command line names; all by default."""
    from benchmarks.labels import own_errors, trust
    from benchmarks.labels.comparison import compare, curves, floor
    from benchmarks.labels.cost import measure
    from benchmarks.labels.plan import GROUPS, RESULT, plan, with_needs
    from mirrorpose.utils.files import write_text
    measures = dict(
        cost=measure, trust=trust.measure, own_errors=own_errors.measure,
        floor=floor,
        curves=lambda: curves(with_needs(n for g in GROUPS
                                         for n in GROUPS[g])))
    parser = argparse.ArgumentParser(
        description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('--only', nargs='+',
                        choices=[*GROUPS, *measures],
                        default=[*GROUPS, 'floor', 'curves', 'trust',
                                 'own_errors'])
    parser.add_argument('--final', action='store_true',
                        help='the test people, once')
    parser.add_argument('--plan', action='store_true',
                        help='print runs and their cost, measure nothing')
    args = parser.parse_args()
    if args.plan:
        print(plan(g for g in args.only if g in GROUPS))
        return
    import cv2
    import torch
    from mmengine.logging import MMLogger
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    MMLogger.get_instance('mmengine').setLevel('ERROR')
    for part in args.only:
        held = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
        if part in measures:
            found = measures[part]()
            # Parts whose weights are not here keep what was measured.
            held[part] = found if part == 'cost' else merged(
                held.get(part, {}), found)
        elif args.final:
            held.setdefault('final', {})[part] = final(held, part)
            print_part(held['final'][part])
        else:
            held[part] = compare(part, 'validation')
            print_part(held[part])
        write_text(RESULT, json.dumps(held, indent=1) + '\n')
    print('written to', RESULT)


if __name__ == '__main__':
    main()
