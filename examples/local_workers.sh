#!/bin/bash
# Several workers on this machine: examples/local_workers.sh 2 train --latent 2
# TF_CONFIG tells them about each other, as on several machines. Use this to try out on CPU cores what several machines
# will do. For several GPUs, --strategy mirrored is faster.
set -euo pipefail
count=${1:?"usage: $0 WORKERS [a command of keras-vae, such as train --latent 2]"}
shift
addresses=$(python3 - "$count" <<'PYTHON'
import json, socket, sys
found = [socket.create_server(("localhost", 0)) for _ in range(int(sys.argv[1]))]
print(json.dumps([f"localhost:{one.getsockname()[1]}" for one in found]))
PYTHON
)
workers=()
for index in $(seq 0 $((count - 1))); do
    TF_CONFIG="{\"cluster\": {\"worker\": $addresses}, \"task\": {\"type\": \"worker\", \"index\": $index}}" \
        keras-vae "$@" &
    workers+=($!)
done
status=0
for worker in "${workers[@]}"; do
    wait "$worker" || status=$?
done
exit $status
