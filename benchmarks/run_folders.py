"""Lists of resumable trainings, and what lies in their folders."""
from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import cv2
import torch
from mmengine.logging import MMLogger

from mirrorpose.utils.files import write_text

#: Steps and processor time of a run.
FACTS = 'run.json'
Run = TypeVar('Run')


def facts(folder: Path) -> dict[str, Any]:
    """``run.json`` of a run; empty where there is none."""
    path = folder / FACTS
    return json.loads(path.read_text()) if path.is_file() else {}


@contextmanager
def timed(folder: Path, **held: Any) -> Iterator[None]:
    """Adds the block's processor time to ``run.json``, even if it fails."""
    begun = time.process_time()
    try:
        yield
    finally:
        if folder.is_dir():
            spent = facts(folder).get('cpu_seconds', 0.)
            write_text(folder / FACTS, json.dumps(dict(
                held, cpu_seconds=round(
                    spent + time.process_time() - begun, 1))) + '\n')


def train_in_turn(runs: Iterable[Run], train: Callable[[Run], None],
                  minutes: float = float('inf')) -> None:
    """Trains one run after the other, each on one thread.

    Args:
        runs (Iterable): Whatever ``train`` takes.
        train (Callable): Trains one of them, or what is left of it.
        minutes (float): No further run begins after so many.

    Raises:
        SystemExit: Runs failed; the others were done nevertheless.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    MMLogger.get_instance('mmengine').setLevel('WARNING')
    begun, failed = time.monotonic(), []
    for run in runs:
        if time.monotonic() - begun > 60 * minutes:
            print(f'{minutes:g} minutes are over; next is {run}')
            break
        try:
            train(run)
        except Exception:  # a night of others does not end with it
            print(f'{run} failed:\n{traceback.format_exc()}', flush=True)
            failed.append(str(run))
    if failed:
        raise SystemExit(f'{len(failed)} runs failed: {", ".join(failed)}')
