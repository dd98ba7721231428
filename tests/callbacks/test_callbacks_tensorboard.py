"""A run read by TensorBoard's own readers."""

import io
import types

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins import projector
from tensorboard.plugins.hparams import plugin_data_pb2

from keras_vae.callbacks import EpochPosteriors, Profiler, TensorBoardSummaries
from keras_vae.callbacks.run_summaries import hyperparameters
from keras_vae.config import RunConfig

STEPS = 2  # training steps of an epoch of the shared run


def read_tensors(folder):
    """{tag: [(step, array)]} of the event files in ``folder``."""
    reader = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    reader.Reload()
    return {
        tag: [(event.step, tf.make_ndarray(event.tensor_proto)) for event in reader.Tensors(tag)]
        for tag in reader.Tags()["tensors"]
    }


def read_scalars(folder):
    return {
        tag: [(step, float(value)) for step, value in values]
        for tag, values in read_tensors(folder).items()
        if values[0][1].ndim == 0 and values[0][1].dtype.kind == "f"
    }


def metadata_of(folder, plugin):
    """{tag: plugin data} of the data that a TensorBoard plugin finds in ``folder``."""
    reader = EventAccumulator(str(folder))
    reader.Reload()
    return reader.PluginTagToContent(plugin)


@pytest.mark.parametrize("side", ["train", "test"])
def test_every_metric_of_a_side_is_a_scalar_at_the_last_step_of_its_epoch(side, finished):
    rows = finished.directory.read_metrics()
    scalars = {
        tag.rpartition("/")[2]: values for tag, values in read_scalars(finished.directory.tensorboard / side).items()
    }

    columns = {name.removeprefix(f"{side}_") for name in rows[0] if name.startswith(side)}
    assert columns <= scalars.keys()
    for name in columns:
        expected = [(row["epoch"] * STEPS, row[f"{side}_{name}"]) for row in rows]
        assert [step for step, _ in scalars[name]] == [step for step, _ in expected], name
        # An epoch with fewer steps than a point needs has a single point: the epoch's mean, in float32.
        assert [value for _, value in scalars[name]] == pytest.approx([value for _, value in expected], rel=1e-5), name


def test_the_objective_and_the_reconstruction_come_first_in_the_dashboard(finished):
    train, test = (finished.directory.tensorboard / side for side in ("train", "test"))
    tags = read_scalars(train).keys() | read_scalars(test).keys()
    tags |= metadata_of(test, "images").keys() | metadata_of(test, "histograms").keys()
    # TensorBoard sorts the sections by name.
    assert sorted({tag.partition("/")[0] for tag in tags}) == [
        "objective",
        "reconstruction",
        "samples",
        "training_discriminator",
        "training_optimizer",
        "z",
        "z_kl_per_dimension",
    ]


def test_the_kl_of_each_dimension_adds_up_to_the_kl(finished):
    scalars = read_scalars(finished.directory.tensorboard / "test")
    each = np.array([[value for _, value in scalars[f"z_kl_per_dimension/z{dimension}"]] for dimension in (0, 1)])
    np.testing.assert_allclose(each.sum(axis=0), [value for _, value in scalars["objective/kl"]], rtol=1e-4)


def make_summaries(folder, **options):
    """`TensorBoardSummaries` over a trainer whose step a test sets."""
    posteriors = EpochPosteriors(np.zeros((1, 4, 4, 1), np.uint8), None, 1, 1)
    posteriors.means = posteriors.log_vars = np.zeros((1, 100), "float32")
    summaries = TensorBoardSummaries(folder, posteriors, **options)
    trainer = types.SimpleNamespace(
        step=0, optimizer=types.SimpleNamespace(learning_rate=0.5), discriminator=None, inference_vae=None
    )
    summaries.set_model(trainer)
    summaries.set_params({"epochs": 100, "steps": 120})
    return summaries, trainer


