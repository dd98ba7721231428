"""Start TensorFlow quietly, and open the models, data sets and images that a command is given."""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from keras_vae.config import DataConfig
from keras_vae.errors import BatchJobError, ExportError, InputError
from keras_vae.export.manifest import read_manifest
from keras_vae.export.publish import list_versions
from keras_vae.training.run_directory import RunDirectory

from .published import no_model, not_a_model, own_run, published_data, published_name

if TYPE_CHECKING:
    import numpy as np

    from keras_vae.data import ImageDataset
    from keras_vae.metrics import InceptionFeatures
    from keras_vae.models import VAE


# Keras imports these where they are installed, for wrappers, data and drawings that no command uses. They took two
# fifths of the time that its import takes.
NOT_NEEDED = ("sklearn", "pandas", "jax", "matplotlib")


def start_tensorflow() -> None:
    """Import TensorFlow without the lines that it logs while it loads, which no setting silences.

    On CPU this turns off graph rewriting, which adds about 4 s to the first step and did not speed up measured steps.
    """
    with stderr_held_back(), _left_out(NOT_NEEDED), _uncollected():
        # Deferred: the import takes seconds, and help does not need it.
        import keras  # noqa: F401
        import tensorflow as tf

        # Warnings are for programmers, for example that several models were traced in one process.
        tf.get_logger().setLevel("ERROR")
        if not tf.config.list_physical_devices("GPU"):
            tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


@contextmanager
def _left_out(names: tuple[str, ...]) -> Iterator[None]:
    """Let imports in the block find no package of these names, unless it is imported already."""
    hidden = [name for name in names if name not in sys.modules]
    # Python's own way to say that a module does not exist.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def _uncollected() -> Iterator[None]:
    """Look for no garbage: modules make a million objects that stay, and going over them took a sixth of an import."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def stderr_held_back() -> Iterator[Callable[[str], None]]:
    """Hold back everything that libraries write to stderr; show it only if the block fails unexpectedly.

    Yields a function that prints a line to stderr all the same.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield lambda line: _write_line(saved, line)
        except (InputError, ExportError, BatchJobError, KeyboardInterrupt):
            raise  # the message is enough
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def _write_line(descriptor: int, line: str) -> None:
    os.write(descriptor, f"{line}\n".encode(errors="replace"))


def open_model(path: Path) -> tuple[VAE, DataConfig | None]:
    """The model in a run directory, a ``.keras`` file or an exported version, or the published one of that name.

    The folder of an exported model stands for its newest version. The second value is the data set that the model was
    trained on, None where that is not known.

    Raises:
        InputError: if there is no model, or it cannot be loaded.
    """
    version = exported_version(path)
    if version:
        return _open_exported(version)
    config, model_path = None, path
    if is_diffusers_folder(path):
        raise InputError(
            f"{path}: is a diffusers folder; make a model of it with: keras-vae convert {path} model.keras"
        )
    if path.is_dir():
        run = RunDirectory(path)
        if not run.is_run():
            raise not_a_model(path)
        config, model_path = run.read_config().data, run.model
        if not model_path.is_file():
            raise InputError(
                f"{path}: has no model yet; finish the run with: keras-vae train --resume --run-dir {path}"
            )
    elif not path.exists():
        if name := published_name(path):
            return _open_published(name)
        raise no_model(path)
    start_tensorflow()
    from keras_vae.training.saving import load_model

    return load_model(model_path), config


def _open_published(name: str) -> tuple[VAE, DataConfig]:
    if own := own_run(name):
        say(f"{name} is the published model; your own run is {own}")
    start_tensorflow()
    from keras_vae.models import VAE

    return VAE.from_preset(name), published_data(name)


def exported_version(path: Path) -> Path | None:
    """The exported version at ``path``, or the newest one in that folder; None if there is none."""
    if not path.is_dir() or RunDirectory(path).is_run():
        return None
    if (path / "saved_model.pb").exists():
        return path
    versions = [path / str(version) for version in list_versions(path)]
    return next((version for version in reversed(versions) if (version / "saved_model.pb").exists()), None)


