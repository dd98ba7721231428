#!/bin/sh
# Serve an exported model with TensorFlow Serving: REST on port 8501, gRPC on 8500.
#
#     examples/docker_serve.sh exports/mnist-latent2
#
# The server takes the highest version in the folder, and a newer one as soon as it appears. Before it accepts requests it
# answers the recorded warm-up requests (assets.extra/tf_serving_warmup_requests).
set -eu

model=${1:?"usage: $0 exports/NAME [options of tensorflow_model_server]"}
shift
folder=$(cd "$model" && pwd)
name=$(basename "$folder")

exec docker run --rm -p 8500:8500 -p 8501:8501 \
    --mount "type=bind,source=$folder,target=/models/$name,readonly" \
    -e "MODEL_NAME=$name" \
    tensorflow/serving "$@"
