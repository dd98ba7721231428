"""After the first epoch, no TensorFlow function is traced again."""

import keras
import pytest
import tensorflow as tf
from noise_images import BATCH, MODEL, TRAINING

from keras_vae.callbacks import fit_run
from keras_vae.callbacks import standard as standard_callbacks
from keras_vae.config import RunConfig
from keras_vae.models import Decoder, Encoder, PatchDiscriminator
from keras_vae.training import RunDirectory, VAETrainer, build_trainer

CONFIG = RunConfig().replace(
    epochs=3,
    **MODEL,
    model__widths=(4,),
    discriminator__widths=(4,),
    objective__perceptual_weight=0,
    data__batch_size=BATCH,
)


@pytest.fixture
def traces(monkeypatch):
    """The methods that TensorFlow traced, in order: each runs in Python once for every trace."""
    found = []

    def count(cls, name):
        original = getattr(cls, name)

        def counted(self, *arguments, **named):
            if not tf.executing_eagerly():
                found.append(f"{cls.__name__}.{name}")
            return original(self, *arguments, **named)

        monkeypatch.setattr(cls, name, counted)

    for cls, name in (
        (VAETrainer, "train_step"),
        (VAETrainer, "test_step"),
        (Encoder, "call"),
        (Decoder, "call"),
        (PatchDiscriminator, "call"),
    ):
        count(cls, name)
    return found


class TracesByEpoch(keras.callbacks.Callback):
    """The number of traces at the end of each epoch, after the work of the other callbacks."""

    def __init__(self, traces):
        super().__init__()
        self.traces, self.counts = traces, []

    def on_epoch_end(self, epoch, logs=None):
        self.counts.append(len(self.traces))


def test_nothing_is_traced_after_the_first_epoch(traces, dataset, tmp_path, monkeypatch):
    by_epoch = TracesByEpoch(traces)
    original = standard_callbacks.run_callbacks
    monkeypatch.setattr(
        standard_callbacks, "run_callbacks", lambda *given, **named: [*original(*given, **named), by_epoch]
    )
    monkeypatch.setattr("keras_vae.callbacks.pictures.Pictures.on_train_end", lambda self, logs=None: None)
    # Draw every epoch, however long that takes compared with these short ones.
    monkeypatch.setattr("keras_vae.callbacks.tensorboard.TensorBoardSummaries._may_draw", lambda self, epoch: True)

    fit_run(RunDirectory.create(tmp_path / "run"), CONFIG, dataset, build_trainer(CONFIG, TRAINING // BATCH))

    assert by_epoch.counts == [by_epoch.counts[0]] * CONFIG.epochs, traces[by_epoch.counts[0] :]
    assert {"VAETrainer.train_step", "VAETrainer.test_step", "Encoder.call", "Decoder.call"} <= set(traces)
