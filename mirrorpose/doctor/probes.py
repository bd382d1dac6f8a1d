"""Imports and small trials in a process of their own.

An import may not only fail: it may end the process (a compiled part that was
built for another torch). So trials are run in a child that tells after each
how it went; where it dies, the one that it was in is known, and another child
does the rest. Standard library only.
"""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

_CHILD = '''
import json, sys, warnings
warnings.simplefilter("ignore")
trials = json.loads(sys.argv[1])
out = sys.stdout
sys.stdout = sys.stderr
for name, code in trials:
    out.write(json.dumps(["begin", name]) + "\\n"); out.flush()
    scope = {"result": None}
    try:
        exec(code, scope)
        answer = ["done", name, scope["result"]]
        line = json.dumps(answer)
    except BaseException as error:
        text = str(error).strip() or "(no message)"
        answer = ["failed", name, type(error).__name__, text,
                  getattr(error, "name", None)]
        line = json.dumps(answer)
    out.write(line + "\\n"); out.flush()
'''


@dataclass(frozen=True)
class Trial:
    """How one trial went.

    Attributes:
        name (str): Of the trial.
        ok (bool): It ran through.
        result: What it left in ``result``; plain types.
        error (str): Type and first line of what was raised, or how the
            process ended.
        absent (str): The module that was not found, or ''.
        died (bool): The process ended.
        whole (str): The whole message.
    """

    name: str
    ok: bool
    result: object = None
    error: str = ''
    absent: str = ''
    died: bool = False
    whole: str = ''


def run_trials(trials: Sequence[tuple[str, str]],
               python: str = sys.executable,
               timeout: float = 300.,
               env: dict[str, str] | None = None) -> dict[str, Trial]:
    """Runs pieces of code, in one process as long as it lives.

    Args:
        trials (Sequence[tuple[str, str]]): Name, and code that may set
            ``result`` to something of plain types.
        python (str): Interpreter. Defaults to the running one.
        timeout (float): Seconds for all that one child does.
        env (dict, optional): Environment. Defaults to this process's.

    Returns:
        dict[str, Trial]: By name, in order.
    """
    done: dict[str, Trial] = {}
    left = list(trials)
    while left:
        lines, code, words = _child(left, python, timeout, env)
        begun = None
        for line in lines:
            kind, name, *rest = line
            if kind == 'begin':
                begun = name
            elif kind == 'done':
                done[name] = Trial(name, True, rest[0])
            else:
                done[name] = _failed(name, *rest)
        missing = [t for t in left if t[0] not in done]
        if not missing:
            break
        name = begun if begun in [t[0] for t in missing] else missing[0][0]
        done[name] = Trial(name, False, error=f'{_how_ended(code)}'
                           f'{": " + words if words else ""}', died=True,
                           whole=words)
        left = [t for t in left if t[0] not in done]
    return {name: done[name] for name, _ in trials}


def _child(trials: Sequence[tuple[str, str]], python: str, timeout: float,
           env: dict[str, str] | None) -> tuple[list[list], int | None, str]:
    """Runs one child; its lines, exit code and last word."""
    whole = dict(os.environ if env is None else env)
    # what the doctor's own start added is not the user's environment
    whole.setdefault('PYTHONWARNINGS', 'ignore')
    try:
        process = subprocess.run(
            [python, '-c', _CHILD, json.dumps([list(t) for t in trials])],
            capture_output=True, text=True, timeout=timeout, env=whole,
            stdin=subprocess.DEVNULL, errors='replace')
        out, err, code = process.stdout, process.stderr, process.returncode
    except subprocess.TimeoutExpired as error:
        raw = [error.stdout, error.stderr]
        out, err = (s.decode(errors='replace') if isinstance(s, bytes)
                    else s or '' for s in raw)
        code = None
    lines = []
    for line in out.splitlines():
        try:
            content = json.loads(line)
        except ValueError:
            continue
        if isinstance(content, list) and content and content[0] in (
                'begin', 'done', 'failed'):
            lines.append(content)
    said = [line for line in err.splitlines() if line.strip()]
    return lines, code, said[-1].strip()[:200] if said else ''


def _failed(name: str, kind: str, text: str, missing: str | None) -> Trial:
    absent = missing or '' if kind == 'ModuleNotFoundError' else ''
    first = text.splitlines()[0][:300]
    return Trial(name, False, error=f'{kind}: {first}', absent=absent,
                 whole=text)


def _how_ended(code: int | None) -> str:
    if code is None:
        return 'it hung and was stopped'
    if code < 0:
        try:
            return f'the process died of {signal.Signals(-code).name}'
        except ValueError:
            return f'the process died of signal {-code}'
    return f'the process ended with status {code}'
