"""``keras-vae fit-prior`` on a real run: the model is replaced, and what does not fit is refused in one line."""

import json
import shutil

import numpy as np
import pytest

from keras_vae.latents import prior_name
from keras_vae.training.saving import load_model


@pytest.mark.slow
def test_fit_prior_replaces_the_model_and_its_samples_come_from_the_prior(trained, workplace, run_here):
    _, run = trained
    fitted = workplace / "runs" / "fitted"
    shutil.copytree(run, fitted)
    (fitted / "evaluation.json").write_text("{}")

    done = run_here(
        "fit-prior", fitted, "--prior", "mixture", "--components", 5, "--epochs", 3, "--json", cwd=workplace
    )

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["prior"] == "mixture"
    assert json.loads((fitted / "summary.json").read_text())["fitted_prior"]["loss"] == figures["loss"]
    assert not (fitted / "evaluation.json").exists()
    assert not (fitted / "run.lock").exists()
    drawn, before = (folder / "plots" / "samples.png" for folder in (fitted, run))
    assert drawn.read_bytes() != before.read_bytes()
    model, former = load_model(fitted / "model.keras"), load_model(run / "model.keras")
    assert prior_name(model.prior) == "mixture"
    assert model.prior.components == 5
    for weight, was in zip(model.decoder.weights, former.decoder.weights, strict=True):
        np.testing.assert_array_equal(weight, was)


@pytest.mark.slow
def test_fit_prior_writes_another_file_on_request(trained, workplace, run_here):
    _, run = trained
    before = (run / "model.keras").read_bytes()
    out = workplace / "flow.keras"
    done = run_here("fit-prior", run / "model.keras", "--prior", "flow", "--epochs", 1, "--dataset", "sample", "--out",
                    out, cwd=workplace)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "prior flow, loss " in done.stdout
    assert prior_name(load_model(out).prior) == "flow"
    assert (run / "model.keras").read_bytes() == before


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("mnist-latent2", "mnist-latent2: is not a run directory; name the .keras file to write with --out"),
        ("unfinished", "has not finished training; go on with: keras-vae train --resume"),
    ],
)
def test_fit_prior_refuses_what_it_cannot_replace(trained, workplace, run_here, run, message):
    _, finished = trained
    (workplace / "unfinished").mkdir(exist_ok=True)
    shutil.copy(finished / "config.json", workplace / "unfinished")
    done = run_here("fit-prior", run, "--prior", "flow", cwd=workplace)
    assert done.returncode == 2
    assert message in done.stderr
