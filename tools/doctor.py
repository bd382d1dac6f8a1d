"""Tell what is installed, what conflicts, and whether training would work.

    python tools/doctor.py
    python tools/doctor.py --config configs/mirrornet_small_lsp.py

The exit status is 0 only when training would work. It runs where mmpose,
torch or numpy are absent or broken: everything is tried in child processes.
With ``--config`` the config, its data and its splits are checked too, and
every stage trains one step on a few samples.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
if not (ROOT / 'mirrorpose' / '__init__.py').is_file():
    ROOT = ROOT.parent.parent  # installed: mirrorpose/.mim/tools


def without_its_init() -> None:
    """Make ``mirrorpose.doctor`` importable where mirrorpose is not.

    ``mirrorpose/__init__.py`` imports the whole stack, and what keeps that
    from working is what has to be told. So this process gets the package
    without its ``__init__``; only modules that need the standard library
    alone are imported here.
    """
    package = ModuleType('mirrorpose')
    package.__path__ = [str(ROOT / 'mirrorpose')]
    sys.modules['mirrorpose'] = package


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Tell whether training would work here')
    parser.add_argument('--config', metavar='CONFIG',
                        help='check this config, its data and its splits')
    parser.add_argument('--work-dir', metavar='DIR',
                        help='where it would train (default: as train.py)')
    parser.add_argument('--stage', metavar='NAME',
                        help='check this stage of the curriculum only')
    parser.add_argument('--images', default='8', metavar='N',
                        help='images of each data set to decode, or "all" '
                        '(default: 8)')
    parser.add_argument('--near-duplicates', action='store_true',
                        help='look for almost equal images in training and '
                        'test, too (decodes them all)')
    parser.add_argument('--no-step', action='store_true',
                        help='do not train a step of every stage')
    parser.add_argument('--quiet', action='store_true',
                        help='do not list what is in order')
    parser.add_argument('--json', metavar='FILE',
                        help='write the findings there, too')
    args = parser.parse_args(argv)
    if args.images != 'all' and not args.images.isdigit():
        parser.error(f'--images is a number or "all", got {args.images}')
    if args.config is not None and not Path(args.config).is_file():
        parser.error(f'config {args.config} does not exist')
    return args


def examine_config(args: argparse.Namespace) -> dict:
    """Check the config in a child process.

    Returns:
        dict: The child's report, or one with a problem where it died.
    """
    options = {k: v for k, v in vars(args).items() if k not in
               ('json', 'quiet')}
    with tempfile.TemporaryDirectory(prefix='doctor-') as folder:
        answer = Path(folder) / 'answer.json'
        code = (f'import sys; sys.path.insert(0, {str(ROOT)!r}); '
                'from mirrorpose.doctor.config import main; main()')
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', code,
             json.dumps(options), str(answer)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, errors='replace')
        if answer.is_file():
            return json.loads(answer.read_text(encoding='utf-8'))
        said = [s for s in done.stderr.splitlines() if s.strip()]
    return dict(works=False, facts={}, counts={}, findings=[dict(
        section='Config', level='problem', fix='',
        text=f'the check of {args.config} ended with status '
             f'{done.returncode}', details=said[-3:])])


def main(argv: list[str] | None = None) -> int:
    """Examine, print, and say by the exit status whether it works."""
    args = parse_args(argv)
    without_its_init()
    from mirrorpose.doctor.findings import Report
    from mirrorpose.doctor.machine import check_machine
    from mirrorpose.doctor.packages import check_packages
    report = Report()
    check_packages(report, ROOT)
    check_machine(report)
    if args.config is not None:
        if report.problems:
            report.add('Config', 'note', f'{args.config} was not checked: '
                       'the packages have to work first')
        else:
            found = Report.from_dict(examine_config(args))
            report.findings += found.findings
            report.facts['config'] = found.facts
    width = min(shutil.get_terminal_size((100, 24)).columns, 120)
    print(report.render(width, show_ok=not args.quiet))
    if args.json:
        report.write(args.json)
    return 1 if report.problems else 0


if __name__ == '__main__':
    sys.exit(main())
