"""A model of codes by the commands: train, evaluate, encode, sample, and the same with what was exported."""

import json

import numpy as np
import pytest
from installed_command import SMALL, run_command

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(workplace):
    """A run of one epoch with 14×14 codes of 15; its directory."""
    run = workplace / "runs" / "codes"
    # In the precision of exported models, since coarser rounding gives some positions another code.
    options = ("--latent", "2x14x14", "--bottleneck", "fsq", "--fsq-levels", "5,3", "--precision", "float32")
    # The other losses are slow to trace, and know no codes.
    options += ("--adversarial-weight", "0", "--perceptual-weight", "0", "--optimizer", "adamw")
    done = run_command(
        "train", *options, "--dataset", "idx:mnist", "--epochs", 1, "--run-dir", run, *SMALL, cwd=workplace
    )
    assert done.returncode == 0, done.stderr
    return run


def test_commands_measure_encode_and_draw_codes_of_runs_and_of_exports(trained, workplace, run_here):
    def json_of(*arguments):
        done = run_here(*arguments, "--json", cwd=workplace)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    exported = json_of("export", trained, "--no-tflite")["path"]
    for model in (trained, exported):
        metrics = json_of("evaluate", model, "--dataset", "idx:mnist", "--importance-samples", 0)["metrics"]
        assert metrics["bits"] == pytest.approx(196 * np.log2(15))
        assert 1 <= metrics["perplexity"] <= 15
        assert metrics["active_units"] is None
    arrays = []
    for number, model in enumerate((trained, exported)):
        latents, drawn = workplace / f"{trained.name}{number}.npz", workplace / f"{trained.name}{number}.png"
        done = run_here("encode", model, "idx:mnist", "--out", latents, cwd=workplace)
        assert done.returncode == 0, done.stderr
        with np.load(latents) as file:
            arrays.append(dict(file))
        done = run_here("sample", model, "--seed", 3, "--out", drawn, cwd=workplace)
        assert done.returncode == 0, done.stderr
        assert drawn.stat().st_size > 1000
        assert "independent" in done.stdout, "it does not say that noise is expected"
    of_run, of_export = arrays
    assert of_run["codes"].shape == (len(of_run["mean"]), 14, 14)
    assert of_run["codes"].dtype == np.int32
    assert 0 <= of_run["codes"].min() <= of_run["codes"].max() < 15
    for name, values in of_run.items():
        np.testing.assert_allclose(of_export[name], values, rtol=1e-5, err_msg=name)


def test_a_prior_of_codes_is_fitted_and_draws_by_class(trained, workplace, run_here):
    fitted = workplace / "fitted.keras"
    done = run_here("fit-prior", trained, "--prior", "codes", "--conditional", "--epochs", 1, "--dataset", "idx:mnist",
                    "--out", fitted, "--json", cwd=workplace)  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["prior"], figures["num_classes"]) == ("codes", 10)
    assert figures["loss"] < figures["loss_before"] == pytest.approx(196 * np.log(15), rel=1e-5)

    drawn = [workplace / f"drawn{number}.png" for number in range(2)]
    for picture, options in zip(drawn, [("--label", 7), ("--label", 7, "--guidance", 5)], strict=True):
        done = run_here("sample", fitted, "--count", 10, *options, "--out", picture, cwd=workplace)
        assert done.returncode == 0, done.stderr
        assert "independent" not in done.stdout
    assert drawn[0].read_bytes() != drawn[1].read_bytes()

    for model, options, message in [
        (trained, ("--label", 7), "is not conditional, so it has no label 7"),
        (trained, ("--guidance", 2), "--guidance is one of a conditional prior; make one with: keras-vae fit-prior"),
        (fitted, ("--label", 12), "12"),
    ]:
        done = run_here("sample", model, *options, "--out", workplace / "none.png", cwd=workplace)
        assert done.returncode == 2
        assert message in done.stderr
