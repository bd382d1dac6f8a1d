"""tools/report.py as people call it."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

STAGE = '''
train_cfg = dict(max_epochs=3)
model = dict(type='PoseRecognition')
'''


def report(*args):
    return subprocess.run(
        [sys.executable, str(ROOT / 'tools' / 'report.py'), *map(str, args)],
        capture_output=True, text=True, timeout=100)


def test_one_line_with_path_and_size(tmp_path):
    stage = tmp_path / 'work' / 'recognizer'
    stage.mkdir(parents=True)
    (stage / 'recognizer.py').write_text(STAGE)
    out = tmp_path / 'page.html'
    done = report(tmp_path / 'work', '--out', out, '--images', 2,
                  '--title', 'My title')
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f'{out} ({out.stat().st_size / 1e6:.1f} MB)']
    text = out.read_text()
    assert '<h1>My title</h1>' in text
    assert '0 of 3 epochs' in text and 'no pictures' in text


def test_usage_errors_are_one_line(tmp_path):
    for args, words in (((tmp_path / 'nowhere', ), 'there is no work dir'),
                        ((tmp_path, '--out', 'page.pdf'), 'page.pdf')):
        done = report(*args)
        assert done.returncode == 2
        assert words in done.stderr.splitlines()[-1]
        assert done.stderr.splitlines()[-1].startswith('report.py: ')
        assert not done.stdout and 'Traceback' not in done.stderr
