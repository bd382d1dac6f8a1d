"""tools/profile.py, and the module name that it shadows."""
from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from mirrorpose.doctor.stepping import STEP_PARTS
from mirrorpose.engine.amp import cpu_has_bfloat16

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'
SYNTHETIC = ROOT / 'configs/mirrornet_small_synthetic.py'


@pytest.fixture(scope='module')
def tool():
    """tools/profile.py under another name, which hands nothing over."""
    sys.path.insert(0, str(TOOLS))  # it imports cli
    spec = importlib.util.spec_from_file_location('profile_tool',
                                                  TOOLS / 'profile.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(TOOLS))


@pytest.mark.parametrize('code', [
    'import profile',
    'import cProfile, profile',
    'import profile, cProfile; import profile as again; '
    'assert again is profile'])
def test_importers_get_the_standard_library(code, tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(
        f'import sys\nsys.path.insert(0, {str(TOOLS)!r})\n{code}\n'
        'import os, sysconfig\n'
        'assert os.path.dirname(profile.__file__) == '
        'sysconfig.get_path("stdlib"), profile.__file__\n'
        'assert profile.__name__ == "profile" and profile.Profile\n'
        'import cProfile\n'
        'cProfile.Profile().runcall(sorted, [2, 1])\n'
        'profile.Profile().runcall(sorted, [2, 1])\n'
        'print("fine")\n')
    done = subprocess.run([sys.executable, script], text=True,
                          capture_output=True)
    assert done.stdout == 'fine\n', done.stderr


def test_scripts_of_this_folder_still_profile(tmp_path):
    """A script beside it, as Python starts it: its folder comes first."""
    for name in ('profile.py', 'cli.py'):
        (tmp_path / name).write_bytes((TOOLS / name).read_bytes())
    (tmp_path / 'other.py').write_text(
        'import cProfile, profile, pstats\n'
        'print(profile.run.__module__, cProfile.run.__module__)\n')
    done = subprocess.run([sys.executable, tmp_path / 'other.py'], text=True,
                          capture_output=True)
    assert done.stdout == 'profile cProfile\n', done.stderr


def test_train_still_starts():
    done = subprocess.run(
        [sys.executable, '-c',
         f'import sys; sys.path.insert(0, {str(TOOLS)!r}); '
         'sys.argv = ["train.py", "--help"]; import cProfile; '
         f'exec(open({str(TOOLS / "train.py")!r}).read())'],
        text=True, capture_output=True)
    assert done.returncode == 0 and '--list-stages' in done.stdout


def test_a_whole_profile(tmp_path):
    config = tmp_path / 'tiny.py'
    config.write_text(f"""
_base_ = ['{SYNTHETIC}']
stages = [dict(_base_.stages[3])]
stage_data = dict(poses=dict(train_dataloader=dict(batch_size=8)))
""")
    numbers, trace = tmp_path / 'out' / 'p.json', tmp_path / 'out' / 't.json'
    done = subprocess.run(
        [sys.executable, TOOLS / 'profile.py', config, '--stage', 'pose_vae',
         '--iterations', '2', '--json', numbers, '--trace', trace],
        env=dict(os.environ, OMP_NUM_THREADS='1'), capture_output=True,
        text=True, timeout=200, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    facts = json.loads(numbers.read_text())
    assert facts['model'] == 'PoseAutoencoding' and facts['batch_size'] == 8
    # The crop cache makes whole batches.
    assert set(facts['pipeline']) == {'batch from the data set', 'collate'}
    assert facts['single'] == pytest.approx(
        1 / sum(facts['pipeline'].values()))
    assert set(facts['parts']) == set(STEP_PARTS)
    assert 0.3 < sum(facts['parts'].values()) / facts['step_seconds'] < 3
    kind = 'bfloat16' if cpu_has_bfloat16() else 'float32'
    assert facts['convolution'] == f'{kind}, channels_last'
    assert len(facts['limits']['convolutions']) == (
        4 if cpu_has_bfloat16() else 2)
    for rate in ('loader', 'step', 'training', 'efficiency'):
        assert facts[rate] > 0
    assert facts['step'] == pytest.approx(8 / facts['step_seconds'])
    last = done.stdout.strip().splitlines()
    assert f'Bottleneck: {facts["verdict"]["bottleneck"]}' in last
    assert any(e.get('name') == 'training step' for e in
               json.loads(trace.read_text())['traceEvents'])
    assert not list(tmp_path.glob('work_dirs*'))


def test_usage_errors(tool, tmp_path):
    import cli
    with pytest.raises(SystemExit):
        tool.parse_args(['x.py', '--iterations', '0'])
    with pytest.raises(cli.UsageError, match='no stage .*tomorrow'):
        tool.chosen(Config.fromfile(SYNTHETIC), tool.parse_args(
            ['x.py', '--stage', 'tomorrow']))
    config = tmp_path / 'empty.py'
    config.write_text("model = dict(type='MirrorNet')\n")
    with pytest.raises(cli.UsageError, match='no train_dataloader'):
        tool.chosen(Config.fromfile(config), tool.parse_args(['x.py']))


def test_the_top_level_is_the_last_joint_stage(tool):
    cfg = tool.chosen(Config.fromfile(SYNTHETIC), tool.parse_args(
        ['x.py', '--cfg-options', 'train_dataloader.num_workers=3']))
    assert cfg.model.type == 'MirrorNet' and 'stages' not in cfg
    assert cfg.train_dataloader.num_workers == 3
