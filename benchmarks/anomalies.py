"""How well unusual images are found: areas under ROC curves, over several seeds. Only normal images choose anything.

* ``defects``: test digits with a scratch of eight pixels, or upside down, letters, and squares of photographs, beside
  other test digits; a published model.
* ``textures``: squares of scikit-image's brick, grass and gravel with holes, scratches, smears and pieces of another
  texture, beside squares without; PaDiM and PatchCore. The area of pixels is that of the heat map against the mask.
* ``one-class``: a model is trained on one digit, and the test digits of all classes are scored. Areas are kept in
  ``--results``, so a second call continues where the first was stopped.

Run: python benchmarks/anomalies.py defects --dataset mnist, and so on
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import matplotlib
import numpy as np
import numpy.typing as npt
import small
from machine import heading
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter
from skimage import data, draw
from sklearn.metrics import roc_auc_score

from keras_vae import VAE
from keras_vae.config import preset
from keras_vae.data import ArraySplit, StreamSplit, load_dataset, training_batches
from keras_vae.scoring import Scorer
from keras_vae.training import build_trainer

UInt8 = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float64]
# Most digits to learn what is normal from, to calibrate with and to score of each kind.
LEARNT, HELD_OUT, SCORED = 5000, 2000, 1000
# Pixels of a scratch, the value below which each of them was dark, and the letters that look like no digit.
SCRATCH, DARK = 8, 64
# The others look much the same upside down.
NO_DIGITS_UPSIDE_DOWN = (2, 4, 5, 6, 7, 9)
LETTERS = "ACDEFGHJKLMNPQRTUVWXYadefhkmnprtuvwxy"
TEXTURES, SIDE = ("brick", "grass", "gravel"), 64
# Squares to learn from, to calibrate with, and to score of each kind.
SQUARES = (200, 100, 100)
# Row of a table → kind of anomaly → the area of each seed.
Areas = dict[str, dict[str, list[float]]]


def main() -> None:
    """Measure one part, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parts = {"defects": defects, "textures": textures, "one-class": one_class}
    parser.add_argument("part", nargs="?", choices=parts, help="by default all of them, one after the other")
    parser.add_argument("--dataset", default="sample", help="digits: the bundled sample, or mnist")
    parser.add_argument("--model", default="mnist-latent16", help="published model of defects, and preset of one-class")
    parser.add_argument("--epochs", type=int, default=10, help="of one-class")
    parser.add_argument("--digits", type=int, nargs="+", default=list(range(10)), help="classes of one-class")
    parser.add_argument("--results", type=Path, help="folder that keeps the areas of one-class; by default none")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    small.add_smoke_option(parser)
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.seeds, arguments.digits, arguments.epochs = [0], [3], 1
    print(f"{heading()}\n")
    for name in [arguments.part] if arguments.part else parts:
        parts[name](arguments)


def print_areas(title: str, areas: Areas) -> None:
    """A Markdown table: a row for each thing scored, a column for each kind of anomaly, mean and least of the seeds."""
    kinds = list(next(iter(areas.values())))
    print(f"\n| {title}: AUROC, mean (least) | {' | '.join(kinds)} |\n| --- |{' --- |' * len(kinds)}")
    for row, found in areas.items():
        cells = [f"{statistics.fmean(found[kind]):.3f} ({min(found[kind]):.3f})" for kind in kinds]
        print(f"| {row} | {' | '.join(cells)} |", flush=True)


def add(areas: Areas, row: str, kind: str, usual: Float, unusual: Float) -> None:
    """Count the area of ``unusual`` scores beside ``usual`` ones."""
    is_unusual = np.repeat([0, 1], [usual.size, unusual.size])
    area = float(roc_auc_score(is_unusual, np.concatenate([usual.ravel(), unusual.ravel()])))
    areas.setdefault(row, {}).setdefault(kind, []).append(area)


def compare(areas: Areas, scorer: Scorer, usual: UInt8, unusual: dict[str, UInt8]) -> float:
    """Count the areas of the score and of each measure; returns images scored a second."""
    begun = time.perf_counter()
    measured = {kind: scorer.measure(images) for kind, images in {"": usual, **unusual}.items()}
    seconds = time.perf_counter() - begun
    for kind in unusual:
        add(areas, "score", kind, *(scorer.calibration.scores(measured[name]) for name in ("", kind)))
        for column, name in enumerate(scorer.measure_names):
            add(areas, name, kind, measured[""][:, column], measured[kind][:, column])
    return sum(map(len, measured.values())) / seconds


