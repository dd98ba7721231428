"""Ask TensorFlow Serving over REST: reconstruct and encode images, decode their latents, draw samples.

Start a server (examples/docker_serve.sh exports/mnist-latent2), then

    python examples/serving_rest.py http://localhost:8501/v1/models/mnist-latent2 digit.png

Needs NumPy and Pillow; neither TensorFlow nor keras-vae. The API: https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

import argparse
import json
import urllib.error
import urllib.request
from typing import Any

import numpy as np
from PIL import Image


def predict(url: str, body: dict[str, Any]) -> Any:
    """Send a predict request; returns ``predictions`` for ``instances`` and ``outputs`` for ``inputs``.

    Ends the program with one line if there is no server or it refuses the request.
    """
    try:
        request = urllib.request.Request(
            f"{url}:predict", json.dumps(body).encode(), headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{url}: {_refusal(error)}") from error
    except (OSError, ValueError) as error:  # no connection, no answer in time, no URL, or no JSON
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise SystemExit(f"{url}: TensorFlow Serving does not answer ({reason}); is it running?") from error
    return answer["predictions"] if "instances" in body else answer["outputs"]


def _refusal(error: urllib.error.HTTPError) -> str:
    """The server's message, or the status if another program answers."""
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason}"


def reconstruct(url: str, images: np.ndarray) -> list[dict[str, Any]]:
    """Row format: an object with reconstruction, mean and log_var for each image (H, W, C)."""
    # Without a signature name the server uses serving_default.
    return predict(url, {"instances": images.tolist()})


def encode(url: str, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Column format: mean and log_var, each (N, L), of images (N, H, W, C)."""
    outputs = predict(url, {"signature_name": "encode", "inputs": {"image": images.tolist()}})
    return np.asarray(outputs["mean"], np.float32), np.asarray(outputs["log_var"], np.float32)


def decode(url: str, z: np.ndarray) -> np.ndarray:
    """Images (N, H, W, C) of latents (N, L); the server omits the name of a single output."""
    outputs = predict(url, {"signature_name": "decode", "inputs": {"z": z.tolist()}})
    return np.asarray(outputs, np.float32)


def sample(url: str, count: int, seed: tuple[int, int]) -> np.ndarray:
    """Images (count, H, W, C) from the prior. The inputs share no first dimension, so this needs the column format."""
    outputs = predict(url, {"signature_name": "sample", "inputs": {"count": count, "seed": list(seed)}})
    return np.asarray(outputs["image"], np.float32)


def read_images(paths: list[str], mode: str) -> np.ndarray:
    """Image files as float32 (N, H, W, C) in [0, 1]; they must have the size that the model takes."""
    try:
        pixels = [np.asarray(Image.open(path).convert(mode), np.float32) / 255 for path in paths]
    except OSError as error:  # the file is missing or not an image
        raise SystemExit(str(error)) from error
    if len({image.shape for image in pixels}) > 1:
        raise SystemExit("the images must have one size, the model's")
    return np.stack([image if image.ndim == 3 else image[..., None] for image in pixels])


def write_image(path: str, image: np.ndarray) -> None:
    """Write an image (H, W, C) in [0, 1] as PNG."""
    pixels = (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Ask TensorFlow Serving over REST.")
    parser.add_argument("url", help="http://HOST:8501/v1/models/NAME[/versions/VERSION]")
    parser.add_argument("images", nargs="+", help="image files of the model's size")
    parser.add_argument("--mode", choices=("L", "RGB"), default="L", help="grey or colour")
    options = parser.parse_args(arguments)

    images = read_images(options.images, options.mode)
    for path, image, row in zip(options.images, images, reconstruct(options.url, images), strict=True):
        error = np.mean(np.square(np.asarray(row["reconstruction"]) - image))
        print(f"{path}: latent {np.round(row['mean'], 3).tolist()}, mean squared error {error:.4f}")
    mean, _ = encode(options.url, images)
    write_image("decoded.png", decode(options.url, mean)[0])
    write_image("sampled.png", sample(options.url, 1, (0, 1))[0])
    print("wrote decoded.png and sampled.png")


if __name__ == "__main__":
    main()
