"""The wheel, the requirements and the installer's decisions."""

from __future__ import annotations

import email
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import mirrorpose

ROOT = Path(__file__).resolve().parents[1]
MM_STACK = re.compile(r'^(onedl[-_])?mm|^torchvision|^xtcocotools|^chumpy',
                      re.IGNORECASE)


@pytest.fixture(scope='module')
def installer():
    """The module tools/install.py."""
    spec = importlib.util.spec_from_file_location(
        'mirrorpose_install', ROOT / 'tools' / 'install.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """A wheel built from a copy, since a build writes into its source."""
    source = tmp_path_factory.mktemp('source')
    for folder in ('mirrorpose', 'configs', 'tools', 'requirements'):
        shutil.copytree(ROOT / folder, source / folder,
                        ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'LICENSE'):
        shutil.copy2(ROOT / name, source / name)
    out = tmp_path_factory.mktemp('wheel')
    done = subprocess.run(
        [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps',
         '--no-build-isolation', '-w', str(out), str(source)],
        capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    built, = out.glob('*.whl')
    with zipfile.ZipFile(built) as archive:
        yield archive


class TestWheel:

    def test_name_says_pure_python(self, wheel):
        assert Path(wheel.filename).name == (
            f'mirrorpose-{mirrorpose.__version__}-py3-none-any.whl')

    @pytest.mark.parametrize('folder, suffixes', [
        ('configs', {'.py', '.yml', '.md', '.json'}),
        ('tools', {'.py', '.sh'})])
    def test_carries(self, wheel, folder, suffixes):
        names = set(wheel.namelist())
        files = [path for path in (ROOT / folder).rglob('*')
                 if path.suffix in suffixes and path.is_file()]
        for path in files:
            name = f'mirrorpose/.mim/{path.relative_to(ROOT).as_posix()}'
            assert name in names
            assert wheel.read(name) == path.read_bytes()
        assert files or folder == 'configs'

    def test_holds_every_module(self, wheel):
        names = set(wheel.namelist())
        for path in (ROOT / 'mirrorpose').rglob('*.py'):
            assert path.relative_to(ROOT).as_posix() in names

    def test_holds_nothing_else(self, wheel):
        tops = {name.split('/')[0] for name in wheel.namelist()}
        assert tops == {'mirrorpose',
                        f'mirrorpose-{mirrorpose.__version__}.dist-info'}

    def test_requires_nothing_of_the_mm_stack(self, wheel):
        name = next(n for n in wheel.namelist() if n.endswith('/METADATA'))
        metadata = email.message_from_bytes(wheel.read(name))
        assert metadata['Requires-Python'] == '>=3.10'
        needed = [r for r in metadata.get_all('Requires-Dist')
                  if 'extra ==' not in r]
        assert any(r.startswith('torch') for r in needed)
        assert not [r for r in needed if MM_STACK.match(r)]


class TestRequirements:

    def test_every_pin_is_installed_by_one_step(self, installer):
        steps = [name for _, names, _ in installer.STEPS for name in names]
        assert sorted(steps) == sorted(installer.read_pins())

    @pytest.mark.parametrize('version', [(3, 10, 0), (3, 11, 0)])
    def test_pins_are_exact_for_both_pythons(self, installer, monkeypatch,
                                             version):
        monkeypatch.setattr(installer.sys, 'version_info', version)
        pins = installer.read_pins()
        assert all(re.fullmatch(r'[\w-]+==[\w.]+', pin)
                   for pin in pins.values())
        assert pins['scipy'] == ('scipy==1.15.3' if version[1] == 10
                                 else 'scipy==1.17.1')

    @pytest.mark.parametrize('name', ['tests', 'optional'])
    def test_named_sets_are_pinned(self, installer, name):
        text = (ROOT / 'requirements' / f'{name}.txt').read_text()
        lines = [line.partition('#')[0].strip()
                 for line in text.splitlines()]
        # A line with its own version is not installed by the script.
        assert {line for line in lines if line and '==' not in line} <= set(
            installer.read_pins())

    def test_no_file_names_a_package_index(self):
        hosts = re.compile('py' + r'pi\.|python' + r'hosted|index-' + 'url|'
                           'find-' + 'links', re.IGNORECASE)
        tracked = [*ROOT.glob('*.*'), *ROOT.glob('.ci/*')]
        for folder in ('mirrorpose', 'tools', 'requirements', 'configs',
                       'docs', 'tests', 'benchmarks'):
            tracked += (ROOT / folder).rglob('*.*')
        for path in tracked:
            if path.suffix in ('.py', '.sh', '.txt', '.md', '.toml', '.in'):
                assert not hosts.search(path.read_text('utf-8')), path


def owned(installer, **changes: list[str] | None) -> dict[str, list[str]]:
    """What owners() says of an environment with everything in it."""
    result = {}
    for _, names, _ in installer.STEPS:
        for name in names:
            module = installer.IMPORT_NAMES.get(name, name)
            result[module] = [f'{name} 1.0']
    for module, name in installer.MM_DEPENDENCIES.items():
        result[module] = [f'{name} 1.0']
    result.update(changes)
    return {key: value for key, value in result.items() if value}


class TestActiveEnvironment:

    def test_nothing_to_add(self, installer):
        assert installer.plan_additions(owned(installer), 1) == []

    def test_fork_counts_as_there(self, installer):
        have = owned(installer, mmengine=['onedl-mmengine 0.10.12'],
                     cv2=['opencv-python-headless 4.11'], mmcv=None)
        assert installer.plan_additions(have, 1) == [
            ('mmcv-lite', ['--no-deps', 'mmcv-lite==2.2.0'])]

    def test_xtcocotools_is_compiled_for_numpy_2(self, installer,
                                                 monkeypatch):
        monkeypatch.setattr(installer.sys, 'version_info', (3, 11, 4))
        have = owned(installer, xtcocotools=None)
        assert installer.plan_additions(have, 1) == [
            ('xtcocotools', ['xtcocotools'])]
        titles = dict(installer.plan_additions(have, 2))
        assert list(titles) == ['Cython', 'xtcocotools (compiled)']
        assert '--no-binary' in titles['xtcocotools (compiled)']
        monkeypatch.setattr(installer.sys, 'version_info', (3, 12, 1))
        assert len(installer.plan_additions(have, 1)) == 2

    def test_neighbours_without_options_are_merged(self, installer):
        steps = [('a', ['a']), ('b', ['b==1']), ('c', ['--no-deps', 'c']),
                 ('d', ['d'])]
        assert installer.merge_steps(steps) == [
            ('a, b', ['a', 'b==1']), ('c', ['--no-deps', 'c']), ('d', ['d'])]

    @pytest.mark.parametrize('name', ['mmengine', 'mmcv'])
    def test_two_owners(self, installer, name):
        have = owned(installer, **{name: [f'{name} 1', f'onedl-{name} 2']})
        with pytest.raises(installer.InstallError,
                           match=f'uninstall {name} onedl-{name}'):
            installer.check_owners(have)

    def test_two_builds_of_one_opencv_pass(self, installer):
        installer.check_owners(owned(
            installer, cv2=['opencv-python 4.11', 'opencv-contrib 4.11']))

    def test_two_owners_are_seen_in_a_true_environment(self, tmp_path):
        for name, module in (('onedl-mmengine', 'mmengine'),
                             ('mmengine', 'mmengine')):
            info = tmp_path / f'{name.replace("-", "_")}-9.9.dist-info'
            info.mkdir()
            (info / 'METADATA').write_text(
                f'Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n')
            (info / 'top_level.txt').write_text(f'{module}\n')
            (info / 'RECORD').write_text(f'{module}/__init__.py,,\n')
        done = subprocess.run(
            ['bash', str(ROOT / 'tools' / 'install.sh'), '--here',
             '--dry-run'],
            env=dict(os.environ, PYTHON=sys.executable,
                     PYTHONPATH=str(tmp_path)),
            capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 1
        assert 'two distributions own the import name mmengine' in done.stderr
        assert 'onedl-mmengine 9.9' in done.stderr


class TestInstaller:

    def test_up_to_date_is_quick_and_says_so(self, installer, tmp_path,
                                             capsys):
        python = installer.venv_python(tmp_path)
        python.parent.mkdir(parents=True)
        python.touch()
        if not (3, 10) <= sys.version_info[:2] <= (3, 11):
            pytest.skip('the tested set is for Python 3.10 and 3.11')
        (tmp_path / installer.STAMP).write_text(
            json.dumps(dict(key=installer.fingerprint())))
        installer.install_into(tmp_path)
        assert 'up to date' in capsys.readouterr().out

    def test_refuses_a_folder_that_is_no_environment(self, installer,
                                                     tmp_path):
        if not (3, 10) <= sys.version_info[:2] <= (3, 11):
            pytest.skip('the tested set is for Python 3.10 and 3.11')
        (tmp_path / 'thesis.txt').write_text('three years of work')
        with pytest.raises(installer.InstallError, match='no virtual'):
            installer.install_into(tmp_path)
        assert (tmp_path / 'thesis.txt').exists()

    def test_other_python_says_what_is_compiled(self, installer, monkeypatch,
                                                tmp_path):
        monkeypatch.setattr(installer.sys, 'version_info', (3, 12, 1))
        with pytest.raises(installer.InstallError,
                           match='compiles xtcocotools'):
            installer.install_into(tmp_path / 'new')

    def test_noise_of_pip_is_left_out(self, installer):
        assert installer.NOISE.search(
            "WARNING: Location '/x' is ignored: it is neither")
        assert not installer.NOISE.search('ERROR: No matching distribution')

    @pytest.mark.parametrize('script', sorted(
        [*(ROOT / 'tools').glob('*.sh'), ROOT / '.ci' / 'run']),
        ids=lambda path: path.name)
    def test_shell_syntax(self, script):
        done = subprocess.run(['bash', '-n', str(script)],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