def test_training_curves_are_means_over_the_steps_since_the_last_point(tmp_path):
    summaries, trainer = make_summaries(tmp_path)
    losses = np.random.default_rng(0).uniform(1, 2, 120)
    skipped = np.arange(120) % 10 == 0
    trainer.step = 360
    summaries.on_train_begin()
    summaries.on_epoch_begin(3)
    for index in range(120):
        trainer.step = 360 + index + 1
        # The mean, and the sum, over the epoch so far; Keras's own logs of a step need not have them.
        logs = {"loss": np.float32(losses[: index + 1].mean()), "skipped_steps": np.float32(skipped[: index + 1].sum())}
        trainer.means_so_far = lambda logs=logs: logs
        summaries.on_train_batch_end(index, {})
    summaries.on_epoch_end(3, {**logs, "val_kl": 2.0})

    train = read_scalars(tmp_path / "train")
    assert [step for step, _ in train["objective/loss"]] == [410, 460, 480]
    expected = [losses[:50].mean(), losses[50:100].mean(), losses[100:].mean()]
    assert [value for _, value in train["objective/loss"]] == pytest.approx(expected, rel=1e-5)
    assert [value for _, value in train["training_optimizer/skipped_steps"]] == [5, 5, 2]
    assert [value for _, value in train["training_optimizer/learning_rate"]] == [0.5] * 3
    test = read_scalars(tmp_path / "test")
    assert test["objective/kl"] == [(480, 2.0)]
    assert not [tag for tag in test if tag.startswith("z_kl_per_dimension")]  # a hundred curves are no chart
    summaries.on_train_end()


def test_images_of_every_epoch_are_there_to_look_at(finished):
    tensors = read_tensors(finished.directory.tensorboard / "test")
    images = metadata_of(finished.directory.tensorboard / "test", "images")
    assert images.keys() == {"reconstruction/images", "samples/prior", "z/latent_plot", "z/latent_manifold"}
    for tag in images:
        assert [step for step, _ in tensors[tag]] == [STEPS, 2 * STEPS]
        width, height, png = tensors[tag][-1][1]
        with Image.open(io.BytesIO(png)) as picture:
            assert picture.size == (int(width), int(height))
            darkest, brightest = picture.convert("L").getextrema()
        assert darkest < brightest


def test_drawing_takes_a_small_share_of_the_time_however_short_the_epochs(tmp_path, monkeypatch):
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr("time.perf_counter", lambda: clock.now)
    drawn = []

    def draw(vae, epoch, logs):
        clock.now += 1.0
        drawn.append(epoch)
        return {"picture": np.zeros((2, 2, 3), np.uint8)}

    summaries, _ = make_summaries(tmp_path, images=types.SimpleNamespace(draw=draw))
    summaries.on_train_begin()
    for epoch in range(100):
        summaries.on_epoch_begin(epoch)
        clock.now += 5.0
        summaries.on_epoch_end(epoch, {})
    summaries.on_train_end()

    # One second of drawing in twenty, and the last epoch in any case.
    assert drawn[:3] == [0, 3, 7]
    assert drawn[-1] == 99
    assert len(drawn) - 1 <= 0.05 * clock.now + 1


