"""MSE, PSNR, SSIM and LPIPS against scikit-image and NumPy, and as Keras metrics."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from skimage import data, metrics, transform

from keras_vae.errors import InputError
from keras_vae.losses import LPIPS as LPIPS_LOSS
from keras_vae.metrics import LPIPS, MSE, PSNR, SSIM, mse, psnr, ssim

batches = arrays.arrays("float32", (2, 6, 5, 3), elements=st.floats(0, 1, width=32))


def numpy_of(tensor):
    return keras.ops.convert_to_numpy(tensor)


def reference_ssim(y_true, y_pred):
    return [
        metrics.structural_similarity(
            true,
            pred,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1.0,
            channel_axis=-1,
        )
        for true, pred in zip(y_true.astype("float64"), y_pred.astype("float64"), strict=True)
    ]


@settings(max_examples=20, deadline=None)
@given(y_true=batches, y_pred=batches)
def test_mse_is_that_of_scikit_image(y_true, y_pred):
    expected = [metrics.mean_squared_error(t, p) for t, p in zip(y_true, y_pred, strict=True)]

    np.testing.assert_allclose(numpy_of(mse(y_true, y_pred)), expected, rtol=1e-5, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(y_true=batches, noise=st.floats(1e-3, 0.5))
def test_psnr_is_that_of_scikit_image(y_true, noise):
    y_pred = y_true + np.float32(noise) * np.random.default_rng(0).standard_normal(y_true.shape, "float32")
    pairs = zip(y_true.astype("float64"), y_pred.astype("float64"), strict=True)
    expected = [metrics.peak_signal_noise_ratio(true, pred, data_range=1.0) for true, pred in pairs]

    # y_true - y_pred of noise 1e-3 keeps four digits in float32, 1e-3 dB
    np.testing.assert_allclose(numpy_of(psnr(y_true, y_pred)), expected, atol=1e-3)


def test_psnr_of_equal_images_is_a_hundred_decibels():
    image = np.full((2, 4, 4, 1), 0.3, "float32")

    np.testing.assert_allclose(numpy_of(psnr(image, image)), [100.0, 100.0], rtol=1e-6)


@pytest.mark.parametrize("shape", [(3, 28, 28, 1), (2, 32, 28, 3), (1, 11, 11, 1)])
@pytest.mark.parametrize("noise", [0.02, 0.3])
def test_ssim_of_noisy_images_is_that_of_scikit_image(shape, noise):
    rng = np.random.default_rng(0)
    y_true = rng.random(shape, dtype="float32")
    y_pred = np.clip(y_true + noise * rng.standard_normal(shape, "float32"), 0, 1)

    np.testing.assert_allclose(numpy_of(ssim(y_true, y_pred)), reference_ssim(y_true, y_pred), atol=1e-4)


def test_ssim_of_a_photograph_is_that_of_scikit_image():
    astronaut = transform.resize(data.astronaut(), (32, 28), anti_aliasing=True).astype("float32")
    photograph = np.stack([astronaut, 1.0 - astronaut])
    blurred = (photograph + np.roll(photograph, 1, axis=1) + np.roll(photograph, 1, axis=2)) / 3

    np.testing.assert_allclose(numpy_of(ssim(photograph, blurred)), reference_ssim(photograph, blurred), atol=1e-4)


def test_ssim_of_black_and_white_strokes_is_that_of_scikit_image():
    # flat regions, where the variances are differences of nearly equal numbers
    y_true = np.zeros((3, 28, 28, 1), "float32")
    y_true[:, 5:23, 12:16] = 1.0
    y_pred = np.roll(y_true, 1, axis=2) * np.float32(0.97)

    np.testing.assert_allclose(numpy_of(ssim(y_true, y_pred)), reference_ssim(y_true, y_pred), atol=1e-4)


def test_ssim_of_equal_images_is_one():
    image = np.random.default_rng(0).random((2, 32, 28, 3), dtype="float32")

    np.testing.assert_allclose(numpy_of(ssim(image, image)), [1.0, 1.0], atol=1e-6)


@pytest.mark.parametrize(("height", "width", "size"), [(10, 28, 9), (7, 7, 7), (4, 6, 3), (1, 5, 1)])
def test_the_window_of_ssim_shrinks_to_what_fits_into_a_small_image(height, width, size):
    y_true, y_pred = np.random.default_rng(0).random((2, 3, height, width, 1))
    window = ndimage.gaussian_filter(np.pad([[1.0]], size // 2), 1.5, mode="constant", radius=size // 2)
    window /= window.sum()

    def local(values):
        means = [ndimage.correlate(image[..., 0], window, mode="constant") for image in values]
        margin = size // 2
        return np.stack(means)[:, margin : height - margin, margin : width - margin]

    mean_true, mean_pred = local(y_true), local(y_pred)
    var_true, var_pred = local(y_true**2) - mean_true**2, local(y_pred**2) - mean_pred**2
    covariance = local(y_true * y_pred) - mean_true * mean_pred
    expected = ((2 * mean_true * mean_pred + 1e-4) * (2 * covariance + 9e-4)) / (
        (mean_true**2 + mean_pred**2 + 1e-4) * (var_true + var_pred + 9e-4)
    )

    found = numpy_of(ssim(y_true.astype("float32"), y_pred.astype("float32")))

    np.testing.assert_allclose(found, expected.mean(axis=(1, 2)), atol=1e-4)


@pytest.mark.parametrize(("metric", "function"), [(MSE(), mse), (PSNR(), psnr), (SSIM(), ssim)])
def test_a_metric_is_the_mean_over_all_images_of_all_batches(metric, function):
    y_true, y_pred = np.random.default_rng(0).random((2, 4, 12, 12, 1), dtype="float32")
    halves = [(y_true[:2], y_pred[:2]), (y_true[2:], y_pred[2:])]
    for half in halves:
        metric.update_state(*half)

    result = float(metric.result())

    assert result == pytest.approx(np.mean([numpy_of(function(*half)) for half in halves]), rel=1e-5)
    metric.reset_state()
    assert float(metric.result()) == 0.0


def test_sample_weights_weigh_images():
    y_true, y_pred = np.zeros((3, 2, 2, 1), "float32"), np.ones((3, 2, 2, 1), "float32")
    y_pred[1] = 3.0
    metric = MSE()

    metric.update_state(y_true, y_pred, sample_weight=[1.0, 0.5, 0.0])

    assert float(metric.result()) == pytest.approx((1.0 + 0.5 * 9.0) / 1.5)


def test_the_lpips_metric_is_the_mean_of_the_loss():
    y_true, y_pred = np.random.default_rng(0).random((2, 2, 12, 12, 1), dtype="float32")
    metric = LPIPS()

    metric.update_state(y_true, y_pred)

    expected = numpy_of(LPIPS_LOSS(dtype="float32").call(y_true, y_pred)).mean()
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)
    assert len(metric.variables) == 2


def test_the_loss_and_the_metric_called_lpips_are_registered_apart():
    loss, metric = LPIPS_LOSS(), LPIPS()

    copies = [keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(x)) for x in (loss, metric)]

    assert [type(copy) for copy in copies] == [LPIPS_LOSS, LPIPS]


@pytest.mark.parametrize("metric", [MSE(), PSNR(name="decibels"), SSIM(), LPIPS(taps=2, dtype="mixed_bfloat16")])
def test_a_metric_survives_serialisation(metric):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric), safe_mode=True)

    assert type(copy) is type(metric)
    assert copy.get_config() == metric.get_config()


def test_the_metrics_have_their_short_names_and_stay_float32_under_any_policy():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        made = [MSE(), PSNR(), SSIM(), LPIPS()]
        image = keras.ops.cast(np.full((2, 12, 12, 1), 0.5), "bfloat16")
        for metric in made:
            metric.update_state(image, image)
    finally:
        keras.config.set_dtype_policy(policy)

    assert [metric.name for metric in made] == ["mse", "psnr", "ssim", "lpips"]
    assert {keras.backend.standardize_dtype(metric.result().dtype) for metric in made} == {"float32"}
    assert made[3].get_config()["dtype"] == "float32"


def test_the_metrics_work_in_compile(tmp_path):
    model = keras.Sequential([keras.Input((12, 12, 1)), keras.layers.Conv2D(1, 1, activation="sigmoid")])
    model.compile(optimizer="sgd", loss="mse", metrics=[MSE(), PSNR(), SSIM(), LPIPS()])
    images = np.random.default_rng(0).random((4, 12, 12, 1), dtype="float32")
    model.fit(images, images, batch_size=2, verbose=0)
    model.save(tmp_path / "model.keras")

    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)

    results = model.evaluate(images, images, verbose=0, return_dict=True)
    assert loaded.evaluate(images, images, verbose=0, return_dict=True) == pytest.approx(results, rel=1e-4)
    assert results.keys() == {"loss", "mse", "psnr", "ssim", "lpips"}
    assert (tmp_path / "model.keras").stat().st_size < 100_000


@pytest.mark.parametrize("measure", [mse, psnr, ssim, LPIPS().per_image])
def test_uint8_images_count_in_the_unit_range(measure):
    y_true, y_pred = np.random.default_rng(0).integers(0, 256, (2, 2, 12, 12, 1), "uint8")
    images, reconstructions = y_true.astype("float32") / 255, y_pred.astype("float32") / 255

    expected = numpy_of(measure(images, reconstructions))

    for pair in ((y_true, y_pred), (y_true, reconstructions)):
        np.testing.assert_allclose(numpy_of(measure(*pair)), expected, rtol=1e-4)


@pytest.mark.parametrize("measure", [mse, psnr, ssim, LPIPS().per_image])
@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        (
            np.zeros((2, 12, 12), "float32"),
            np.zeros((2, 12, 12, 1), "float32"),
            r"shape \(N, H, W, C\), got \(2, 12, 12\)",
        ),
        (
            np.zeros((2, 12, 12, 1), "float32"),
            np.zeros((2, 12, 12, 3), "float32"),
            r"\(2, 12, 12, 1\) and \(2, 12, 12, 3\)",
        ),
        (
            np.zeros((2, 12, 12, 1), "int32"),
            np.zeros((2, 12, 12, 1), "float32"),
            "must be floats in .* or uint8, got int32",
        ),
    ],
)
def test_what_would_be_broadcast_or_taken_for_another_range_is_refused(measure, y_true, y_pred, message):
    with pytest.raises(InputError, match=message):
        measure(y_true, y_pred)
