# Sourced by the launchers: sets PYTHON and PYTHONPATH.
# PYTHON, if set, holds; then an active environment; then .venv of this
# checkout; then whatever python is in PATH.
_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
if [ -z "${PYTHON:-}" ]; then
    if [ -z "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] &&
        [ -x "$_root/.venv/bin/python" ]; then
        PYTHON="$_root/.venv/bin/python"
    else
        PYTHON=python
    fi
fi
export PYTHON
export PYTHONPATH="$_root${PYTHONPATH:+:$PYTHONPATH}"