def test_samples_of_all_epochs_are_of_the_same_z(finished, dataset, monkeypatch):
    from keras_vae.callbacks import EpochImages

    posteriors = EpochPosteriors(dataset.test.images, dataset.test.labels, 2, 4)
    posteriors.set_model(finished.trainer)
    posteriors.on_epoch_end(0)
    vae, seen = finished.trainer.inference_vae, []
    original = vae.decode
    monkeypatch.setattr(vae, "decode", lambda z, labels=None: seen.append(np.asarray(z)) or original(z, labels))
    images = EpochImages(posteriors, dataset.class_names, seed=0)

    images.draw(vae, 0, {})
    images.draw(vae, 1, {})

    np.testing.assert_array_equal(seen[0], seen[len(seen) // 2])


def test_the_configuration_is_a_text_and_the_hyperparameters_a_session(finished):
    folder = finished.directory.tensorboard / "test"
    text = read_tensors(folder)["configuration"][0][1].item().decode()
    assert '"batch_size": 4' in text

    content = metadata_of(folder, "hparams")
    begin = plugin_data_pb2.HParamsPluginData.FromString(content["_hparams_/session_start_info"]).session_start_info
    assert begin.hparams["model.latent_dim"].number_value == 2
    assert begin.hparams["model.widths"].string_value == "8,16"
    end = plugin_data_pb2.HParamsPluginData.FromString(content["_hparams_/session_end_info"]).session_end_info
    assert end.status == 1  # success
    experiment = plugin_data_pb2.HParamsPluginData.FromString(content["_hparams_/experiment"]).experiment
    scalars = read_scalars(folder)
    compared = [metric.name.tag for metric in experiment.metric_infos]
    assert {"reconstruction/mse", "objective/elbo"} <= set(compared)
    # No LPIPS: the shared run has no perceptual loss.
    assert set(compared) - scalars.keys() == {"reconstruction/lpips"}


def test_hyperparameters_are_numbers_truth_values_and_texts_alone():
    values = hyperparameters(RunConfig())
    assert values["seed"] == 0
    assert values["optimizer.clip_norm"] == "none"
    assert values["model.variational"] is True
    assert {type(value) for value in values.values()} == {bool, int, float, str}
    assert "data.data_dir" not in values


def test_the_projector_has_a_point_a_class_and_a_thumbnail_for_every_image(finished, dataset):
    folder = finished.directory.tensorboard / "test"
    config = text_format.Parse((folder / "projector_config.pbtxt").read_text(), projector.ProjectorConfig())
    (embedding,) = config.embeddings

    points = np.loadtxt(folder / embedding.tensor_path, delimiter="\t")
    mean, _ = finished.trainer.inference_vae.encode(dataset.test.images.astype("float32") / 255)
    np.testing.assert_allclose(points[:, :2], np.asarray(mean), rtol=1e-3, atol=1e-5)
    assert not points[:, 2:].any()
    assert points.shape == (7, 3)  # of two columns the projector shows nothing
    rows = (folder / embedding.metadata_path).read_text().splitlines()
    assert rows[0] == "class\timage"
    assert [row.split("\t")[0] for row in rows[1:]] == [dataset.class_names[label] for label in dataset.test.labels]
    assert list(embedding.sprite.single_image_dim) == [12, 12]
    with Image.open(folder / embedding.sprite.image_path) as sheet:
        # Three columns and rows hold seven images; the fourth is at the start of the second row.
        assert sheet.size == (36, 36)
        fourth = np.asarray(sheet.convert("L"))[12:24, :12]
    np.testing.assert_array_equal(fourth, dataset.test.images[3, ..., 0])


@pytest.mark.parametrize("steps_a_call", [1, 4])
def test_the_profiler_traces_its_window_of_steps(steps_a_call, monkeypatch, tmp_path):
    trace, trainer = [], types.SimpleNamespace(step=100, steps_per_execution=steps_a_call)
    monkeypatch.setattr("tensorflow.profiler.experimental.start", lambda folder: trace.append((trainer.step, folder)))
    monkeypatch.setattr("tensorflow.profiler.experimental.stop", lambda: trace.append((trainer.step, "stop")))
    profiler = Profiler(tmp_path, 3, 6)
    profiler.set_model(trainer)
    profiler.on_train_begin()
    for batch in range(0, 12, steps_a_call):
        profiler.on_train_batch_begin(batch)
        trainer.step += steps_a_call
        profiler.on_train_batch_end(batch)
    profiler.on_train_end()

    expected = [(102, str(tmp_path)), (106, "stop")] if steps_a_call == 1 else [(100, str(tmp_path)), (108, "stop")]
    assert trace == expected


def test_a_window_beyond_the_end_is_closed_with_the_training(monkeypatch, tmp_path):
    trace = []
    monkeypatch.setattr("tensorflow.profiler.experimental.start", lambda folder: trace.append("start"))
    monkeypatch.setattr("tensorflow.profiler.experimental.stop", lambda: trace.append("stop"))
    profiler = Profiler(tmp_path, 1, 6)
    profiler.set_model(types.SimpleNamespace(step=0, steps_per_execution=1))
    profiler.on_train_begin()
    profiler.on_train_batch_begin(0)
    profiler.on_train_end()
    assert trace == ["start", "stop"]
