#!/usr/bin/env bash
# bash tools/dist_train.sh CONFIG GPUS [ARGUMENTS OF train.py]
#
# Starts GPUS processes on this node (CPU processes with gloo where there is
# no CUDA device). Several nodes: run it on each with NNODES, NODE_RANK,
# MASTER_ADDR and PORT set. PYTHON names the interpreter. MAX_RESTARTS=N starts
# all processes again when one dies; they go on from the last checkpoint.
set -euo pipefail
if [ $# -lt 2 ]; then
    sed -n '2s/^# /usage: /p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
tools="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$tools/find_python.sh"
config="$1"
gpus="$2"
shift 2
exec "$PYTHON" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$gpus" \
    --max-restarts="${MAX_RESTARTS:-0}" \
    "$tools/train.py" "$config" --launcher pytorch "$@"
