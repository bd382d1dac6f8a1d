"""What the toolkit says to bad inputs: every case is run.

    python -m benchmarks.bad_inputs            # writes docs/bad_inputs.md
    python -m benchmarks.bad_inputs --check    # 1 where the page is outdated

``tests/test_bad_inputs.py`` runs the same cases, and asks each message for
the culprit and for what to do.
"""
from __future__ import annotations

import contextlib
import importlib
import io
import logging
import random
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs' / 'bad_inputs.md'

#: Kind of the input, and the module that has its cases.
KINDS = {
    'data': 'files', 'annotation': 'annotations',
    'frames and unpaired poses': 'frames',
    'synchronised views and retrieval': 'views', 'config': 'configs',
    'checkpoint': 'checkpoints', 'batch': 'batches',
    'command line': 'commands', 'editing': 'editing'}
WIDTH = 330

_HEAD = '''# What happens to bad inputs

Written by `python -m benchmarks.bad_inputs`, which runs every case;
`tests/test_bad_inputs.py` runs them too, and fails where this page is not
what they say. `…` stands for the folder of the case and for what was cut.

Errors are those of the policy `error`, the default. With
`broken_samples=dict(policy='skip')` in the config broken samples are listed
in `broken_samples.csv` in the work dir (sample, reason, where), once each,
and another sample of the same data set takes the place; the run stops when
more than `max_share` (1 %) of the data set are broken. What is a rule and no
error is used as the rule says.
'''


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        what (str): The input, in a few words.
        kind (str): One of ``KINDS``.
        run (Callable): Does it, in a folder of its own. Of a rule it asserts
            that the rule holds.
        error (str): Name of the error's class; '' for a rule.
        culprit (str): What the message has to name.
        fix (str): What it has to propose.
        rule (str): The rule, where it is no error.
        cut (str): The message's end from here on, which depends on
            libraries, is not shown.
    """

    what: str
    kind: str
    run: Callable[[Path], Any]
    error: str = ''
    culprit: str = ''
    fix: str = ''
    rule: str = ''
    cut: str = ''


_CASES: dict[str, list[Case]] = {}


def error(what: str, error: str, culprit: str, fix: str,
          cut: str = '') -> Callable:
    """Registers a function as a case that is an error."""
    def add(run: Callable) -> Callable:
        _CASES.setdefault(run.__module__, []).append(Case(
            what, '', run, error, culprit, fix, cut=cut))
        return run
    return add


def rule(what: str, rule: str) -> Callable:
    """Registers a function as a case that has a rule."""
    def add(run: Callable) -> Callable:
        _CASES.setdefault(run.__module__, []).append(Case(
            what, '', run, rule=rule))
        return run
    return add


def cases() -> list[Case]:
    """All cases, by kind."""
    out = []
    for kind, name in KINDS.items():
        module = importlib.import_module(f'.{name}', __name__)
        out += [Case(**{**vars(case), 'kind': kind})
                for case in _CASES[module.__name__]]
    return out


@cache
def run(case: Case) -> tuple[str, str] | None:
    """Runs one case, silently, and once.

    Returns:
        tuple[str, str] | None: Class and text of what it raised, the text in
        one line and without the places of this machine.
    """
    from mmengine.registry import DefaultScope, init_default_scope

    from mirrorpose.utils.random_state import preserved
    if DefaultScope.get_current_instance() is None:
        init_default_scope('mmpose')
    level = logging.root.manager.disable
    with tempfile.TemporaryDirectory(prefix='case-') as folder, preserved(), \
            warnings.catch_warnings(), \
            contextlib.redirect_stdout(io.StringIO()), \
            contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter('ignore')
        logging.disable(logging.CRITICAL)
        random.seed(0)
        try:
            case.run(Path(folder))
        except AssertionError:
            raise  # a rule that does not hold
        except Exception as raised:
            text = ' '.join(str(raised).split())
            return type(raised).__name__, text.replace(folder, '…').replace(
                f'{ROOT}/', '')
        finally:
            logging.disable(level)
    return None


def row(case: Case) -> str:
    """Runs a case; its line of the table.

    Raises:
        RuntimeError: It does not do what it says.
    """
    raised = run(case)
    if (raised is None) != bool(case.rule):
        raise RuntimeError(f'case {case.what!r}: {raised}')
    if raised is None:
        told = f'rule: {case.rule}'
    else:
        kind, text = raised
        if case.cut and case.cut in text:
            text = text[:text.index(case.cut)].rstrip() + ' …'
        if len(text) > WIDTH:
            text = text[:WIDTH].rsplit(' ', 1)[0] + ' …'
        told = f'`{kind}`: {_escape(text)}'
    return f'| {case.what} | {told} |'


def _escape(text: str) -> str:
    for sign in '\\|*_<>[]`':
        text = text.replace(sign, f'\\{sign}')
    return text


def page() -> str:
    """Runs all cases.

    Returns:
        str: The page.
    """
    lines, held = [_HEAD], cases()
    number = 0
    for kind in KINDS:
        chosen = [c for c in held if c.kind == kind]
        number += len(chosen)
        lines += [f'## {kind.capitalize()}\n', '| input | answer |',
                  '| --- | --- |',
                  *(row(c) for c in chosen), '']
    lines.append(f'{number} cases, '
                 f'{sum(bool(c.rule) for c in held)} of them rules.')
    return '\n'.join(lines) + '\n'
