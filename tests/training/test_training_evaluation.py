"""The figures of a whole data set against NumPy, and against the metrics of the model's own images."""

import json

import keras
import numpy as np
import pytest
from made_up_inception import reference_features, write_graph
from scipy import stats
from tiny_training import FEW_LAYERS, SHAPE, random_images

from keras_vae import metrics
from keras_vae.data import ArraySplit, ImageDataset
from keras_vae.errors import InputError
from keras_vae.latents import PointBottleneck, VectorQuantizer
from keras_vae.losses import LPIPS
from keras_vae.models import VAE, GaussianMixtureSampler
from keras_vae.training import evaluation
from keras_vae.training.evaluation import evaluation_report
from keras_vae.training.likelihood import importance_sampled_nll
from keras_vae.training.posteriors import posterior_draws

pytestmark = pytest.mark.usefixtures("step_by_step")


def make_vae(scale=0.3, **options):
    return VAE(SHAPE, 2, groups=4, scale=scale, **FEW_LAYERS, **options)


def make_split(count, seed, *, labelled=True):
    labels = np.arange(count, dtype=np.int32) % 3 if labelled else None
    return ArraySplit((255 * random_images(count, seed)).astype(np.uint8), labels)


def make_dataset(*, labelled=True):
    splits = {"train": make_split(12, 1, labelled=labelled), "test": make_split(9, 0, labelled=labelled)}
    return ImageDataset("noise", "test", **splits, class_names=("a", "b", "c") if labelled else None)


DATASET = make_dataset()
IMAGES = DATASET.test.images.astype("float32") / np.float32(255)
# Small numbers are enough: the tests compare figures and do not need good estimates.
SMALL = {"importance_samples": 4, "importance_images": 5, "components": 2}


def metrics_of(vae, dataset, **options):
    return evaluation_report(vae, dataset, **options)["metrics"]


def test_the_figures_are_those_of_the_reconstructions_whatever_the_batches():
    vae = make_vae()
    reconstructions = np.asarray(vae.reconstruct(IMAGES))
    mean, log_var = (np.asarray(part, "float64") for part in vae.encode(IMAGES))
    kl = 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var)
    features = metrics.frechet_features(IMAGES)
    expected = {
        "kl": kl.sum(axis=1).mean(),
        "kl_per_dimension": kl.mean(axis=0),
        "mse": np.square(IMAGES - reconstructions).mean(),
        "psnr": np.asarray(metrics.psnr(IMAGES, reconstructions)).mean(),
        "ssim": np.asarray(metrics.ssim(IMAGES, reconstructions)).mean(),
        "lpips": np.asarray(LPIPS(reduction=None)(IMAGES, reconstructions)).mean(),
        "active_units": (mean.var(axis=0) > 0.01).sum(),
        "frechet_reconstructions": metrics.frechet_distance(features, metrics.frechet_features(reconstructions)),
        "frechet_prior": metrics.frechet_distance(features, metrics.frechet_features(vae.sample(9, seed=0))),
    }

    in_two = metrics_of(vae, DATASET, batch_size=5, **SMALL)
    in_one = metrics_of(vae, DATASET, batch_size=32, **SMALL)

    for measured in (in_two, in_one):
        assert measured.keys() == expected.keys() | {"nll", "elbo", "importance_nll", "knn_accuracy", "frechet_gmm"}
        for name, value in expected.items():
            # float32 sums over a hundred pixels; the LPIPS convolutions have another batch size
            assert measured[name] == pytest.approx(value, rel=1e-4, abs=1e-7), name
        assert measured["elbo"] == pytest.approx(-(measured["nll"] + measured["kl"]), rel=1e-6)
    for name in ("nll", "importance_nll", "frechet_gmm", "knn_accuracy"):
        # Each image has its own draws, in batches of any size.
        assert in_two[name] == pytest.approx(in_one[name], rel=1e-4), name