def is_diffusers_folder(path: Path) -> bool:
    """Whether ``path``, or ``vae`` in it, has a config.json that names a class of diffusers, of whatever kind."""
    for config in (path / "config.json", path / "vae" / "config.json"):
        try:
            found = json.loads(config.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(found, dict) and "_class_name" in found:
            return True
    return False


def _open_exported(folder: Path) -> tuple[VAE, DataConfig | None]:
    start_tensorflow()
    from keras_vae.export.loading import load_exported

    with stderr_held_back():  # TensorFlow warns that it cannot be trained
        exported = load_exported(folder)
    data = exported.manifest.data or {}
    name, source = data.get("name"), data.get("source")
    # In the notation of --dataset. For a folder only its name is recorded, so its path is not guessed.
    dataset = "sample" if source == "sample" else str(name) if source == "tfds" else f"{source}:{name}"
    # ExportedVAE has every attribute of a VAE that commands use.
    return cast("VAE", exported), DataConfig(dataset=dataset) if name and source else None


def open_dataset(
    run: Path, config: DataConfig | None, dataset: str | None, data_dir: str | None, vae: VAE
) -> ImageDataset:
    """The data set ``dataset``, or by default the one that the run was trained on; its images fit the model.

    Classes have the numbers that they had in the training of ``run``.

    Raises:
        InputError: if it is not available, its images have another shape, or a conditional model has other classes.
    """
    from keras_vae.data import load_dataset
    from keras_vae.data.recorded import numbered_as_recorded

    found = config or DataConfig()
    if dataset and dataset != found.dataset:
        found = with_dataset(found, dataset)
    if data_dir:
        found = found.replace(data_dir=data_dir)
    from keras_vae.data.tfds_prepare import SourceUnavailableError

    try:
        loaded = load_dataset(framed_as(found, vae.image_shape), say=say)
    except SourceUnavailableError as error:
        if found.dataset != "mnist":
            raise
        raise InputError(f"{error}, or use the 5,000 MNIST digits that are installed: --dataset sample") from error
    if loaded.image_shape != tuple(vae.image_shape):
        raise InputError(
            f"{loaded.name}: its images are {loaded.image_shape}, the model takes {vae.image_shape}; choose --dataset"
        )
    return loaded if vae.sample_classes is None else numbered_as_recorded(loaded, recorded_data(run))


def open_inception(path: Path) -> InceptionFeatures:
    """The network of FID in the file ``path``.

    Raises:
        InputError: if it is not the file that FID takes.
    """
    start_tensorflow()
    from keras_vae.metrics import InceptionFeatures

    with stderr_held_back():  # TensorFlow warns of an operation of 2015
        return InceptionFeatures(path)


def with_dataset(config: DataConfig, dataset: str) -> DataConfig:
    """``config`` for another data set: without the splits of TFDS, and without squares if it has no image files."""
    config = config if dataset.startswith("folder:") else without_squares(config)
    return config.replace(dataset=dataset, train_split=None, test_split=None)


def without_squares(config: DataConfig) -> DataConfig:
    """``config`` for whole images."""
    return config.replace(crop=None, crop_scale=1.0)


def framed_as(config: DataConfig, shape: tuple[int, int, int]) -> DataConfig:
    """The same data; image files get that shape unless the config sets another."""
    if not config.dataset.startswith("folder:"):
        return config
    return config.replace(image_size=config.image_size or shape[:2], channels=config.channels or shape[2])


def read_image(path: Path, shape: tuple[int, int, int], config: DataConfig | None) -> np.ndarray:
    """An image file as float32 in [0, 1] of ``shape`` (H, W, C), fitted as the training images were.

    Raises:
        InputError: if it cannot be read.
    """
    import numpy as np

    return read_pixels(path, shape, config).astype(np.float32) / 255


def read_pixels(
    path: Path, shape: tuple[int, int, int], config: DataConfig | None, *, at_own_size: bool = False
) -> np.ndarray:
    """As `read_image`, but uint8; with ``at_own_size`` of the file's own height and width.

    Raises:
        InputError: if it cannot be read.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name the image files in it, such as {path}/*.png")
    from keras_vae.data import image_file
    from keras_vae.data.framing import Framing

    found = config or DataConfig()
    fit = "whole" if at_own_size else found.fit
    return image_file.read_image(path, Framing(shape, fit, found.max_pixels, found.bit_depth))


def recorded_data(path: Path) -> dict[str, Any]:
    """The training data that a run directory or an exported version recorded; empty if there is no record."""
    version = exported_version(path)
    if version:
        data = read_manifest(version).data
    else:
        run = RunDirectory(path)
        data = run.read_recorded().get("data") if run.is_run() else None
    return dict(data) if isinstance(data, Mapping) else {}


def class_names_of(path: Path, vae: VAE) -> tuple[str, ...] | None:
    """The names of the classes that ``vae`` can sample, if they were recorded."""
    from keras_vae.data.class_names import recorded_names

    names = recorded_names(recorded_data(path))
    return names if names is not None and len(names) == vae.sample_classes else None


def find_label(vae: VAE, run: Path, label: str | None, *, of_sample: bool = False) -> int | None:
    """The number of the class ``label``, a name or a number; None if it is None.

    Args:
        of_sample: whether the prior's classes count too.

    Raises:
        InputError: if the model has no classes, or not this one.
    """
    if label is None:
        return None
    classes = vae.sample_classes if of_sample else vae.num_classes
    if classes is None:
        raise InputError(f"{run}: is not conditional, so it has no label {label}; train with --conditional")
    from keras_vae.data.class_names import find_class

    try:
        return find_class(label, class_names_of(run, vae), classes)
    except InputError as error:
        raise InputError(f"{run}: {error}") from error


def class_of_images(vae: VAE, run: Path, label: str | None) -> int | None:
    """The number of the class ``label`` of image files; None if the model has no classes and needs none.

    Raises:
        InputError: as `find_label`, and if a conditional model is given no class.
    """
    number = find_label(vae, run, label)
    if vae.num_classes is not None and number is None:
        raise InputError(f"{run}: is conditional; give the class of the images with --label")
    return number


def say(line: str) -> None:
    """Print a line for the user, separate from the output."""
    print(line, file=sys.stderr)
