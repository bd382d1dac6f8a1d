#!/usr/bin/env bash
# bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [ARGUMENTS OF test.py]
#
# Starts GPUS processes on this node (CPU processes with gloo where there is
# no CUDA device). Several nodes: run it on each with NNODES, NODE_RANK,
# MASTER_ADDR and PORT set. PYTHON names the interpreter.
set -euo pipefail
if [ $# -lt 3 ]; then
    sed -n '2s/^# /usage: /p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
tools="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$tools/find_python.sh"
config="$1"
checkpoint="$2"
gpus="$3"
shift 3
exec "$PYTHON" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$gpus" \
    "$tools/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
