"""Scores of several work dirs against their share of labels."""
from __future__ import annotations

import json
import shutil

import pytest

from mirrorpose.visualization import build_report
from mirrorpose.visualization.label_efficiency import (
    efficiency_section,
    read_scores,
)


def with_share(folder, share, more=0.):
    """Sets the share of labels of all stages, and raises their scores."""
    for config in folder.glob('*/*.py'):
        text = '\n'.join(line for line in config.read_text().splitlines()
                         if not line.startswith('label_fraction'))
        config.write_text(f'{text}\nlabel_fraction = {share}\n')
    for path in folder.glob('*/scores.json'):
        held = json.loads(path.read_text())
        held['mean'] = {k: v + more for k, v in held['mean'].items()}
        path.write_text(json.dumps(held))
    return folder


@pytest.fixture
def several(work_dir, tmp_path):
    made = [work_dir]
    for name, share, more in (('b', .2, 2.), ('c', .8, 10.)):
        made.append(with_share(shutil.copytree(work_dir, tmp_path / name),
                               share, more))
    with_share(work_dir, .2)
    return made


def test_means_over_runs(several):
    notes = []
    found, norms, threshold = read_scores(several, notes)
    assert norms == ['bbox', 'torso'] and threshold == .2 and not notes
    assert found['baseline', 20.] == dict(bbox=[61., 63.], torso=[32., 34.])
    assert found['semi-supervised', 80.]['bbox'] == [76.]
    html = efficiency_section(several, notes)
    assert '62.0 ± 1.4 (2)' in html and '76.0 (1)' in html
    assert html.count('<img') == 2


def test_in_the_report(several):
    path = build_report(several[0], images=0, compare=several[1:])
    text = path.read_text()
    assert 'Label efficiency' in text
    assert '62.0 ± 1.4 (2)' in text
    assert 'Label efficiency' not in build_report(
        several[0], images=0).read_text()


def test_runs_without_scores_are_named(several):
    for path in several[2].glob('*/scores.json'):
        path.unlink()
    notes = []
    found, _, _ = read_scores(several, notes)
    assert {share for _, share in found} == {20.}
    assert notes == ['c is not in the label-efficiency curve: none of its '
                     'recognizers has scores']
    assert 'no scores' in efficiency_section(several[2:], [])