def defects(arguments: argparse.Namespace) -> None:
    """Scratches and flips of test digits, and images that are no digits."""
    dataset, train, test, sizes = of_digits(arguments.dataset, is_small=arguments.smoke)
    assert test.labels is not None
    vae = VAE.from_preset(arguments.model)
    areas: Areas = {}
    speeds = []
    for seed in arguments.seeds:
        rng = np.random.default_rng(seed)
        learnt = rng.permutation(train.count)[: sizes[0]]
        held_out, usual, unusual = np.split(
            rng.permutation(test.count)[: sizes[1] + 2 * sizes[2]], [sizes[1], sizes[1] + sizes[2]]
        )
        scorer = Scorer(vae, seed=seed).fit(train.read(learnt), held_out=test.read(held_out))
        scorer.score(test.read(usual))  # traced now, not while it is timed
        others = test.read(unusual)
        anomalies = {
            "scratch": scratched(others, rng),
            "upside down": others[:, ::-1],
            "upside down, 2 4 5 6 7 9 alone": others[np.isin(test.labels[unusual], NO_DIGITS_UPSIDE_DOWN), ::-1],
            "letters": letters(sizes[2], rng),
            "photographs": photographs(sizes[2], rng),
        }
        speeds.append(compare(areas, scorer, test.read(usual), anomalies))
    print_areas(f"{arguments.model}, {dataset}", areas)
    print(f"\n{statistics.median(speeds):,.0f} digits/s with all measures.")


def of_digits(dataset: str, *, is_small: bool) -> tuple[str, ArraySplit, ArraySplit, tuple[int, int, int]]:
    """Name, training and test digits, and how many of them are learnt from, held out and scored of each kind."""
    digits = load_dataset(dataset)
    train, test = (
        split.in_memory() if isinstance(split, StreamSplit) else split for split in (digits.train, digits.test)
    )
    assert isinstance(train, ArraySplit)
    assert isinstance(test, ArraySplit)
    least = 60 if is_small else test.count // 4
    return digits.name, train, test, (min(LEARNT, 4 * least), min(HELD_OUT, least), min(SCORED, least))


def scratched(images: UInt8, rng: np.random.Generator) -> UInt8:
    """White lines of `SCRATCH` pixels that were all dark, in any direction."""
    marked = images.copy()
    for image in marked:
        line = a_line(image.shape[:2], rng)
        while image[line].max() >= DARK:
            line = a_line(image.shape[:2], rng)
        image[line] = 255
    return marked


