"""Every bad input is run: its error, its message, its line of the page."""
from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

import mirrorpose  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]


def load_cases():
    """The package benchmarks/bad_inputs, which is not installed."""
    folder = ROOT / 'benchmarks' / 'bad_inputs'
    spec = importlib.util.spec_from_file_location(
        'bad_inputs', folder / '__init__.py',
        submodule_search_locations=[str(folder)])
    module = importlib.util.module_from_spec(spec)
    sys.modules['bad_inputs'] = module
    spec.loader.exec_module(module)
    return module


bad_inputs = load_cases()
CASES = bad_inputs.cases()


@pytest.mark.parametrize('case', CASES, ids=lambda c: c.run.__name__)
def test_case(case):
    raised = bad_inputs.run(case)
    if case.rule:
        assert raised is None
        return
    assert raised is not None, 'nothing was said'
    kind, text = raised
    assert kind == case.error, text
    assert case.culprit and case.culprit in text
    assert case.fix and case.fix in text
    assert str(ROOT) not in text


def test_a_case_can_fail():
    """A rule that does not hold is no rule; an error has to come."""
    def breaks(folder):
        assert not list(folder.iterdir())
        raise AssertionError('does not hold')

    with pytest.raises(AssertionError, match='does not hold'):
        bad_inputs.run(bad_inputs.Case('x', 'data', breaks, rule='holds'))
    quiet = bad_inputs.Case('y', 'data', lambda folder: None,
                            error='ValueError')
    with pytest.raises(RuntimeError, match="'y': None"):
        bad_inputs.row(quiet)


def test_the_issues_list_is_covered():
    """Every word of it, and 25 at least."""
    assert len(CASES) >= 25
    assert {c.kind for c in CASES} == set(bad_inputs.KINDS)
    names = [c.what for c in CASES]
    assert len(set(names)) == len(names)
    told = ' '.join(names).lower()
    for word in ('truncated', 'zero bytes', 'grey', 'cmyk', '16 bit', 'exif',
                 'missing', 'nan', 'infinite', 'negative', 'visibility',
                 'without area', 'without any annotated', 'used twice',
                 'no labelled', 'no unlabelled', 'one sample', 'unequal',
                 'not finite', 'joint count', 'joint name', 'mirror',
                 'another model', 'another size', 'runs code', 'unknown stage',
                 'unknown config', 'overlapping', 'label_fraction',
                 '--cfg-options', 'does not divide', 'empty',
                 # of frames and of synchronised views
                 'clip with one frame', 'unreadable video',
                 'poses with another joint set', 'pose file without a pose',
                 'pose file of zero bytes', 'images of unequal size',
                 'same clip in both sources', 'missing view', 'single view',
                 'camera without calibration', 'mixed joint sets',
                 'duplicate frames', 'gallery smaller than k',
                 'no eligible neighbour'):
        assert word in told, word


def test_the_page_is_what_the_code_says():
    text = bad_inputs.page()
    assert bad_inputs.PAGE.read_text() == text, (
        'docs/bad_inputs.md is outdated: python -m benchmarks.bad_inputs')
    assert '/tmp' not in text and str(ROOT) not in text
    assert text.count('\n| ') - 2 * len(bad_inputs.KINDS) == len(CASES)
