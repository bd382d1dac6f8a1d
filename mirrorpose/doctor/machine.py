"""Cores, memory, shared memory, disks and devices. Standard library only."""
from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from .findings import Report

MACHINE = 'Machine'
GIB = 2**30


def cores() -> int:
    """Cores that this process may use: affinity, and a container's quota."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # no Linux
        count = os.cpu_count() or 1
    quota = _cpu_quota()
    return max(1, min(count, int(quota + 0.5))) if quota else count


def _cpu_quota(root: Path = Path('/sys/fs/cgroup')) -> float | None:
    """Cores that the control group allows; None where it does not say."""
    try:
        limit, period = (root / 'cpu.max').read_text().split()[:2]
        return None if limit == 'max' else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        limit = (root / 'cpu/cpu.cfs_quota_us').read_text()
        period = (root / 'cpu/cpu.cfs_period_us').read_text()
        return int(limit) / int(period) if int(limit) > 0 else None
    except (OSError, ValueError):
        return None


def memory() -> tuple[int, int] | None:
    """Total and available bytes of memory; a container's limit counts."""
    try:
        lines = Path('/proc/meminfo').read_text().splitlines()
    except OSError:
        return None
    values = {line.partition(':')[0]: int(line.split()[1]) * 1024
              for line in lines if len(line.split()) > 1}
    total = values.get('MemTotal', 0)
    free = values.get('MemAvailable', 0)
    for file, used in (('memory.max', 'memory.current'),
                       ('memory/memory.limit_in_bytes',
                        'memory/memory.usage_in_bytes')):
        try:
            limit = int((Path('/sys/fs/cgroup') / file).read_text())
            taken = int((Path('/sys/fs/cgroup') / used).read_text())
        except (OSError, ValueError):
            continue
        if 0 < limit < total:
            total, free = limit, min(free, max(limit - taken, 0))
    return total, free


def shared_memory(path: str = '/dev/shm') -> tuple[int, int] | None:
    """Total and free bytes where data workers hand over batches."""
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return None
    return usage.total, usage.free


def existing_parent(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def can_write(folder: Path) -> str:
    """Tries to write a file; '' where that works, else what was said."""
    place = existing_parent(folder)
    if not place.is_dir():
        return f'{place} is no folder'
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b'x')
    except OSError as error:
        return f'{place}: {error.strerror or error}'
    return ''


def has_nvidia() -> bool:
    """Whether the system has an NVIDIA driver, whatever torch says."""
    return (Path('/proc/driver/nvidia/version').exists()
            or Path('/dev/nvidia0').exists())


def check_machine(report: Report) -> None:
    """Adds the section on the machine."""
    count = cores()
    text = f'{count} {"core" if count == 1 else "cores"}'
    held = memory()
    if held:
        text += f', {held[0] / GIB:.1f} GiB of memory, ' \
                f'{held[1] / GIB:.1f} free'
    report.add(MACHINE, 'ok', text)
    report.facts['cores'] = count
    report.facts['memory'] = held
    shm = shared_memory()
    report.facts['shared_memory'] = shm
    if shm is not None and shm[0] <= 128 * 2**20:
        report.add(
            MACHINE, 'note', f'/dev/shm has {shm[0] / 2**20:.0f} MiB; data '
            'workers hand batches over through it',
            'docker run --shm-size=8g ...  # or num_workers=0 in the config')
    torch = report.facts.get('torch')
    if has_nvidia() and torch is not None and not torch['cuda']:
        why = ('torch is a CPU build' if not torch['cuda_build'] else
               f'torch is built for CUDA {torch["cuda_build"]} and finds no '
               'device: is the driver too old for it?')
        report.add(MACHINE, 'note', f'there is an NVIDIA driver, but {why}; '
                   'training would run on the CPU',
                   'install a build of torch for your CUDA version, as its '
                   'own "Get started" page says')
    _check_data_root(report)
    threads = os.environ.get('OMP_NUM_THREADS')
    if threads and threads.isdigit() and int(threads) > count:
        report.add(MACHINE, 'note', f'OMP_NUM_THREADS={threads} on {count} '
                   'cores: threads wait for each other',
                   f'export OMP_NUM_THREADS={count}')


def _check_data_root(report: Report) -> None:
    """Where data are looked for."""
    value = os.environ.get('MIRRORPOSE_DATA')
    root = Path(value or 'data')
    if root.is_dir():
        held = sorted(p.name for p in root.iterdir() if p.is_dir())
        report.add(MACHINE, 'ok', f'data folder {root}: '
                   f'{", ".join(held[:12]) or "empty"}')
    else:
        report.add(MACHINE, 'note', f'there is no data folder {root} '
                   f'({"MIRRORPOSE_DATA" if value else "the default"}); the '
                   'synthetic configs need none',
                   'export MIRRORPOSE_DATA=DIR')
