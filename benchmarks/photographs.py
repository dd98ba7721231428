"""Autoencoders of photographs: what they reach, their bits beside JPEG and WebP, and recipes after the same minutes.

Figures are means over centre crops of 256×256 pixels of the test photographs. LPIPS has three taps of VGG16. The rate
of a Gaussian latent is its KL; that of codes takes all of them as equally frequent. `--part minutes` measures each
row's speed first, and trains as many steps as fit the minutes: the recipe of photos-f4 with one change, and diffusers'
AutoencoderKL on PyTorch. Finished rows are kept in --run-dir.

`--part litert` times the LiteRT files of an exported version. `--part minutes` needs ``pip install -e ".[bench]"``.
Run: python benchmarks/photographs.py --part quality rate --models runs/photos-f4-latent4x16x16/model.keras
"""

from __future__ import annotations

import argparse
import functools
import io
import json
import math
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import numpy.typing as npt
import small
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from machine import heading
from PIL import Image

from keras_vae.config import RunConfig, preset
from keras_vae.data import build_augmentation, load_dataset, training_batches
from keras_vae.data.dataset import ImageDataset
from keras_vae.metrics import psnr

Images = npt.NDArray[np.float32]

PARTS = ("quality", "rate", "litert", "minutes")
SIDE = 256
# Pixels of the squares that models are trained on.
SQUARE = 64
JPEG, WEBP = (5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 95), (0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95)
ROWS: dict[str, dict[str, Any]] = {
    "photos-f4": {},
    "no PatchGAN": {"objective__adversarial_weight": 0.0},
    "no VGG16": {"objective__perceptual_weight": 0.0},
    "self-attention at the latent": {"model__attention_resolution": 16},
    "FSQ, levels 8, 5, 5, 5": {"model__bottleneck": "fsq"},
    "VQ, 1,024 codes": {"model__bottleneck": "vq", "model__codebook_size": 1024},
}
# Whether they compute in bfloat16.
PEERS = {"diffusers, float32": False, "diffusers, bfloat16": True}
# Nearly as many parameters as photos-f4: 2.16 M beside 2.28 M.
PEER_WIDTHS = (32, 64, 112)
# Steps before a speed is measured, and steps in which it is.
WARM, TIMED = 5, 25


class Autoencoder(Protocol):
    """What is measured of a model."""

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""

    def reconstruct(self, images: Images) -> Images:
        """Images (N, H, W, 3) in [0, 1] through the posterior mean."""

    def bits(self, images: Images) -> float:
        """The mean rate, in bits an image."""


class Ours:
    """A `VAE` as an `Autoencoder`, in float32.

    Args:
        vae: the model.
        square: pixels of the squares into which images are cut; None takes them whole.
    """

    def __init__(self, vae: Any, square: int | None = None) -> None:
        from keras_vae.export.float32 import in_float32

        self.vae = in_float32(vae)
        self.square = square
        self.parameters = int(vae.count_params())

    def reconstruct(self, images: Images) -> Images:
        """As the protocol says; each square by itself if the model has a ``square``."""
        if self.square is None:
            return np.asarray(self.vae.reconstruct(images))
        count, height, width, channels = images.shape
        rows, columns, side = height // self.square, width // self.square, self.square
        squares = images.reshape(count, rows, side, columns, side, channels).swapaxes(2, 3)
        found = np.asarray(self.vae.reconstruct(squares.reshape(-1, side, side, channels)))
        return found.reshape(squares.shape).swapaxes(2, 3).reshape(images.shape)

    def bits(self, images: Images) -> float:
        """As the protocol says."""
        bottleneck, latents = self.vae.bottleneck, self.vae.latents(images)
        if not bottleneck.codebook_size:
            return float(np.mean(latents["kl"])) / math.log(2)
        codes = math.prod(bottleneck.code_shape or ()) * math.log2(bottleneck.codebook_size)
        return float(codes * math.prod(images.shape[1:3]) / math.prod(self.vae.image_shape[:2]))


class Figures(NamedTuple):
    """Means over the photographs; the rate in bits a pixel."""

    psnr: float
    lpips: float
    rate: float


def centre_crops(folder: Path, *, shrunk: bool = False) -> Images:
    """The middle of each photograph, (N, 256, 256, 3) in [0, 1].

    Args:
        folder: the image files.
        shrunk: shrink photographs to 256 pixels on the shorter side first.
    """
    crops = []
    for path in sorted(path for path in folder.iterdir() if path.suffix in (".jpg", ".png")):
        image = Image.open(path).convert("RGB")
        if shrunk:
            scale = SIDE / min(image.size)
            size = (round(scale * image.width), round(scale * image.height))
            image = image.resize(size, Image.Resampling.LANCZOS)
        left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
        crops.append(np.asarray(image.crop((left, top, left + SIDE, top + SIDE))))
    return np.stack(crops).astype(np.float32) / np.float32(255)


