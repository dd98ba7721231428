#!/bin/bash
# Several workers on this machine: examples/local_workers.sh 2 train --latent 2
# They are told of each other as those of several machines would be, by TF_CONFIG. For GPUs --strategy mirrored is the
# faster way; this one is to try out, on processor cores, what several machines will do.
set -euo pipefail
count=$1
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
