"""From one command to a tested recognizer, and in stock mmpose."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[1]


def tiny(tmp_path) -> Path:
    """The small synthetic config, smaller still: seconds for all stages."""
    cfg = Config.fromfile(ROOT / 'configs/mirrornet_small_synthetic.py')
    for stage in cfg.stages:
        stage['epochs'] = 1

    def shrink(node):
        if isinstance(node, dict):
            for key, value in node.items():
                if key == 'num_samples':
                    node[key] = 24 if node.get('test_mode') else 96
                elif key == 'num_workers':
                    node[key] = 0
                elif key == 'persistent_workers':
                    node[key] = False
                elif key == 'batch_size':
                    node[key] = 16
                elif key == 'source_ratio':
                    node[key] = (12, 4)
                else:
                    shrink(value)
        elif isinstance(node, (list, tuple)):
            for value in node:
                shrink(value)

    shrink(cfg._cfg_dict)
    cfg.model.backbone.base_channels = cfg.model.backbone.stem_channels = 8
    cfg.model.head.update(in_channels=64, deconv_out_channels=(16, 16, 16))
    path = tmp_path / 'tiny.py'
    cfg.dump(str(path))
    return path


def run(*args, **env):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', *map(str, args)], text=True,
        capture_output=True, env=dict(os.environ, OMP_NUM_THREADS='1', **env))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('curriculum')
    config = tiny(folder)
    run(ROOT / 'tools/train.py', config, '--work-dir', folder / 'work')
    return folder


def test_one_command_runs_the_whole_curriculum(trained):
    state = json.loads((trained / 'work/curriculum.json').read_text())
    assert [s for s, v in state.items() if v['finished']] == [
        'mask_estimator', 'recognizer', 'image_vae', 'pose_vae', 'baseline',
        'supervised', 'supervised_long', 'semi_supervised']
    for stage in ('baseline', 'supervised_long', 'semi_supervised'):
        scores = json.loads(
            (trained / 'work' / stage / 'scores.json').read_text())
        assert 0 <= scores['mean']['pck/Total'] <= 100


def test_checkpoints_of_every_stage_load_without_trust(trained):
    files = sorted(trained.glob('work/*/epoch_1.pth'))
    assert len(files) == 8
    for file in files:
        held = torch.load(file, weights_only=True)
        assert {'state_dict', 'optimizer', 'meta'} <= set(held)


def test_stages_begin_where_the_earlier_ones_ended(trained):
    """The frozen mask estimator is the trained one, to the bit."""
    first = torch.load(trained / 'work/mask_estimator/epoch_1.pth',
                       weights_only=True)['state_dict']
    last = torch.load(trained / 'work/semi_supervised/epoch_1.pth',
                      weights_only=True)['state_dict']
    names = [n for n in first if n.startswith('mask_estimator.')]
    assert len(names) > 20
    for name in names:
        assert torch.equal(first[name], last[name]), name


def test_two_processes_run_the_stages(trained):
    """dist_train.sh without CUDA: gloo, and the global batch is split."""
    cfg = Config.fromfile(trained / 'tiny.py')
    wanted = ('mask_estimator', 'pose_vae', 'semi_supervised')
    cfg.stages = [s for s in cfg.stages if s.name in wanted]
    cfg.stages[-1].load_from_stage = None
    cfg.stages[-1].init_from = dict(pose_vae='pose_vae',
                                    mask_estimator='mask_estimator')
    cfg.dump(str(trained / 'two.py'))
    done = subprocess.run(
        ['bash', ROOT / 'tools/dist_train.sh', trained / 'two.py', '2',
         '--work-dir', trained / 'two'], capture_output=True, text=True,
        env=dict(os.environ, OMP_NUM_THREADS='1', PYTHON=sys.executable,
                 PORT='29613'))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    state = json.loads((trained / 'two/curriculum.json').read_text())
    assert all(state[name]['finished'] for name in wanted)
    # 8 a process of the 16 that the config states, 6 + 2 of them.
    assert 'batch_size=16' in (
        trained / 'two/semi_supervised/semi_supervised.py').read_text()
    last = torch.load(trained / 'two/semi_supervised/epoch_1.pth',
                      weights_only=True)
    assert last['meta']['iter'] == 2  # 24 annotated images, 12 a step


def test_a_rerun_does_nothing(trained):
    before = {p: p.stat().st_mtime_ns
              for p in trained.glob('work/*/epoch_1.pth')}
    out = run(ROOT / 'tools/train.py', trained / 'tiny.py', '--work-dir',
              trained / 'work')
    assert out.count('is finished, skipped') == 8
    assert before == {p: p.stat().st_mtime_ns
                      for p in trained.glob('work/*/epoch_1.pth')}


def test_tools_test_prints_the_table_and_writes_json(trained):
    out = run(ROOT / 'tools/test.py', trained / 'tiny.py',
              trained / 'work/semi_supervised/epoch_1.pth', '--work-dir',
              trained / 'test', '--out', trained / 'scores.json')
    assert 'Ankle' in out and 'Total' in out
    scores = json.loads((trained / 'scores.json').read_text())
    stage = json.loads(
        (trained / 'work/semi_supervised/scores.json').read_text())
    assert scores['pck/Total'] == pytest.approx(
        stage['epochs']['1']['pck/Total'], abs=1e-6)


def test_a_foreign_checkpoint_is_refused(trained):
    file = trained / 'foreign.pth'
    torch.save({'state_dict': {'encoder.weight': torch.zeros(3)}}, file)
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', ROOT / 'tools/test.py',
         trained / 'tiny.py', file, '--work-dir', trained / 'x'],
        capture_output=True, text=True)
    assert done.returncode != 0
    assert 'is not of this model' in done.stdout + done.stderr


STOCK = '''
import sys
from mmengine.config import Config
from mmengine.runner import Runner
cfg = Config.fromfile(sys.argv[1])
cfg.work_dir = sys.argv[2]
cfg.train_cfg.max_epochs = 1
runner = Runner.from_cfg(cfg)     # what mmpose's tools/train.py calls
runner.train()
cfg.load_from = sys.argv[3]
cfg.experiment_name = 'stock_test'
cfg.visualizer.name = 'stock_test'
scores = Runner.from_cfg(cfg).test()  # what its tools/test.py calls
assert 0 <= scores['pck/Total'] <= 100, scores
print('stock total', scores['pck/Total'])
'''


def test_stock_mmengine_trains_and_tests_the_top_level(trained):
    """mmpose's tools know nothing of stages: they run the joint stage."""
    script = trained / 'stock.py'
    script.write_text(STOCK)
    out = run(script, trained / 'tiny.py', trained / 'stock',
              trained / 'work/semi_supervised/epoch_1.pth')
    total = json.loads((trained / 'work/semi_supervised/scores.json')
                       .read_text())['epochs']['1']['pck/Total']
    said = float(out.split('stock total ')[1].split()[0])
    assert said == pytest.approx(total, abs=1e-6)


def test_a_stage_config_runs_alone(trained):
    out = run(ROOT / 'tools/train.py',
              trained / 'work/pose_vae/pose_vae.py', '--work-dir',
              trained / 'alone')
    assert (trained / 'alone/epoch_1.pth').is_file(), out[-500:]


def test_the_inferencer_reads_config_and_checkpoint(trained):
    from mmpose.apis import inference_topdown, init_model
    model = init_model(str(trained / 'tiny.py'),
                       str(trained / 'work/semi_supervised/epoch_1.pth'),
                       device='cpu')
    image = np.full((80, 80, 3), 127, np.uint8)
    samples = inference_topdown(
        model, image, bboxes=np.array([[10, 10, 70, 70]], np.float32))
    keypoints = samples[0].pred_instances.keypoints
    assert keypoints.shape == (1, 16, 2) and np.isfinite(keypoints).all()