def grey_ramps() -> Images:
    """Ramps from black to white to the right, downwards and along the diagonal: (3, 256, 256, 3)."""
    ramp = np.linspace(0, 1, SIDE, dtype="float32")
    across = np.broadcast_to(ramp, (SIDE, SIDE))
    return np.repeat(np.stack([across, across.T, (across + across.T) / 2])[..., None], 3, axis=-1)


@functools.cache
def perceptual_loss() -> Any:
    """LPIPS with the bundled weights, in float32."""
    from keras_vae.losses import LPIPS

    return LPIPS(reduction=None, dtype="float32")


def distances(images: Images, reconstructions: Images) -> tuple[float, float]:
    """The means of PSNR in dB and of LPIPS, image by image."""
    pairs = zip(images, reconstructions, strict=True)
    lpips = [float(np.asarray(perceptual_loss()(real[None], fake[None])).item()) for real, fake in pairs]
    return float(np.mean(psnr(images, reconstructions))), float(np.mean(lpips))


def figures_of(model: Autoencoder, images: Images) -> Figures:
    """What a model reaches on images, one by one."""
    reconstructions = np.concatenate([model.reconstruct(image[None]) for image in images])
    rate = np.mean([model.bits(image[None]) for image in images]) / math.prod(images.shape[1:3])
    return Figures(*distances(images, reconstructions), float(rate))


def opened(path: Path) -> Ours:
    """The model of a ``.keras`` file."""
    from keras_vae.training.saving import load_model

    return Ours(load_model(path))


