"""A run's description for TensorBoard: its configuration as text, its hyperparameters for the HParams dashboard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from tensorboard.plugins.hparams import api as hp
from tensorboard.plugins.hparams import api_pb2, summary

from keras_vae.config import RunConfig
from keras_vae.training.command_line import flat_settings

# The test metrics to compare runs by, and their names in the dashboard.
COMPARED = {
    "mse": "MSE",
    "psnr": "PSNR [dB]",
    "ssim": "SSIM",
    "lpips": "LPIPS",
    "elbo": "ELBO [nats]",
    "kl": "KL [nats]",
    "active_units": "active units",
}
# The dashboard shows five hyperparameters until the user ticks others: those marked as differing first, then by name.
SHOWN_FIRST = (
    "model.latent_dim",
    "objective.beta",
    "objective.perceptual_weight",
    "objective.adversarial_weight",
    "optimizer.learning_rate",
)
# Names and paths are not hyperparameters.
_LEFT_OUT = {"preset", "data.data_dir", "data.memory_limit"}


def configuration_text(config: RunConfig) -> str:
    """Markdown: the configuration as JSON."""
    return f"```json\n{json.dumps(config.as_dict(), indent=2)}\n```"


def hyperparameter_callback(
    writer: tf.summary.SummaryWriter, config: RunConfig, tags: Mapping[str, str], name: str
) -> hp.KerasCallback:
    """TensorBoard's own callback for hyperparameters; also writes which metrics to compare.

    Args:
        writer: for the folder with the test metrics.
        config: the settings of the run.
        tags: metric → its tag in that folder.
        name: the name of the run, which becomes the dashboard's trial ID.
    """
    values = hyperparameters(config)
    experiment = summary.experiment_pb(
        hparam_infos=[
            api_pb2.HParamInfo(name=setting, type=_type_of(value), differs=setting in SHOWN_FIRST)
            for setting, value in values.items()
        ],
        metric_infos=[
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tags[metric]), display_name=title)
            for metric, title in COMPARED.items()
        ],
    )
    with writer.as_default():
        tf.summary.experimental.write_raw_pb(experiment.SerializeToString(), step=0)
    return hp.KerasCallback(writer, values, trial_id=name)


def hyperparameters(config: RunConfig) -> dict[str, bool | int | float | str]:
    """``section.name`` → value for every setting; anything but a number, a truth value or a text becomes a text."""
    return {name: _plain(value) for name, value in flat_settings(config).items() if name not in _LEFT_OUT}


def _plain(value: Any) -> bool | int | float | str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "none" if value is None else value


def _type_of(value: bool | int | float | str) -> Any:
    if isinstance(value, bool):
        return api_pb2.DATA_TYPE_BOOL
    return api_pb2.DATA_TYPE_STRING if isinstance(value, str) else api_pb2.DATA_TYPE_FLOAT64
