"""Kills training runs at random moments, and looks at where they end.

A run is a child process that is forked after everything is imported, so a
trial costs seconds. SIGKILL cannot be caught: what it finds on the disk is
all that is left.
"""
from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

#: Seconds after which a run counts as hanging.
TIMEOUT = 300.


class Child:
    """A training run in a process of its own.

    Args:
        work: What to run; called in the child.
        log (Path): Where its output goes.
    """

    def __init__(self, work: Callable[[], object], log: Path) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self.pid = os.fork()
        if self.pid == 0:
            self._run(work)
        self.status: int | None = None

    def _run(self, work: Callable[[], object]) -> None:
        code = 1
        try:
            handle = os.open(self.log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
        return self.status is None

    def kill(self) -> bool:
        """SIGKILL. Returns whether it was still running."""
        if not self.running:
            return False
        os.kill(self.pid, signal.SIGKILL)
        _, self.status = os.waitpid(self.pid, 0)
        return os.WIFSIGNALED(self.status)

    def wait(self, timeout: float = TIMEOUT) -> None:
        """Waits for its end.

        Raises:
            RuntimeError: It failed or hangs; with the end of its output.
        """
        end = time.monotonic() + timeout
        while self.running:
            if time.monotonic() > end:
                self.kill()
                break
            time.sleep(.01)
        if self.status != 0:
            tail = self.log.read_text()[-3000:] if self.log.is_file() else ''
            raise RuntimeError(f'the run ended with {self.status}:\n{tail}')


@contextlib.contextmanager
def slow_disk(seconds: float = .03) -> Iterator[None]:
    """A disk that takes its time to sync, so that a kill meets a save."""
    real = os.fsync

    def fsync(handle: Any, /) -> None:
        time.sleep(seconds)
        real(handle)

    os.fsync = fsync  # type: ignore[assignment]
    try:
        yield
    finally:
        os.fsync = real


def kill_at_random(child: Child, work_dir: Path, seconds: float,
                   rng: random.Random, inside: bool = False) -> str | None:
    """Kills a run at some moment after its training has begun.

    Args:
        child (Child): The run.
        work_dir (Path): Its work dir.
        seconds (float): How long an unbroken training takes.
        rng (random.Random): Draws the moment.
        inside (bool): Wait for the next save then, and kill in it.
            Defaults to False.

    Returns:
        str | None: Where the kill fell: ``'save'`` (a file was half
        written) or ``'anywhere'``; None when the run was faster.
    """
    begun = time.monotonic()
    while child.running and not any(work_dir.rglob('.owner')):
        if time.monotonic() - begun > TIMEOUT:
            raise RuntimeError('the run does not begin')
        time.sleep(.002)
    moment = time.monotonic() + rng.random() * seconds
    while child.running and time.monotonic() < moment:
        time.sleep(.001)
    if inside:
        folders = [p.parent for p in work_dir.rglob('.owner')]
        while child.running:
            if any(entry.name.endswith('.part') for folder in folders
                   for entry in os.scandir(folder)):
                break
        time.sleep(rng.random() * .03)
    if not child.kill():
        return None
    left = any(work_dir.rglob('*.part'))
    return 'save' if left else 'anywhere'


def final_states(work_dir: Path) -> dict[str, dict[str, Any]]:
    """What the newest checkpoint of each folder below holds.

    Returns:
        dict: Folder to weights, averaged weights, optimizers, schedulers,
        random states and position.
    """
    from ..engine.checkpoint_hook import last_checkpoint
    out = {}
    for owner in sorted(work_dir.rglob('.owner')):
        path = last_checkpoint(owner.parent)
        if path is None:
            raise RuntimeError(f'{owner.parent} holds no checkpoint')
        held = torch.load(path, map_location='cpu', weights_only=True)
        kept = {k: held[k] for k in (
            'state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers')
            if k in held}
        kept['ranks'] = held['mirrorpose']['ranks']
        kept['position'] = [held['meta']['epoch'], held['meta']['iter']]
        out[str(owner.parent.relative_to(work_dir))] = kept
    return out


def first_difference(one: Any, two: Any, where: str = '') -> str | None:
    """Where two nested states differ in a bit, or None."""
    if type(one) is not type(two):
        return f'{where}: {type(one).__name__} and {type(two).__name__}'
    if isinstance(one, torch.Tensor):
        same = one.shape == two.shape and torch.equal(
            one.nan_to_num(), two.nan_to_num()) if one.is_floating_point() \
            else torch.equal(one, two)
        return None if same else where
    if isinstance(one, dict):
        if one.keys() != two.keys():
            return f'{where}: {sorted(set(one) ^ set(two))[:3]}'
        pairs = [(f'{where}[{k!r}]', one[k], two[k]) for k in one]
    elif isinstance(one, (list, tuple)):
        if len(one) != len(two):
            return f'{where}: {len(one)} and {len(two)} items'
        pairs = [(f'{where}[{i}]', a, b)
                 for i, (a, b) in enumerate(zip(one, two))]
    else:
        return None if one == two or one != one else f'{where}: {one}, {two}'
    for place, a, b in pairs:
        found = first_difference(a, b, place)
        if found:
            return found
    return None
