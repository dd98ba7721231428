"""A published version without a model: files, a manifest, a card."""

from keras_vae.export.manifest import Manifest, write_manifest

DATA = {
    "name": "mnist",
    "source": "tfds",
    "version": "3.0.1",
    "image_shape": [28, 28, 1],
    "num_classes": 10,
    "counts": {"train": 60000, "test": 10000},
    "sha256": {"train": "a" * 64, "test": "b" * 64},
}
EVALUATION = {
    "model": "runs/digits",
    "data": DATA,
    "settings": {
        "importance_samples": 100,
        "importance_images": 1000,
        "frechet_images": 5000,
        "training_posteriors": 60000,
        "components": 10,
        "neighbours": 5,
        "seed": 0,
    },
    "metrics": {
        "mse": 0.03456,
        "psnr": 15.34,
        "ssim": 0.594,
        "lpips": 0.0673,
        "elbo": 191.7,
        "nll": -201.1,
        "kl": 9.41,
        "kl_per_dimension": [5.0, 4.41],
        "importance_nll": -193.2,
        "active_units": 2,
        "knn_accuracy": 0.8123,
        "frechet_reconstructions": 1.5,
        "frechet_prior": 4.0,
        "frechet_gmm": 3.0,
    },
}


def make_manifest(**changes):
    """A manifest without its list of files."""
    fields = {
        "name": "digits",
        "version": 1,
        "created": "2026-01-02T03:04:05+00:00",
        "image_shape": (28, 28, 1),
        "latent_shape": (2,),
        "scaling_factor": None,
        "num_classes": None,
        "variational": True,
        "likelihood": "gaussian",
        "likelihood_scale": 0.187,
        "parameters": {"encoder": 1000, "decoder": 2000, "total": 3000},
        "software": {"keras-vae": "0.1.0", "tensorflow-datasets": None},
        "git_revision": None,
        "data": DATA,
        "evaluation": EVALUATION,
        "signatures": {"encode": {"difference": 1e-7, "bound": 1e-4}},
        "tflite": (
            {
                "path": "tflite/encoder_int8.tflite",
                "size": 5,
                "difference": 0.01,
                "bound": 0.02,
                "measure": "mean absolute difference of decoded pixels",
            },
        ),
    }
    return Manifest(**fields | changes)


def write_files(folder, count=3):
    """Small files with the names of a SavedModel's files."""
    (folder / "variables").mkdir()
    (folder / "saved_model.pb").write_bytes(b"graph")
    for index in range(count):
        (folder / "variables" / f"part-{index:03}").write_bytes(bytes([index % 256]) * 64)


def write_version(folder, version=1, count=3):
    """Write what a publisher writes: files and their manifest."""
    write_files(folder, count)
    return write_manifest(folder, make_manifest(version=version))
