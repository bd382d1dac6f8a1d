"""SIGKILL at random moments: a handful; benchmarks/kill_test.py sends 100."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='runs are forked')
@pytest.mark.parametrize('variant', ['epoch_2_workers', 'inside_an_epoch',
                                     'two_optimizers', 'curriculum'])
def test_killed_runs_end_bit_for_bit_alike(variant):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', ROOT / 'benchmarks/kill_test.py',
         '--kills', '2', '--only', variant, '--seed', '3'],
        capture_output=True, text=True, timeout=600,
        env=dict(os.environ, OMP_NUM_THREADS='1'))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().splitlines()[-1].startswith('2 kills, ')
    assert '2 ended bit for bit like the unbroken run' in done.stdout
