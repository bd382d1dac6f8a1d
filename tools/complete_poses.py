r"""Complete the pose sequences of a file.

    python tools/complete_poses.py predictions.json dense.json --from coco_17
    python tools/complete_poses.py tracks.npz dense.npz --from body_25 \
        --completer work_dirs/regressor_mocap/epoch_60.pth
    python tools/complete_poses.py tracks.npz dense.npz --from coco_17 \
        --completer configs/jumps_search_mocap.py --hypotheses 8

Reads and writes mmpose's inferencer JSON, COCO results, AlphaPose's JSON and
npz; several people by track, gaps of whole frames too.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import Any

import cli


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Complete the pose sequences of a file')
    parser.add_argument('input', metavar='IN', help='.json or .npz')
    parser.add_argument('output', metavar='OUT',
                        help='.json (in the format of the input) or .npz')
    parser.add_argument('--from', dest='joints', metavar='JOINTS',
                        help='joint set of the input, such as coco_17; '
                        'needed where the file does not name it')
    parser.add_argument('--to', metavar='JOINTS', default='mpi_inf_3dhp_28',
                        help='joint set of the output (default: '
                        '%(default)s)')
    parser.add_argument('--completer', metavar='FILE',
                        help='checkpoint of a completer, or a config (.py) '
                        'whose model is one (default: configs/'
                        'cascade_mocap.py where work_dirs/ has its parts, '
                        'else interpolation)')
    parser.add_argument('--config', metavar='FILE.py',
                        help='its config (default: the one inside it)')
    parser.add_argument('--threshold', type=float, default=0., metavar='C',
                        help='joints of a confidence up to C are missing '
                        '(default: 0)')
    parser.add_argument('--overlap', default='blend',
                        choices=['blend', 'select', 'none'],
                        help='how overlapping windows are joined (default: '
                        'blend)')
    parser.add_argument('--hypotheses', type=int, default=0, metavar='N',
                        help='also write N further answers, of a completer '
                        'that gives several (ridge, JUMPS), to .npz or '
                        "mmpose's JSON (default: 0)")
    parser.add_argument('--picture', metavar='FILE',
                        help='also draw input beside output: .gif or .html')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Complete as the command line says.

    Raises:
        cli.UsageError: A file, format, joint set or checkpoint is wrong.
    """
    args = parse_args(argv)
    if not args.output.endswith(('.json', '.npz')):
        raise cli.UsageError('OUT must end in .json or .npz, got '
                             f'{args.output}.')
    if args.picture and not args.picture.endswith(('.gif', '.html')):
        raise cli.UsageError('--picture must end in .gif or .html, got '
                             f'{args.picture}.')
    if not Path(args.input).is_file():
        raise cli.UsageError(f'there is no file {args.input}.')
    if args.completer:
        cli.require_checkpoint(args.completer)
    if args.config:
        cli.require_config(args.config)
    warnings.filterwarnings('ignore', 'pkg_resources is deprecated')
    from mirrorpose.apis.completers import load_completer
    from mirrorpose.apis.completion import complete
    from mirrorpose.apis.pose_files import read_pose_file
    from mirrorpose.apis.pose_writing import (
        WITH_HYPOTHESES,
        write_pose_file,
        written_format,
    )
    from mirrorpose.structures import SKELETONS, Skeleton
    try:
        held = read_pose_file(args.input)
        joints = args.joints or held.joints
        if joints is None:
            count = held.tracks[0].keypoints.shape[1]
            fit = sorted(n for n, s in SKELETONS.items() if len(s) == count)
            raise cli.UsageError(
                f'{args.input} does not say what its {count} joints are: '
                f'name them with --from; {fit or "no known set"} would fit.')
        kind = written_format(args.output, held)
        if args.hypotheses and kind not in WITH_HYPOTHESES:
            raise cli.UsageError(
                f'{args.output} would have the format of {args.input}, '
                f'{kind}, which has no place for --hypotheses: end OUT in '
                '.npz.')
        completer: Any = args.completer
        if completer and not completer.endswith('.py'):
            completer = load_completer(completer, args.config)
        done = complete([t.keypoints for t in held.tracks],
                        [t.confidence for t in held.tracks], joints=joints,
                        to=args.to, completer=completer,
                        overlap=args.overlap, threshold=args.threshold,
                        hypotheses=args.hypotheses)
        write_pose_file(args.output, held, done, args.to)
        if args.picture:
            from mirrorpose.visualization.sequences import animate_completion
            animate_completion(args.picture, held.tracks, done,
                               Skeleton.from_name(joints),
                               Skeleton.from_name(args.to))
    except (OSError, TypeError, ValueError) as error:
        raise cli.UsageError(str(error)) from error
    frames = sum(len(d.keypoints) for d in done)
    by_number = '' if held.tracked else ' (linked by distance)'
    print(f'{args.output}: {len(done)} tracks{by_number}, {frames} frames, '
          f'{joints} to {args.to}')


if __name__ == '__main__':
    sys.exit(cli.run(main))
