"""LPIPS against a plain NumPy implementation in float64; its weights, its gradients, its place in a model."""

import json

import keras
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from keras_vae.errors import InputError
from keras_vae.losses import LPIPS, VGG16Features
from keras_vae.losses.vgg16 import BUNDLED_WEIGHTS

CONVOLUTIONS = (2, 2, 3, 3, 3)
# float32 through thirteen convolutions of up to 4,608 terms, against float64
RTOL = 1e-4


def reference_features(images, arrays, taps):
    """VGG16's relu1_2, relu2_2, … as LPIPS v0.1 feeds it, from images (N, H, W, 3) in [0, 1]."""
    x = (2 * images.astype("float64") - 1 - [-0.030, -0.088, -0.188]) / [0.458, 0.448, 0.450]
    features = []
    for block in range(1, taps + 1):
        if block > 1:
            n, h, w, c = x.shape
            x = x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))
        for index in range(1, CONVOLUTIONS[block - 1] + 1):
            kernel = arrays[f"block{block}_conv{index}/kernel"].astype("float64")
            bias = arrays[f"block{block}_conv{index}/bias"].astype("float64")
            windows = sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), axis=(1, 2))
            x = np.maximum(np.tensordot(windows, kernel, axes=([4, 5, 3], [0, 1, 2])) + bias, 0)
        features.append(x)
    return features


def reference_lpips(y_true, y_pred, arrays, taps):
    total = 0
    pairs = zip(reference_features(y_true, arrays, taps), reference_features(y_pred, arrays, taps), strict=True)
    for block, (true, pred) in enumerate(pairs, start=1):
        true = true / (np.linalg.norm(true, axis=-1, keepdims=True) + 1e-10)
        pred = pred / (np.linalg.norm(pred, axis=-1, keepdims=True) + 1e-10)
        total += ((true - pred) ** 2 @ arrays[f"lpips/block{block}"].astype("float64")).mean(axis=(1, 2))
    return total


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype="float32")


