#!/usr/bin/env bash
# Installs the tested set (tools/install.sh), then runs the tests.
#
#   bash tools/run_tests.sh [PYTEST ARGUMENTS]
#
# Environment variables: VENV (default .venv) is where the set is installed;
# TEST_WORKERS (default 2) is how many processes run the tests;
# MIRRORPOSE_DATA is the data root, without which tests on real data are
# skipped, with a reason.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"
venv="${VENV:-.venv}"
bash tools/install.sh "$venv" </dev/null
# One thread a process: threads that share cores wait for each other.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
workers="${TEST_WORKERS:-2}"
# no display, no progress bars that redraw themselves in a log
export MPLBACKEND="${MPLBACKEND:-Agg}"
# A file stays in one process, so what its tests share is made once.
exec "$venv/bin/python" -m pytest -n "$workers" --dist loadfile "$@" </dev/null
