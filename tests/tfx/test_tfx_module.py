"""`run_fn`, called as TFX's Trainer calls it."""

import gc
import json
import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_vae.callbacks import Pictures, run_callbacks
from keras_vae.data import ArraySplit, ImageDataset, write_tfrecords
from keras_vae.errors import InputError
from keras_vae.export import signatures
from keras_vae.export.saved_model import load_saved_model
from keras_vae.tfx import module, run_fn
from keras_vae.training import RunDirectory
from keras_vae.training.saving import load_model

# Steps run eagerly; the input pipeline's few functions do not need to.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`"),
]

SHAPE = (12, 12, 1)
TRAINING, TESTS, BATCH = 11, 7, 4
# The ELBO alone, and a model of few layers, since training has its own tests.
SETTINGS = {
    "precision": "float32",
    "model": {
        "latent_dim": 3,
        "widths": [8],
        "groups": 4,
        "attention_resolution": 0,
        "mapping_layers": 0,
        "generative_skips": False,
    },
    "objective": {"perceptual_weight": 0, "adversarial_weight": 0},
    "data.batch_size": BATCH,
}


def make_split(count, labels=True):
    images = np.random.default_rng(count).integers(0, 256, (count, *SHAPE), dtype=np.uint8)
    return ArraySplit(images, (np.arange(count) % 3).astype(np.int32) if labels else None)


def write_examples(folder, labels=True):
    """Files as ImportExampleGen writes them: gzipped, without a description."""
    dataset = ImageDataset("noise", "idx", make_split(TRAINING, labels), make_split(TESTS, labels))
    write_tfrecords(dataset, folder, shard_size=6)
    (folder / "dataset.json").unlink()
    return folder


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return write_examples(tmp_path_factory.mktemp("examples") / "noise")


@pytest.fixture(scope="module", autouse=True)
def no_pictures():
    """Every callback except the one that draws at the end, which takes longer than all others."""

    def callbacks_but_pictures(*arguments):
        return [callback for callback in run_callbacks(*arguments) if not isinstance(callback, Pictures)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "run_callbacks", callbacks_but_pictures)
        yield


@pytest.fixture(scope="module", autouse=True)
def eagerly():
    """Run eagerly, since tracing takes longer than a few steps."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def make_fn_args(examples, folder, **changes):
    """All attributes of tfx.components.FnArgs, with the values that TFX's Trainer sets."""
    return types.SimpleNamespace(
        **{
            "working_dir": None,
            "train_files": [str(examples / "train" / "*")],
            "eval_files": [str(examples / "test" / "*")],
            "train_steps": 3,
            "eval_steps": 1,
            "schema_path": None,
            "schema_file": None,
            "transform_graph_path": None,
            "transform_output": None,
            "data_accessor": None,
            "serving_model_dir": str(folder / "model" / "5" / "Format-Serving"),
            "eval_model_dir": str(folder / "model" / "5" / "Format-TFMA"),
            "model_run_dir": str(folder / "model_run" / "5"),
            "base_model": None,
            "hyperparameters": None,
            "custom_config": SETTINGS,
            **changes,
        }
    )


@pytest.fixture(scope="module")
def finished(examples, tmp_path_factory):
    """A training of three steps with two steps per epoch: TFX's arguments, the run directory and the model."""
    fn_args = make_fn_args(examples, tmp_path_factory.mktemp("pipeline"))
    run_fn(fn_args)
    # Free training's leftovers now, in about 1 s. Later, in some other test, it took 9 s.
    gc.collect()
    run = RunDirectory(fn_args.model_run_dir)
    return fn_args, run, load_model(run.model)


def test_it_trains_exactly_the_steps_that_it_is_told(finished):
    _, run, _ = finished
    rows = run.read_metrics()
    assert [row["epoch"] for row in rows] == [1, 2]
    events = [event for path in (run.tensorboard / "train").iterdir() for event in tf.data.TFRecordDataset(str(path))]
    steps = {tf.compat.v1.Event.FromString(event.numpy()).step for event in events}
    assert max(steps) == 3


def test_it_evaluates_only_the_steps_that_it_is_told(examples, finished):
    _, run, vae = finished
    first, _ = make_split(TESTS).first(BATCH)
    images = first.astype(np.float32) / 255
    reconstructions = vae.reconstruct(images)
    assert run.read_metrics()[-1]["test_mse"] == pytest.approx(np.mean(np.square(images - reconstructions)), rel=1e-4)


def test_the_model_run_is_a_run_directory_with_metrics_and_tensorboard(finished):
    _, run, _ = finished
    config = run.read_config()
    assert (config.model.latent_dim, config.model.image_shape, config.epochs) == (3, SHAPE, 2)
    assert run.read_recorded()["data"]["counts"] == {"train": TRAINING, "test": TESTS}
    assert json.loads(run.config.read_text())["recorded"]["environment"]["packages"]["keras"]
    for side in ("train", "test"):
        assert list((run.tensorboard / side).glob("events.*"))


def test_the_serving_directory_holds_a_saved_model_of_the_run_s_model(finished):
    fn_args, _, vae = finished
    served = load_saved_model(Path(fn_args.serving_model_dir)).signatures["decode"]
    z = np.zeros((2, 3), np.float32)
    np.testing.assert_allclose(served(z=tf.constant(z))["image"], vae.decode(z), atol=1e-5)


def test_without_steps_the_configured_epochs_are_trained_over_what_a_failed_try_left(examples, tmp_path, monkeypatch):
    monkeypatch.setattr(signatures, "write_saved_model", lambda vae, folder: folder.mkdir(parents=True))
    settings = {**SETTINGS, "epochs": 1, "data.batch_size": TRAINING}
    fn_args = make_fn_args(examples, tmp_path, train_steps=None, eval_steps=None, custom_config=settings)
    run = RunDirectory.create(fn_args.model_run_dir)
    run.config.write_text("{}")
    run_fn(fn_args)
    assert len(run.read_metrics()) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_files": []}, "no TFRecord files are named"),
        ({"train_files": ["nowhere/*"]}, "nowhere/*: no such file"),
        ({"custom_config": {"model": {"latent_dim": -1}}}, "latent-dim must be at least 1"),
        ({"custom_config": {"data": {"batch_size": 12}}}, "batch-size must be at most the 11 training images"),
        ({"custom_config": {**SETTINGS, "model": {"widths": [6]}}}, "custom_config: "),
        ({"custom_config": {"model": {"num_classes": 2}}}, "model.num_classes must be at least 3, got 2"),
        ({"model_run_dir": "gs://bucket/run"}, "model_run_dir: gs://bucket/run is not a local folder"),
        ({"serving_model_dir": "gs://bucket/model"}, "serving_model_dir: gs://bucket/model is not a local folder"),
    ],
)
def test_what_cannot_be_used_is_named_before_anything_is_written(examples, tmp_path, changes, words):
    with pytest.raises(InputError) as caught:
        run_fn(make_fn_args(examples, tmp_path, **changes))
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_conditional_model_needs_labels(tmp_path):
    examples = write_examples(tmp_path / "examples", labels=False)
    with pytest.raises(InputError, match="the training records have no label"):
        run_fn(make_fn_args(examples, tmp_path, custom_config={"model": {"num_classes": 3}}))
