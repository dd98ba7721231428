"""The test set's posterior means for TensorBoard's embedding projector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from google.protobuf import text_format
from tensorboard.plugins import projector

from keras_vae import visualize
from keras_vae.callbacks.attempts import Attempts
from keras_vae.callbacks.posteriors import EpochPosteriors
from keras_vae.files import write_text, written_beside

# With more points the thumbnails hide one another, and the page's own projections (UMAP, t-SNE) take minutes.
MOST_POINTS = 2000
MEANS, CLASSES, SPRITE = "posterior_means.tsv", "classes.tsv", "sprite.png"
CONFIG = "projector_config.pbtxt"


class EmbeddingProjector(keras.callbacks.Callback):
    """Writes the points after each epoch, and once their classes, their thumbnails and the projector's config.

    An open TensorBoard keeps showing the points that it read first; restart it to see the newest.

    Args:
        folder: what TensorBoard shows as a run: ``<run directory>/tensorboard/test``.
        posteriors: of the test images; the first 2,000 are shown. Comes before this callback in the list.
        class_names: one name a label.
    """

    def __init__(self, folder: Path, posteriors: EpochPosteriors, class_names: tuple[str, ...] | None) -> None:
        super().__init__()
        self.folder = folder
        self.posteriors = posteriors
        self.class_names = class_names

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._has_config = False
        self._attempts = Attempts()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        with written_beside(self.folder / MEANS) as beside:
            np.savetxt(beside, _at_least_three(self.posteriors.means[:MOST_POINTS]), fmt="%.6g", delimiter="\t")
        if not self._has_config:
            with self._attempts.at("TensorBoard's projector"):
                self._write_config()
            self._has_config = True

    def _write_config(self) -> None:
        sheet, size = visualize.sprite_sheet(self.posteriors.images[:MOST_POINTS])
        visualize.write_png(self.folder / SPRITE, sheet)
        config = projector.ProjectorConfig()
        embedding = config.embeddings.add(tensor_name="posterior means", tensor_path=MEANS)
        embedding.sprite.image_path = SPRITE
        embedding.sprite.single_image_dim.extend(size)
        if self.posteriors.labels is not None:
            write_text(self.folder / CLASSES, _table(self.posteriors.labels[:MOST_POINTS], self.class_names))
            embedding.metadata_path = CLASSES
        # Last, because it names the others.
        write_text(self.folder / CONFIG, text_format.MessageToString(config))


def _at_least_three(means: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``means``, filled up with columns of zeros to three: with fewer the projector shows no points."""
    return np.pad(means, ((0, 0), (0, max(0, 3 - means.shape[1]))))


def _table(labels: npt.NDArray[np.int32], names: tuple[str, ...] | None) -> str:
    """A row of column names and a row for each point. With one column only, the projector expects no names."""
    shown = [str(label) if names is None else " ".join(names[label].split()) for label in labels]
    return "".join(["class\timage\n", *(f"{name}\t{index}\n" for index, name in enumerate(shown))])
