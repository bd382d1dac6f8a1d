"""Distributed start-up that also works on machines without an accelerator.

mmengine's launchers call CUDA unconditionally, and its runner passes a device
id to the model wrapper. Both are avoided when the process group exists before
the runner is built and the wrapper is told that there is no device; then the
code for several GPUs runs, and is tested, on CPU processes.
"""

from __future__ import annotations

import datetime
import os
import subprocess
from collections.abc import Iterator, MutableMapping
from typing import Any

import torch.distributed as torch_dist

__all__ = ['has_accelerator', 'setup_distributed', 'teardown_distributed']

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


def has_accelerator() -> bool:
    """Tell whether mmengine would train on something else than the CPU."""
    from mmengine.device import get_device
    return get_device() not in ('cpu', 'mps')


def _first_slurm_host() -> str:
    node_list = os.environ['SLURM_NODELIST']
    shown = subprocess.run(['scontrol', 'show', 'hostname', node_list],
                           capture_output=True, text=True, check=True)
    return shown.stdout.splitlines()[0].strip()


def _require(names: tuple[str, ...], launcher: str) -> None:
    absent = [name for name in names if name not in os.environ]
    if absent:
        raise ValueError(
            f'launcher {launcher!r} needs the environment variables '
            f'{", ".join(names)}; absent: {", ".join(absent)}. Start through '
            'tools/dist_train.sh (torchrun), srun or mpirun, or pass '
            '--launcher none.')


def _export_rendezvous(launcher: str) -> None:
    """Translate the launcher's variables to those that torch reads."""
    env = os.environ
    if launcher == 'pytorch':
        _require(('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'),
                 launcher)
        env.setdefault('LOCAL_RANK', '0')
        return
    if launcher == 'slurm':
        _require(('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'), launcher)
        env['RANK'] = env['SLURM_PROCID']
        env['WORLD_SIZE'] = env['SLURM_NTASKS']
        env['LOCAL_RANK'] = env.get('SLURM_LOCALID', '0')
        if 'MASTER_ADDR' not in env:
            env['MASTER_ADDR'] = _first_slurm_host()
    else:
        _require(('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE',
                  'OMPI_COMM_WORLD_LOCAL_RANK'), launcher)
        env['RANK'] = env['OMPI_COMM_WORLD_RANK']
        env['WORLD_SIZE'] = env['OMPI_COMM_WORLD_SIZE']
        env['LOCAL_RANK'] = env['OMPI_COMM_WORLD_LOCAL_RANK']
        env.setdefault('MASTER_ADDR', '127.0.0.1')
    env.setdefault('MASTER_PORT', '29500')


def _configs_of(cfg: MutableMapping[str, Any]) -> Iterator[MutableMapping]:
    """Yield the config, then what each stage of a curriculum overrides."""
    yield cfg
    for stage in cfg.get('stages') or []:
        if stage.get('cfg'):
            yield stage['cfg']


def setup_distributed(cfg: MutableMapping[str, Any], launcher: str) -> bool:
    """Prepare a config, and this process, for a distributed run.

    With an accelerator everything is left to mmengine. Without one, a gloo
    process group is started here, before the runner is built, and the config
    gets a model wrapper without device ids. A wrapper that the config (or a
    stage of its curriculum) already names keeps its type and arguments. A
    ``sync_bn`` entry is removed, since torch's synchronised batch norm runs
    on CUDA only; statistics are then those of each process.

    Args:
        cfg: The whole config; changed in place.
        launcher: 'none', 'pytorch' (torchrun), 'slurm' or 'mpi'.

    Returns:
        bool: Whether gloo CPU processes are used.

    Raises:
        ValueError: The launcher is unknown, or the environment variables
            that it sets are absent.
    """
    if launcher not in LAUNCHERS:
        raise ValueError(f'launcher must be one of {LAUNCHERS}, got '
                         f'{launcher!r}')
    cfg['launcher'] = launcher
    if launcher == 'none' or has_accelerator():
        return False
    env_cfg = cfg.setdefault('env_cfg', {})
    dist_cfg = env_cfg.setdefault('dist_cfg', {})
    dist_cfg['backend'] = 'gloo'
    if not torch_dist.is_initialized():
        _export_rendezvous(launcher)
        timeout = datetime.timedelta(
            seconds=float(dist_cfg.get('timeout') or 1800.))
        # After a restart the store may still hold the addresses of the
        # processes that died: every attempt has names of its own.
        attempt = os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')
        store, rank, world = next(torch_dist.rendezvous(
            'env://', timeout=timeout))
        torch_dist.init_process_group(
            'gloo', store=torch_dist.PrefixStore(f'attempt_{attempt}', store),
            rank=rank, world_size=world, timeout=timeout)
    for part in _configs_of(cfg):
        # a stage without its own wrapper inherits the one at the top
        if part is not cfg and not part.get('model_wrapper_cfg'):
            continue
        wrapper = dict(part.get('model_wrapper_cfg') or {})
        wrapper.setdefault('type', 'MMDistributedDataParallel')
        wrapper.setdefault('broadcast_buffers', False)
        wrapper.setdefault('find_unused_parameters',
                           bool(cfg.get('find_unused_parameters', False)))
        wrapper['device_ids'] = None
        part['model_wrapper_cfg'] = wrapper
    if cfg.get('sync_bn'):
        if torch_dist.get_rank() == 0:
            print(f'sync_bn={cfg["sync_bn"]!r} is left out: it runs on CUDA '
                  'only. Batch statistics are those of each process.')
        cfg['sync_bn'] = None
    return True


def teardown_distributed() -> None:
    """Leave the process group, if there is one."""
    if torch_dist.is_available() and torch_dist.is_initialized():
        torch_dist.destroy_process_group()
