"""A run's configuration: every value is accepted or refused in one line, and JSON preserves it."""

import dataclasses
import json
import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_vae.config import (
    PRESETS,
    DataConfig,
    DiscriminatorConfig,
    ModelConfig,
    ObjectiveConfig,
    OptimizerConfig,
    RunConfig,
    preset,
)
from keras_vae.errors import InputError

SECTIONS = {
    "model": ModelConfig,
    "discriminator": DiscriminatorConfig,
    "objective": ObjectiveConfig,
    "optimizer": OptimizerConfig,
    "data": DataConfig,
}
ALL = [RunConfig, *SECTIONS.values()]
FIELDS = [(section, field.name) for section in ALL for field in dataclasses.fields(section)]
LEAVES = [(section, field) for section in ALL for field in dataclasses.fields(section) if field.metadata]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


def refusal(action):
    """The message of the `InputError` that ``action`` raises."""
    with pytest.raises(InputError) as refused:
        action()
    message = str(refused.value)
    assert len(message.splitlines()) == 1
    return message


def assert_good_or_refused_in_one_line(build):
    """Return what ``build`` returns, or None if it raises an `InputError`, whose message must be one line."""
    refused, built = "", None
    try:
        built = build()
    except InputError as error:
        refused = str(error)
    assert len(refused.splitlines()) == (built is None)
    return built


def option(name):
    return name.replace("_", "-")


@settings(max_examples=600, deadline=None)
@given(field=st.sampled_from(FIELDS), value=json_values)
def test_any_json_value_gives_a_config_or_one_line(field, value):
    section, name = field
    config = assert_good_or_refused_in_one_line(lambda: section.from_dict({name: value}))
    if config is not None:
        assert section.from_dict(json.loads(json.dumps(config.as_dict()))) == config


@settings(max_examples=200, deadline=None)
@given(values=json_values)
def test_anything_in_place_of_the_settings_gives_a_config_or_one_line(values):
    assert_good_or_refused_in_one_line(lambda: RunConfig.from_dict(values))


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=30) | json_values.map(json.dumps))
def test_any_text_gives_a_config_or_one_line(text):
    assert_good_or_refused_in_one_line(lambda: RunConfig.from_json(text))


@settings(max_examples=200, deadline=None)
@given(
    key=st.sampled_from(
        [
            "seed",
            "seed__x",
            "model",
            "model__x",
            "model__latent_dim",
            "objective__beta__x",
            "preset__x",
            "no__x",
            "__",
            "a__",
        ]
    ),
    value=json_values,
)
def test_replace_gives_a_config_or_one_line(key, value):
    assert_good_or_refused_in_one_line(lambda: RunConfig().replace(**{key: value}))


@pytest.mark.parametrize(("section", "field"), LEAVES, ids=[field.name for _, field in LEAVES])
def test_each_bound_itself_is_allowed_and_what_is_beyond_is_refused(section, field):
    bounds, default = field.metadata, field.default
    hint = typing.get_type_hints(section)[field.name]
    sides = {tuple[int, int] | None: 2, tuple[int, int, int] | None: 3}.get(hint)
    sides = sides or (len(default) if isinstance(default, tuple) else None)
    step = 1 if hint in (int, int | None) or sides else 1e-3

    def build(value):
        # Codes of four channels need as many, and squares need image files.
        others = {"bottleneck": {"latent_dim": 4}, "crop": {"dataset": "folder:photos"}}.get(field.name, {})
        return section.from_dict({field.name: [value] * sides if sides else value, **others})

    if "minimum" in bounds:
        build(bounds["minimum"])
        message = refusal(lambda: build(bounds["minimum"] - step))
        assert message.startswith(f"{option(field.name)} must be at least {bounds['minimum']}")
    if "above" in bounds:
        build(bounds["above"] + step)
        message = refusal(lambda: build(bounds["above"]))
        assert message.startswith(f"{option(field.name)} must be above {bounds['above']}")
    if "maximum" in bounds:
        build(bounds["maximum"])
        message = refusal(lambda: build(bounds["maximum"] + step))
        assert message.startswith(f"{option(field.name)} must be at most {bounds['maximum']}")
    if "below" in bounds:
        build(bounds["below"] - step)
        message = refusal(lambda: build(bounds["below"]))
        assert message.startswith(f"{option(field.name)} must be below {bounds['below']}")
    for choice in bounds.get("choices", ()):
        assert getattr(build(choice), field.name) == choice
    if "choices" in bounds:
        message = refusal(lambda: build("none of them" if hint in (str, str | None) else 77))
        assert all(str(choice) in message for choice in bounds["choices"])


@pytest.mark.parametrize(("section", "field"), LEAVES, ids=[field.name for _, field in LEAVES])
def test_each_field_has_a_help_text_and_a_good_default(section, field):
    assert field.metadata["help"]
    assert section.from_dict({field.name: field.default}) == section()


@pytest.mark.parametrize(
    "name", [field.name for section, field in LEAVES if section is RunConfig and field.type == "int"]
)
def test_true_is_no_whole_number(name):
    assert refusal(lambda: RunConfig.from_dict({name: True})) == f"{option(name)} must be a whole number, got True"


