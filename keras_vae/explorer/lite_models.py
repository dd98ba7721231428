"""Encoder and decoder as LiteRT files, run in this process."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

Float32 = npt.NDArray[np.float32]
UInt8 = npt.NDArray[np.uint8]


class LiteModels:
    """A model's encoder and decoder, one image at a time. Any thread may call it; calls wait for each other.

    Args:
        encoder, decoder: files of `keras_vae.export.tflite.write_tflite` with float32 inputs and outputs.

    ``image_shape`` and ``latent_shape`` are those of the files, and ``is_conditional`` is whether they take a label.
    """

    def __init__(self, encoder: Path, decoder: Path) -> None:
        # Kept, because a signature does not keep its interpreter alive.
        self._interpreters = [_interpreter(path) for path in (encoder, decoder)]
        self._encode = self._interpreters[0].get_signature_runner("encode")
        self._decode = self._interpreters[1].get_signature_runner("decode")
        inputs = self._decode.get_input_details()
        self.latent_shape = tuple(int(size) for size in inputs["z"]["shape"][1:])
        self.image_shape = tuple(int(size) for size in self._encode.get_input_details()["image"]["shape"][1:])
        self.is_conditional = "label" in inputs
        self._turn = threading.Lock()

    def decode(self, z: Float32, label: int = 0) -> UInt8:
        """Latents (N, *latent_shape) of one class to pixels, uint8 (N, H, W, C)."""
        with self._turn:
            images = [self._decode(z=row[None], **self._label(label))["image"][0] for row in z]
        return np.stack([np.round(255 * np.clip(image, 0, 1)).astype(np.uint8) for image in images])

    def encode(self, image: UInt8, label: int = 0) -> tuple[Float32, Float32]:
        """The posterior ``(mean, log_var)`` of pixels uint8 (H, W, C), each float32 (*latent_shape)."""
        pixels = image[None].astype(np.float32) / np.float32(255)
        with self._turn:
            found = self._encode(image=pixels, **self._label(label))
        return found["mean"][0], found["log_var"][0]

    def _label(self, label: int) -> dict[str, Any]:
        return {"label": np.array([label], np.int32)} if self.is_conditional else {}


def _interpreter(path: Path) -> Any:
    interpreter = Interpreter(str(path), num_threads=os.cpu_count())
    interpreter.allocate_tensors()
    return interpreter
