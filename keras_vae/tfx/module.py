"""The ``run_fn`` that a TFX Trainer calls: ``Trainer(run_fn="keras_vae.tfx.module.run_fn", …)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import keras

from keras_vae.callbacks import run_callbacks
from keras_vae.config import RunConfig
from keras_vae.data import (
    ImageDataset,
    build_augmentation,
    evaluation_batches,
    load_tfrecords,
    steps_per_epoch,
    training_batches,
)
from keras_vae.data.binarize import binarized
from keras_vae.errors import InputError
from keras_vae.tfx.settings import run_config
from keras_vae.training import RunDirectory, VAETrainer, build_trainer
from keras_vae.training.environment import describe_environment


class FnArgs(Protocol):
    """The attributes of ``tfx.components.FnArgs`` that `run_fn` reads."""

    train_files: Sequence[str]
    eval_files: Sequence[str]
    train_steps: int | None
    eval_steps: int | None
    serving_model_dir: str
    model_run_dir: str
    custom_config: Mapping[str, Any] | None


def run_fn(fn_args: FnArgs) -> None:
    """Train a VAE on tf.Examples for ``train_steps``, evaluate it on ``eval_steps`` batches, export the SavedModel.

    ``model_run_dir`` becomes a run directory with metrics, TensorBoard logs, pictures and model. The SavedModel of the
    averaged weights goes to ``serving_model_dir``. Without ``train_steps``, training takes the configured number of
    epochs. Evaluation follows every epoch, without ``eval_steps`` on the whole split.

    Args:
        fn_args: TFX's arguments. ``train_files`` and ``eval_files`` match gzipped TFRecord files of tf.Example with
            ``image/encoded`` (PNG or JPEG bytes) and optionally ``label`` (one int64). ``custom_config`` is described
            at `keras_vae.tfx.settings.run_config`.

    Raises:
        InputError: if settings, files or folders cannot be used; the message names them.
    """
    config = run_config(fn_args.custom_config, fn_args.train_steps)
    run_path = _local(fn_args.model_run_dir, "model_run_dir")
    model_path = _local(fn_args.serving_model_dir, "serving_model_dir")
    dataset = load_tfrecords(fn_args.train_files, fn_args.eval_files, memory_limit=config.data.memory_limit)
    if config.data.binarize != "none":
        dataset = binarized(dataset)
    config = config.replace(model__image_shape=dataset.image_shape, data__dataset=dataset.name)
    if config.data.conditional:
        config = config.replace(model__num_classes=config.model.num_classes or dataset.num_classes)
    _check_labels(config, dataset)
    epoch_steps = steps_per_epoch(dataset.train, config.data.batch_size)
    train_steps = fn_args.train_steps or config.epochs * epoch_steps
    config = config.replace(epochs=-(-train_steps // epoch_steps))
    trainer = _build(config, train_steps)
    # Replaces what a failed attempt left there.
    recorded = {"data": dataset.describe(), "environment": describe_environment(config)}
    run = RunDirectory.create(run_path, config, recorded, overwrite=True)
    _fit(run, config, dataset, trainer, train_steps, fn_args.eval_steps)
    from keras_vae.export.signatures import write_saved_model  # deferred: training does not need it

    write_saved_model(trainer.inference_vae, model_path)


class _StopAfter(keras.callbacks.Callback):
    """Ends training after the given number of steps, even within an epoch."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._before = epoch * self.params["steps"]

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._before + batch + 1 >= self.steps:
            self.model.stop_training = True


def _local(path: str, name: str) -> Path:
    if "://" in path:
        raise InputError(f"{name}: {path} is not a local folder; run the Trainer with a pipeline_root on a file system")
    return Path(path)


def _check_labels(config: RunConfig, dataset: ImageDataset) -> None:
    if config.model.num_classes is None:
        if config.data.conditional:
            raise InputError("data.conditional is set, but the records have no label")
        return
    for split, name in ((dataset.train, "training"), (dataset.test, "evaluation")):
        if not split.has_labels:
            raise InputError(f"model.num_classes is set, but the {name} records have no label")
    if dataset.num_classes is not None and dataset.num_classes > config.model.num_classes:
        raise InputError(f"model.num_classes must be at least {dataset.num_classes}, got {config.model.num_classes}")


def _build(config: RunConfig, train_steps: int) -> VAETrainer:
    try:
        # As one epoch: the schedules refer to train_steps, which need not be a whole number of epochs.
        return build_trainer(config.replace(epochs=1), train_steps)
    except ValueError as error:  # for example widths that heads or groups do not divide
        raise InputError(f"custom_config: {error}") from error


def _fit(
    run: RunDirectory,
    config: RunConfig,
    dataset: ImageDataset,
    trainer: VAETrainer,
    train_steps: int,
    eval_steps: int | None,
) -> None:
    batch_size = config.data.batch_size
    augment = build_augmentation(
        config.data.augment, dataset.image_shape, config.seed, binarize=dataset.grey_train is not None
    )
    evaluated = evaluation_batches(dataset.test, batch_size)
    trainer.fit(
        training_batches(dataset.trained_on, batch_size, seed=config.seed, augment=augment),
        epochs=config.epochs,
        steps_per_epoch=steps_per_epoch(dataset.train, batch_size),
        validation_data=evaluated if eval_steps is None else evaluated.take(eval_steps),
        callbacks=[_StopAfter(train_steps), *run_callbacks(run, config, dataset)],
        shuffle=False,  # the batches are shuffled already
        verbose=0,
    )
