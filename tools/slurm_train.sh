#!/usr/bin/env bash
# bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [ARGUMENTS OF train.py]
#
# GPUS (8) processes, GPUS_PER_NODE (8) a node, CPUS_PER_TASK (5) each;
# SRUN_ARGS goes to srun. GPUS_PER_NODE=0 asks for no GPU: then GPUS is the
# number of CPU processes, TASKS_PER_NODE (GPUS) of them a node.
set -euo pipefail
if [ $# -lt 4 ]; then
    sed -n '2s/^# /usage: /p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
tools="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$tools/find_python.sh"
partition="$1"
job="$2"
config="$3"
work_dir="$4"
shift 4
gpus="${GPUS:-8}"
gpus_per_node="${GPUS_PER_NODE:-8}"
resources=()
if [ "$gpus_per_node" -gt 0 ]; then
    resources+=(--gres="gpu:$gpus_per_node" --ntasks-per-node="$gpus_per_node")
else
    resources+=(--ntasks-per-node="${TASKS_PER_NODE:-$gpus}")
fi
# SRUN_ARGS is a list of words
# shellcheck disable=SC2086
exec srun -p "$partition" --job-name="$job" --ntasks="$gpus" \
    "${resources[@]}" --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    "$PYTHON" -u "$tools/train.py" "$config" --work-dir "$work_dir" \
    --launcher slurm "$@"
