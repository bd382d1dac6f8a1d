"""Who finds the same pose from another camera? A table by pair of views.

    python benchmarks/retrieval_table.py [lifting synthetic mocap]
    python benchmarks/retrieval_table.py lifting --sheet found.png
    python -m benchmarks.retrieval.tables

Rows: the models that benchmarks/metric_pose_supervision.py trained, by their
embedding and by the 3D pose that they regress; the network as it begins; a
frozen EfficientNet-Lite0 (ImageNet); a thumbnail, the mean colour, or the 2D
joints themselves; the nearest true pose (``oracle``) and chance. Rows that
are not there, because they are not trained or their package is not
installed, are named and left out.

Queries are the held-out views of one camera, the gallery those of another,
as in ``PoseRetrieval``: ``kept``, ``removed`` (without a second around the
query in its clip), ``cross_subject`` (other people). Columns: Recall (the
same instant is found; ``kept``), Hit (NP-MPJPE <= 0.1) among the first 1 and
10, and the first one's canonical MPJPE and P-MPJPE in mm; ``turned`` is the
angle between the sides from which it and the query are seen. Means over
queries, then over ordered pairs of views, then over seeds; beside them 95 %
over clips (the queries' clips drawn anew) and over seeds (Student's t). For
``lifting`` also with limbs missing in the queries (the gallery whole).

What is measured of a model lies in ``work_dirs/metric_pose/DATA/retrieval``
and is not measured again until its checkpoint is younger. Results:
``benchmarks/results/retrieval_table.json``.
"""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from mmengine.config import DictAction
from mmengine.logging import MMLogger

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
OUT = ROOT / 'benchmarks' / 'results' / 'retrieval_table.json'


def run_table(args: argparse.Namespace) -> None:
    """Measures and writes, one kind of data after the other."""
    from benchmarks.retrieval.data import held_out
    from benchmarks.retrieval.measure import measure, results
    from benchmarks.retrieval.rows import runs
    from benchmarks.retrieval.tables import summary
    from mirrorpose.utils.files import write_text
    for data in args.data:
        print(data, flush=True)
        held = held_out(data, args.cfg_options)
        found, left = measure(
            held, data, runs(data, args.labels, args.seeds, args.runs),
            args.runs / data / 'retrieval', args.again)
        made = results(held, found, left)
        for row, reason in left.items():
            print(f'  left out: {row}: {reason}')
        everything: dict[str, Any] = json.loads(
            args.out.read_text()) if args.out.is_file() else {}
        everything[data] = made
        write_text(args.out, json.dumps(everything, indent=1) + '\n')
        for variant in made['variants']:
            print(f'\n{data}, {variant}\n\n'
                  + summary(made['variants'][variant]), flush=True)
    print('written to', args.out)


def run_sheet(args: argparse.Namespace) -> None:
    """Draws what one model finds."""
    from benchmarks.retrieval.data import held_out
    from benchmarks.retrieval.rows import runs, trained, untrained
    from benchmarks.retrieval.sheet import write_sheet
    data = args.data[0]
    there = {str(r.folder.relative_to(args.runs / data)): r
             for r in runs(data, args.labels, args.seeds, args.runs)
             if r.checkpoint is not None}
    if args.run not in (None, 'untrained', *there):
        raise SystemExit(f'{args.run} is not trained; there are '
                         f'{list(there)}, and untrained')
    name = args.run or next((n for n in there if n.startswith('metric')),
                            'untrained')
    model = untrained(data, 0) if name == 'untrained' else trained(
        there[name])
    write_sheet(args.sheet, model, held_out(data, args.cfg_options),
                args.variant, args.queries, args.neighbours)
    print(f'{args.sheet}: what {name} finds in {data}, {args.variant}')


def main() -> None:
    """Tables or a sheet."""
    from benchmarks.metric_pose_supervision import CONFIGS, LABELS
    from benchmarks.retrieval.rows import RUNS
    from mirrorpose.evaluation.retrieval_protocol import VARIANTS
    parser = argparse.ArgumentParser(
        description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('data', nargs='*', default=list(CONFIGS),
                        help=f'some of {", ".join(CONFIGS)} (default: all)')
    parser.add_argument('--labels', nargs='+', choices=list(LABELS))
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--runs', type=Path, default=RUNS,
                        help='where the trainings lie')
    parser.add_argument('--out', type=Path, default=OUT)
    parser.add_argument('--again', action='store_true',
                        help='measure what was measured')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        help='changes to the config of the data, '
                        'test_dataloader.dataset.stride=60 for example')
    parser.add_argument('--sheet', type=Path, metavar='FILE.png',
                        help='draw queries and what is found instead')
    parser.add_argument('--run', help='of the sheet, metric/5%%/0 for '
                        'example, or untrained (default: the first that '
                        'is trained with metric learning)')
    parser.add_argument('--variant', choices=VARIANTS, default=VARIANTS[1],
                        help='of the sheet (default: %(default)s)')
    parser.add_argument('--queries', type=int, default=5)
    parser.add_argument('--neighbours', type=int, default=5)
    args = parser.parse_args()
    unknown = sorted(set(args.data) - set(CONFIGS))
    if unknown:
        parser.error(f'{unknown} are none of {list(CONFIGS)}')
    if args.sheet and (len(args.data) != 1 or args.sheet.suffix != '.png'):
        parser.error('a sheet is of one kind of data, and a .png')
    MMLogger.get_instance('mmengine').setLevel('ERROR')
    if args.sheet:
        run_sheet(args)
    else:
        run_table(args)


if __name__ == '__main__':
    main()
