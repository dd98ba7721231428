"""The pipeline, built against a stand-in for TFX's public API (tfx.v1) with the arguments of TFX 1.21."""

import inspect
import sys
import types
from pathlib import Path

import pytest

from keras_vae.errors import InputError
from keras_vae.tfx import create_pipeline

ARGUMENTS = {
    "train_steps": 20,
    "eval_steps": 2,
    "custom_config": {"preset": "mnist", "model": {"latent_dim": 2}},
    "beam_pipeline_args": ["--direct_num_workers=0"],
}
PLACES = ("mnist", Path("tfx/root"), Path("data/mnist"), Path("saved_models/mnist"), Path("tfx/metadata.db"))


class Recorded:
    """Records how a component, message or pipeline was made, and refuses arguments that the real one refuses."""

    def __init_subclass__(cls, parameters, outputs=(), **kwargs):
        super().__init_subclass__(**kwargs)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        cls.signature = inspect.Signature([inspect.Parameter(name, kind, default=None) for name in parameters.split()])
        cls.output_names = outputs

    def __init__(self, *args, **kwargs):
        self.given = self.signature.bind(*args, **kwargs).arguments
        self.outputs = {name: (type(self).__name__, name) for name in self.output_names}


class ImportExampleGen(
    Recorded, parameters="input_base input_config output_config range_config payload_format", outputs=("examples",)
):
    pass


class StatisticsGen(Recorded, parameters="examples schema stats_options exclude_splits", outputs=("statistics",)):
    pass


class SchemaGen(Recorded, parameters="statistics infer_feature_shape exclude_splits", outputs=("schema",)):
    pass


class Trainer(
    Recorded,
    parameters="examples transformed_examples transform_graph schema base_model hyperparameters module_file run_fn "
    "trainer_fn train_args eval_args custom_config custom_executor_spec",
    outputs=("model", "model_run"),
):
    pass


class Pusher(
    Recorded,
    parameters="model model_blessing infra_blessing push_destination custom_config custom_executor_spec",
    outputs=("pushed_model",),
):
    pass


class Input(Recorded, parameters="splits fingerprint_method"):
    class Split(Recorded, parameters="name pattern"):
        pass


class TrainArgs(Recorded, parameters="splits num_steps"):
    pass


class EvalArgs(Recorded, parameters="splits num_steps example_splits"):
    pass


class PushDestination(Recorded, parameters="filesystem"):
    class Filesystem(Recorded, parameters="base_directory versioning"):
        pass


class Pipeline(
    Recorded,
    parameters="pipeline_name pipeline_root metadata_connection_config components enable_cache beam_pipeline_args "
    "platform_config execution_mode inputs outputs dsl_context_registry",
):
    pass


@pytest.fixture
def tfx(monkeypatch):
    space = types.SimpleNamespace
    package, v1 = types.ModuleType("tfx"), types.ModuleType("tfx.v1")
    v1.components = space(
        ImportExampleGen=ImportExampleGen,
        StatisticsGen=StatisticsGen,
        SchemaGen=SchemaGen,
        Trainer=Trainer,
        Pusher=Pusher,
    )
    v1.proto = space(Input=Input, TrainArgs=TrainArgs, EvalArgs=EvalArgs, PushDestination=PushDestination)
    v1.dsl = space(Pipeline=Pipeline)
    v1.orchestration = space(metadata=space(sqlite_metadata_connection_config=lambda path: ("sqlite", path)))
    package.v1 = v1
    monkeypatch.setitem(sys.modules, "tfx", package)
    monkeypatch.setitem(sys.modules, "tfx.v1", v1)


def test_components_are_wired_from_records_to_the_pushed_model(tfx):
    pipeline = create_pipeline(*PLACES, **ARGUMENTS).given
    example_gen, statistics_gen, schema_gen, trainer, pusher = pipeline["components"]
    assert example_gen.given["input_base"] == "data/mnist"
    assert statistics_gen.given["examples"] == trainer.given["examples"] == ("ImportExampleGen", "examples")
    assert schema_gen.given["statistics"] == ("StatisticsGen", "statistics")
    assert trainer.given["schema"] == ("SchemaGen", "schema")
    assert pusher.given["model"] == ("Trainer", "model")
    destination = pusher.given["push_destination"].given["filesystem"].given
    assert destination == {"base_directory": "saved_models/mnist"}


def test_the_splits_are_those_that_to_tfrecord_writes(tfx):
    example_gen = create_pipeline(*PLACES, **ARGUMENTS).given["components"][0]
    splits = [split.given for split in example_gen.given["input_config"].given["splits"]]
    assert splits == [{"name": "train", "pattern": "train/*"}, {"name": "eval", "pattern": "test/*"}]


def test_the_trainer_runs_our_run_fn_for_the_steps_that_are_asked_for(tfx):
    trainer = create_pipeline(*PLACES, **ARGUMENTS).given["components"][3].given
    module, _, name = trainer["run_fn"].rpartition(".")
    assert (module, name) == ("keras_vae.tfx.module", "run_fn")
    assert trainer["train_args"].given == {"num_steps": 20}
    assert trainer["eval_args"].given == {"num_steps": 2}
    assert trainer["custom_config"] == ARGUMENTS["custom_config"]


def test_the_pipeline_has_its_name_places_and_beam_arguments(tfx):
    pipeline = create_pipeline(*PLACES, **ARGUMENTS).given
    assert pipeline["pipeline_name"] == "mnist"
    assert pipeline["pipeline_root"] == "tfx/root"
    assert pipeline["metadata_connection_config"] == ("sqlite", "tfx/metadata.db")
    assert pipeline["beam_pipeline_args"] == ["--direct_num_workers=0"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_steps": 0}, "train_steps must be at least 1, got 0"),
        ({"eval_steps": -1}, "eval_steps must be at least 1, got -1"),
        ({"custom_config": {"model": {"latent_dim": 0}}}, "latent-dim must be at least 1"),
    ],
)
def test_wrong_settings_are_told_when_the_pipeline_is_made(changes, words):
    with pytest.raises(InputError, match=words):
        create_pipeline(*PLACES, **{**ARGUMENTS, **changes})


def test_a_missing_tfx_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "tfx", None)
    with pytest.raises(InputError, match=r"needs the package tfx .*; pip install 'keras-vae\[tfx\]'") as caught:
        create_pipeline(*PLACES, **ARGUMENTS)
    assert "\n" not in str(caught.value)
