"""Ask TensorFlow Serving over gRPC, which sends tensors as bytes and is faster than REST for many images.

Start a server (examples/docker_serve.sh exports/mnist-latent2), then

    pip install tensorflow-serving-api
    python examples/serving_grpc.py localhost:8500 mnist-latent2 digit.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


def predict_request(
    model: str, signature: str, inputs: dict[str, np.ndarray], version: int | None = None
) -> predict_pb2.PredictRequest:
    """A request for one signature of a model; without ``version``, of the newest served version."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def image_request(model: str, images: np.ndarray) -> predict_pb2.PredictRequest:
    """Request reconstructions, means and log-variances of images (N, H, W, C), float32 in [0, 1]."""
    return predict_request(model, "serving_default", {"image": images.astype(np.float32)})


def file_request(model: str, files: list[bytes]) -> predict_pb2.PredictRequest:
    """Request the same for PNG or JPEG files, which the server decodes and resizes."""
    examples = []
    for content in files:
        feature = {"image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))}
        examples.append(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    return predict_request(model, "serve_tf_examples", {"examples": np.array(examples, object)})


def decode_request(model: str, z: np.ndarray) -> predict_pb2.PredictRequest:
    """Request images of latents (N, L)."""
    return predict_request(model, "decode", {"z": z.astype(np.float32)})


def sample_request(model: str, count: int, seed: tuple[int, int]) -> predict_pb2.PredictRequest:
    """Request ``count`` images from the prior, the same for the same seed."""
    return predict_request(model, "sample", {"count": np.array(count, np.int32), "seed": np.array(seed, np.int32)})


def answer_arrays(response: predict_pb2.PredictResponse) -> dict[str, np.ndarray]:
    """The outputs by name."""
    return {name: tf.make_ndarray(value) for name, value in response.outputs.items()}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Ask TensorFlow Serving over gRPC.")
    parser.add_argument("address", help="HOST:8500")
    parser.add_argument("model", help="name under which it is served")
    parser.add_argument("images", nargs="+", help="PNG or JPEG files of any size")
    options = parser.parse_args(arguments)

    try:
        files = [Path(path).read_bytes() for path in options.images]
        with grpc.insecure_channel(options.address) as channel:
            _ask(prediction_service_pb2_grpc.PredictionServiceStub(channel), options.model, options.images, files)
    except OSError as error:
        raise SystemExit(str(error)) from error
    except grpc.RpcError as error:  # no server, no answer in time, or a refused request
        raise SystemExit(f"{options.address}: {error.code().name}: {error.details()}") from error


def _ask(
    stub: prediction_service_pb2_grpc.PredictionServiceStub, model: str, paths: list[str], files: list[bytes]
) -> None:
    """Encode the files, decode their latents, and draw four samples."""
    encoded = answer_arrays(stub.Predict(file_request(model, files), timeout=30))
    for path, mean in zip(paths, encoded["mean"], strict=True):
        print(f"{path}: latent {np.round(mean, 3).tolist()}")
    decoded = answer_arrays(stub.Predict(decode_request(model, encoded["mean"]), timeout=30))
    drawn = answer_arrays(stub.Predict(sample_request(model, 4, (0, 1)), timeout=30))
    print(f"decoded {decoded['image'].shape}, sampled {drawn['image'].shape}")


if __name__ == "__main__":
    main()
