"""tools/doctor.py: environments that are spoilt, and the tool itself."""
from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mirrorpose.doctor.packages import how_to_install

ROOT = Path(__file__).resolve().parents[2]
DOCTOR = ROOT / 'tools' / 'doctor.py'


def doctor(*args, path=None, **env):
    """Runs the tool; ``path`` goes before all other modules."""
    env = dict(os.environ, OMP_NUM_THREADS='1', **env)
    if path is not None:
        env['PYTHONPATH'] = str(path)
    return subprocess.run(
        [sys.executable, str(DOCTOR), *map(str, args)], env=env, cwd=ROOT,
        capture_output=True, text=True, timeout=200)


class TestEnvironment:

    def test_this_one_works(self, tmp_path):
        file = tmp_path / 'sub' / 'answer.json'
        done = doctor('--json', file)
        assert done.returncode == 0, done.stdout + done.stderr
        assert 'training would work' in done.stdout.splitlines()[-1]
        assert not done.stderr.strip()
        answer = json.loads(file.read_text())
        assert answer['works'] and answer['counts']['problem'] == 0
        import torch
        assert answer['facts']['packages']['torch'] == torch.__version__
        assert answer['facts']['cores'] >= 1

    def test_absent_mmpose_and_a_torch_that_kills_the_process(self, tmp_path):
        (tmp_path / 'sitecustomize.py').write_text(
            'import sys\nsys.modules["mmpose"] = None\n')
        (tmp_path / 'torch').mkdir()
        (tmp_path / 'torch' / '__init__.py').write_text(
            'import os\nos.abort()\n')
        done = doctor('--quiet', path=tmp_path)
        assert done.returncode == 1 and 'Traceback' not in done.stderr
        lines = done.stdout.splitlines()
        torch = next(i for i, s in enumerate(lines) if 'torch is inst' in s)
        assert 'PROBLEM' in lines[torch]
        assert 'SIGABRT' in lines[torch] + lines[torch + 1]
        absent = next(i for i, s in enumerate(lines)
                      if 'not installed: mmpose' in s)
        assert lines[absent + 1].strip() == f'-> {how_to_install(ROOT)}'
        assert 'to mend first' in lines[-1]

    def test_numpy_abi_has_its_command(self, tmp_path):
        package = tmp_path / 'xtcocotools'
        package.mkdir()
        (package / '__init__.py').write_text(
            'raise ValueError("numpy.dtype size changed, may indicate '
            'binary incompatibility. Expected 96 from C header, got 88")\n')
        (tmp_path / 'sitecustomize.py').write_text(
            'import sys\n'
            'for name in ("torch", "mmengine", "mmcv", "mmpose", "scipy",\n'
            '             "matplotlib"):\n    sys.modules[name] = None\n')
        done = doctor('--quiet', path=tmp_path)
        assert done.returncode == 1
        lines = done.stdout.splitlines()
        place = next(i for i, s in enumerate(lines) if 'xtcocotools' in s)
        assert any('-> python -m pip install "numpy<2"' in s
                   for s in lines[place:place + 5])

    @pytest.mark.parametrize('args, words', [
        (['--config', 'nowhere.py'], 'nowhere.py does not exist'),
        (['--images', 'some'], 'a number or "all"')])
    def test_usage(self, args, words):
        done = doctor(*args)
        assert done.returncode == 2 and words in done.stderr


def test_conflicts_are_not_imported_by_the_parent():
    """What the tool itself imports is the standard library and its own."""
    code = ('import sys; sys.argv = ["doctor.py"]; '
            f'sys.path.insert(0, {str(DOCTOR.parent)!r}); import doctor; '
            'doctor.without_its_init(); import mirrorpose.doctor.packages, '
            'mirrorpose.doctor.machine; '
            'print([m for m in ("numpy", "torch", "mmengine", "cv2", '
            '"packaging") if m in sys.modules])')
    done = subprocess.run([sys.executable, '-c', code], text=True,
                          capture_output=True)
    assert done.stdout.strip() == '[]', done.stderr


def test_installed_it_finds_its_package(tmp_path):
    place = tmp_path / 'site-packages/mirrorpose/.mim/tools'
    place.mkdir(parents=True)
    (place / 'doctor.py').write_bytes(DOCTOR.read_bytes())
    spec = importlib.util.spec_from_file_location('installed_doctor',
                                                  place / 'doctor.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    found: Path = tool.ROOT
    assert found.relative_to(tmp_path).as_posix() == 'site-packages'


def test_the_child_that_dies_is_a_problem(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location('doctor_tool', DOCTOR)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    monkeypatch.setattr(tool, 'ROOT', tmp_path)  # no package there
    (tmp_path / 'mirrorpose').mkdir()
    (tmp_path / 'mirrorpose' / '__init__.py').write_text('import os\n'
                                                         'os._exit(3)\n')
    answer = tool.examine_config(argparse.Namespace(
        config='c.py', json=None, quiet=False))
    assert not answer['works']
    assert 'status 3' in answer['findings'][0]['text']
