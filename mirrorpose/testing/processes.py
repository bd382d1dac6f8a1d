"""Runs a function in several gloo processes on one machine's CPU.

For tests of code that trains on several devices; no accelerator is needed.
"""
from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
import traceback
import uuid
import warnings
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

__all__ = ['load_function', 'run_processes']


def load_function(path: str) -> Callable[[int, Path], Any]:
    """Imports a function by its place.

    Args:
        path (str): ``'folder/file.py:function'`` or
            ``'package.module:function'``.

    Raises:
        ValueError: It has another form, or there is no such function.
    """
    place, _, name = str(path).rpartition(':')
    if not place or not name.isidentifier():
        raise ValueError("a function is given as 'file.py:function' or "
                         f"'module:function', got {path!r}")
    if place.endswith('.py'):
        if not Path(place).is_file():
            raise ValueError(f'there is no file {place}')
        spec = importlib.util.spec_from_file_location(
            f'_process_{Path(place).stem}', place)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(place)
    function = getattr(module, name, None)
    if not callable(function):
        raise ValueError(f'{place} has no function {name!r}')
    return function


def run_processes(function: str, world_size: int, folder: str | Path,
                  timeout: float = 180.) -> list[Any]:
    """Calls a function in several processes of one gloo group.

    Each process calls ``function(rank, folder)`` inside the group, on one
    thread, and what it prints goes to ``folder/rank_{rank}.log``. When one
    fails, the others are ended.

    Args:
        function (str): As :func:`load_function` takes it. Its file is
            imported once, before the processes part, so that they share the
            time it takes; it must not compute when imported. ``mirrorpose``
            and what lies beside the file can be imported there, without
            pytest's set-up.
        world_size (int): How many processes.
        folder (str | Path): For results and logs; made if it is not there.
        timeout (float): Seconds for everything. Defaults to 180.

    Returns:
        list: What each rank returned (tensors, numbers, strings, and lists
        and dicts of them).

    Raises:
        ValueError: ``world_size`` is not positive.
        RuntimeError: A process failed; the message holds what it printed.
        TimeoutError: They took too long, and were ended.
    """
    if world_size < 1:
        raise ValueError(f'world_size must be positive, got {world_size}')
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    results = [folder / f'rank_{rank}.pth' for rank in range(world_size)]
    logs = [folder / f'rank_{rank}.log' for rank in range(world_size)]
    for path in (*results, *logs):
        path.unlink(missing_ok=True)
    place, _, name = str(function).rpartition(':')
    paths = [str(Path(__file__).resolve().parents[2])]
    if place.endswith('.py'):
        place = str(Path(place).resolve())
        paths.append(str(Path(place).parent))
    paths += filter(None, [os.environ.get('PYTHONPATH')])
    env = dict(os.environ, OMP_NUM_THREADS='1',
               PYTHONPATH=os.pathsep.join(paths))
    job = subprocess.Popen(
        [sys.executable, '-W', 'ignore', __file__, f'{place}:{name}',
         str(world_size), str(folder), str(timeout)],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True)
    try:
        said = job.communicate(timeout=timeout)[0]
    except subprocess.TimeoutExpired:
        said = None
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
            job.communicate()
    printed = '\n'.join(f'[rank {rank}] {path.read_text().strip()}'
                        for rank, path in enumerate(logs) if path.is_file())
    if said is None:
        raise TimeoutError(f'{function} in {world_size} processes took more '
                           f'than {timeout:g} s:\n{printed}')
    if job.returncode:
        raise RuntimeError(f'{function} failed in one of {world_size} '
                           f'processes:\n{said.strip()}\n{printed}')
    return [torch.load(path, weights_only=True) for path in results]


def _launch(function: str, world_size: str, folder: str,
            timeout: str) -> None:
    """The program between: imports once, then parts into the ranks."""
    torch.set_num_threads(1)
    called = load_function(function)
    meet = Path(folder) / f'meet_{uuid.uuid4().hex}'
    kinds = multiprocessing.get_all_start_methods()
    # torch has no threads yet, so that a fork is safe, and shares imports.
    context: Any = multiprocessing.get_context(
        'fork' if 'fork' in kinds else 'spawn')
    jobs = [context.Process(
        target=_rank, args=(called, rank, int(world_size), Path(folder),
                            meet, float(timeout)))
            for rank in range(int(world_size))]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        for job in jobs:
            job.start()
    left = {job.sentinel: job for job in jobs}
    while left:
        for sentinel in wait(list(left)):
            job = left.pop(sentinel)
            job.join()
            if job.exitcode:
                for other in left.values():
                    other.kill()
                sys.exit(f'rank {jobs.index(job)} ended with '
                         f'{job.exitcode}')
    meet.unlink(missing_ok=True)


def _rank(function: Callable[[int, Path], Any], rank: int, world_size: int,
          folder: Path, meet: Path, timeout: float) -> None:
    """One process of the group."""
    with (folder / f'rank_{rank}.log').open('w') as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank),
                      WORLD_SIZE=str(world_size))
    try:
        torch.set_num_threads(1)
        dist.init_process_group(
            'gloo', init_method=f'file://{meet}', rank=rank,
            world_size=world_size, timeout=timedelta(seconds=timeout))
        out = function(rank, folder)
        torch.save(out, folder / f'rank_{rank}.pth')
        dist.destroy_process_group()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        # Not sys.exit: threads of the group may wait for the others.
        os._exit(1)
    finally:
        sys.stdout.flush()


if __name__ == '__main__':
    # Not our folder, but what the caller set, is where modules are.
    sys.path[:] = [p for p in sys.path
                   if not p or Path(p).resolve() != Path(__file__).parent]
    _launch(*sys.argv[1:])