def a_line(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[npt.NDArray[np.int_], ...]:
    """The pixels of a line of `SCRATCH` pixels inside of an image."""
    angle = rng.uniform(0, np.pi)
    reach = (SCRATCH - 1) / 2 * np.array([np.sin(angle), np.cos(angle)])
    centre = rng.uniform(SCRATCH / 2, np.array(shape) - SCRATCH / 2 - 1)
    ends = np.rint([centre - reach, centre + reach]).astype(int)
    return draw.line(*ends[0], *ends[1])


def letters(count: int, rng: np.random.Generator) -> UInt8:
    """Letters that look like no digit, white, in Matplotlib's fonts; they fill 20×20 pixels, as MNIST's digits do."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fonts = [str(path) for path in sorted(folder.glob("DejaVuS*.ttf")) if "Display" not in path.name]
    found = []
    for font, letter in zip(rng.choice(fonts, count), rng.choice(list(LETTERS), count), strict=True):
        large = Image.new("L", (160, 160))
        ImageDraw.Draw(large).text((80, 80), letter, 255, ImageFont.truetype(font, 80), anchor="mm")
        cut = large.crop(large.getbbox())
        cut.thumbnail((20, 20), Image.Resampling.LANCZOS)
        image = Image.new("L", (28, 28))
        image.paste(cut, ((28 - cut.width) // 2, (28 - cut.height) // 2))
        found.append(np.asarray(image))
    return np.stack(found)[..., None]


def photographs(count: int, rng: np.random.Generator) -> UInt8:
    """Squares of 28×28 pixels of scikit-image's grey photographs."""
    return np.concatenate([squares(whole(), count // 2, rng, 28) for whole in (data.camera, data.coins)])


def textures(arguments: argparse.Namespace) -> None:
    """Squares of textures with and without defects. Learnt, held-out and scored squares lie in different columns."""
    learnt, held_out, scored = (12, 8, 8) if arguments.smoke else SQUARES
    # What looks at features alone never calls it.
    vae = VAE((SIDE, SIDE, 1), 2, widths=(8,), groups=4, attention_resolution=0, generative_skips=False)
    areas: dict[str, Areas] = {"image": {}, "pixel": {}}
    for seed in arguments.seeds:
        pairs = list(zip(TEXTURES, TEXTURES[1:] + TEXTURES[:1], strict=True))
        for name, other in pairs[:1] if arguments.smoke else pairs:
            rng = np.random.default_rng(seed)
            whole, foreign = getattr(data, name)(), getattr(data, other)()
            fitted, calibrating, usual, unmarked = (
                squares(whole[:, columns], count, rng)
                for columns, count in (
                    (slice(0, 256), learnt),
                    (slice(256, 384), held_out),
                    (slice(384, 512), scored),
                    (slice(384, 512), scored),
                )
            )
            marked = [with_defect(square, foreign, rng) for square in unmarked]
            unusual, masks = (np.stack(parts) for parts in zip(*marked, strict=True))
            for method in ("padim", "patchcore"):
                scorer = Scorer(vae, method, seed).fit(fitted, held_out=calibrating)
                found = [scorer.score(images) for images in (usual, unusual)]
                add(areas["image"], method, name, *found)
                heat = scorer.heatmap(unusual)
                add(areas["pixel"], method, name, heat[~masks], heat[masks])
    for what, found_areas in areas.items():
        print_areas(f"textures, by {what}", found_areas)


def squares(texture: UInt8, count: int, rng: np.random.Generator, side: int = SIDE) -> UInt8:
    """Random squares (count, side, side, 1)."""
    rows, columns = (rng.integers(0, size - side + 1, count) for size in texture.shape)
    found = [texture[y : y + side, x : x + side] for y, x in zip(rows, columns, strict=True)]
    return np.stack(found)[..., None]


def with_defect(square: UInt8, foreign: UInt8, rng: np.random.Generator) -> tuple[UInt8, npt.NDArray[np.bool_]]:
    """The square with a hole, a scratch, a smear or a piece of another texture, and where it is."""
    mask = np.zeros((SIDE, SIDE), bool)
    kind = rng.choice(["hole", "scratch", "smear", "piece"])
    y, x = rng.integers(14, SIDE - 14, 2)
    if kind == "scratch":
        angle = rng.uniform(0, np.pi)
        dy, dx = np.rint(13 * np.array([np.sin(angle), np.cos(angle)])).astype(int)
        for shift in (0, 1):  # two pixels wide
            mask[draw.line(y - dy, x - dx + shift, y + dy, x + dx + shift)] = True
    else:
        mask[draw.ellipse(y, x, *rng.uniform(5, 10, 2), shape=mask.shape)] = True
    pixels = square[..., 0].astype(float)
    changed = {
        "hole": pixels * 0.3,
        "scratch": np.full_like(pixels, rng.choice([20, 235])),
        "smear": gaussian_filter(pixels, 3),
        "piece": squares(foreign, 1, rng)[0, ..., 0].astype(float),
    }[kind]
    return np.rint(np.where(mask, changed, pixels)).astype(np.uint8)[..., None], mask


def one_class(arguments: argparse.Namespace) -> None:
    """A model for each digit, which scores the test digits of all."""
    name, train, test, _ = of_digits(arguments.dataset, is_small=arguments.smoke)
    areas: Areas = {}
    with tempfile.TemporaryDirectory() as temporary:
        results = arguments.results or Path(temporary)
        results.mkdir(parents=True, exist_ok=True)
        for seed in arguments.seeds:
            for digit in arguments.digits:
                kept = results / f"{name}-{arguments.model}-{arguments.epochs}-{digit}-{seed}.json"
                if not kept.exists():
                    kept.write_text(json.dumps(areas_of_digit(train, test, digit, seed, arguments)))
                found = json.loads(kept.read_text())
                print(f"digit {digit}, seed {seed}: {found['score']:.4f}", flush=True)
                for row, area in found.items():
                    areas.setdefault(row, {}).setdefault("mean of the digits", []).append(area)
    print_areas(f"one class, {name}, {arguments.epochs} epochs", areas)


def areas_of_digit(
    train: ArraySplit, test: ArraySplit, digit: int, seed: int, arguments: argparse.Namespace
) -> dict[str, float]:
    """The area of the score and of each measure of a model that saw one digit alone."""
    assert train.labels is not None
    assert test.labels is not None
    own = train.read(np.flatnonzero(train.labels == digit))
    # Unseen in training: they stop nothing and choose nothing, and calibrate.
    training, held_out = np.split(own, [len(own) * 4 // 5])
    scorer = Scorer(trained(training, seed, arguments), seed=seed).fit(training[:LEARNT], held_out=held_out)
    is_own = test.labels == digit
    usual, unusual = (test.read(np.flatnonzero(rows)) for rows in (is_own, ~is_own))
    areas: Areas = {}
    compare(areas, scorer, usual, {"others": unusual})
    return {row: found["others"][0] for row, found in areas.items()}


def trained(images: UInt8, seed: int, arguments: argparse.Namespace) -> VAE:
    """The preset's model of these images."""
    config = preset(arguments.model).replace(seed=seed, epochs=arguments.epochs, data__batch_size=64)
    config = small.small(config) if arguments.smoke else config
    steps = len(images) // config.data.batch_size
    trainer = build_trainer(config, steps)
    batches = training_batches(ArraySplit(images), config.data.batch_size, seed=seed)
    trainer.fit(batches, epochs=config.epochs, steps_per_epoch=steps, shuffle=False, verbose=0)
    return trainer.ema_vae or trainer.vae


if __name__ == "__main__":
    main()
