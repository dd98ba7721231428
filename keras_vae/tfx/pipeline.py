"""A TFX pipeline: TFRecords → statistics → schema → trained VAE → ``exports/<name>/<version>/``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from keras_vae.errors import InputError
from keras_vae.tfx.settings import run_config

RUN_FN = "keras_vae.tfx.module.run_fn"


def create_pipeline(
    pipeline_name: str,
    pipeline_root: str | os.PathLike[str],
    data_root: str | os.PathLike[str],
    serving_model_dir: str | os.PathLike[str],
    metadata_path: str | os.PathLike[str],
    *,
    train_steps: int,
    eval_steps: int,
    custom_config: Mapping[str, Any] | None = None,
    beam_pipeline_args: Sequence[str] = (),
) -> Any:
    """ImportExampleGen → StatisticsGen → SchemaGen → Trainer → Pusher.

    Args:
        pipeline_name: name by which TFX finds earlier runs.
        pipeline_root: local folder for everything that the components write.
        data_root: the folder that ``keras-vae to-tfrecord`` wrote, with ``train`` and ``test``.
        serving_model_dir: ``exports/<name>``; the Pusher adds a version, the time in seconds.
        metadata_path: SQLite file of ML Metadata.
        train_steps: number of batches to train on.
        eval_steps: number of batches to evaluate on after each epoch.
        custom_config: preset and settings, see `keras_vae.tfx.settings.run_config`.
        beam_pipeline_args: options for the components that run on Apache Beam.

    Returns:
        ``tfx.v1.dsl.Pipeline``; run it with ``tfx.v1.orchestration.LocalDagRunner().run(pipeline)``.

    Raises:
        InputError: if TFX is not installed, or if a setting is unknown or out of range.

    Example:
        ```python
        pipeline = create_pipeline(
            "mnist", "tfx/root", "data/mnist", "exports/mnist-latent2", "tfx/metadata.db",
            train_steps=4680, eval_steps=79, custom_config={"model": {"latent_dim": 2}},
        )
        ```
    """
    for name, steps in (("train_steps", train_steps), ("eval_steps", eval_steps)):
        if steps < 1:
            raise InputError(f"{name} must be at least 1, got {steps}")
    run_config(custom_config, train_steps)  # report a wrong setting now, not after the statistics
    tfx = _import_tfx()
    splits = [
        tfx.proto.Input.Split(name="train", pattern="train/*"),
        tfx.proto.Input.Split(name="eval", pattern="test/*"),
    ]
    example_gen = tfx.components.ImportExampleGen(
        input_base=os.fspath(data_root), input_config=tfx.proto.Input(splits=splits)
    )
    statistics_gen = tfx.components.StatisticsGen(examples=example_gen.outputs["examples"])
    schema_gen = tfx.components.SchemaGen(statistics=statistics_gen.outputs["statistics"])
    trainer = tfx.components.Trainer(
        run_fn=RUN_FN,
        examples=example_gen.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        train_args=tfx.proto.TrainArgs(num_steps=train_steps),
        eval_args=tfx.proto.EvalArgs(num_steps=eval_steps),
        custom_config=dict(custom_config or {}),
    )
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=os.fspath(serving_model_dir))
        ),
    )
    return tfx.dsl.Pipeline(
        pipeline_name=pipeline_name,
        pipeline_root=os.fspath(pipeline_root),
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            os.fspath(metadata_path)
        ),
        components=[example_gen, statistics_gen, schema_gen, trainer, pusher],
        beam_pipeline_args=list(beam_pipeline_args),
    )


def _import_tfx() -> Any:
    try:
        from tfx import v1 as tfx  # deferred: few users have it, and nothing else here needs it
    except ImportError as error:
        raise InputError(
            f"create_pipeline needs the package tfx ({error}); pip install 'keras-vae[tfx]', which needs a wheel of "
            "ml-metadata for this Python and system"
        ) from error
    return tfx
