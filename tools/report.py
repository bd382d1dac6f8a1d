"""Write one HTML file about a work dir: scores, curves, pictures.

    python tools/report.py work_dirs/mirrornet_small_lsp

The file opens offline in any browser. An unfinished curriculum gives a
report of what there is.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import cli


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write the report of a work dir')
    parser.add_argument('work_dir', metavar='WORK',
                        help='work dir of a curriculum')
    parser.add_argument('--images', type=int, default=8, metavar='N',
                        help='test images in the gallery; 0: no pictures '
                        '(default: 8)')
    parser.add_argument('--out', metavar='FILE.html',
                        help='where to write it (default: WORK/report.html)')
    parser.add_argument('--compare', nargs='+', default=[], metavar='WORK',
                        help='work dirs of the same curriculum with other '
                        'label_fraction or seeds: draws the label-efficiency '
                        'curve of all')
    parser.add_argument('--title', metavar='TEXT', help='title of the page')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Write the report.

    Raises:
        cli.UsageError: No such work dir, no stage in it, or a wrong argument.
    """
    args = parse_args(argv)
    if args.out and not args.out.endswith(('.html', '.htm')):
        raise cli.UsageError(f'--out must name a .html file, got {args.out}.')
    for folder in (args.work_dir, *args.compare):
        if not Path(folder).is_dir():
            raise cli.UsageError(f'there is no work dir {folder}.')
    warnings.filterwarnings('ignore', 'pkg_resources is deprecated')
    from mmengine.logging import MMLogger

    from mirrorpose.visualization import build_report
    # data sets tell what they read; here the path is the news
    MMLogger.get_instance('report', log_level='WARNING')
    try:
        path = build_report(args.work_dir, args.out, args.images,
                            title=args.title, compare=args.compare)
    except (FileNotFoundError, ValueError) as error:
        raise cli.UsageError(str(error)) from error
    print(f'{path} ({path.stat().st_size / 1e6:.1f} MB)')


if __name__ == '__main__':
    sys.exit(cli.run(main))
