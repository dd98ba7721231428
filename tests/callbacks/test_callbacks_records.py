"""What a run records about its epochs: metrics.csv and frames."""

import types

import keras
import numpy as np
import pytest

from keras_vae.callbacks import (
    Checkpoints,
    EpochPosteriors,
    LatentFrames,
    MetricsHistory,
    StepFigures,
    TrainEvaluation,
    run_callbacks,
)
from keras_vae.callbacks.frames import read_frames
from keras_vae.config import RunConfig
from keras_vae.data import ArraySplit, evaluation_batches
from keras_vae.models import VAE
from keras_vae.training import RunDirectory
from keras_vae.training.checkpoints import list_checkpoints


def as_column(name):
    return f"test_{name.removeprefix('val_')}" if name.startswith("val_") else f"train_{name}"


def test_metrics_have_one_row_an_epoch_with_every_metric_of_both_sides(finished):
    rows = finished.directory.read_metrics()

    assert [row["epoch"] for row in rows] == [1, 2]
    for index, row in enumerate(rows):
        assert row["seconds"] > 0
        for name, values in finished.history.items():
            column = name if name == "images_per_second" else as_column(name)
            # Keras's history holds what the last callback left in the logs.
            assert row[column] == pytest.approx(values[index], abs=0.05 if column == name else 0), column
    both = ("elbo", "nll", "kl", "mse", "psnr", "ssim", "adversarial", "real_accuracy", "fake_accuracy")
    measured = {f"{side}_{name}" for side in ("train", "test") for name in both}
    assert (
        measured | {"train_loss", "train_skipped_steps", "train_learning_rate", "test_active_units"} <= rows[0].keys()
    )


def test_training_images_are_evaluated_as_test_images_are(finished, dataset):
    images = dataset.train.images.astype("float32") / 255
    reconstructions = np.asarray(finished.trainer.inference_vae.reconstruct(images))

    last = finished.directory.read_metrics()[-1]

    # The trainer still has the weights of the last epoch. Both are means of about a thousand float32 squares.
    assert last["train_mse"] == pytest.approx(np.square(images - reconstructions).mean(), rel=1e-5)


def test_frames_hold_means_and_reconstructions_of_each_epoch(finished, dataset):
    folder = finished.directory.frames
    assert sorted(path.name for path in folder.iterdir()) == ["epoch_0001.npz", "epoch_0002.npz"]
    vae, images = finished.trainer.inference_vae, dataset.test.images.astype("float32") / 255
    mean, _ = vae.encode(images)

    epochs, frames = read_frames(folder, up_to_epoch=2)

    assert epochs == [1, 2]
    # The batches differ from those here: float32 rounding.
    np.testing.assert_allclose(frames["means"][-1], np.asarray(mean), rtol=1e-4, atol=1e-5)
    assert frames["reconstructions"][-1].dtype == np.uint8
    np.testing.assert_allclose(frames["reconstructions"][-1], 255 * np.asarray(vae.reconstruct(images)), atol=0.51)
    for name in ("kl", "mse"):
        assert [float(value) for value in frames[name]] == pytest.approx(finished.history[f"val_{name}"])


def test_frames_of_later_epochs_and_other_files_are_not_read(finished, tmp_path):
    for path in finished.directory.frames.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / ".ab.epoch_0001.npz").write_text("half a frame")

    assert read_frames(tmp_path, up_to_epoch=1)[0] == [1]
    assert read_frames(tmp_path, up_to_epoch=9)[0] == [1, 2]


def make_posteriors(model, images, labels=None, shown=2):
    """`EpochPosteriors` of ``model``, with three images per batch."""
    posteriors = EpochPosteriors(images, labels, shown=shown, batch_size=3)
    posteriors.set_model(model)
    return posteriors


def test_only_as_many_images_are_reconstructed_as_asked_for(finished, dataset, tmp_path):
    posteriors = make_posteriors(finished.trainer, dataset.test.images)
    posteriors.on_epoch_end(4)
    LatentFrames(tmp_path, posteriors).on_epoch_end(4)

    epochs, arrays = read_frames(tmp_path, up_to_epoch=5)
    assert epochs == [5]
    assert arrays["means"][0].shape == (7, 2)
    assert arrays["reconstructions"][0].shape == (2, 12, 12, 1)
    assert np.isnan(arrays["kl"][0])


def test_a_conditional_model_encodes_with_the_labels(dataset):
    vae = VAE((12, 12, 1), widths=(8, 16), groups=4, num_classes=3)
    images, labels = dataset.test.images, dataset.test.labels
    posteriors = make_posteriors(types.SimpleNamespace(inference_vae=vae), images, labels)

    posteriors.on_epoch_end(0)

    expected = vae.encode(images.astype("float32") / 255, labels)
    for measured, parameter in zip((posteriors.means, posteriors.log_vars), expected, strict=True):
        np.testing.assert_allclose(measured, np.asarray(parameter), rtol=1e-4, atol=1e-5)


