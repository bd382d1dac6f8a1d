#!/usr/bin/env bash
# Installs the tested set (tools/install.sh), then runs the tests.
#
#   bash tools/run_tests.sh [PYTEST ARGUMENTS]
#
# Environment variables: VENV (default .venv) is where the set is installed;
# MIRRORPOSE_DATA is the data root, without which tests on real data are
# skipped, with a reason.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"
venv="${VENV:-.venv}"
bash tools/install.sh "$venv" </dev/null
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-2}"
# no display, no progress bars that redraw themselves in a log
export MPLBACKEND="${MPLBACKEND:-Agg}"
exec "$venv/bin/python" -m pytest "$@" </dev/null
