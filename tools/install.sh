#!/usr/bin/env bash
# Installs what mirrorpose needs.
#
#   bash tools/install.sh [VENV]   a tested set into VENV (default .venv)
#   bash tools/install.sh --here   only what the active environment lacks
#
# The environment variable PYTHON names the interpreter to use.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

usable() {  # an interpreter that runs, can make environments, and has wheels
    "$1" -c 'import sys, ensurepip, venv
sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 11))' >/dev/null 2>&1
}

python=
for argument in "$@"; do
    if [ "$argument" = --here ]; then
        python="${PYTHON:-$(command -v python || command -v python3 || true)}"
        if [ -z "$python" ]; then
            echo "install: no python in PATH; name one with PYTHON=" >&2
            exit 1
        fi
    elif [ "$argument" = --help ] || [ "$argument" = -h ]; then
        sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 0
    fi
done

if [ -z "$python" ] && [ -n "${PYTHON:-}" ]; then
    # asked for by name: install.py says what is wrong with it, if anything
    python="$PYTHON"
fi
if [ -z "$python" ]; then
    for candidate in python3.11 python3.10 python3 python \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.11*/bin/python \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.10*/bin/python \
        /usr/bin/python3.11 /usr/bin/python3.10 \
        /opt/python/cp311-cp311/bin/python; do
        if usable "$candidate"; then
            python="$candidate"
            break
        fi
    done
fi
if [ -z "$python" ]; then
    cat >&2 <<'TEXT'
install: no Python 3.10 or 3.11 that can make virtual environments was found.
For these two every package of the tested set is a wheel. Either
  - install one of them (with its venv module) and run this again, or name it:
        PYTHON=/path/to/python3.11 bash tools/install.sh
  - or bring your own environment with a newer Python, activate it, and run
        bash tools/install.sh --here
    There xtcocotools 1.14.3 has no wheel and is compiled: this needs a C
    compiler (cc), the headers of your Python, and Cython, which the
    installer adds. Nothing else of the tested set needs a compiler.
TEXT
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "install: $python does not run, or is older than Python 3.10" >&2
    exit 1
fi
exec "$python" "$here/install.py" "$@"
