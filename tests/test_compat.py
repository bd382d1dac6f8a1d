"""compat.ensure_mmpose() in processes with and without optional parts.

Rules are checked on a miniature stack that imports in milliseconds; that
they hold for the true one is checked by a few processes with real imports.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mirrorpose.compat as compat

COMPAT = Path(compat.__file__)
ROOT = COMPAT.parent.parent

# mmpose.models and .visualization import as mmpose 1.3.2 does
MINIATURE = {
    'torch/__init__.py': '',
    'mmengine/__init__.py': '',
    'mmcv/__init__.py': '',
    'mmpose/__init__.py': 'registered = []\n',
    'mmpose/models/__init__.py': 'from . import backbones, heads\n',
    'mmpose/models/backbones.py': '''
import mmpose
assert 'ResNet' not in mmpose.registered, 'ResNet is already registered'
mmpose.registered.append('ResNet')
''',
    'mmpose/models/heads.py': '''
from mmcv.ops import MultiScaleDeformableAttention
from mmdet.utils import ConfigType, reduce_mean
try:
    from mmcv.ops import DeformConv2d
    has_mmcv_full = True
except (ImportError, ModuleNotFoundError):
    has_mmcv_full = False
''',
    'mmpose/visualization/__init__.py':
    'from torchvision.transforms import ToPILImage\n',
    'mmpose/apis/__init__.py': '''
try:
    from mmdet.apis.det_inferencer import DetInferencer
    has_mmdet = True
except (ImportError, ModuleNotFoundError):
    has_mmdet = False
''',
}
TORCHVISION = {
    'torchvision/__init__.py': 'real = True\n',
    'torchvision/transforms.py': 'class ToPILImage:\n    real = True\n',
}
OPS = {
    'mmcv/_ext.py': '',
    'mmcv/ops/__init__.py':
    'class MultiScaleDeformableAttention:\n    real = True\n'
    'class DeformConv2d:\n    real = True\n',
}
MMDET = {
    'mmdet/__init__.py': '',
    'mmdet/utils.py': 'ConfigType = dict\ndef reduce_mean(x):\n    return x\n',
    'mmdet/apis/__init__.py': '',
    'mmdet/apis/det_inferencer.py': 'class DetInferencer:\n    pass\n',
}
LOAD = f'''
import importlib.util, sys
spec = importlib.util.spec_from_file_location('compat', {str(COMPAT)!r})
compat = importlib.util.module_from_spec(spec)
sys.modules['compat'] = compat
spec.loader.exec_module(compat)
'''


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def run(code: str, path: Path | None = None,
        **env: str) -> subprocess.CompletedProcess:
    """Run code; with a path, see nothing but it and the standard library."""
    variables = {k: v for k, v in os.environ.items()
                 if k not in ('PYTHONPATH', 'MIRRORPOSE_STRICT', 'RANK',
                              'SLURM_PROCID')}
    variables.update(env)
    flags = ['-W', 'ignore']
    if path is not None:
        flags += ['-S']
        variables['PYTHONPATH'] = str(path)
    else:
        variables['PYTHONPATH'] = str(ROOT)
    return subprocess.run([sys.executable, *flags, '-c', code],
                          capture_output=True, text=True, env=variables,
                          stdin=subprocess.DEVNULL, timeout=120)


def run_miniature(tmp_path: Path, code: str, *parts: dict[str, str],
                  **env: str) -> subprocess.CompletedProcess:
    for files in (MINIATURE, *parts):
        write(tmp_path, files)
    return run(LOAD + code, tmp_path, **env)


REPORT = '''
import json
stood_in = compat.ensure_mmpose()
left = [n for n in sys.modules
        if n.split('.')[0] in ('torchvision', 'mmdet') or n == 'mmcv.ops']
import mmpose.models.heads as heads, mmpose.visualization as vis
import mmpose.apis as apis
print(json.dumps(dict(
    stood_in=stood_in, left=left, full=heads.has_mmcv_full,
    mmdet=apis.has_mmdet,
    real=[getattr(c, 'real', False) for c in (
        heads.MultiScaleDeformableAttention, vis.ToPILImage)])))
'''
NAMES = ['torchvision', 'compiled mmcv operators', 'mmdet']


class TestMiniature:

    def test_all_absent(self, tmp_path):
        done = run_miniature(tmp_path, REPORT)
        assert done.returncode == 0, done.stderr
        got = json.loads(done.stdout)
        assert got == dict(stood_in=NAMES, left=[], full=False, mmdet=False,
                           real=[False, False])

    def test_all_present_is_used_as_it_is(self, tmp_path):
        done = run_miniature(tmp_path, REPORT, TORCHVISION, OPS, MMDET)
        assert done.returncode == 0, done.stderr
        got = json.loads(done.stdout)
        assert got['stood_in'] == []
        assert got['real'] == [True, True]
        assert got['full'] and got['mmdet']
        assert done.stderr == ''

    @pytest.mark.parametrize('absent', [0, 1, 2])
    def test_one_absent(self, tmp_path, absent):
        parts = [TORCHVISION, OPS, MMDET]
        del parts[absent]
        done = run_miniature(tmp_path, REPORT, *parts)
        assert done.returncode == 0, done.stderr
        got = json.loads(done.stdout)
        assert got['stood_in'] == [NAMES[absent]]
        assert got['full'] == (absent != 1)
        assert got['mmdet'] == (absent != 2)

    def test_none_in_sys_modules_is_absent_and_restored(self, tmp_path):
        code = '''
sys.modules['torchvision'] = None
compat.ensure_mmpose()
assert sys.modules['torchvision'] is None
assert 'torchvision.transforms' not in sys.modules
'''
        done = run_miniature(tmp_path, code, TORCHVISION, OPS, MMDET)
        assert done.returncode == 0, done.stderr

    def test_stand_ins_raise_when_used(self, tmp_path):
        code = '''
compat.ensure_mmpose()
import mmpose.models.heads as heads, mmpose.visualization as vis
assert not isinstance(3, heads.MultiScaleDeformableAttention)
for use in (heads.MultiScaleDeformableAttention, vis.ToPILImage,
            heads.reduce_mean):
    try:
        use()
    except ImportError as error:
        print(error)
'''
        lines = run_miniature(tmp_path, code).stdout.splitlines()
        assert len(lines) == 3
        assert lines[0].startswith(
            'MultiScaleDeformableAttention needs compiled mmcv')
        assert 'needs torchvision' in lines[1]
        assert 'needs mmdet' in lines[2]

    def test_one_line_printed_once(self, tmp_path):
        code = 'compat.ensure_mmpose()\ncompat.ensure_mmpose()\n'
        done = run_miniature(tmp_path, code, OPS)
        lines = done.stderr.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith('mirrorpose INFO: not installed: ')
        assert 'torchvision (off: SimCC' in lines[0]
        assert 'mmdet (off: RTMO' in lines[0]
        assert 'operators' not in lines[0]

    def test_silent_on_other_ranks(self, tmp_path):
        done = run_miniature(tmp_path, 'compat.ensure_mmpose()', RANK='1')
        assert done.returncode == 0 and done.stderr == ''

    def test_broken_torchvision_is_reported(self, tmp_path):
        broken = {'torchvision/__init__.py':
                  "raise RuntimeError('operator torchvision::nms does not "
                  "exist')\n"}
        done = run_miniature(tmp_path, 'compat.ensure_mmpose()', broken, OPS,
                             MMDET)
        assert done.returncode == 1
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith('ImportError: torchvision: installed, but')
        assert 'operator torchvision::nms does not exist' in last
        assert 'pip uninstall torchvision' in last

    def test_dependency_of_optional_part_absent_is_broken(self, tmp_path):
        broken = {'mmdet/__init__.py': 'import pycocotools\n'}
        done = run_miniature(tmp_path, 'compat.ensure_mmpose()', TORCHVISION,
                             OPS, broken)
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith('ImportError: mmdet: installed, but')
        assert 'pycocotools' in last

    def test_undefined_symbol_in_ops_is_broken(self, tmp_path):
        broken = {'mmcv/_ext.py':
                  "raise ImportError('undefined symbol: _ZN3c10')\n"}
        done = run_miniature(tmp_path, 'compat.ensure_mmpose()', TORCHVISION,
                             MMDET, broken)
        last = done.stderr.strip().splitlines()[-1]
        assert 'compiled mmcv operators: installed, but' in last
        assert 'undefined symbol' in last

    def test_a_broken_part_leaves_mmpose_untouched(self, tmp_path):
        code = '''
try:
    compat.ensure_mmpose()
except ImportError:
    pass
import mmpose
assert mmpose.registered == []
assert not [n for n in sys.modules if n.startswith('mmpose.')]
'''
        broken = {'torchvision/__init__.py': 'raise RuntimeError("x")\n'}
        done = run_miniature(tmp_path, code, broken)
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize('value', ['1', 'true', 'yes'])
    def test_strict_refuses_stand_ins(self, tmp_path, value):
        done = run_miniature(tmp_path, 'compat.ensure_mmpose()', OPS,
                             MIRRORPOSE_STRICT=value)
        last = done.stderr.strip().splitlines()[-1]
        assert done.returncode == 1
        assert 'not installed: torchvision, mmdet' in last

    def test_strict_zero_is_off(self, tmp_path):
        done = run_miniature(tmp_path, 'compat.ensure_mmpose()',
                             MIRRORPOSE_STRICT='0')
        assert done.returncode == 0, done.stderr

    def test_strict_with_everything_there(self, tmp_path):
        done = run_miniature(tmp_path, REPORT, TORCHVISION, OPS, MMDET,
                             MIRRORPOSE_STRICT='1')
        assert done.returncode == 0, done.stderr

    def test_failed_half_way_asks_for_a_new_process(self, tmp_path):
        code = '''
try:
    import mmpose.models
except ImportError:
    pass
import mmpose
assert mmpose.registered == ['ResNet']
compat.ensure_mmpose()
'''
        done = run_miniature(tmp_path, code)
        last = done.stderr.strip().splitlines()[-1]
        assert 'An earlier `import mmpose.models` failed half-way' in last
        assert 'new process' in last and '`import mirrorpose`' in last

    @pytest.mark.parametrize('name', ['torch', 'mmengine', 'mmcv', 'mmpose'])
    def test_required_absent(self, tmp_path, name):
        files = {key: text for key, text in MINIATURE.items()
                 if not key.startswith(f'{name}/')}
        write(tmp_path, files)
        done = run(LOAD + 'compat.ensure_mmpose()', tmp_path)
        last = done.stderr.strip().splitlines()[-1]
        assert f'mirrorpose needs {name}, which is not installed' in last
        assert 'bash tools/install.sh' in last

    def test_required_broken_is_not_called_absent(self, tmp_path):
        broken = {'mmengine/__init__.py': 'import pkg_resources\n'}
        done = run_miniature(tmp_path, 'compat.ensure_mmpose()', broken)
        last = done.stderr.strip().splitlines()[-1]
        assert 'mmengine is installed but cannot be imported' in last
        assert 'setuptools<81' in last

    def test_failure_inside_mmpose_restores_modules(self, tmp_path):
        broken = {'mmpose/models/backbones.py':
                  "raise ValueError('numpy.dtype size changed')\n"}
        code = '''
try:
    compat.ensure_mmpose()
except ImportError as error:
    print(error)
assert 'torchvision' not in sys.modules and 'mmcv.ops' not in sys.modules
'''
        done = run_miniature(tmp_path, code, broken)
        assert done.returncode == 0, done.stderr
        assert '`import mmpose.models` failed' in done.stdout
        assert 'numpy<2' in done.stdout


BLOCK = '''
import sys
class Block:
    def __init__(self, *names):
        self.names = names
    def find_spec(self, name, path=None, target=None):
        if name in self.names:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Block(%s))
'''
OPTIONAL = "'torchvision', 'mmdet', 'mmcv._ext'"

SNAPSHOT = '''
import copy, logging, os, random, signal, warnings
import cv2, numpy as np, torch, matplotlib, scipy.io, scipy.optimize
import multiprocessing
import mmengine, mmengine.runner, mmengine.fileio, mmengine.hooks, mmcv
import mmengine.visualization, mmengine.infer, mmengine.config
import mmpose, mmpose.datasets, mmpose.codecs, mmpose.evaluation
import mmpose.engine, mmpose.structures, mmpose.registry, mmpose.utils
import mmpose.testing
try:  # mmengine imports it when mmpose.apis asks it for a version, and
    import pkg_resources  # pkg_resources extends sys.path and the filters
except ImportError:
    pass
import six.moves
from mmengine.fileio.backends import registry_utils
from mmengine.registry import Registry
from mmengine.runner.checkpoint import CheckpointLoader

def loggers():
    made = logging.root.manager.loggerDict
    return {n: (l.level, list(l.handlers), l.propagate, l.disabled)
            for n, l in [('', logging.root)] + list(made.items())
            if isinstance(l, logging.Logger)}

def tables():
    got = {'schemes': dict(CheckpointLoader._schemes),
           'backends': dict(registry_utils.backends),
           'prefixes': dict(registry_utils.prefix_to_backends)}
    for module in (mmengine.registry, mmpose.registry):
        for name, value in vars(module).items():
            if isinstance(value, Registry):
                got[f'{module.__name__}.{name}'] = dict(value.module_dict)
    return got

def state():
    return dict(
        load=(torch.load, torch.save, torch.Tensor.__init__),
        mmengine=(mmengine.runner.checkpoint._load_checkpoint,
                  mmengine.runner.Runner.from_cfg,
                  mmengine.runner.Runner.load_checkpoint,
                  mmengine.runner.Runner.resume,
                  mmengine.config.Config.fromfile,
                  mmengine.hooks.CheckpointHook.after_train_epoch),
        dtype=torch.get_default_dtype(),
        threads=(torch.get_num_threads(), cv2.getNumThreads()),
        grad=torch.is_grad_enabled(),
        deterministic=(torch.are_deterministic_algorithms_enabled(),
                       torch.backends.cudnn.benchmark,
                       torch.backends.cudnn.deterministic),
        torch_rng=torch.get_rng_state().tolist(),
        numpy_rng=str(np.random.get_state()),
        python_rng=random.getstate(),
        printing=str(np.get_printoptions()),
        errors=str(np.geterr()),
        filters=list(warnings.filters),
        showwarning=warnings.showwarning,
        environ=dict(os.environ),
        start=multiprocessing.get_start_method(allow_none=True),
        signals=[signal.getsignal(s) for s in (signal.SIGINT,
                                               signal.SIGTERM)],
        hooks=(sys.excepthook, sys.displayhook, sys.meta_path[:],
               sys.path[:], sys.path_hooks[:]),
        rc=dict(matplotlib.rcParams),
    )
'''
UNCHANGED = '''
before, logs, known = state(), loggers(), tables()
import mirrorpose
after, logs_after, known_after = state(), loggers(), tables()
changed = [k for k in before if before[k] != after[k]]
changed += [f'logger {n!r}' for n in logs if logs[n] != logs_after[n]]
added = 0
for table, entries in known.items():
    for key, value in entries.items():
        if known_after[table].get(key) is not value:
            changed.append(f'{table}[{key!r}]')
    added += len(known_after[table]) - len(entries)
import mmpose.models, mmpose.visualization, mmpose.apis
from mmpose.models.heads.transformer_heads import edpose_head
from mmpose.registry import MODELS
try:
    edpose_head.MultiScaleDeformableAttention(embed_dims=8)
    message = ''
except ImportError as error:
    message = str(error)
import json
print(json.dumps(dict(
    changed=changed, added=added, message=message,
    models=sum(1 for c in MODELS.module_dict.values()
               if c.__module__.startswith('mmpose.')),
    left=[n for n in sys.modules if n.split('.')[0] in ('torchvision',
          'mmdet') or n == 'mmcv.ops'])))
'''


class TestTrueStack:

    def test_import_adds_and_changes_nothing(self):
        """Optional parts blocked, everything importable, state untouched."""
        done = run(BLOCK % OPTIONAL + SNAPSHOT + UNCHANGED)
        assert done.returncode == 0, done.stderr
        got = json.loads(done.stdout.splitlines()[-1])
        assert got['changed'] == []
        assert got['left'] == []
        assert got['models'] >= 99 and got['added'] >= got['models']
        assert got['message'].startswith(
            'MultiScaleDeformableAttention needs compiled mmcv')
        said = [line for line in done.stderr.splitlines()
                if line.startswith('mirrorpose')]
        assert len(said) == 1

    def test_mmpose_absent(self):
        done = run(BLOCK % "'mmpose'" + 'import mirrorpose')
        last = done.stderr.strip().splitlines()[-1]
        assert done.returncode == 1
        assert 'mirrorpose needs mmpose' in last
        assert 'bash tools/install.sh' in last

    def test_half_way(self):
        code = BLOCK % OPTIONAL + '''
try:
    import mmpose.models
    raise SystemExit('mmpose.models imports without optional parts')
except ImportError:
    pass
import mirrorpose
'''
        done = run(code)
        last = done.stderr.strip().splitlines()[-1]
        assert done.returncode == 1
        assert 'failed half-way' in last and 'new process' in last
