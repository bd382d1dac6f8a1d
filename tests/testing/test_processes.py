"""Functions in several gloo processes: results, failures, time."""
from __future__ import annotations

import os
import time

import pytest

from mirrorpose.testing import run_processes
from mirrorpose.testing.processes import load_function

#: The processes' file: without mirrorpose, which takes seconds to import.
WORKERS = '''
import os
import time

import torch
import torch.distributed as dist


def add(rank, folder):
    total = torch.tensor([10. + rank])
    dist.all_reduce(total)
    print('hello from', rank)
    return dict(total=total, size=dist.get_world_size(), threads=(
        torch.get_num_threads()), env=[os.environ[k] for k in
                                       ('RANK', 'WORLD_SIZE', 'LOCAL_RANK')])


def fail(rank, folder):
    if rank == 1:
        raise KeyError('broken sample 17')
    time.sleep(60)  # must not be waited for


def sleep(rank, folder):
    (folder / f'pid_{rank}').write_text(str(os.getpid()))
    print('nearly there', flush=True)
    time.sleep(60)
'''


@pytest.fixture
def workers(tmp_path):
    path = tmp_path / 'workers.py'
    path.write_text(WORKERS)
    return path


def test_results(workers, tmp_path):
    got = run_processes(f'{workers}:add', 3, tmp_path / 'new')
    assert [g['total'].tolist() for g in got] == [[33.]] * 3
    assert [g['env'] for g in got] == [[str(r), '3', str(r)]
                                       for r in range(3)]
    assert [(g['size'], g['threads']) for g in got] == [(3, 1)] * 3
    assert (tmp_path / 'new/rank_2.log').read_text() == 'hello from 2\n'


def test_failure_ends_all(workers, tmp_path):
    start = time.monotonic()
    with pytest.raises(RuntimeError, match=(
            r'fail failed in one of 2 processes:\nrank 1 ended with 1\n'
            r'(.|\n)*\[rank 1\] Traceback(.|\n)*broken sample 17')):
        run_processes(f'{workers}:fail', 2, tmp_path)
    assert time.monotonic() - start < 40


def test_time_out(workers, tmp_path):
    with pytest.raises(TimeoutError, match=(
            r'2 processes took more than 10 s:\n\[rank 0\] nearly there')):
        run_processes(f'{workers}:sleep', 2, tmp_path, timeout=10)
    for rank in range(2):
        pid = int((tmp_path / f'pid_{rank}').read_text())
        for _ in range(100):  # the kernel takes a moment
            try:
                os.kill(pid, 0)
                with open(f'/proc/{pid}/stat') as file:  # noqa: PTH123
                    if file.read().split()[2] == 'Z':
                        break
            except (ProcessLookupError, FileNotFoundError):
                break
            time.sleep(.05)
        else:
            raise AssertionError(f'process {pid} still runs')


@pytest.mark.parametrize('path, message', [
    ('nothing', "'file.py:function' or 'module:function', got 'nothing'"),
    (':add', "got ':add'"), ('here.py:add', 'there is no file here.py'),
    ('mirrorpose.version:add', "mirrorpose.version has no function 'add'")])
def test_function(path, message):
    with pytest.raises(ValueError, match=message):
        load_function(path)


def test_module_function():
    assert load_function('mirrorpose.testing:run_processes') is run_processes


def test_world_size(workers, tmp_path):
    with pytest.raises(ValueError, match='positive, got 0'):
        run_processes(f'{workers}:add', 0, tmp_path)
