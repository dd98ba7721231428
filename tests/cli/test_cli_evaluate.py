"""What ``evaluate`` prints of a report, and that it reads FID's weights first."""

import json

import pytest
from click.testing import CliRunner

from keras_vae.errors import InputError
from keras_vae_cli import evaluate

SHA256 = "a" * 64
METRICS = {
    **dict.fromkeys(("mse", "psnr", "ssim", "lpips", "elbo", "nll", "kl"), 1.0),
    "importance_nll": None,
    "knn_accuracy": None,
    "active_units": 1,
    "kl_per_dimension": [1.0],
    "frechet_reconstructions": 5.0,
    "frechet_prior": 6.0,
    "frechet_gmm": 5.5,
}
FIDS = {"fid_reconstructions": 1234.5, "fid_prior": 30.25, "fid_gmm": 20.125}


@pytest.fixture
def printed(monkeypatch):
    """``printed(arguments…, metrics=…)``: what the command prints of a report with these metrics, and its settings."""

    def run(*arguments, metrics):
        given = []

        def evaluate_run(path, **settings):
            given.append(settings)
            data = {"name": "digits", "counts": {"test": 5000}}
            settings = {"frechet_images": 5000, "components": 10, "fid_weights_sha256": SHA256}
            return {"model": str(path), "data": data, "settings": settings, "metrics": metrics}

        monkeypatch.setattr(evaluate, "evaluate_run", evaluate_run)
        done = CliRunner().invoke(evaluate.command, [*arguments], catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout, given[0]

    return run


def test_fid_has_a_table_of_its_own_with_the_number_of_images(printed):
    out, settings = printed("run", "--fid-weights", "graph.pb", metrics=METRICS | FIDS)

    assert str(settings["fid_weights"]) == "graph.pb"
    lines = out.splitlines()
    assert lines[-4:] == [
        "FID (5,000 images each; published FIDs usually take 50,000)",
        "  reconstructions   1,234.5000 also called rFID",
        "  prior                30.2500",
        "  mixture              20.1250 of 10 Gaussians",
    ]
    assert "samples (Fréchet distance of VGG16 features to 5,000 test images)" in lines


def test_without_weights_there_is_no_fid(printed):
    out, settings = printed("run", metrics=METRICS)
    assert settings["fid_weights"] is None
    assert "FID" not in out


def test_fid_is_in_the_json_with_the_digest_of_its_weights(printed):
    out, _ = printed("run", "--fid-weights", "graph.pb", "--json", metrics=METRICS | FIDS)
    report = json.loads(out)
    assert report["metrics"].items() >= FIDS.items()
    assert report["settings"]["fid_weights_sha256"] == SHA256


def test_wrong_weights_are_refused_before_the_model_is_opened(monkeypatch, tmp_path):
    def open_model(path):
        raise AssertionError("the model was opened")

    monkeypatch.setattr(evaluate, "open_model", open_model)
    with pytest.raises(InputError, match="no such file"):
        evaluate.evaluate_run(tmp_path / "run", fid_weights=tmp_path / "missing.pb")