def numpy_of(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture(scope="module")
def lpips():
    return LPIPS(dtype="float32")


@pytest.mark.parametrize("channels", [1, 3])
def test_lpips_with_the_bundled_weights_is_that_of_the_reference(lpips, channels):
    # odd sizes, so that pooling drops rows and columns
    y_true, y_pred = random_images(2, 2, 11, 14, channels)
    with np.load(BUNDLED_WEIGHTS) as file:
        arrays = dict(file)

    distances = numpy_of(lpips.call(y_true, y_pred))

    repeat = 3 // channels
    expected = reference_lpips(np.repeat(y_true, repeat, -1), np.repeat(y_pred, repeat, -1), arrays, taps=3)
    np.testing.assert_allclose(distances, expected, rtol=RTOL)


@pytest.mark.parametrize("channels", [1, 3])
def test_lpips_with_five_taps_from_a_file_is_that_of_the_reference(full_weights, channels):
    y_true, y_pred = random_images(2, 2, 16, 16, channels)
    with np.load(full_weights) as file:
        arrays = dict(file)

    distances = numpy_of(LPIPS(full_weights, taps=5, dtype="float32").call(y_true, y_pred))

    repeat = 3 // channels
    expected = reference_lpips(np.repeat(y_true, repeat, -1), np.repeat(y_pred, repeat, -1), arrays, taps=5)
    np.testing.assert_allclose(distances, expected, rtol=RTOL)


def test_a_grey_image_has_the_features_of_its_repetition_to_rgb(lpips):
    grey = random_images(2, 16, 16, 1)
    features = VGG16Features(dtype="float32")

    of_grey, of_rgb = features(grey), features(np.repeat(grey, 3, axis=-1))

    for one, other in zip(of_grey, of_rgb, strict=True):
        # activations reach about ten
        np.testing.assert_allclose(numpy_of(one), numpy_of(other), rtol=1e-4, atol=1e-4)


def test_the_extractor_gives_one_tensor_a_block():
    features = VGG16Features(taps=3)(keras.Input((28, 28, 1)))

    assert [tap.shape for tap in features] == [(None, 28, 28, 64), (None, 14, 14, 128), (None, 7, 7, 256)]


def test_equal_images_are_at_distance_zero_with_a_gradient_of_zero(lpips, gradient_of):
    image = random_images(1, 8, 8, 1)

    distance, gradient = numpy_of(lpips.call(image, image)), gradient_of(lpips, image, image)

    assert distance.tolist() == [0.0]
    assert np.abs(gradient).max() == 0.0


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_flat_images_have_a_finite_gradient(lpips, gradient_of, level):
    flat, other = np.full((1, 8, 8, 1), level, "float32"), random_images(1, 8, 8, 1)

    for y_true in (flat, other):
        assert np.isfinite(gradient_of(lpips, y_true, flat)).all()


def test_features_that_are_all_zero_have_a_finite_gradient(tmp_path, gradient_of, made_up_weights):
    # biases far below zero shut every unit of the network
    path = tmp_path / "shut.npz"
    np.savez(path, **made_up_weights(blocks=1, bias=-100.0))
    loss = LPIPS(path, taps=1, dtype="float32")
    y_true, y_pred = random_images(2, 1, 8, 8, 1)

    distance, gradient = numpy_of(loss.call(y_true, y_pred)), gradient_of(loss, y_true, y_pred)

    assert distance.tolist() == [0.0]
    assert np.abs(gradient).max() == 0.0


def test_the_gradient_is_the_slope_of_the_reference(lpips, gradient_of):
    y_true, y_pred = random_images(2, 1, 8, 8, 1)
    direction = np.random.default_rng(1).standard_normal((1, 8, 8, 1))
    direction /= np.linalg.norm(direction)
    with np.load(BUNDLED_WEIGHTS) as file:
        arrays = dict(file)

    def along(step):
        rgb = np.repeat(y_pred + step * direction, 3, axis=-1)
        return reference_lpips(np.repeat(y_true, 3, axis=-1), rgb, arrays, taps=3)[0]

    slope = (along(1e-5) - along(-1e-5)) / 2e-5

    gradient = gradient_of(lpips, y_true, y_pred, learning_rate=10.0)

    # the reference's slope crosses a few kinks of the rectifiers
    assert float(np.sum(gradient * direction)) == pytest.approx(slope, rel=1e-2)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_convolutions_keep_the_distance_in_float32_within_a_percent(lpips, policy):
    y_true, y_pred = random_images(2, 2, 16, 16, 1)

    distances = LPIPS(dtype=policy).call(y_true, y_pred)

    assert keras.backend.standardize_dtype(distances.dtype) == "float32"
    # eight bits of significand, errors of the features averaged over 16 × 16 positions
    np.testing.assert_allclose(numpy_of(distances), numpy_of(lpips.call(y_true, y_pred)), rtol=1e-2)


def test_the_loss_is_the_mean_over_images(lpips):
    y_true, y_pred = random_images(2, 2, 16, 16, 1)

    np.testing.assert_allclose(numpy_of(lpips(y_true, y_pred)), numpy_of(lpips.call(y_true, y_pred)).mean(), rtol=1e-6)


def test_the_config_names_the_weights_and_brings_the_loss_back(lpips):
    y_true, y_pred = random_images(2, 2, 16, 16, 1)
    serialised = json.dumps(keras.saving.serialize_keras_object(lpips))

    copy = keras.saving.deserialize_keras_object(json.loads(serialised), safe_mode=True)

    assert len(serialised) < 500
    assert copy.get_config() == lpips.get_config()
    np.testing.assert_array_equal(numpy_of(copy(y_true, y_pred)), numpy_of(lpips(y_true, y_pred)))


def test_the_extractor_comes_back_from_its_config(full_weights):
    features = VGG16Features(full_weights, taps=4, dtype="mixed_bfloat16", name="eyes")

    copy = VGG16Features.from_config(features.get_config())

    assert copy.get_config() == features.get_config()
    assert len(copy.weights) == 2 * sum(CONVOLUTIONS[:4])


def test_a_model_with_the_loss_neither_trains_nor_saves_the_network(tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(1, 1)])
    model.perceptual_loss = LPIPS()
    eagerly = keras.backend.backend() != "jax"  # tracing takes longer than a step
    model.compile(optimizer="sgd", loss=LPIPS(), run_eagerly=eagerly, jit_compile=not eagerly)
    images = random_images(2, 8, 8, 1)
    model.fit(images, images, verbose=0)
    model.save(tmp_path / "model.keras")

    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)

    assert len(model.weights) == 2
    assert (tmp_path / "model.keras").stat().st_size < 100_000
    assert isinstance(loaded.loss, LPIPS)
    assert loaded.evaluate(images, images, verbose=0) == pytest.approx(
        model.evaluate(images, images, verbose=0), rel=1e-5
    )