def test_the_posteriors_tell_active_dimensions_and_the_kl_of_each(dataset):
    means = np.stack([np.linspace(-2, 2, 7), np.full(7, 0.5)], axis=1).astype("float32")
    vae = types.SimpleNamespace(
        num_classes=None,
        variational=True,
        bottleneck=types.SimpleNamespace(code_shape=None),
        encode_flat=lambda images, labels: (means[: len(images)], np.full((len(images), 2), -1.0, "float32")),
        decode=lambda z, labels: np.zeros((len(z), 12, 12, 1), "float32"),
    )
    posteriors = EpochPosteriors(dataset.test.images, None, shown=2, batch_size=7)
    posteriors.set_model(types.SimpleNamespace(inference_vae=vae))
    logs = {}

    posteriors.on_epoch_end(0, logs)

    assert logs == {"val_active_units": 1}  # the second dimension says the same of every image
    # Kingma & Welling 2014, appendix B.
    expected = 0.5 * (np.square(means.astype("float64")) + np.exp(-1) - 1 + 1).mean(axis=0)
    np.testing.assert_allclose(posteriors.kl_per_dimension, expected, rtol=1e-6)


def test_a_checkpoint_is_written_after_every_epoch_and_after_all_else_of_it(finished, dataset):
    found = list_checkpoints(finished.directory.checkpoints)
    assert [checkpoint.position for checkpoint in found] == [(1, 0), (2, 0)]
    kinds = [type(callback) for callback in run_callbacks(finished.directory, RunConfig(), dataset)]
    assert kinds.index(TrainEvaluation) < kinds.index(MetricsHistory) < kinds.index(Checkpoints)
    assert kinds.index(EpochPosteriors) < kinds.index(LatentFrames) < kinds.index(Checkpoints)


def test_of_large_images_fewer_are_kept_in_memory(finished, dataset, monkeypatch):
    monkeypatch.setattr("keras_vae.callbacks.standard.MOST_BYTES", 5 * 12 * 12)
    monkeypatch.setattr("keras_vae.callbacks.standard.RECONSTRUCTED", 2)
    callbacks = run_callbacks(finished.directory, RunConfig(), dataset)
    (posteriors,) = (callback for callback in callbacks if isinstance(callback, EpochPosteriors))
    assert len(posteriors.images) == 5


@pytest.fixture
def run(tmp_path):
    return RunDirectory.create(tmp_path / "run")


def test_a_resumed_run_keeps_its_rows_and_replaces_those_it_makes_again(run):
    run.write_metrics([{"epoch": number, "seconds": 9.0, "train_loss": 10.0 * number} for number in (1, 2, 3)])
    history = MetricsHistory(run)

    # Resumed after the second epoch: the third was trained, but has no checkpoint.
    history.on_epoch_begin(2)
    history.on_epoch_end(2, {"loss": 1.5, "val_mse": 0.25})

    rows = run.read_metrics()
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["train_loss"] for row in rows] == [10.0, 20.0, 1.5]
    assert rows[-1]["test_mse"] == 0.25


def make_trainer_stand_in():
    return types.SimpleNamespace(
        optimizer=types.SimpleNamespace(learning_rate=0.25),
        discriminator=object(),
        discriminator_optimizer=types.SimpleNamespace(learning_rate=0.5),
    )


@pytest.mark.parametrize(("calls", "expected"), [(range(5), 40 / 4), ((1, 3, 5), 40 / 2)])
def test_the_rate_leaves_the_first_call_out_and_counts_every_step(calls, expected, monkeypatch):
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr("time.perf_counter", lambda: clock.now)
    figures, logs = StepFigures(batch_size=10), {}
    figures.set_model(make_trainer_stand_in())
    figures.on_epoch_begin(0)
    for batch in calls:  # one second a call, of one step or, with steps_per_execution=2, of two
        clock.now += 1.0 if batch != calls[0] else 100.0
        figures.on_train_batch_end(batch)
    figures.on_epoch_end(0, logs)

    assert logs == {"images_per_second": expected, "learning_rate": 0.25, "discriminator_learning_rate": 0.5}


def test_a_run_of_one_call_has_no_rate():
    figures, logs = StepFigures(batch_size=10), {}
    figures.set_model(make_trainer_stand_in())
    figures.on_epoch_begin(0)
    figures.on_train_batch_end(0)
    figures.on_epoch_end(0, logs)
    assert "images_per_second" not in logs


def test_evaluation_replaces_the_image_metrics_of_the_training_step_alone():
    asked = {}

    def evaluate(batches, **options):
        asked.update(options, batches=batches)
        return {"mse": 0.25, "psnr": 6.0, "lpips": 0.1, "nll": -1.0}

    callback = TrainEvaluation("batches")
    callback.set_model(types.SimpleNamespace(evaluate=evaluate))
    logs = {"mse": 0.5, "lpips": 0.2, "nll": 7.0, "val_mse": 0.3}

    callback.on_epoch_end(0, logs)

    # The LPIPS that the step minimised stays, under its own name.
    assert logs == {"mse": 0.25, "psnr": 6.0, "lpips": 0.1, "perceptual": 0.2, "nll": 7.0, "val_mse": 0.3}
    assert asked["batches"] == "batches"


def test_evaluation_leaves_the_training_noise_alone_where_weights_are_averaged(finished, dataset):
    vae = finished.trainer.vae
    before = keras.ops.convert_to_numpy(vae.sampling.seed_generator.state).copy()
    finished.trainer.evaluate(evaluation_batches(ArraySplit(*dataset.test.first(4)), 4), verbose=0)
    np.testing.assert_array_equal(before, keras.ops.convert_to_numpy(vae.sampling.seed_generator.state))
