"""A scorer in an exported model: the signature, the LiteRT file, and the manifest."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from exported_models import make_images, make_vae

from keras_vae.errors import InputError
from keras_vae.export import check_manifest, export_saved_model, load_exported
from keras_vae.export.saved_model import load_saved_model
from keras_vae.export.score_file import write_score_file
from keras_vae.export.signatures import write_saved_model
from keras_vae.scoring import Scorer


def fitted(vae, method):
    """Fitted to noise, for which a white image is unusual."""
    scorer = Scorer(vae, method, false_alarms=0.1)
    scorer.run_eagerly = True
    return scorer.fit(make_images(24), held_out=make_images(40, seed=1))


@pytest.fixture(scope="module")
def scorer(exported_vae):
    return fitted(exported_vae, "auto")


@pytest.fixture(scope="module")
def images():
    return np.concatenate([make_images(6, seed=2), np.ones((1, 11, 12, 1), np.float32)])


@pytest.mark.slow
def test_savedmodel_and_litert_file_answer_as_the_scorer_does(scorer, images, tmp_path):
    write_saved_model(scorer.vae, tmp_path / "model", scorer)
    file = write_score_file(scorer, tmp_path / "tflite", images)
    model = load_saved_model(tmp_path / "model")
    of_model = {name: value.numpy() for name, value in model.signatures["score"](image=images).items()}
    runner = Interpreter(str(file.path)).get_signature_runner("score")
    rows = [runner(image=image[None]) for image in images]
    of_file = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    for found in (of_model, of_file):
        assert found.keys() == {"score", "unusual", "heat_map"}
        # Rounding may move an image past one of the 40 that it is compared with.
        np.testing.assert_allclose(found["score"], scorer.score(images), atol=0.03)
        np.testing.assert_allclose(found["heat_map"], scorer.heatmap(images), rtol=1e-3, atol=1e-2)
        assert found["unusual"].dtype == bool
        assert list(found["unusual"]) == list(scorer.verdict(images))
        assert found["unusual"][-1]
    assert model.signatures["score"](image=images[:0])["heat_map"].shape == (0, 11, 12)


@pytest.mark.slow
def test_the_manifest_and_the_card_have_the_threshold(exported_vae, images, tmp_path):
    scorer, pixels = fitted(exported_vae, "padim"), np.rint(255 * images).astype(np.uint8)
    published = export_saved_model(exported_vae, tmp_path / "noise", images=pixels, scorer=scorer, tflite=False)

    manifest = check_manifest(published)

    assert manifest.score == {
        "method": "padim",
        "measures": ["padim"],
        "held_out": 40,
        "false_alarms": 0.1,
        "threshold": scorer.calibration.threshold(0.1),
    }
    assert manifest.signatures["score"]["difference"] <= 0.025
    card = (published / "MODEL_CARD.md").read_text()
    assert "| `score` | `image` | `score` float32 (N,) in [0, 1), `unusual` bool (N,)" in card
    assert "A share of 0.1 of normal images is called unusual." in card
    assert load_exported(published).manifest.score == manifest.score


def test_a_scorer_of_another_model_is_refused_before_anything_is_written(scorer, images, tmp_path):
    pixels = np.rint(255 * images).astype(np.uint8)

    with pytest.raises(InputError, match="the scorer was fitted with another model"):
        export_saved_model(make_vae(latent_dim=3), tmp_path / "noise", images=pixels, scorer=scorer)

    assert list(tmp_path.iterdir()) == []


def test_a_scorer_that_trains_is_refused_before_anything_is_written(exported_vae, images, tmp_path):
    pixels = np.rint(255 * images).astype(np.uint8)
    scorer = Scorer(exported_vae, "vae", regret_steps=1)
    scorer.run_eagerly = True
    scorer.fit(make_images(8), held_out=make_images(20, seed=1))

    with pytest.raises(InputError, match="an exported model cannot measure a likelihood regret"):
        export_saved_model(exported_vae, tmp_path / "noise", images=pixels, scorer=scorer)

    assert list(tmp_path.iterdir()) == []