def test_a_model_of_the_extractor_has_frozen_weights_and_loads_back(tmp_path):
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, VGG16Features(taps=1)(inputs))
    model.save(tmp_path / "features.keras")
    images = random_images(1, 8, 8, 1)

    loaded = keras.saving.load_model(tmp_path / "features.keras", safe_mode=True)

    assert model.trainable_weights == []
    np.testing.assert_array_equal(numpy_of(loaded(images)[0]), numpy_of(model(images)[0]))


def test_imagenet_weights_see_what_keras_applications_would_feed_them(monkeypatch):
    network = keras.applications.VGG16(include_top=False, weights=None)
    monkeypatch.setattr(keras.applications, "VGG16", lambda include_top, weights: network)
    images = random_images(2, 16, 16, 3)
    preprocessed = keras.applications.vgg16.preprocess_input(255.0 * images)
    expected = keras.Model(network.input, network.get_layer("block2_conv2").output)(preprocessed)

    features = VGG16Features("imagenet", taps=2, dtype="float32")(images)
    distance = LPIPS("imagenet", taps=2).call(images, 1.0 - images)

    np.testing.assert_allclose(numpy_of(features[1]), numpy_of(expected), rtol=1e-3, atol=1e-3)
    assert numpy_of(distance)[0] > 0


def test_more_taps_than_the_file_has_are_refused():
    with pytest.raises(InputError, match=r"vgg16_lpips\.npz: has weights for 3 taps, not 5"):
        LPIPS(taps=5)


@pytest.mark.parametrize("taps", [0, 6])
def test_taps_that_vgg16_does_not_have_are_refused(taps):
    with pytest.raises(InputError, match=f"taps must be 1 to 5, got {taps}"):
        LPIPS(taps=taps)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.npz: no such file"):
        LPIPS(tmp_path / "nowhere.npz")


@pytest.mark.parametrize("kept", [0, 1000, -100])
def test_a_damaged_file_is_named(tmp_path, kept):
    path = tmp_path / "damaged.npz"
    path.write_bytes(BUNDLED_WEIGHTS.read_bytes()[:kept])

    with pytest.raises(InputError, match=r"damaged\.npz: is damaged, or not an \.npz"):
        LPIPS(path)


def test_a_file_with_a_flipped_byte_is_named(tmp_path):
    content = bytearray(BUNDLED_WEIGHTS.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path = tmp_path / "flipped.npz"
    path.write_bytes(content)

    with pytest.raises(InputError, match=r"flipped\.npz: is damaged"):
        LPIPS(path)


def test_a_file_with_other_arrays_is_named(tmp_path):
    path = tmp_path / "other.npz"
    np.savez(path, x=np.zeros(3))

    with pytest.raises(InputError, match=r"other\.npz: lacks the array block1_conv1/kernel"):
        LPIPS(path)


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (
            np.zeros((3, 3, 3, 32), "float16"),
            r"of shape \(3, 3, 3, 64\), is float16 of shape \(3, 3, 3, 32\)",
        ),
        (np.zeros((3, 3, 3, 64), "int8"), "should be floating-point"),
        (np.full((3, 3, 3, 64), np.nan), "not finite"),
        (np.array({"a": "pickle"}, dtype=object), "is damaged, or not an"),
    ],
)
def test_an_array_that_does_not_fit_is_named_and_never_unpickled(tmp_path, made_up_weights, array, complaint):
    path = tmp_path / "unfit.npz"
    np.savez(path, **{**made_up_weights(blocks=1), "block1_conv1/kernel": array})

    with pytest.raises(InputError, match=r"unfit\.npz: .*" + complaint):
        LPIPS(path, taps=1)


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        ((1, 28, 28, 2), "C of 1 or 3"),
        ((28, 28, 1), r"must have shape \(N, H, W, C\), got \(28, 28, 1\)"),
        ((1, 3, 28, 1), "at least 4×4 pixels"),
    ],
)
def test_images_that_vgg16_cannot_see_are_refused_in_one_line(lpips, shape, complaint):
    images = np.zeros(shape, "float32")

    with pytest.raises(InputError, match=complaint) as raised:
        lpips(images, images)

    assert "\n" not in str(raised.value)
