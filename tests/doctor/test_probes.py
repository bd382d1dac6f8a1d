"""Trials in a process of their own, which may die."""
from __future__ import annotations

from mirrorpose.doctor.probes import run_trials


def test_trials_go_on_after_a_death():
    done = run_trials([
        ('good', 'result = [1, 2]'),
        ('kills', 'import os, signal; os.kill(os.getpid(), signal.SIGKILL)'),
        ('absent', 'import no_such_module.inner'),
        ('raises', 'raise RuntimeError("first line\\nsecond")'),
        ('exits', 'import os; os._exit(7)'),
        ('talks', 'print("[]"); result = "said"')])
    assert list(done) == ['good', 'kills', 'absent', 'raises', 'exits',
                          'talks']
    assert done['good'].result == [1, 2] and done['talks'].result == 'said'
    assert done['kills'].died and 'SIGKILL' in done['kills'].error
    assert done['absent'].absent == 'no_such_module'
    assert done['raises'].error == 'RuntimeError: first line'
    assert done['exits'].died and 'status 7' in done['exits'].error


def test_a_trial_that_hangs_is_stopped():
    done = run_trials([('hangs', 'import time; time.sleep(60)'),
                       ('after', 'result = 1')], timeout=2)
    assert 'hung' in done['hangs'].error and done['after'].ok
