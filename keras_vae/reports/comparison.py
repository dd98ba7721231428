"""A comparison of runs: the table, notes on what cannot be compared, and the figures as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_vae.reports.runs import Run
from keras_vae.reports.settings import Difference, differences
from keras_vae.reports.table import Row, build_table, differing_settings, has_one_likelihood


@dataclass(frozen=True)
class Comparison:
    """Runs with their table, differences and notes.

    Args:
        runs: one or more runs.
        table: title of each group → its rows.
        differences: the settings in which the runs differ.
        notes: sentences on what cannot be compared.
        has_same_data: whether all figures were measured on the same test images.
    """

    runs: tuple[Run, ...]
    table: Mapping[str, Sequence[Row]]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    has_same_data: bool

    @property
    def names(self) -> list[str]:
        """The names of the runs."""
        return [run.name for run in self.runs]

    def as_dict(self) -> dict[str, Any]:
        """The comparison for JSON; ``metrics`` come from each run's evaluation.json."""
        return {
            "runs": [
                {
                    "name": run.name,
                    "path": str(run.path),
                    "latent_dim": run.config.model.latent_dim,
                    "parameters": run.parameters,
                    "epochs": run.epochs,
                    "seconds": run.seconds,
                    "images_per_second": run.images_per_second,
                    "training_data": run.training_data,
                    "evaluation_data": run.evaluation_data,
                    "evaluation_settings": run.evaluation_settings,
                    "metrics": run.metrics,
                }
                for run in self.runs
            ],
            "best": {
                row.key: [self.names[index] for index in sorted(row.best)]
                for rows in self.table.values()
                for row in rows
                if row.best
            },
            "has_same_data": self.has_same_data,
            "differences": {difference.name: list(difference.values) for difference in self.differences},
            "notes": list(self.notes),
        }


def compare(runs: Sequence[Run]) -> Comparison:
    """Compare runs in the given order. Figures from different test images get no best value."""
    has_same_data = len({_fingerprint(run.evaluation_data) for run in runs}) == 1
    return Comparison(
        runs=tuple(runs),
        table=build_table(runs, marks_best=has_same_data),
        differences=tuple(differences(runs)),
        notes=tuple(_notes(runs, has_same_data)),
        has_same_data=has_same_data,
    )


def _notes(runs: Sequence[Run], has_same_data: bool) -> list[str]:
    notes = []
    if not has_same_data:
        notes.append(
            "The runs were measured on different test images: their figures are not comparable, and no best is marked."
        )
    elif len({_fingerprint(run.training_data, "train") for run in runs}) > 1:
        notes.append("The runs were trained on different images and measured on the same ones.")
    if not has_one_likelihood(runs):
        notes.append(
            "The runs have likelihoods of different kinds (a density, a probability, or none for a plain autoencoder): "
            "their ELBO, NLL and −log p(x) are not comparable, and no best is marked."
        )
    settings = differing_settings(runs)
    if settings:
        notes.append(
            f"The runs were measured with different settings ({', '.join(settings)}): "
            "no best is marked where they matter."
        )
    if len({run.epochs for run in runs}) > 1:
        notes.append("The runs were trained for different numbers of epochs.")
    return notes


def _fingerprint(data: Mapping[str, Any], split: str = "test") -> str:
    """What identifies a data set: the pixels' SHA-256, or without it the name, version and counts."""
    digests = data.get("sha256")
    digest = digests.get(split) if isinstance(digests, Mapping) else None
    return str(digest) if digest else repr([data.get(name) for name in ("name", "version", "counts")])