def show_quality(models: dict[str, Ours], photos: Path) -> None:
    """Print what models reach on the middle of photographs and on grey ramps, whole and cut into squares."""
    print("| model | images | PSNR, dB | LPIPS | PSNR, shrunk to 256 | LPIPS, shrunk | error on grey ramps, of 255 |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    ramps = grey_ramps()
    crops, shrunk = (centre_crops(photos / "test", shrunk=shrunk) for shrunk in (False, True))
    for name, model in models.items():
        for how, each in (("whole", model), ("in squares of 64", Ours(model.vae, SQUARE))):
            errors = np.concatenate([each.reconstruct(ramp[None]) for ramp in ramps]) - ramps
            cast = 255 * np.abs(errors.mean(axis=(1, 2))).max()
            found, of_shrunk = figures_of(each, crops), figures_of(each, shrunk)
            print(
                f"| {name} | {how} | {found.psnr:.2f} | {found.lpips:.4f} | {of_shrunk.psnr:.2f} | "
                f"{of_shrunk.lpips:.4f} | {cast:.2f} |"
            )


def coded(images: Images, kind: str, quality: int) -> Figures:
    """What Pillow's JPEG or WebP reaches at a quality, with the bits of the whole file."""
    found, bits = [], 0
    for image in images:
        file = io.BytesIO()
        Image.fromarray(np.round(255 * image).astype(np.uint8)).save(file, kind, quality=quality)
        bits += 8 * len(file.getvalue())
        found.append(np.asarray(Image.open(file).convert("RGB")).astype("float32") / 255)
    return Figures(*distances(images, np.stack(found)), bits / math.prod(images.shape[:3]))


def show_rate(models: dict[str, Ours], photos: Path, picture: Path) -> None:
    """Print and draw PSNR and LPIPS against bits, of models and of image formats."""
    images = centre_crops(photos / "test")
    curves = {
        kind: sorted((coded(images, kind, quality) for quality in qualities), key=lambda figures: figures.rate)
        for kind, qualities in (("JPEG", JPEG), ("WebP", WEBP))
    }
    points = {name: figures_of(model, images) for name, model in models.items()}
    print("| | bits a pixel | PSNR, dB | LPIPS |\n| --- | --- | --- | --- |")
    for name, found in points.items():
        print(f"| {name} | {found.rate:.2f} | {found.psnr:.2f} | {found.lpips:.4f} |")
        for kind, curve in curves.items():
            decibels, lpips = (at_rate(curve, found.rate, field) for field in ("psnr", "lpips"))
            print(f"| {kind} at as many bits | {found.rate:.2f} | {decibels:.2f} | {lpips:.4f} |")
    draw_rates(curves, points, picture)


def at_rate(curve: list[Figures], rate: float, field: str) -> float:
    """The value of a rising curve at a rate, by linear interpolation over the logarithm of the rate; NaN beyond it."""
    rates = [math.log(figures.rate) for figures in curve]
    values = [getattr(figures, field) for figures in curve]
    return float(np.interp(math.log(rate), rates, values, left=math.nan, right=math.nan))


def draw_rates(curves: dict[str, list[Figures]], points: dict[str, Figures], picture: Path) -> None:
    """Draw PSNR and LPIPS against the rate, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from keras_vae.files import written_beside

    figure = Figure(figsize=(9, 3.8), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    titles = {"psnr": "PSNR [dB], higher is better", "lpips": "LPIPS, lower is better"}
    for axes, (field, title) in zip(figure.subplots(1, 2), titles.items(), strict=True):
        for (kind, curve), style in zip(curves.items(), ("-", "--"), strict=True):
            axes.plot([each.rate for each in curve], [getattr(each, field) for each in curve], style, label=kind)
        for name, found in points.items():
            axes.plot(found.rate, getattr(found, field), "o", label=name)
        axes.set_xscale("log")
        axes.set_xticks(ticks := [0.2, 0.5, 1, 2, 4], [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("bits a pixel")
        axes.set_title(title, fontsize=11)
        axes.grid(alpha=0.3)
    figure.axes[0].legend(frameon=False)
    with written_beside(picture) as beside:
        figure.savefig(beside, format="png")


def batches_of(config: RunConfig, dataset: ImageDataset, count: int) -> Any:
    """Batches of random squares, as in training.

    As many as are used: Python would wait forever for an endless iterator that it drops while a batch is being read.
    """
    augment = build_augmentation(config.data.augment, config.model.image_shape, config.seed)
    return training_batches(dataset.train, config.data.batch_size, seed=config.seed, augment=augment).take(count)


def timed(step: Callable[[int, Any], Any], batches: Any, steps: int, batch_size: int) -> float:
    """Call ``step`` with the number of each batch, from ``-WARM`` on; returns images a second from 0 on."""
    begin = 0.0
    for number, batch in enumerate(batches, -WARM):
        if number == 0:
            begin = time.perf_counter()
        step(number, batch)
    return batch_size * steps / (time.perf_counter() - begin)


def train_ours(config: RunConfig, dataset: ImageDataset, steps: int) -> tuple[Any, float]:
    """Train for some steps; returns the model, and images a second after the first `WARM` steps."""
    from keras_vae.training.build import build_trainer

    trainer = build_trainer(config.replace(epochs=1), WARM + steps)
    step = tf.function(trainer.train_step)
    batches = batches_of(config, dataset, WARM + steps)
    speed = timed(lambda number, batch: step(batch), batches, steps, config.data.batch_size)
    return trainer.inference_vae, speed


def train_peer(row: str, config: RunConfig, dataset: ImageDataset, steps: int, *, smoke: bool) -> tuple[Any, float]:
    """The same for diffusers' model of a row of `PEERS`."""
    from diffusers_peer import DiffusersPeer

    peer = DiffusersPeer((8, 8, 8) if smoke else PEER_WIDTHS, bfloat16=PEERS[row])
    batches = batches_of(config, dataset, WARM + steps).as_numpy_iterator()

    def step(number: int, batch: Images) -> None:
        peer.step(batch, max(0, number) / steps)

    return peer, timed(step, batches, steps, config.data.batch_size)


def figures_after_minutes(row: str, arguments: argparse.Namespace, dataset: ImageDataset) -> dict[str, float]:
    """Train a row for the minutes that its measured speed makes of steps, and measure it."""
    config = arguments.config.replace(**ROWS.get(row, {}))

    def train(steps: int) -> tuple[Any, float]:
        if row in PEERS:
            return train_peer(row, config, dataset, steps, smoke=arguments.smoke)
        return train_ours(config, dataset, steps)

    # Twice: the first training of a process was measured a third slower than the rest of it.
    for _ in range(1 if arguments.smoke else 2):
        _, speed = train(1 if arguments.smoke else TIMED)
    steps = max(1, round(60 * arguments.minutes * speed / config.data.batch_size))
    model, speed = train(steps)
    measured: Autoencoder = model if row in PEERS else Ours(model)
    found = figures_of(measured, centre_crops(arguments.photos / "test"))
    return {"parameters": measured.parameters, "images_per_second": speed, "steps": steps, **found._asdict()}


def show_minutes(arguments: argparse.Namespace) -> None:
    """Train what is missing and print the table."""
    dataset = load_dataset(arguments.config.data)
    rows = arguments.rows or [*ROWS, *PEERS]
    print("| model | parameters | images a second | steps | PSNR, dB | LPIPS | bits a pixel |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        place = arguments.run_dir / f"{row}, {arguments.minutes:g} minutes.json"
        if not place.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            found = figures_after_minutes(row, arguments, dataset)
            place.write_text(json.dumps(found, indent=2), encoding="utf-8")
        found = json.loads(place.read_text(encoding="utf-8"))
        print(
            f"| {row} | {found['parameters'] / 1e6:.2f} M | {found['images_per_second']:.1f} | {found['steps']:,} | "
            f"{found['psnr']:.2f} | {found['lpips']:.4f} | {found['rate']:.2f} |",
            flush=True,
        )


def show_litert(folder: Path, rounds: int) -> None:
    """Time each LiteRT file of the exported version in ``folder``, all of them in turns."""
    calls = {
        (path.stem, threads): litert_call(path, threads)
        for path in sorted(folder.glob("tflite/*.tflite"))
        for threads in (1, 2)
    }
    times: dict[tuple[str, int], list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            times[name].append(1000 * (time.perf_counter() - begin))
    print("\n| file | 1 thread | 2 threads |\n| --- | --- | --- |")
    for path in sorted(folder.glob("tflite/*.tflite")):
        cells = [np.quantile(times[path.stem, threads], (0.5, 0.25, 0.75)) for threads in (1, 2)]
        print(f"| {path.name} | " + " | ".join("{:.0f} ({:.0f} to {:.0f})".format(*cell) for cell in cells) + " |")
    print("\nMilliseconds an image: median (quartiles).")


def litert_call(path: Path, threads: int) -> Callable[[], None]:
    """One run of a LiteRT file on zeros, after one that is not timed."""
    interpreter = Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    (details,) = interpreter.get_input_details()
    interpreter.set_tensor(details["index"], np.zeros(details["shape"], details["dtype"]))
    interpreter.invoke()
    return interpreter.invoke


def make_smoke(arguments: argparse.Namespace, folder: Path) -> None:
    """Make noise to train on, and a model that learns nothing of it."""
    from keras_vae.export.tflite import write_tflite
    from keras_vae.models import VAE
    from keras_vae.training.saving import save_model

    random = np.random.default_rng(0)
    for name in ("train/a", "train/b", "test/c"):
        place = folder / f"{name}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (SIDE, SIDE + 8, 3), np.uint8)).save(place)
    arguments.photos, arguments.run_dir, arguments.minutes = folder, folder / "runs", 0.0
    arguments.picture = folder / "rates.png"
    arguments.rows = arguments.rows or ["photos-f4", "diffusers, bfloat16"]
    arguments.config = small.small(arguments.config).replace(model__latent_shape=(16, 16, 4), data__batch_size=4)
    vae = VAE.from_model_config(arguments.config.model)
    save_model(vae, folder / "small.keras")
    arguments.models = [folder / "small.keras"]
    arguments.exported, arguments.rounds = folder / "exported", 2
    write_tflite(vae, arguments.exported / "tflite", random.random((2, 64, 64, 3), np.float32))


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", choices=PARTS, nargs="+", help="by default all")
    parser.add_argument("--photos", type=Path, default=Path("photos"), help="folder with train/ and test/  [photos]")
    parser.add_argument("--models", type=Path, nargs="+", default=[], help=".keras files for quality and rate")
    parser.add_argument("--exported", type=Path, help="exported version for litert")
    parser.add_argument("--rounds", type=int, default=20, help="of litert")
    parser.add_argument("--picture", type=Path, default=Path("photographs_rate.png"), help="PNG of the rates")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--rows", nargs="+", choices=(*ROWS, *PEERS), help="of the minutes; by default all")
    parser.add_argument("--run-dir", type=Path, default=Path("runs/photographs"))
    small.add_smoke_option(parser)
    arguments = parser.parse_args()
    arguments.config = preset("photos-f4")
    parts = arguments.part or PARTS
    with tempfile.TemporaryDirectory() as temporary:
        if arguments.smoke:
            make_smoke(arguments, Path(temporary))
        elif not arguments.models and {"quality", "rate"} & {*parts}:
            parser.error("quality and rate are those of models: give their .keras files with --models")
        elif not arguments.exported and "litert" in parts:
            parser.error("litert times the files of an exported version: name its folder with --exported")
        arguments.config = arguments.config.replace(data__dataset=f"folder:{arguments.photos}")
        print(f"{heading()}.\n")
        # Named after their runs.
        models = {path.parent.name: opened(path) for path in arguments.models}
        if "quality" in parts:
            show_quality(models, arguments.photos)
        if "rate" in parts:
            show_rate(models, arguments.photos, arguments.picture)
        if "litert" in parts:
            show_litert(arguments.exported, arguments.rounds)
        if "minutes" in parts:
            show_minutes(arguments)


if __name__ == "__main__":
    main()