def test_latent_space_and_mixture_are_those_of_the_training_posteriors():
    vae = make_vae()
    means, draws, labels = posterior_draws(vae, DATASET.train, seed=3)
    test_means = np.asarray(vae.encode(IMAGES)[0])
    decoded = vae.decode(GaussianMixtureSampler.fit(draws, components=2, seed=3).sample(9, seed=3))

    measured = metrics_of(vae, DATASET, seed=3, **SMALL)

    assert measured["knn_accuracy"] == metrics.knn_accuracy(means, labels, test_means, DATASET.test.labels)
    expected = metrics.frechet_distance(metrics.frechet_features(IMAGES), metrics.frechet_features(decoded))
    assert measured["frechet_gmm"] == pytest.approx(expected, rel=1e-4)
    importance_nll = importance_sampled_nll(vae, IMAGES[:5], 4, seed=3).mean()
    assert measured["importance_nll"] == pytest.approx(importance_nll, rel=1e-5)


def test_the_likelihood_is_that_of_draws_of_the_posterior_and_the_seed_repeats_them():
    vae = make_vae()
    first = metrics_of(vae, DATASET, seed=3, importance_samples=0, components=2)
    again = metrics_of(vae, DATASET, seed=3, importance_samples=0, components=2)
    assert first == again

    mean, log_var = (np.tile(parameter, (20, 1)) for parameter in vae.encode(IMAGES))
    decoded = np.asarray(vae.decode(vae.sampling(mean, log_var))).reshape(20, *IMAGES.shape)
    draws = -stats.norm(decoded, 0.3).logpdf(IMAGES).sum(axis=(2, 3, 4)).mean(axis=1)
    # The measured NLL is one more such draw, so it lies within five of their standard deviations.
    assert abs(first["nll"] - np.mean(draws)) < 5 * np.std(draws) + 1e-3


def test_a_plain_autoencoder_has_one_likelihood():
    vae = make_vae(variational=False)
    expected = -stats.norm(np.asarray(vae.reconstruct(IMAGES)), 0.3).logpdf(IMAGES).sum(axis=(1, 2, 3)).mean()

    measured = metrics_of(vae, DATASET, batch_size=4, **SMALL)

    assert measured["kl"] == 0
    assert measured["kl_per_dimension"] == [0, 0]
    assert measured["importance_nll"] is None
    assert measured["nll"] == pytest.approx(expected, rel=1e-5)


def test_the_report_has_the_settings_that_a_small_data_set_allows_and_is_json():
    said = []

    report = evaluation_report(
        make_vae(), make_dataset(labelled=False), importance_samples=2, components=20, say=said.append
    )

    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["metrics"]["knn_accuracy"] is None
    assert report["settings"] == {
        "batch_size": 256,
        "importance_samples": 2,
        "importance_images": 9,
        "frechet_images": 9,
        "training_posteriors": 12,
        "components": 12,
        "neighbours": 5,
        "seed": 0,
    }
    assert [line.split()[0] for line in said] == ["reconstructing", "drawing", "encoding", "decoding", "decoding"]


def test_a_conditional_model_is_measured_with_the_images_own_labels():
    vae = make_vae(num_classes=3)
    labels = DATASET.test.labels
    samples = vae.sample(9, seed=0, labels=labels)

    measured = metrics_of(vae, DATASET, **SMALL)

    assert measured["mse"] == pytest.approx(np.square(IMAGES - vae.reconstruct(IMAGES, labels)).mean(), rel=1e-5)
    expected = metrics.frechet_distance(metrics.frechet_features(IMAGES), metrics.frechet_features(samples))
    # Labels hardly move the samples of an untrained model: wrong labels would be 5e-5 off.
    assert measured["frechet_prior"] == pytest.approx(expected, rel=1e-6)
    expected = importance_sampled_nll(vae, IMAGES[:5], 4, labels=labels[:5]).mean()
    assert measured["importance_nll"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("side", "expected"), [(64, 100), (68, 0)])
