"""Training that goes wrong: when it ends, and when there is a warning."""

import io
import types

import numpy as np
import pytest

from keras_vae.callbacks.watch import MOST_SKIPPED, Watch
from keras_vae.errors import TrainingError


def watch(**model):
    callback = Watch(file=io.StringIO())
    vae = types.SimpleNamespace(variational=True)
    callback.set_model(types.SimpleNamespace(vae=vae, **model))
    callback.set_params({"epochs": 3, "steps": 105})
    return callback


@pytest.mark.parametrize(
    ("finite", "named"),
    [
        ({"loss": False, "nll": True, "kl": True, "lpips": False, "gradient_norm": False}, "lpips was not finite"),
        ({"loss": False, "nll": False, "kl": False, "gradient_norm": False}, "nll was not finite"),
        ({"loss": True, "nll": True, "gradient_norm": False}, "a gradient was not finite"),
    ],
)
def test_steps_that_change_nothing_end_training_and_the_part_is_named(finite, named):
    callback = watch(skipped_in_a_row=MOST_SKIPPED, means=finite, finite_means=np.array([*finite.values()]))
    with pytest.raises(TrainingError, match=named):
        callback.on_train_batch_end(29)
    with pytest.raises(TrainingError):
        callback.on_train_batch_end(104)  # the last step of the epoch


def test_a_few_skipped_steps_end_nothing():
    watch(skipped_in_a_row=MOST_SKIPPED - 1).on_train_batch_end(29)


@pytest.mark.parametrize(
    ("logs", "word"),
    [
        ({"val_active_units": 0}, "posterior collapse"),
        ({"real_accuracy": 1.0, "fake_accuracy": 0.999}, "tells every patch apart"),
        ({"real_accuracy": 0.0, "fake_accuracy": 1.0}, "one answer to every patch"),
        ({"real_accuracy": 1.0, "fake_accuracy": 0.001}, "one answer to every patch"),
    ],
)
def test_a_collapse_is_warned_about_once_with_what_to_try(logs, word):
    callback = watch()
    for epoch in range(2):
        callback.on_epoch_end(epoch, logs)
    (line,) = callback.file.getvalue().splitlines()
    assert line.startswith("warning: ")
    assert word in line
    assert "--" in line


@pytest.mark.parametrize(
    "logs", [None, {}, {"val_active_units": 2, "real_accuracy": 0.9, "fake_accuracy": 0.95}, {"real_accuracy": 0.0}]
)
def test_training_that_goes_well_says_nothing(logs):
    callback = watch()
    callback.on_epoch_end(0, logs)
    assert callback.file.getvalue() == ""
