"""Runs of several processes that are broken, and that die.

This file is also the program that the processes run.
"""
from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mirrorpose.testing import run_processes
from mirrorpose.testing.kills import first_difference
from mirrorpose.testing.variants import make

ROOT = Path(__file__).resolve().parents[2]


def go(folder: Path, name: str, cut: int | None = None,
       resume: bool = False, **changes) -> None:
    """One run in this group of processes."""
    from mmengine.dist import barrier

    from mirrorpose.engine import PoseRunner
    from mirrorpose.engine.dist import setup_distributed
    cfg = make(name, folder, people=16)
    cfg.train_dataloader.batch_size = 4  # of both
    cfg.merge_from_dict(changes)
    cfg.resume = resume
    cfg.experiment_name = f'{folder.name}_{cut}_{resume}'
    if cut is not None:
        cfg.custom_hooks = [*cfg.get('custom_hooks', []),
                            dict(type='PowerCutAt', iteration=cut)]
    if name != 'two_optimizers':
        cfg.model_wrapper_cfg = dict(type='MMDistributedDataParallel')
    setup_distributed(cfg, 'pytorch')
    with contextlib.suppress(KeyboardInterrupt):
        PoseRunner.from_cfg(cfg).train()
    barrier()


def both(rank: int, folder: Path) -> list:
    """Unbroken and broken runs of some variants."""
    done = []
    for name, cuts in (('inside_an_epoch', (5, 10)), ('iteration', (6, )),
                       ('accumulation', (6, )), ('two_optimizers', (5, ))):
        go(folder / name / 'whole', name)
        torch.manual_seed(rank + 77)
        for number, cut in enumerate((*cuts, None)):
            go(folder / name / 'broken', name, cut, resume=number > 0)
        done.append(name)
    return done


def unbroken(rank: int, folder: Path) -> None:
    """What the launched run would have been."""
    go(folder / 'whole', 'epoch')


def alone(rank: int, folder: Path) -> str:
    """One process wants to go on with what two began."""
    try:
        go(folder.parent / 'two' / 'inside_an_epoch' / 'whole',
           'inside_an_epoch', resume=True)
    except ValueError as error:
        return str(error)
    return 'went on'


def state(folder: Path) -> dict:
    from mirrorpose.engine.checkpoint_hook import last_checkpoint
    held = torch.load(last_checkpoint(folder), weights_only=True)
    kept = {k: held[k] for k in ('state_dict', 'optimizer')}
    return dict(kept, ranks=held['mirrorpose']['ranks'],
                place=[held['meta'][k] for k in ('epoch', 'iter')])


@pytest.fixture(scope='module')
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp('several')
    (folder / 'two').mkdir()
    names = run_processes(f'{__file__}:both', 2, folder / 'two', 300)[0]
    return folder, names


def test_two_processes_go_on_bit_for_bit(two):
    folder, names = two
    assert len(names) == 4
    for name in names:
        whole, broken = (state(folder / 'two' / name / f)
                         for f in ('whole', 'broken'))
        assert len(whole['ranks']) == 2
        found = first_difference(whole, broken)
        assert found is None, f'{name}: {found}'


def test_another_number_of_processes_is_refused(two):
    folder, _ = two
    said, = run_processes(f'{__file__}:alone', 1, folder / 'one')
    assert 'of a run with 2 process(es), this one has 1' in said


def port() -> str:
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return str(s.getsockname()[1])


def launch(config: Path, work_dir: Path, **env: str):
    return subprocess.run(
        ['bash', str(ROOT / 'tools/dist_train.sh'), str(config), '2',
         '--work-dir', str(work_dir)], capture_output=True, text=True,
        timeout=600, env=dict(os.environ, OMP_NUM_THREADS='1', PORT=port(),
                              PYTHONWARNINGS='ignore', **env))


def config(tmp_path: Path, name: str, *hooks: dict) -> Path:
    cfg = make('epoch', tmp_path / name, people=16)
    cfg.train_dataloader.batch_size = 4  # global
    cfg.custom_hooks = [*cfg.custom_hooks, *hooks]
    path = tmp_path / f'{name}.py'
    Config(cfg._cfg_dict).dump(str(path))
    return path


def test_a_process_that_dies_ends_the_run_and_a_restart_goes_on(tmp_path):
    marker = tmp_path / 'died'
    dying = config(tmp_path, 'dying', dict(
        type='DieOnce', rank=1, iteration=6, marker=str(marker)))
    done = launch(dying, tmp_path / 'work')
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert 'process 1 dies on purpose' in said, said[-6000:]
    assert [p.name for p in (tmp_path / 'work').glob('*.pth')] == [
        'epoch_1.pth']

    # From the start, with a restart: it ends as if nothing had been.
    marker.unlink()
    done = launch(dying, tmp_path / 'restarted', MAX_RESTARTS='1')
    assert marker.exists()
    assert done.returncode == 0, done.stdout + done.stderr
    run_processes(f'{__file__}:unbroken', 2, tmp_path)
    found = first_difference(state(tmp_path / 'whole'),
                             state(tmp_path / 'restarted'))
    assert found is None, found
