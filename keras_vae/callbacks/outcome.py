"""The results of a finished run besides its pictures: model.keras and summary.json."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_vae.data import ImageDataset
from keras_vae.training.posteriors import measure_scaling_factor
from keras_vae.training.run_directory import RunDirectory
from keras_vae.training.saving import save_model


class Outcome(keras.callbacks.Callback):
    """Writes the model and the summary when training ends. Comes before `Pictures`, which take longer and may fail.

    It deletes the evaluation.json of a former model.

    Args:
        run: where they go; its metrics.csv is summarised.
        dataset: its training images give a spatial latent its ``scaling_factor``.
        seed: for the draws that this takes.
    """

    def __init__(self, run: RunDirectory, dataset: ImageDataset, seed: int) -> None:
        super().__init__()
        self.run = run
        self.dataset = dataset
        self.seed = seed

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        vae = self.model.inference_vae
        if vae.measures_scaling_factor and self.model.vae.encoder.trainable:
            measure_scaling_factor(vae, self.dataset.train, self.seed)
        self.run.evaluation.unlink(missing_ok=True)
        save_model(vae, self.run.model)
        parameters = self.model.vae.count_params()
        self.run.write_summary({"parameters": parameters, **summarise(self.run.read_metrics()), "finished": False})


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A run's length and speed, and the last epoch's metrics of either side, from the rows of metrics.csv."""
    last = rows[-1]
    rates = [row["images_per_second"] for row in rows if "images_per_second" in row]
    return {
        "epochs": last["epoch"],
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "images_per_second": float(np.median(rates)) if rates else None,
        **{side: _metrics_of(side, last) for side in ("train", "test")},
    }


def _metrics_of(side: str, row: dict[str, Any]) -> dict[str, float | None]:
    """The metrics of one ``side`` in a row; None where one is not finite, which JSON cannot say."""
    prefix = f"{side}_"
    return {
        name.removeprefix(prefix): value if np.isfinite(value) else None
        for name, value in row.items()
        if name.startswith(prefix)
    }
