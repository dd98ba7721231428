"""``--label`` takes the name or the number of a class, as the run or the exported version recorded them."""

import json
import types

import pytest

from keras_vae.errors import InputError
from keras_vae_cli import runtime

CONDITIONAL = types.SimpleNamespace(num_classes=2, sample_classes=2)


@pytest.fixture
def run(tmp_path):
    recorded = {"data": {"name": "pets", "class_names": ["cat", "dog"]}}
    (tmp_path / "config.json").write_text(json.dumps({"config": {}, "recorded": recorded}))
    return tmp_path


@pytest.mark.parametrize(("label", "number"), [("dog", 1), ("Cat", 0), ("1", 1), (None, None)])
def test_a_label_is_a_name_or_a_number(run, label, number):
    assert runtime.find_label(CONDITIONAL, run, label) == number


def test_an_unknown_label_is_answered_with_the_nearest(run):
    with pytest.raises(InputError, match=f"{run}: there is no class 'dgo'; did you mean dog"):
        runtime.find_label(CONDITIONAL, run, "dgo")


@pytest.mark.parametrize(
    "recorded", [None, [], {"data": None}, {"data": {"class_names": ["cat"]}}, {"data": {"class_names": 3}}]
)
def test_a_run_without_names_takes_numbers_alone(run, recorded):
    (run / "config.json").write_text(json.dumps({"config": {}, "recorded": recorded}))
    assert runtime.find_label(CONDITIONAL, run, "1") == 1
    with pytest.raises(InputError, match="numbered 0 to 1, and their names are not recorded"):
        runtime.find_label(CONDITIONAL, run, "dog")


def test_a_model_without_classes_has_no_label(run):
    with pytest.raises(InputError, match="is not conditional, so it has no label dog; train with --conditional"):
        runtime.find_label(types.SimpleNamespace(num_classes=None), run, "dog")


def test_a_file_takes_numbers_alone(tmp_path):
    (tmp_path / "model.keras").touch()
    assert runtime.find_label(CONDITIONAL, tmp_path / "model.keras", "0") == 0
