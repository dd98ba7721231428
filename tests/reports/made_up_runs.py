"""Run directories as training and evaluation leave them, small and made up."""

import numpy as np
from PIL import Image

from keras_vae.config import RunConfig
from keras_vae.training.run_directory import RunDirectory

DATA = {
    "name": "digits",
    "source": "tfds",
    "version": "1.0.0",
    "image_shape": [28, 28, 1],
    "counts": {"train": 4500, "test": 500},
    "sha256": {"train": "a" * 64, "test": "b" * 64},
}
ENVIRONMENT = {"python": "3.11", "gpus": [], "packages": {"keras-vae": "0.1.0"}, "precision": {"value": "float32"}}
SETTINGS = {
    "importance_samples": 64,
    "importance_images": 100,
    "frechet_images": 500,
    "components": 10,
    "neighbours": 5,
}
METRICS = {
    "mse": 0.035,
    "psnr": 15.25,
    "ssim": 0.6,
    "lpips": 0.07,
    "elbo": 190.5,
    "nll": -200.0,
    "kl": 9.5,
    "importance_nll": -192.25,
    "kl_per_dimension": [6.0, 3.5],
    "active_units": 2,
    "frechet_reconstructions": 1.5,
    "frechet_prior": 4.0,
    "frechet_gmm": 3.0,
    "knn_accuracy": 0.9,
}
PARAMETERS = 697_670
STILLS = ("test_latent_visualization", "sample_test_reconstruction", "latent_manifold", "samples")
GIFS = ("test_latent_visualization", "sample_test_reconstruction")


def shaded(value, height=60, width=90):
    """A picture of one grey."""
    return np.full((height, width, 3), value, np.uint8)


def write_run(folder, name, *, epochs=3, metrics=None, data=None, settings=None, is_evaluated=True, **changes):
    """Write a finished run into ``folder``; returns its path. ``changes`` are of its configuration."""
    run = RunDirectory.create(folder / name)
    data = {**DATA, **(data or {})}
    config = RunConfig().replace(epochs=epochs, **changes)
    run.write_config(config, {"data": data, "environment": ENVIRONMENT})
    run.write_metrics(
        [
            {"epoch": epoch, "seconds": 10.0, "images_per_second": 450.0, "train_mse": 0.1, "test_mse": 0.1 / epoch}
            for epoch in range(1, epochs + 1)
        ]
    )
    run.write_summary({"parameters": PARAMETERS})
    run.model.write_text("")
    for index, still in enumerate(STILLS):
        Image.fromarray(shaded(40 * index)).save(run.plots / f"{still}.png")
    for gif in GIFS:
        frames = [Image.fromarray(shaded(50 * epoch)) for epoch in range(1, epochs + 1)]
        frames[0].save(run.plots / f"{gif}.gif", save_all=True, append_images=frames[1:], duration=500)
    if is_evaluated:
        run.write_evaluation(
            {
                "model": str(run.path),
                "data": data,
                "settings": {**SETTINGS, **(settings or {})},
                "metrics": {**METRICS, **(metrics or {})},
            }
        )
    return run.path
