"""Install a tested set of packages, or only what an environment lacks.

``tools/install.sh`` finds an interpreter and runs this file with it; only the
standard library is used. The versions come from ``requirements/tested.txt``.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata as metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTED = ROOT / 'requirements' / 'tested.txt'
STAMP = 'mirrorpose-install.json'

#: What is installed together: (what the user reads, distributions, options).
#: mmpose declares chumpy, which does not build and which it never imports;
#: mmcv-lite declares mmengine, which a fork may already provide.
STEPS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ('setuptools', ('setuptools', ), ()),
    ('torch', ('torch', ), ()),
    ('numerics', ('numpy', 'scipy', 'opencv-python', 'pillow', 'matplotlib',
                  'json_tricks', 'munkres', 'six'), ()),
    ('xtcocotools', ('xtcocotools', ), ()),
    ('mmengine', ('mmengine', ), ()),
    ('mmcv, mmpose', ('mmcv-lite', 'mmpose'), ('--no-deps', )),
    ('TensorBoard', ('tensorboard', ), ()),
    ('tests, linters', ('pytest', 'pytest-xdist', 'ruff', 'mypy'), ()),
)
#: Import name of each distribution whose name differs from it.
IMPORT_NAMES = {
    'opencv-python': 'cv2',
    'pillow': 'PIL',
    'mmcv-lite': 'mmcv',
    'setuptools': 'setuptools',
    'pytest-xdist': 'xdist',
}
#: Import names that forks share; two owners overwrite each other's files.
SHARED_NAMES = ('mmengine', 'mmcv', 'mmpose', 'mmdet', 'cv2')
#: What mmengine and mmcv-lite need and STEPS does not name; in an active
#: environment these two are installed without their dependencies.
MM_DEPENDENCIES = {
    'addict': 'addict', 'yaml': 'pyyaml', 'rich': 'rich',
    'termcolor': 'termcolor', 'yapf': 'yapf', 'packaging': 'packaging',
}
#: Lines of pip that speak of pip's own set-up.
NOISE = re.compile(r"Location '.*' is ignored|\[notice\]|^\s*$|"
                   r"Running pip as the .root. user|pip's dependency resolver")


class InstallError(Exception):
    """A reason to stop, in words for the user."""


def read_pins() -> dict[str, str]:
    """Return the requirement line of each distribution, for this Python."""
    older = sys.version_info < (3, 11)
    pins = {}
    for raw in TESTED.read_text(encoding='utf-8').splitlines():
        line = raw.partition('#')[0].strip()
        if not line:
            continue
        pin, _, marker = line.partition(';')
        if marker and ('<' in marker) != older:
            continue
        pins[pin.partition('==')[0].strip()] = pin.strip()
    return pins


def fingerprint() -> str:
    """Hash everything that decides what an installation looks like."""
    digest = hashlib.sha256()
    for path in (TESTED, ROOT / 'requirements' / 'runtime.txt',
                 Path(__file__), ROOT / 'setup.py', ROOT / 'pyproject.toml',
                 ROOT / 'mirrorpose' / 'version.py'):
        digest.update(path.read_bytes())
    # an editable installation points to where the repository lies
    digest.update(f'{ROOT}|{sys.version_info[:2]}'.encode())
    return digest.hexdigest()


class Pip:
    """Run pip for one interpreter, quietly, with constraints."""

    def __init__(self, python: Path, constraints: Path, total: int) -> None:
        self.python = python
        self.constraints = constraints
        self.total = total
        self.done = 0

    def install(self, title: str, arguments: list[str]) -> None:
        """Run one step and print how long it took.

        Raises:
            InstallError: pip failed; its own words have been printed.
        """
        self.done += 1
        print(f'[{self.done}/{self.total}] {title} ... ', end='', flush=True)
        start = time.monotonic()
        process = subprocess.run(
            [str(self.python), '-m', 'pip', 'install', '-q', '--no-input',
             '--disable-pip-version-check', '-c', str(self.constraints),
             *arguments],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        seconds = time.monotonic() - start
        said = [line for line in process.stdout.splitlines()
                if not NOISE.search(line)]
        if process.returncode:
            print(f'failed after {seconds:.0f} s', flush=True)
            print('\n'.join(said), file=sys.stderr)
            raise InstallError(f'pip could not install {title}: see above.')
        print(f'{seconds:.0f} s', flush=True)
        for line in said:
            if 'chumpy' not in line and 'torchvision' not in line:
                print(f'      {line}', flush=True)


def verify(python: Path) -> None:
    """Import mirrorpose in a new process and print the stack's versions.

    Raises:
        InstallError: The import failed.
    """
    code = ('import importlib, mirrorpose, sys\n'
            'names = ("torch", "numpy", "mmengine", "mmcv", "mmpose", '
            '"mirrorpose")\n'
            'print("Python %d.%d" % sys.version_info[:2], *("%s %s" % (n, '
            'importlib.import_module(n).__version__) for n in names), '
            'sep=", ")')
    process = subprocess.run([str(python), '-W', 'ignore', '-c', code],
                             cwd=tempfile.gettempdir(), text=True,
                             stdin=subprocess.DEVNULL, capture_output=True)
    if process.returncode:
        lines = process.stderr.strip().splitlines() or ['(no output)']
        raise InstallError('everything is installed, but `import mirrorpose` '
                           f'fails: {lines[-1]}')
    print(process.stdout.strip(), flush=True)


def venv_python(folder: Path) -> Path:
    """Return the interpreter of a virtual environment."""
    if os.name == 'nt':
        return folder / 'Scripts' / 'python.exe'
    return folder / 'bin' / 'python'


def install_into(folder: Path) -> None:
    """Install the tested set into a virtual environment of ours.

    Args:
        folder: The environment; made where it does not exist.

    Raises:
        InstallError: The interpreter or the folder does not fit, or pip
            failed.
    """
    version = sys.version_info[:2]
    if not (3, 10) <= version <= (3, 11):
        raise InstallError(
            f'the tested set is made for Python 3.10 and 3.11, not '
            f'{version[0]}.{version[1]} ({sys.executable}). Use one of '
            'these, or activate an environment of your own and run `bash '
            'tools/install.sh --here`: it compiles xtcocotools, for which a '
            'C compiler and the headers of your Python are needed.')
    python, stamp = venv_python(folder), folder / STAMP
    key = fingerprint()
    if stamp.is_file() and python.exists():
        try:
            if json.loads(stamp.read_text(encoding='utf-8'))['key'] == key:
                print(f'{folder} is up to date', flush=True)
                return
        except (ValueError, KeyError, TypeError):
            pass  # a damaged stamp only costs a second installation
    start = time.monotonic()
    is_taken = folder.exists() and not (folder / 'pyvenv.cfg').is_file()
    if is_taken and (not folder.is_dir() or any(folder.iterdir())):
        raise InstallError(f'{folder} exists and is no virtual environment; '
                           'name another folder.')
    if not python.exists() or subprocess.run(
        [str(python), '-m', 'pip', '--version'], stdin=subprocess.DEVNULL,
            capture_output=True).returncode:
        print(f'making {folder} with {sys.executable}', flush=True)
        made = subprocess.run(
            [sys.executable, '-m', 'venv', str(folder)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        if made.returncode:
            raise InstallError(f'no environment could be made in {folder}: '
                               f'{made.stdout.strip()}')
    stamp.unlink(missing_ok=True)
    pins = read_pins()
    pip = Pip(python, TESTED, len(STEPS) + 1)
    for title, names, options in STEPS:
        wanted = [pins[name] for name in names]
        pip.install(title, ['--only-binary', ':all:', *options,
                            *wanted])
    pip.install('mirrorpose', ['--no-deps', '--no-build-isolation', '-e',
                               str(ROOT)])
    verify(python)
    stamp.write_text(
        json.dumps(dict(key=key, root=str(ROOT), pins=pins), indent=1),
        encoding='utf-8')
    print(f'installed into {folder} in {time.monotonic() - start:.0f} s; '
          f'activate it with: source {folder}/bin/activate', flush=True)


def import_names(distribution: metadata.Distribution) -> set[str]:
    """Return the top-level modules of an installed distribution.

    ``metadata.packages_distributions()`` of Python 3.10 misses those without
    ``top_level.txt``, numpy among them.
    """
    listed = (distribution.read_text('top_level.txt') or '').split()
    if listed:
        return set(listed)
    names = set()
    for file in distribution.files or ():
        first = file.parts[0]
        if len(file.parts) > 1:
            if first != '..' and not first.endswith(('-info', '.libs')):
                names.add(first)
        elif file.suffix in ('.py', '.so', '.pyd'):
            names.add(first.partition('.')[0])
    return names


def owners() -> dict[str, list[str]]:
    """Map each import name to the distributions that own it.

    Returns:
        dict[str, list[str]]: Import name to sorted ``name version`` strings.
    """
    found: dict[str, set[str]] = {}
    for distribution in metadata.distributions():
        title = f'{distribution.metadata["Name"]} {distribution.version}'
        for name in import_names(distribution):
            found.setdefault(name, set()).add(title)
    return {name: sorted(titles) for name, titles in found.items()}


def check_owners(owned: dict[str, list[str]]) -> None:
    """Refuse an environment in which two forks share an import name.

    Raises:
        InstallError: Names the distributions and the way out.
    """
    for name in SHARED_NAMES:
        two = owned.get(name, [])
        versions = {entry.split()[1] for entry in two}
        # two builds of one opencv are common, and harmless
        if len(two) < 2 or (name == 'cv2' and len(versions) == 1):
            continue
        names = ' '.join(entry.split()[0] for entry in two)
        raise InstallError(
            f'two distributions own the import name {name}: '
            f'{" and ".join(two)}. The one installed later has overwritten '
            f'files of the other. Remove both (`python -m pip uninstall '
            f'{names}`), install the one you want, and run this again.')


def plan_additions(owned: dict[str, list[str]],
                   numpy_major: int) -> list[tuple[str, list[str]]]:
    """List what an active environment lacks.

    Args:
        owned: Result of :func:`owners`.
        numpy_major: Major version of its numpy, or of the one to come.

    Returns:
        list[tuple[str, list[str]]]: Title and pip arguments of each step.
    """
    pins = read_pins()
    steps = [(name, [name]) for module, name in MM_DEPENDENCIES.items()
             if not owned.get(module)]
    for _, names, _ in STEPS:
        for name in names:
            if owned.get(IMPORT_NAMES.get(name, name)):
                continue
            wanted = pins[name]
            if name in ('mmengine', 'mmcv-lite', 'mmpose'):
                steps.append((name, ['--no-deps', wanted]))
            elif name == 'xtcocotools' and (numpy_major > 1 or
                                            sys.version_info >= (3, 12)):
                steps.append(('Cython', ['cython']))
                steps.append((f'{name} (compiled)', [
                    '--no-binary', name, '--no-build-isolation', '--no-deps',
                    wanted]))
            elif name in ('numpy', 'opencv-python') and (
                    sys.version_info >= (3, 13) or numpy_major > 1):
                steps.append((name, [name]))
            elif name in ('torch', 'setuptools', 'numpy', 'opencv-python'):
                steps.append((name, [wanted]))
            else:
                # a range: the pin may not fit what is there
                steps.append((name, [name]))
    return steps


def merge_steps(
        steps: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """Join neighbours that need no option of pip: each start of it costs."""
    merged: list[tuple[str, list[str]]] = []
    for title, arguments in steps:
        is_plain = not arguments[0].startswith('-')
        if merged and is_plain and not merged[-1][1][0].startswith('-'):
            merged[-1] = (f'{merged[-1][0]}, {title}',
                          merged[-1][1] + arguments)
        else:
            merged.append((title, list(arguments)))
    return merged


def install_here(dry_run: bool) -> None:
    """Add to the running interpreter's environment what it lacks.

    Everything that is there is a constraint, so pip can neither upgrade nor
    replace it.

    Args:
        dry_run: Only print the plan.

    Raises:
        InstallError: The environment is unfit, or pip failed.
    """
    start = time.monotonic()
    owned = owners()
    check_owners(owned)
    installed = {d.metadata['Name']: d.version
                 for d in metadata.distributions() if d.metadata['Name']}
    numpy_version = installed.get('numpy')
    if numpy_version:
        numpy_major = int(numpy_version.split('.')[0])
    else:
        numpy_major = 1 if sys.version_info < (3, 13) else 2
    steps = merge_steps(plan_additions(owned, numpy_major))
    if any('--no-binary' in arguments for _, arguments in steps):
        compiler = os.environ.get('CC') or shutil.which('cc')
        if compiler is None:
            raise InstallError(
                'xtcocotools 1.14.3 has to be compiled (its wheels are for '
                'Python 3.10 and 3.11 with numpy 1), and no C compiler is in '
                'PATH. Install one and the headers of your Python, or use '
                '`bash tools/install.sh` without --here.')
    setuptools_major = int(installed.get('setuptools', '0').split('.')[0])
    if setuptools_major >= 82 and 'onedl-mmengine' not in installed:
        raise InstallError(
            f'mmengine needs pkg_resources, and your setuptools '
            f'{installed["setuptools"]} has none any more. Nothing that is '
            'installed is changed here; run `python -m pip install '
            '"setuptools<81"` yourself, then this again.')
    kept = [f'{name} {installed[name]}' for name in sorted(installed)
            if name in ('torch', 'torchvision', 'numpy', 'mmdet', 'mmcv')
            or name.startswith(('mm', 'onedl'))]
    print(f'{sys.prefix}: keeps {", ".join(kept) or "nothing of ours"}')
    print(f'to add: {", ".join(title for title, _ in steps) or "nothing"}',
          flush=True)
    if dry_run:
        return
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / 'installed.txt'
        constraints.write_text(
            ''.join(f'{name}=={version}\n'
                    for name, version in sorted(installed.items())
                    if name not in ('mirrorpose', 'pip')),
            encoding='utf-8')
        pip = Pip(Path(sys.executable), constraints, len(steps) + 1)
        for title, arguments in steps:
            pip.install(title, arguments)
        pip.install('mirrorpose', ['--no-deps', '--no-build-isolation', '-e',
                                   str(ROOT)])
    verify(Path(sys.executable))
    print(f'done in {time.monotonic() - start:.0f} s', flush=True)


def main(argv: list[str] | None = None) -> int:
    """Parse the arguments and install.

    Returns:
        int: Exit status; 0 when everything is there.
    """
    parser = argparse.ArgumentParser(
        prog='install.sh', description='Install what mirrorpose needs.')
    parser.add_argument('venv', nargs='?', default='.venv',
                        help='virtual environment to make or to complete')
    parser.add_argument('--here', action='store_true',
                        help='add what the active environment lacks; change '
                        'nothing that is there')
    parser.add_argument('--dry-run', action='store_true',
                        help='with --here: only say what would be added')
    args = parser.parse_args(argv)
    try:
        if args.here:
            install_here(args.dry_run)
        elif args.dry_run:
            raise InstallError('--dry-run goes with --here.')
        else:
            folder = Path(args.venv).expanduser()
            install_into(folder if folder.is_absolute() else ROOT / folder)
    except InstallError as error:
        print(f'install: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
