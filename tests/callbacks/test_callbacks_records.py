"""What a run writes down of its epochs: metrics.csv, TensorBoard, frames and lines of progress."""

import io
import itertools
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from keras_vae.callbacks import (
    LatentFrames,
    MetricsHistory,
    Progress,
    TensorBoardScalars,
    TrainEvaluation,
    run_callbacks,
)
from keras_vae.callbacks.frames import read_frames
from keras_vae.config import RunConfig
from keras_vae.data import ArraySplit, evaluation_batches
from keras_vae.models import VAE
from keras_vae.training import RunDirectory
from keras_vae.training.checkpoints import CheckpointCallback, list_checkpoints


def read_scalars(folder):
    """{tag: [(step, value)]} as TensorBoard's own reader has them."""
    reader = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    reader.Reload()
    return {
        tag: [(event.step, float(tf.make_ndarray(event.tensor_proto))) for event in reader.Tensors(tag)]
        for tag in reader.Tags()["tensors"]
    }


def as_column(name):
    return f"test_{name.removeprefix('val_')}" if name.startswith("val_") else f"train_{name}"


def test_metrics_have_one_row_an_epoch_with_every_metric_of_both_sides(finished):
    rows = finished.directory.read_metrics()

    assert [row["epoch"] for row in rows] == [1, 2]
    for index, row in enumerate(rows):
        assert row["seconds"] > 0
        assert row["images_per_second"] > 0
        for name, values in finished.history.items():
            assert row[as_column(name)] == values[index]
    measured = {f"{side}_{name}" for side in ("train", "test") for name in ("elbo", "nll", "kl", "mse", "psnr", "ssim")}
    assert measured | {"train_loss", "train_discriminator", "train_skipped_steps"} <= rows[0].keys()


def test_training_images_are_evaluated_as_test_images_are(finished, dataset):
    images = dataset.train.images.astype("float32") / 255
    reconstructions = np.asarray(finished.trainer.inference_vae.reconstruct(images))

    last = finished.directory.read_metrics()[-1]

    # The weights of the last epoch are still there. Means of a thousand float32 squares.
    assert last["train_mse"] == pytest.approx(np.square(images - reconstructions).mean(), rel=1e-5)


def test_tensorboard_reads_training_and_test_scalars_under_one_name(finished):
    rows = finished.directory.read_metrics()
    for side in ("train", "test"):
        scalars = read_scalars(finished.directory.tensorboard / side)

        columns = [name for name in rows[0] if name.startswith(side)]
        assert scalars.keys() == {name.removeprefix(f"{side}_") for name in columns}
        for name in columns:
            expected = [(row["epoch"], np.float32(row[name])) for row in rows]
            assert scalars[name.removeprefix(f"{side}_")] == expected


def test_frames_hold_means_and_reconstructions_of_each_epoch(finished, dataset):
    folder = finished.directory.frames
    assert sorted(path.name for path in folder.iterdir()) == ["epoch_0001.npz", "epoch_0002.npz"]
    vae, images = finished.trainer.inference_vae, dataset.test.images.astype("float32") / 255
    mean, _ = vae.encode(images)

    epochs, frames = read_frames(folder, up_to_epoch=2)

    assert epochs == [1, 2]
    # Encoded in other batches than here: float32 rounding.
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


def test_only_as_many_images_are_reconstructed_as_asked_for(finished, dataset, tmp_path):
    frames = LatentFrames(tmp_path, dataset.test.images.astype("float32") / 255, None, shown=2, batch_size=3)
    frames.set_model(finished.trainer)

    frames.on_epoch_end(4)

    epochs, arrays = read_frames(tmp_path, up_to_epoch=5)
    assert epochs == [5]
    assert arrays["means"][0].shape == (7, 2)
    assert arrays["reconstructions"][0].shape == (2, 12, 12, 1)
    assert np.isnan(arrays["kl"][0])


def test_frames_of_a_conditional_model_are_encoded_with_the_labels(dataset, tmp_path):
    vae = VAE((12, 12, 1), widths=(8, 16), groups=4, num_classes=3)
    images, labels = dataset.test.images.astype("float32") / 255, dataset.test.labels
    frames = LatentFrames(tmp_path, images, labels, shown=2, batch_size=3)
    frames.set_model(types.SimpleNamespace(inference_vae=vae))

    frames.on_epoch_end(0)

    _, arrays = read_frames(tmp_path, up_to_epoch=1)
    np.testing.assert_allclose(arrays["means"][0], np.asarray(vae.encode(images, labels)[0]), rtol=1e-4, atol=1e-5)


def test_a_checkpoint_is_written_after_every_epoch_and_after_all_else_of_it(finished, dataset):
    assert [epoch for epoch, _ in list_checkpoints(finished.directory.checkpoints)] == [1, 2]
    kinds = [type(callback) for callback in run_callbacks(finished.directory, RunConfig(), dataset)]
    assert kinds.index(TrainEvaluation) < kinds.index(MetricsHistory) < kinds.index(CheckpointCallback)
    assert kinds.index(LatentFrames) < kinds.index(CheckpointCallback)


