"""Explorations and runtimes of random numbers, for tests without a model."""

import json

import numpy as np

from keras_vae.explorer import Exploration
from keras_vae.explorer.runtime import PACKAGES, VERSION

FILES = {
    "@litertjs/core/dist/index.js": "export const core = 1;",
    "@litertjs/wasm-utils/dist/index.js": "export const utils = 1;",
    "@litertjs/core/wasm/litert_wasm_compat_internal.js": "var wasm = 1;",
    "@litertjs/core/wasm/litert_wasm_compat_internal.wasm": "\0asm",
}


def make_exploration(count=20, latent_shape=(2,), image_shape=(6, 5, 1), **options):
    """Random images and posteriors."""
    random = np.random.default_rng(0)
    size = int(np.prod(latent_shape))
    return Exploration(
        **{
            "name": "model",
            "data": "digits",
            "image_shape": image_shape,
            "latent_shape": latent_shape,
            "images": random.integers(0, 100, (count, *image_shape)).astype(np.uint8),
            "means": random.standard_normal((count, size)).astype(np.float32),
            "log_vars": np.full((count, size), -4, np.float32),
            "labels": (np.arange(count) % 3).astype(np.int32),
            "label_names": ("a", "b", "c"),
            **options,
        }
    )


def write_runtime(folder, version=VERSION):
    """A ``node_modules`` with files in the places of LiteRT.js."""
    for package in PACKAGES:
        (folder / package).mkdir(parents=True)
        (folder / package / "package.json").write_text(json.dumps({"name": package, "version": version}))
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder
