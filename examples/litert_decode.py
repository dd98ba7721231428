"""Encode an image and decode its latent with the exported .tflite files and LiteRT.

    pip install ai-edge-litert
    cd exports/mnist-latent2/VERSION/tflite
    python .../examples/litert_decode.py encoder_int8.tflite decoder_int8.tflite digit.png reconstruction.png

Also needs NumPy and Pillow, but neither TensorFlow nor keras-vae. Works with the fp32, fp16 and int8 files.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image


def run(model_path: str, signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Call a signature row by row with float32 arrays; returns the outputs as float32 arrays."""
    runner = Interpreter(model_path).get_signature_runner(signature)
    input_details, output_details = runner.get_input_details(), runner.get_output_details()
    rows = []
    for index in range(len(next(iter(inputs.values())))):
        # The files take one image or one latent at a time.
        one = {name: _quantize(value[index : index + 1], input_details[name]) for name, value in inputs.items()}
        rows.append(runner(**one))
    return {
        name: np.concatenate([_dequantize(row[name], details) for row in rows])
        for name, details in output_details.items()
    }


def encode(model_path: str, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and log_var, each (N, L), of images (N, H, W, C), float32 in [0, 1]."""
    outputs = run(model_path, "encode", image=images)
    return outputs["mean"], outputs["log_var"]


def decode(model_path: str, z: np.ndarray) -> np.ndarray:
    """Images (N, H, W, C) of latents (N, L)."""
    return run(model_path, "decode", z=z)["image"]


def _quantize(value: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """Convert to the type of the input: float32 unchanged, int8 by the input's scale and zero point."""
    scale, zero_point = details["quantization"]
    if not scale:
        return value.astype(details["dtype"])
    limits = np.iinfo(details["dtype"])
    return np.clip(np.round(value / scale) + zero_point, limits.min, limits.max).astype(details["dtype"])


def _dequantize(value: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    scale, zero_point = details["quantization"]
    return (value.astype(np.float32) - zero_point) * scale if scale else value


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Encode an image and decode its latent with LiteRT.")
    parser.add_argument("encoder", help="encoder_….tflite")
    parser.add_argument("decoder", help="decoder_….tflite")
    parser.add_argument("image", help="image file, resized to the model's size")
    parser.add_argument("out", help="PNG file to write")
    options = parser.parse_args(arguments)

    try:
        _, height, width, channels = Interpreter(options.encoder).get_input_details()[0]["shape"]
        Interpreter(options.decoder)
        with Image.open(options.image) as file:
            pixels = np.asarray(file.convert("L" if channels == 1 else "RGB").resize((width, height)), np.float32) / 255
    except (OSError, ValueError) as error:  # a file is missing or of another kind
        raise SystemExit(" ".join(str(error).split())) from error
    mean, _ = encode(options.encoder, pixels.reshape(1, height, width, channels))
    print(f"latent {np.round(mean[0], 3).tolist()}")
    decoded = (np.clip(decode(options.decoder, mean)[0], 0, 1) * 255).round().astype(np.uint8)
    try:
        Image.fromarray(decoded[..., 0] if channels == 1 else decoded).save(options.out)
    except (OSError, ValueError) as error:  # the folder is missing, or the suffix is not that of a picture
        raise SystemExit(str(error)) from error
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
