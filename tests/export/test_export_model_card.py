"""The model card: its numbers, its sections, and names that would be markup."""

import pytest
from stand_ins import DATA, EVALUATION, make_manifest

from keras_vae.config import RunConfig
from keras_vae.export.model_card import Training, model_card


def make_training(path, **changes):
    environment = {"gpus": [], "precision": {"value": "float32"}}
    return Training(path=path, config=RunConfig().replace(**changes), environment=environment, epochs=3, seconds=3720.0)


def section(card, title):
    return card.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_card_has_every_section(tmp_path):
    card = model_card(make_manifest(), make_training(tmp_path / "digits"))
    for title in ("Intended use", "Data", "How to call it", "Metrics", "Limits", "Training", "Licences"):
        assert section(card, title).strip(), title
    assert "\n\n\n" not in card
    assert "None" not in card


def test_figures_have_their_units_and_how_they_were_measured(tmp_path):
    metrics = section(model_card(make_manifest()), "Metrics")
    assert "10,000 test images of mnist" in metrics
    assert "| PSNR | 15.34 dB |" in metrics
    assert "| ELBO | 191.70 nats | per image, one z per image; gaussian likelihood with scale 0.187 |" in metrics
    assert "| Class by nearest neighbours | 81.23% | 5 nearest of 60,000 training images" in metrics
    assert "100 draws for each of 1,000 images" in metrics
    assert "| Active units | 2 of 2 |" in metrics


def test_fids_come_with_their_network_their_number_of_images_and_the_option_that_repeats_them(tmp_path):
    evaluation = {
        **EVALUATION,
        "settings": {**EVALUATION["settings"], "fid_weights_sha256": "c" * 64},
        "metrics": {**EVALUATION["metrics"], "fid_reconstructions": 12.5, "fid_prior": 20.0, "fid_gmm": 15.0},
    }
    card = model_card(make_manifest(evaluation=evaluation), make_training(tmp_path / "digits"))
    metrics = section(card, "Metrics")
    assert "| FID, reconstructions (rFID) | 12.50 | Inception features" in metrics
    assert "c" * 64 in metrics
    assert "5,000 images each; published FIDs usually take 50,000" in metrics
    assert "| FID, samples from the prior | 20.00 |" in metrics
    assert "| FID, samples from a Gaussian mixture | 15.00 | 10 components" in metrics
    assert "keras-vae evaluate runs/digits --fid-weights classify_image_graph_def.pb" in card
    without = model_card(make_manifest(), make_training(tmp_path / "digits"))
    assert "FID," not in without
    assert "--fid-weights" not in without


def test_a_model_that_was_not_measured_has_no_figures():
    assert section(model_card(make_manifest(evaluation=None)), "Metrics").strip() == "Not measured."


def test_mnist_is_credited_and_other_images_are_left_to_their_user():
    assert "LeCun, Cortes and Burges" in section(model_card(make_manifest()), "Data")
    other = section(model_card(make_manifest(data={**DATA, "name": "cats"})), "Data")
    assert "LeCun" not in other
    assert "to be filled in" in other
    assert "not recorded" in section(model_card(make_manifest(data=None)), "Data")


def test_training_is_told_with_the_command_that_repeats_it(tmp_path):
    training = section(model_card(make_manifest(), make_training(tmp_path / "digits", epochs=3, seed=7)), "Training")
    assert "CPU, no GPU, float32; 1 h 2 min" in training
    assert "--seed 7 --epochs 3 --run-dir runs/digits" in training
    assert "keras-vae export runs/digits --name digits" in training
    assert str(tmp_path) not in training
    assert "Not recorded." in section(model_card(make_manifest()), "Training")


def test_the_weights_that_judged_it_are_named_where_they_did(tmp_path):
    assert "torchvision" in section(model_card(make_manifest(), make_training(tmp_path)), "Licences")
    without = make_training(tmp_path, objective__perceptual_weight=0.0)
    assert "torchvision" not in section(model_card(make_manifest(), without), "Licences")


def test_a_conditional_model_takes_labels():
    calls = section(model_card(make_manifest(num_classes=10)), "How to call it")
    assert "| `encode` | `image`, `label` int32 (N,) |" in calls
    assert "image=images, label=labels)" in calls
    assert '"label": [0, 0, 0, 0]}}' in calls
    assert "label" not in section(model_card(make_manifest()), "How to call it")


def test_a_plain_autoencoder_is_not_called_variational():
    card = model_card(make_manifest(variational=False, evaluation=None))
    assert "A variational" not in card
    assert "has no prior" in section(card, "Limits")


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "a|b", "[x](http://evil)", "*a* _b_ `c`", "a\n## Title\n", "\x1b[31m"]
)
def test_a_name_that_is_markup_is_shown_as_text(name):
    card = model_card(make_manifest(data={**DATA, "name": name, "sha256": {"train": f"`{name}`"}}))
    text = section(card, "Data")
    for markup in ("<script>", "[x](", "*a*", "\n## Title", "\x1b"):
        assert markup not in text.replace(r"\*", "").replace("\\[", "").replace(f"`` `{name}` ``", "")


@pytest.mark.parametrize("data", [{}, {"counts": 3, "sha256": ["a"]}, {"name": ["x"], "counts": {"train": "many"}}])
def test_records_that_were_edited_make_no_traceback(data):
    assert model_card(make_manifest(data=data, evaluation={"data": 1, "metrics": {"mse": "low"}, "settings": []}))