def make_history(run, clock, monkeypatch, batch_size=10):
    """A `MetricsHistory` whose clock reads what ``clock.now`` says."""
    monkeypatch.setattr("time.perf_counter", lambda: clock.now)
    return MetricsHistory(run, batch_size)


@pytest.fixture
def run(tmp_path):
    return RunDirectory.create(tmp_path / "run")


def test_a_resumed_run_keeps_its_rows_and_replaces_those_it_makes_again(run):
    run.write_metrics([{"epoch": number, "seconds": 9.0, "train_loss": 10.0 * number} for number in (1, 2, 3)])
    history = MetricsHistory(run, batch_size=4)

    # Resumed after the second epoch: the third was made, but its checkpoint was not written.
    history.on_epoch_begin(2)
    history.on_epoch_end(2, {"loss": 1.5, "val_mse": 0.25})

    rows = run.read_metrics()
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["train_loss"] for row in rows] == [10.0, 20.0, 1.5]
    assert rows[-1]["test_mse"] == 0.25


@pytest.mark.parametrize(("calls", "expected"), [(range(5), 40 / 4), ((1, 3, 5), 40 / 2)])
def test_the_rate_leaves_the_first_call_out_and_counts_every_step(calls, expected, run, monkeypatch):
    clock = types.SimpleNamespace(now=0.0)
    history = make_history(run, clock, monkeypatch)
    history.on_epoch_begin(0)
    for batch in calls:  # one second a call, of one step or, with steps_per_execution=2, of two
        clock.now += 1.0 if batch != calls[0] else 100.0
        history.on_train_batch_end(batch)
    history.on_epoch_end(0, {})

    assert run.read_metrics()[0]["images_per_second"] == expected


def test_evaluation_replaces_the_image_metrics_of_the_training_step_alone():
    asked = {}

    def evaluate(batches, **options):
        asked.update(options, batches=batches)
        return {"mse": 0.25, "psnr": 6.0, "nll": -1.0}

    callback = TrainEvaluation("batches")
    callback.set_model(types.SimpleNamespace(evaluate=evaluate))
    logs = {"mse": 0.5, "nll": 7.0, "val_mse": 0.3}

    callback.on_epoch_end(0, logs)

    assert logs == {"mse": 0.25, "psnr": 6.0, "nll": 7.0, "val_mse": 0.3}
    assert asked["batches"] == "batches"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def show_progress(file):
    """Two epochs of three steps, after each of which the loss's parts are known."""
    progress = Progress(batch_size=4, file=file)
    progress.set_params({"steps": 3, "epochs": 2})
    for epoch in range(2):
        progress.on_epoch_begin(epoch)
        for batch in range(3):
            progress.on_train_batch_end(batch, {"nll": 100.0, "kl": 2.5, "mse": 0.05})
        progress.on_epoch_end(
            epoch, {"nll": 90.0, "kl": 3.0, "val_mse": 0.0625, "val_psnr": 12.3456, "val_elbo": -93.0}
        )
    return file.getvalue()


def test_off_a_terminal_progress_is_one_plain_line_an_epoch_with_its_test_metrics():
    first, second = show_progress(io.StringIO()).splitlines()

    assert first.startswith("epoch 1/2 · train nll 90 kl 3 · test mse 0.0625 psnr 12.35 elbo -93 · ")
    assert second.startswith("epoch 2/2 · ")
    assert not {"\r", "\x1b"} & set(first + second)


def test_on_a_terminal_progress_is_a_bar_with_rate_parts_and_time_left(monkeypatch):
    ticks = itertools.count()
    # tqdm draws anew after a tenth of a second at the earliest.
    monkeypatch.setattr("tqdm.std.time", lambda: float(next(ticks)))
    shown = show_progress(Terminal())

    assert "img/s" in shown
    assert "nll 100 kl 2.5 mse 0.05 · run ends in" in shown
    assert "epoch 2/2 · train nll 90" in shown


def test_progress_goes_to_standard_output(capsys):
    progress = Progress(batch_size=4)
    progress.set_params({"steps": 1, "epochs": 1})
    progress.on_epoch_begin(0)
    progress.on_epoch_end(0, {"nll": 1.0})
    assert capsys.readouterr().out.startswith("epoch 1/1 · train nll 1 · test ")


def test_scalars_are_on_disk_when_the_epoch_ends_at_its_number(tmp_path):
    scalars = TensorBoardScalars(tmp_path)
    scalars.on_train_begin()
    scalars.on_epoch_end(6, {"kl": 2.0, "val_kl": 3.0})
    assert read_scalars(tmp_path / "train") == {"kl": [(7, 2.0)]}
    assert read_scalars(tmp_path / "test") == {"kl": [(7, 3.0)]}
    scalars.on_train_end()


def test_evaluation_leaves_the_training_noise_alone_where_weights_are_averaged(finished, dataset):
    vae = finished.trainer.vae
    before = keras.ops.convert_to_numpy(vae.sampling.seed_generator.state).copy()
    finished.trainer.evaluate(evaluation_batches(ArraySplit(*dataset.test.first(4)), 4), verbose=0)
    np.testing.assert_array_equal(before, keras.ops.convert_to_numpy(vae.sampling.seed_generator.state))
