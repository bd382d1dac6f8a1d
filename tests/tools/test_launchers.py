"""tools/train.py, test.py and the launchers, alone and as two processes."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mirrorpose.engine.dist import setup_distributed

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'

CONFIG = '''
_base_ = ['mmpose::_base_/default_runtime.py']
custom_imports = dict(imports=['mirrorpose', 'rank_witness'],
                      allow_failed_imports=False)
train_cfg = dict(max_epochs=2, val_interval=2)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9))
codec = dict(type='MSRAHeatmap', input_size=(32, 32), heatmap_size=(8, 8),
             sigma=1)
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[127.0] * 3,
                           std=[64.0] * 3, bgr_to_rgb=True),
    backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8),
    head=dict(type='HeatmapHead', in_channels=64, out_channels=17,
              deconv_out_channels=(8, 8, 8), deconv_kernel_sizes=(4, 4, 4),
              loss=dict(type='KeypointMSELoss', use_target_weight=True,
                        loss_weight=1000.0),
              decoder=codec))
pipeline = [
    dict(type='LoadImage'), dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size'])]
dataset = dict(type='CocoDataset', data_root=ROOT_OF_DATA,
               ann_file='people.json', data_prefix=dict(img='images/'),
               data_mode='topdown', test_mode=False,
               pipeline=pipeline + [
                   dict(type='GenerateTarget', encoder=codec),
                   dict(type='PackPoseInputs')])
train_dataloader = dict(
    batch_size=2, num_workers=0, dataset=dataset,
    sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(
    batch_size=2, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(dataset, _delete_=True, test_mode=True,
                 pipeline=pipeline + [dict(type='PackPoseInputs')]))
val_dataloader['dataset'].pop('_delete_')
test_dataloader = val_dataloader
val_evaluator = dict(type='PCKAccuracy', thr=0.5)
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(interval=1))
custom_hooks = [dict(type='RankWitness')]
'''
WITNESS = '''
import os
from pathlib import Path
import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmpose.registry import HOOKS

@HOOKS.register_module()
class RankWitness(Hook):
    """Write down what each rank has seen and learnt."""

    def __init__(self):
        self.seen = []

    def before_train(self, runner):
        self.wrapped = is_model_wrapper(runner.model)
        self.start = self.weights(runner)

    def weights(self, runner):
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        return {k: v.detach().clone() for k, v in model.named_parameters()}

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None):
        self.seen.append([s.metainfo['img_id']
                          for s in data_batch['data_samples']])

    def after_train(self, runner):
        torch.save(dict(seen=self.seen, start=self.start,
                        wrapped=self.wrapped, world=runner.world_size,
                        end=self.weights(runner)),
                   Path(runner.work_dir) / f'rank{runner.rank}.pt')
'''


@pytest.fixture(scope='module')
def world(tmp_path_factory) -> Path:
    """A folder with eight small people, a config and a witness hook."""
    root = tmp_path_factory.mktemp('world')
    (root / 'images').mkdir()
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for index in range(8):
        image = rng.integers(0, 255, (48, 48, 3), dtype=np.uint8)
        cv2.imwrite(str(root / 'images' / f'{index}.png'), image)
        images.append(dict(id=index, file_name=f'{index}.png', width=48,
                           height=48))
        points = np.concatenate([rng.uniform(8, 40, (17, 2)),
                                 np.full((17, 1), 2)], axis=1)
        annotations.append(dict(
            id=index, image_id=index, category_id=1, iscrowd=0, area=1600,
            bbox=[4, 4, 40, 40], num_keypoints=17,
            keypoints=points.round(2).ravel().tolist()))
    (root / 'people.json').write_text(json.dumps(dict(
        images=images, annotations=annotations,
        categories=[dict(id=1, name='person')])))
    (root / 'tiny.py').write_text(
        CONFIG.replace('ROOT_OF_DATA', repr(str(root))))
    (root / 'rank_witness.py').write_text(WITNESS)
    return root


def call(*command: object, world: Path | None = None,
         **env: str) -> subprocess.CompletedProcess:
    """Run a command as a user would, with this interpreter, on the CPU."""
    variables = {k: v for k, v in os.environ.items()
                 if k not in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE',
                              'MASTER_ADDR', 'MASTER_PORT')}
    variables.update(OMP_NUM_THREADS='1', PYTHON=sys.executable,
                     CUDA_VISIBLE_DEVICES='-1', **env)
    if world is not None:
        variables['PYTHONPATH'] = str(world)
    return subprocess.run([str(part) for part in command], text=True,
                          capture_output=True, stdin=subprocess.DEVNULL,
                          env=variables, cwd=world or ROOT, timeout=300)


def free_port() -> str:
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return str(server.getsockname()[1])


@pytest.fixture
def train(monkeypatch):
    """The module tools/train.py."""
    monkeypatch.syspath_prepend(str(TOOLS))
    monkeypatch.setenv('LOCAL_RANK', '0')
    return importlib.import_module('train')


def arguments(train, *given: str) -> argparse.Namespace:
    return train.parse_args(['c.py', *given])


def stages_config() -> Config:
    wrapper = dict(optimizer=dict(type='Adam', lr=1e-3))
    return Config(dict(
        optim_wrapper=wrapper, val_cfg=dict(), val_dataloader=dict(x=1),
        val_evaluator=dict(type='PCKAccuracy'), model=dict(type='M'),
        auto_scale_lr=dict(base_batch_size=8),
        default_hooks=dict(visualization=dict(type='V', enable=False)),
        stages=[
            dict(name='pose_vae', cfg=dict(optim_wrapper=dict(
                constructor='C', encoder=wrapper, decoder=wrapper))),
            dict(name='joint', cfg=dict(val_cfg=dict(a=1))),
            dict(name='last')]))


class TestArguments:

    def test_amp_walks_members_and_stages_on_the_cpu(self, train):
        cfg = stages_config()
        train.merge_args(cfg, arguments(train, '--amp'))
        if torch.cuda.is_available():
            pytest.skip('this machine has a CUDA device')
        assert cfg.optim_wrapper.type == 'AutocastOptimWrapper'
        members = cfg.stages[0].cfg.optim_wrapper
        assert members.encoder.type == 'AutocastOptimWrapper'
        assert members.decoder.type == 'AutocastOptimWrapper'
        assert 'type' not in members
        assert 'optim_wrapper' not in cfg.stages[1].cfg

    def test_amp_on_an_accelerator(self, train):
        wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD'))
        assert train.enable_amp(wrapper, True) == 1
        assert wrapper['type'] == 'AmpOptimWrapper'
        assert wrapper['dtype'] == 'bfloat16'
        assert wrapper['loss_scale'] == 1.0

    def test_amp_keeps_a_chosen_float16(self, train):
        wrapper = dict(type='AmpOptimWrapper', dtype='float16',
                       optimizer=dict(type='SGD'))
        train.enable_amp(wrapper, True)
        assert wrapper['dtype'] == 'float16' and 'loss_scale' not in wrapper

    def test_amp_refuses_a_foreign_wrapper(self, train):
        wrapper = dict(type='ApexOptimWrapper', optimizer=dict(type='SGD'))
        with pytest.raises(train.cli.UsageError, match='ApexOptimWrapper'):
            train.enable_amp(wrapper, False)

    def test_no_validate(self, train):
        cfg = stages_config()
        train.merge_args(cfg, arguments(train, '--no-validate'))
        assert cfg.val_cfg is None and cfg.val_dataloader is None
        assert cfg.val_evaluator is None and cfg.stages[1].cfg.val_cfg is None
        assert 'cfg' not in cfg.stages[2]

    def test_work_dir(self, train):
        cfg = stages_config()
        train.merge_args(cfg, arguments(train))
        assert cfg.work_dir == str(Path('work_dirs') / 'c')
        cfg = stages_config()
        train.merge_args(cfg, arguments(train, '--work-dir', 'x'))
        assert cfg.work_dir == 'x'

    def test_resume(self, train, tmp_path):
        cfg = stages_config()
        train.merge_args(cfg, arguments(train, '--resume'))
        assert cfg.resume is True and cfg.load_from is None
        checkpoint = tmp_path / 'a.pth'
        checkpoint.touch()
        given = ('--resume', str(checkpoint))
        with pytest.raises(train.cli.UsageError, match='--stage'):
            train.merge_args(cfg, arguments(train, *given))
        train.merge_args(cfg, arguments(train, *given, '--stage', 'joint'))
        assert cfg.load_from == str(checkpoint)
        with pytest.raises(train.cli.UsageError, match='b.pth'):
            train.merge_args(cfg, arguments(train, '--resume', 'b.pth'))

    def test_pictures(self, train):
        cfg = stages_config()
        train.merge_args(cfg, arguments(train, '--show-dir', 'p',
                                        '--interval', '7'))
        hook = cfg.default_hooks.visualization
        assert hook.enable and not hook.show
        assert hook.out_dir == 'p' and hook.interval == 7
        cfg.default_hooks = dict()
        with pytest.raises(train.cli.UsageError, match='visualization'):
            train.merge_args(cfg, arguments(train, '--show'))

    def test_scale_lr(self, train):
        cfg = stages_config()
        train.merge_args(cfg, arguments(train, '--auto-scale-lr'))
        assert cfg.auto_scale_lr.enable is True
        cfg.auto_scale_lr = None
        with pytest.raises(train.cli.UsageError, match='base_batch_size'):
            train.merge_args(cfg, arguments(train, '--auto-scale-lr'))

    def test_stage(self, train):
        cfg = stages_config()
        train.merge_args(cfg, arguments(train, '--stage', 'joint'))
        assert cfg.only_stage == 'joint'
        with pytest.raises(train.cli.UsageError,
                           match='pose_vae, joint, last'):
            train.merge_args(cfg, arguments(train, '--stage', 'Joint'))

    def test_options(self, train):
        cfg = stages_config()
        train.merge_args(cfg, arguments(
            train, '--cfg-options', 'optim_wrapper.optimizer.lr=0.5',
            'randomness.seed=3'))
        assert cfg.optim_wrapper.optimizer.lr == 0.5
        assert cfg.randomness.seed == 3
        with pytest.raises(train.cli.UsageError, match='optim_wrapper'):
            train.merge_args(cfg, arguments(
                train, '--cfg-options', 'optim_wraper.optimizer.lr=0.5'))


class TestSetup:

    def test_none_changes_only_the_launcher(self):
        cfg = Config(dict(a=1))
        assert setup_distributed(cfg, 'none') is False
        assert cfg.to_dict() == dict(a=1, launcher='none')

    def test_unknown_launcher(self):
        with pytest.raises(ValueError, match='torchrun'):
            setup_distributed(Config(), 'torchrun')

    @pytest.mark.skipif(torch.cuda.is_available(), reason='needs no CUDA')
    def test_variables_absent(self, monkeypatch):
        for name in ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(ValueError, match='dist_train.sh'):
            setup_distributed(Config(), 'pytorch')

    @pytest.mark.skipif(torch.cuda.is_available(), reason='needs no CUDA')
    def test_slurm_without_cuda(self):
        """One slurm task becomes one gloo process, wrappers lose devices."""
        code = '''
from mirrorpose.engine.dist import setup_distributed, teardown_distributed
import torch.distributed as dist
cfg = dict(sync_bn='torch', stages=[
    dict(name='a'),
    dict(name='b', cfg=dict(model_wrapper_cfg=dict(
        type='MMSeparateDistributedDataParallel', broadcast_buffers=True)))])
assert setup_distributed(cfg, 'slurm')
assert dist.get_backend() == 'gloo' and dist.get_world_size() == 1
top = cfg['model_wrapper_cfg']
assert top == dict(type='MMDistributedDataParallel', device_ids=None,
                   broadcast_buffers=False, find_unused_parameters=False)
assert 'cfg' not in cfg['stages'][0]
own = cfg['stages'][1]['cfg']['model_wrapper_cfg']
assert own['type'] == 'MMSeparateDistributedDataParallel'
assert own['device_ids'] is None and own['broadcast_buffers'] is True
assert cfg['sync_bn'] is None
teardown_distributed()
assert not dist.is_initialized()
'''
        done = call(sys.executable, '-c', code, SLURM_PROCID='0',
                    SLURM_NTASKS='1', SLURM_NODELIST='here',
                    MASTER_ADDR='127.0.0.1', MASTER_PORT=free_port())
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope='module')
def trained(world) -> Path:
    """The work dir of two epochs by two gloo processes."""
    out = world / 'two'
    done = call('bash', TOOLS / 'dist_train.sh', world / 'tiny.py', 2,
                '--work-dir', out, '--cfg-options', 'randomness.seed=0',
                world=world, PORT=free_port())
    assert done.returncode == 0, done.stderr[-3000:]
    return out


class TestProcesses:

    def test_two_processes_train(self, trained):
        """Different people, equal weights on both ranks."""
        out = trained
        one, two = (torch.load(out / f'rank{rank}.pt', weights_only=True)
                    for rank in range(2))
        assert one['world'] == two['world'] == 2
        assert one['wrapped'] and two['wrapped']
        assert not (out / 'rank2.pt').exists()
        # every epoch, the two share the eight people between them
        for epoch in range(2):
            seen = [sum(rank['seen'][2 * epoch:2 * epoch + 2], [])
                    for rank in (one, two)]
            assert sorted(seen[0] + seen[1]) == list(range(8))
        for name, value in one['end'].items():
            assert torch.equal(value, two['end'][name]), name
            assert torch.equal(one['start'][name], two['start'][name]), name
            assert not torch.equal(value, one['start'][name]), name

    def test_scores_of_one_and_two_processes(self, world, trained):
        """test.py and dist_test.sh read the checkpoint and agree."""
        out, scores = trained, []
        for number, command in enumerate((
                [sys.executable, TOOLS / 'test.py', world / 'tiny.py',
                 out / 'epoch_2.pth'],
                ['bash', TOOLS / 'dist_test.sh', world / 'tiny.py',
                 out / 'epoch_2.pth', 2])):
            written = out / f'scores{number}.json'
            done = call(*command, '--work-dir', out, '--out', written,
                        world=world, PORT=free_port())
            assert done.returncode == 0, done.stderr[-3000:]
            assert 'PCK: ' in done.stdout
            scores.append(json.loads(written.read_text()))
        assert scores[0].keys() == scores[1].keys() == {'PCK'}
        assert 0 <= scores[0]['PCK'] <= 1
        assert scores[0]['PCK'] == pytest.approx(scores[1]['PCK'])

    def test_mistakes_take_one_line(self, world):
        cases = [
            (['train.py', 'configs/none.py'], 'configs/none.py does not'),
            (['test.py', world / 'tiny.py', 'none.pth'], 'none.pth does not'),
            (['train.py', world / 'tiny.py', '--list-stages'], 'no stages'),
        ]
        for (tool, *rest), expected in cases:
            done = call(sys.executable, TOOLS / tool, *rest, world=world)
            assert done.returncode == 2, done.stderr
            assert 'Traceback' not in done.stderr
            last = done.stderr.strip().splitlines()[-1]
            assert last.startswith(f'{tool}: ') and expected in last

    @pytest.mark.parametrize('tool', ['dist_train.sh', 'dist_test.sh',
                                      'slurm_train.sh'])
    def test_usage(self, tool):
        done = call('bash', TOOLS / tool)
        assert done.returncode == 2
        assert done.stderr.startswith(f'usage: bash tools/{tool} ')

    def test_slurm_command(self, tmp_path):
        """srun gets the resources, train.py the rest, quoted as given."""
        srun = tmp_path / 'srun'
        srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        srun.chmod(0o755)
        done = call('bash', TOOLS / 'slurm_train.sh', 'gpu', 'job', 'c.py',
                    'my dir', '--cfg-options', 'a=b c',
                    PATH=f'{tmp_path}:{os.environ["PATH"]}', GPUS='4',
                    GPUS_PER_NODE='2', SRUN_ARGS='--quiet --mem=4G')
        words = done.stdout.splitlines()
        assert '--gres=gpu:2' in words and '--ntasks=4' in words
        assert '--quiet' in words and '--mem=4G' in words
        assert words[-7:] == ['c.py', '--work-dir', 'my dir', '--launcher',
                              'slurm', '--cfg-options', 'a=b c']

    def test_interpreter(self, tmp_path):
        """PYTHON holds; then an active environment; then .venv."""
        tools, python = tmp_path / 'tools', tmp_path / '.venv/bin/python'
        tools.mkdir()
        python.parent.mkdir(parents=True)
        python.write_text('#!/bin/sh\n')
        python.chmod(0o755)
        (tools / 'find_python.sh').write_text(
            (TOOLS / 'find_python.sh').read_text())
        script = f'. {tools}/find_python.sh; echo "$PYTHON"'
        for env, expected in (
                ({'PYTHON': 'x'}, 'x'),
                ({'PYTHON': '', 'VIRTUAL_ENV': '', 'CONDA_PREFIX': ''},
                 str(python)),
                ({'PYTHON': '', 'VIRTUAL_ENV': '/v'}, 'python')):
            done = subprocess.run(['bash', '-c', script], text=True,
                                  capture_output=True,
                                  env=dict(os.environ, **env))
            assert done.stdout.strip() == expected