def test_large_images_have_no_importance_sampling_unless_it_is_asked_for(monkeypatch, side, expected):
    found = []
    monkeypatch.setattr(evaluation, "_measure", lambda vae, data, settings, *others: found.append(settings))
    vae = VAE((side, side, 1), 2, groups=4, **FEW_LAYERS)
    images = ArraySplit(np.zeros((5, side, side, 1), np.uint8))
    dataset = ImageDataset("noise", "test", images, images)

    evaluation_report(vae, dataset)
    evaluation_report(vae, dataset, importance_samples=3)

    assert [settings.importance_samples for settings in found] == [expected, 3]


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(InputError, match="noise: has no labels, but the model is conditional on 3 classes"):
        metrics_of(make_vae(num_classes=3), make_dataset(labelled=False))
    with pytest.raises(InputError, match="noise: has 3 classes, but the model is conditional on 2"):
        metrics_of(make_vae(num_classes=2), DATASET)
    with pytest.raises(InputError, match="importance-images and components at least 1, got 0, 1 and 0"):
        metrics_of(make_vae(), DATASET, importance_samples=0, importance_images=1, components=0)
    with pytest.raises(InputError, match="it diverged in training"):
        metrics_of(make_vae(scale=float("nan")), DATASET)


def test_codes_are_measured_by_their_rate_and_their_use():
    vae = VAE(SHAPE, groups=4, scale=0.3, latent_shape=(6, 6, 4), bottleneck=VectorQuantizer(16, seed=0), **FEW_LAYERS)
    codes = np.asarray(vae.encode_codes(IMAGES))
    counts = np.bincount(codes.ravel(), minlength=16)
    shares = counts[counts > 0] / counts.sum()

    measured = metrics_of(vae, DATASET, batch_size=5, **SMALL)

    assert measured["bits"] == pytest.approx(codes[0].size * 4)  # four bits choose one of sixteen
    assert measured["kl"] == pytest.approx(measured["bits"] * np.log(2))
    assert measured["elbo"] == pytest.approx(-(measured["nll"] + measured["kl"]))
    assert measured["perplexity"] == pytest.approx(np.prod(shares**-shares))
    assert measured["used_codes"] == (counts > 0).mean()
    assert (measured["active_units"], measured["kl_per_dimension"], measured["importance_nll"]) == (None, [], None)


def test_the_kl_of_a_bottleneck_of_ones_own_is_what_it_says():
    class TwoBits(PointBottleneck):
        """Says that every image costs two bits."""

        def call(self, mean, log_var):
            return {**super().call(mean, log_var), "kl": keras.ops.full((keras.ops.shape(mean)[0],), 2 * np.log(2))}

    measured = metrics_of(make_vae(bottleneck=TwoBits()), DATASET, batch_size=5, **SMALL)

    assert measured["kl"] == pytest.approx(2 * np.log(2))
    assert measured["elbo"] == pytest.approx(-(measured["nll"] + measured["kl"]))


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    return metrics.InceptionFeatures(write_graph(tmp_path_factory.mktemp("inception") / "graph.pb"))


@pytest.mark.parametrize(("batch_size", "count"), [(4, 5), (32, 9)])
def test_fid_is_measured_of_as_many_images_as_the_other_distance(inception, monkeypatch, batch_size, count):
    monkeypatch.setattr("keras_vae.training.evaluation.FRECHET_IMAGES", count)
    vae = make_vae()
    _, draws, _ = posterior_draws(vae, DATASET.train, seed=3)
    mixture = GaussianMixtureSampler.fit(draws, components=2, seed=3)
    shown = {
        "fid_reconstructions": vae.reconstruct(IMAGES[:count]),
        "fid_prior": vae.sample(count, seed=3),
        "fid_gmm": vae.decode(mixture.sample(count, seed=3)),
    }

    report = evaluation_report(vae, DATASET, batch_size=batch_size, seed=3, inception=inception, **SMALL)

    assert report["settings"]["fid_weights_sha256"] == inception.sha256
    measured = report["metrics"]
    assert measured.keys() >= {"frechet_reconstructions", "frechet_prior", "frechet_gmm"}
    for name, images in shown.items():
        expected = metrics.frechet_distance(reference_features(IMAGES[:count]), reference_features(images))
        # The features are sums in float32; the three FIDs differ by half a percent or more.
        assert measured[name] == pytest.approx(expected, rel=1e-4), name


def test_a_model_whose_images_are_not_finite_has_no_fid(inception):
    vae = make_vae()
    for weight in vae.decoder.weights:
        weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(InputError, match="not finite; did the model diverge in training"):
        metrics_of(vae, DATASET, inception=inception, **SMALL)