def test_one_is_not_true_and_not_a_text():
    assert "must be true or false, got 1" in refusal(lambda: ModelConfig(variational=1))
    assert "must be a string, got 1" in refusal(lambda: ModelConfig(likelihood=1))


def test_whole_numbers_serve_as_numbers_and_not_the_other_way_round():
    beta = ObjectiveConfig(beta=2).beta
    assert (beta, type(beta)) == (2.0, float)
    assert "must be a whole number, got 2.0" in refusal(lambda: RunConfig(epochs=2.0))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400])
def test_numbers_that_are_not_finite_are_refused(value):
    assert "beta must be a finite number" in refusal(lambda: ObjectiveConfig(beta=value))


def test_nan_in_json_is_refused():
    assert "beta must be a finite number" in refusal(lambda: RunConfig.from_json('{"objective": {"beta": NaN}}'))


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1, 1), (), (28, 28, 0), (28, 28, 1.0), 28, "abc"])
def test_an_image_shape_is_three_whole_numbers(shape):
    assert "image-shape must be" in refusal(lambda: ModelConfig(image_shape=shape))


def test_an_unknown_setting_gets_the_nearest_known_one():
    assert "did you mean latent_dim?" in refusal(lambda: ModelConfig.from_dict({"latent_dims": 2}))
    assert "did you mean epochs?" in refusal(lambda: RunConfig().replace(epohcs=2))
    assert "did you mean latent_dim?" in refusal(lambda: RunConfig().replace(model__latentdim=2))
    assert "known settings: dataset, data_dir" in refusal(lambda: DataConfig.from_dict({"zzzzzz": 2}))


def test_replace_reaches_into_sections_and_leaves_the_original():
    config = RunConfig()
    changed = config.replace(epochs=3, objective__beta=0.5, objective__free_bits=1, model__widths=[8, 16])

    assert (changed.epochs, changed.objective.beta, changed.objective.free_bits) == (3, 0.5, 1.0)
    assert changed.model.widths == (8, 16)
    assert config == RunConfig()
    assert changed.replace(epochs=10, objective=ObjectiveConfig(), model__widths=(32, 64)) == config


def test_replace_takes_a_section_and_a_field_of_it_together():
    changed = RunConfig().replace(objective=ObjectiveConfig(beta=2.0), objective__free_bits=1.0)
    assert changed.objective == ObjectiveConfig(beta=2.0, free_bits=1.0)


def test_replace_says_where_there_is_no_section():
    assert "epochs is not a section of RunConfig" in refusal(lambda: RunConfig().replace(epochs__x=3))
    assert "latent-dim must be at least 1, got 0" in refusal(lambda: RunConfig().replace(model__latent_dim=0))


def test_json_takes_a_config_there_and_back():
    config = RunConfig().replace(seed=3, model__scale=0.1, model__num_classes=10, data__data_dir="/data/ä")
    text = config.to_json()
    assert RunConfig.from_json(text) == config
    assert RunConfig.from_json(text).to_json() == text
    assert text.endswith("}\n")


def test_missing_settings_take_their_defaults():
    assert RunConfig.from_json('{"model": {"latent_dim": 16}}') == RunConfig().replace(model__latent_dim=16)


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RunConfig().epochs = 3


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_is_valid_and_names_itself(name):
    config = preset(name)
    assert config.preset == name
    assert RunConfig.from_json(config.to_json()) == config
    assert PRESETS[name][0]


def test_an_unknown_preset_is_refused_with_the_known_ones():
    assert refusal(lambda: preset("imagenet")) == "no preset is named 'imagenet'; there are: " + ", ".join(PRESETS)


@pytest.mark.parametrize(("typed", "meant"), [("mnits", "mnist"), ("MNIST", "mnist"), ("face64", "faces64")])
def test_a_mistyped_preset_is_answered_with_the_nearest(typed, meant):
    assert f"did you mean {meant}? All are: mnist, " in refusal(lambda: preset(typed))


def test_a_mistyped_choice_is_answered_with_the_nearest():
    message = refusal(lambda: RunConfig().replace(model__likelihood="gausian"))
    assert message.endswith("got 'gausian'; did you mean gaussian?")


def test_a_runs_name_is_its_preset_and_latent_size_said_once():
    assert preset("mnist").name == "mnist-latent2"
    assert preset("mnist").replace(model__latent_dim=4).name == "mnist-latent4"
    assert preset("mnist-latent16").name == "mnist-latent16"
    assert preset("mnist-latent16").replace(model__latent_dim=4).name == "mnist-latent16-latent4"


def test_the_sections_are_those_of_a_run():
    assert {name: type(getattr(RunConfig(), name)) for name in SECTIONS} == SECTIONS


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop": 8}, "crop cuts image files, not auto; give their folder as --dataset folder:DIR"),
        ({"crop": 8, "dataset": "sample"}, "crop cuts image files, not sample"),
        (
            {"crop_scale": 2.0, "dataset": "folder:photos"},
            "crop-scale 2 is one of squares: give their side with --crop",
        ),
        (
            {"crop": 8, "dataset": "folder:photos", "binarize": "dynamic"},
            "binarize draws whole images in memory; leave out --binarize or --crop",
        ),
    ],
)
def test_squares_are_refused_where_there_are_none(settings, message):
    assert message in refusal(lambda: DataConfig(**settings))
