"""Train, evaluate, export and publish the models of the presets that have weights.

    python scripts/publish_models.py --mnist mnist --photos folder:photos

Writes saved_models/NAME/VERSION, the weights that `VAE.from_preset` loads, and the pictures in docs/assets. Finished
steps are not repeated, and a stopped run continues from its last checkpoint.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import skimage.data
from PIL import Image

from keras_vae.config import PUBLISHED, preset, published_run
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
# In saved_models/ too. All files of photos-f8 would take more room than the repository gives to models.
SERVED = tuple(name for name in PUBLISHED if name != "photos-f8")


def keras_vae(*arguments: str | Path) -> None:
    """Run the installed command."""
    print("keras-vae", *arguments, flush=True)
    subprocess.run([Path(sys.executable).with_name("keras-vae"), *map(str, arguments)], check=True)


def train(run: Path, *settings: str | Path) -> None:
    """Train a run to its end, unless it is there."""
    if (run / "model.keras").is_file():
        return
    if any(run.glob("checkpoints/*")):
        keras_vae("train", "--resume", "--run-dir", run)
    else:
        keras_vae("train", *settings, "--run-dir", run)


def make(name: str, run: Path, dataset: str) -> None:
    """Train, evaluate and export one model."""
    first, last = preset(name), published_run(name)
    if first == last:
        train(run, "--preset", name, "--dataset", dataset)
    else:
        small_squares = run.with_name(f"{name}-crop{first.data.crop}")
        train(small_squares, "--preset", name, "--dataset", dataset)
        settings = {
            "--crop": last.data.crop,
            "--batch-size": last.data.batch_size,
            "--epochs": last.epochs,
            "--learning-rate": last.optimizer.learning_rate,
            "--ema": last.optimizer.ema,
        }
        train(run, "--from", small_squares, *(str(part) for setting in settings.items() for part in setting))
    if not (run / "evaluation.json").is_file():
        keras_vae("evaluate", run)
    exported = ROOT / "saved_models" / name
    if name in SERVED and not exported.is_dir():
        with tempfile.TemporaryDirectory() as folder:
            pictures = () if first == last else ("--dataset", f"folder:{free_photographs(Path(folder))}")
            keras_vae("export", run, "--to", exported.parent, "--name", name, *pictures)


def free_photographs(folder: Path) -> Path:
    """Photographs of scikit-image in the public domain: an exported model contains one, in its warm-up requests."""
    for split in ("train", "test"):
        (folder / split).mkdir()
        for picture in ("astronaut", "chelsea", "coffee", "rocket"):
            Image.fromarray(getattr(skimage.data, picture)()).save(folder / split / f"{picture}.png")
    return folder


def install(name: str, run: Path) -> None:
    """Copy the weights and pictures of one model to their places in the project."""
    PUBLISHED_WEIGHTS.mkdir(exist_ok=True)
    with written_beside(PUBLISHED_WEIGHTS / f"{name}.weights.h5") as beside:
        keras.saving.load_model(run / "model.keras", safe_mode=True).save_weights(beside)
    if preset(name).data.crop is not None:
        return  # the photographs are not ours to show
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
    parser.add_argument("--mnist", default="mnist", help="digits, as --dataset of keras-vae train  [mnist]")
    parser.add_argument("--photos", default="folder:photos", help="photographs, likewise  [folder:photos]")
    parser.add_argument("--run-dir", type=Path, default=Path("runs"), help="folder of the runs  [runs]")
    arguments = parser.parse_args()
    for name in arguments.names:
        dataset = arguments.photos if preset(name).data.crop else arguments.mnist
        make(name, arguments.run_dir / name, dataset)
    # After all exports, because a model card says whether the checkout was modified during the export.
    for name in arguments.names:
        install(name, arguments.run_dir / name)


if __name__ == "__main__":
    main()
