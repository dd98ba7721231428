"""Train, evaluate, export and publish the models of the presets mnist-latent2, mnist-latent4 and mnist-latent16.

    python scripts/publish_models.py --dataset mnist

Writes saved_models/NAME/VERSION, the weights that `VAE.from_preset` loads, and the pictures in docs/assets. Finished
steps are not repeated, and a stopped run continues from its last checkpoint.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import keras

from keras_vae.config import PUBLISHED, preset
from keras_vae.files import written_beside
from keras_vae.models.vae import PUBLISHED_WEIGHTS

ROOT = Path(__file__).resolve().parent.parent
PICTURES = (
    "test_latent_visualization.gif",
    "sample_test_reconstruction.gif",
    "train_plots.png",
    "test_plots.png",
    "latent_manifold.png",
    "samples.png",
)


def keras_vae(*arguments: str | Path) -> None:
    """Run the installed command."""
    print("keras-vae", *arguments, flush=True)
    subprocess.run([Path(sys.executable).with_name("keras-vae"), *map(str, arguments)], check=True)


def make(name: str, run: Path, dataset: str) -> None:
    """Train, evaluate and export one model."""
    if not (run / "model.keras").is_file():
        if any(run.glob("checkpoints/*")):
            keras_vae("train", "--resume", "--run-dir", run)
        else:
            keras_vae("train", "--preset", name, "--dataset", dataset, "--run-dir", run)
    if not (run / "evaluation.json").is_file():
        keras_vae("evaluate", run)
    exported = ROOT / "saved_models" / name
    if not exported.is_dir():
        keras_vae("export", run, "--to", exported.parent, "--name", name)


def install(name: str, run: Path) -> None:
    """Copy the weights and pictures of one model to their places in the project."""
    PUBLISHED_WEIGHTS.mkdir(exist_ok=True)
    with written_beside(PUBLISHED_WEIGHTS / f"{name}.weights.h5") as beside:
        keras.saving.load_model(run / "model.keras", safe_mode=True).save_weights(beside)
    assets = ROOT / "docs" / "assets" / f"latent_{preset(name).model.latent_dim}"
    assets.mkdir(parents=True, exist_ok=True)
    for picture in PICTURES:
        if (run / "plots" / picture).is_file():
            with written_beside(assets / picture) as beside:
                shutil.copyfile(run / "plots" / picture, beside)


def main() -> None:
    """Publish the named models."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=PUBLISHED, help=f"presets  [{' '.join(PUBLISHED)}]")
    parser.add_argument("--dataset", default="mnist", help="as for keras-vae train  [mnist]")
    parser.add_argument("--run-dir", type=Path, default=Path("runs"), help="folder of the runs  [runs]")
    arguments = parser.parse_args()
    for name in arguments.names:
        make(name, arguments.run_dir / name, arguments.dataset)
    # After all exports, because a model card says whether the checkout was modified during the export.
    for name in arguments.names:
        install(name, arguments.run_dir / name)


if __name__ == "__main__":
    main()
