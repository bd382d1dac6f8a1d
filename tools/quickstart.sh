#!/usr/bin/env bash
# Installs a tested set into .venv, trains MirrorNet's whole curriculum on the
# embedded data beside the plain recognizer, and writes a report:
#   bash tools/quickstart.sh [--minutes N] [--seed S] [--work-dir DIR]
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
bash "$root/tools/install.sh"
# Two threads that share two cores with the data workers wait for each other.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
exec "$root/.venv/bin/python" -W ignore "$root/tools/quickstart.py" "$@"
