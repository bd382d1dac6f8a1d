"""The report."""
from __future__ import annotations

import json

import pytest

from mirrorpose.doctor.findings import Report


def test_report_is_read_back_and_rendered():
    report = Report(facts=dict(a=1))
    report.add('One', 'ok', 'fine  and\n well')
    report.add('Two', 'problem', 'w' * 20 + ' ' + 'x' * 30, 'mend it',
               ['a detail'])
    same = Report.from_dict(json.loads(json.dumps(report.to_dict())))
    assert same == report
    text = report.render(40)
    assert text.splitlines() == [
        'One', '  ok       fine and well', '',
        'Two', '  PROBLEM  ' + 'w' * 20, '           ' + 'x' * 30,
        '           a detail', '           -> mend it', '',
        '1 problem to mend first (1 ok, 0 notes, 1 problem)']
    assert 'One' not in report.render(show_ok=False)
    with pytest.raises(ValueError, match='bad'):
        report.add('One', 'bad', '')
