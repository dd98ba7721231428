"""The SavedModel: signatures with named tensors, which need TensorFlow alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_vae.data.tf_example import parse_examples
from keras_vae.data.tfrecord import IMAGE_KEY, LABEL_KEY
from keras_vae.export.float32 import answer
from keras_vae.models import VAE
from keras_vae.scoring import Scorer
from keras_vae.scoring.answers import answers

# 4096×4096. A PNG of a few hundred kilobytes can hold thousands of times as many pixels.
MOST_PIXELS = 1 << 24
_PNG = b"\x89PNG\r\n\x1a\n"


def write_saved_model(vae: VAE, folder: Path, scorer: Scorer | None = None) -> None:
    """Write a SavedModel of ``vae`` into ``folder``; loading it needs neither this library nor Keras.

    Every signature takes any batch size N, computes in the model's own precision and returns float32. A conditional
    model's ``serving_default``, ``encode``, ``decode`` and ``sample`` also take ``label``, int32 (N,), for `sample`
    (count,). So does the ``sample`` of a conditional prior, where the number of classes as a label stands for none.

    - ``serving_default``: ``image`` float32 (N, H, W, C) in [0, 1] → ``reconstruction`` (N, H, W, C) through the
      posterior mean, ``mean`` and ``log_var`` (N, L), or (N, h, w, c) for a spatial latent
    - ``encode``: ``image`` → ``mean``, ``log_var``
    - ``decode``: ``z`` float32 as ``mean`` → ``image``
    - ``sample``: ``count`` int32 (), ``seed`` int32 (2,) → ``image`` (count, H, W, C), ``z``, drawn from the model's
      prior; the same for the same seed
    - ``serve_tf_examples``: ``examples`` string (N,), serialised tf.Example with ``image/encoded`` (PNG or JPEG of at
      most ``MOST_PIXELS``, resized to H×W) and for a conditional model ``label`` int64 → as ``serving_default``

    A model of codes gives ``codes`` int32 (N, *code_shape) wherever it gives ``mean`` or ``z``, and has one more:

    - ``decode_codes``: ``codes`` → ``image``

    So has a model with a fitted scorer, which must have the same ``vae``:

    - ``score``: ``image`` → ``score`` float32 (N,), ``unusual`` bool (N,) and ``heat_map`` float32 (N, H, W)
    """
    module = tf.Module()
    # The weights alone: the model itself would put a Keras object into the file, which needs Keras to load.
    module.weights = [variable.value for variable in variables_of(vae, scorer)]
    tf.saved_model.save(module, str(folder), signatures=_signatures(vae, scorer))


def _signatures(vae: VAE, scorer: Scorer | None) -> dict[str, Any]:
    image = {"image": tf.TensorSpec((None, *vae.image_shape), tf.float32, "image")}
    z = {"z": tf.TensorSpec((None, *vae.latent_shape), tf.float32, "z")}
    label = {} if vae.num_classes is None else {"label": tf.TensorSpec((None,), tf.int32, "label")}
    label_of_draw = {} if vae.sample_classes is None else {"label": tf.TensorSpec((None,), tf.int32, "label")}

    # The signatures call one graph each for encoder and decoder, so that the file holds them once.
    def call_encoder(image: Any, label: Any = None) -> dict[str, Any]:
        rows = tf.shape(image)[0]
        inputs = {"image": _at_least_one(image), "label": _labels(label, rows)}
        return {name: value[:rows] for name, value in answer(vae, "encode", inputs).items()}

    def call_decoder(z: Any, label: Any = None) -> dict[str, Any]:
        rows = tf.shape(z)[0]
        return {"image": vae.decode(_at_least_one(z), _labels(label, rows))[:rows]}

    # Nothing depends on a tensor's value in Python: rewriting the functions would only take time.
    encode = tf.function(call_encoder, autograph=False).get_concrete_function(**image, **label)
    decode = tf.function(call_decoder, autograph=False).get_concrete_function(**z, **label)

    def reconstruct(image: Any, **label: Any) -> dict[str, Any]:
        posterior = encode(image=image, **label)
        return {"reconstruction": decode(z=posterior["mean"], **label)["image"], **posterior}

    def sample(count: Any, seed: Any, **given: Any) -> dict[str, Any]:
        drawn = prior_draws(vae, count, seed, given.get("label"))
        return {"image": decode(z=drawn["z"], **(given if label else {}))["image"], **drawn}

    def decode_codes(codes: Any, **label: Any) -> dict[str, Any]:
        return {"image": decode(z=vae.bottleneck.embed(_in_range(codes, vae.bottleneck)), **label)["image"]}

    def score(image: Any, label: Any = None) -> dict[str, Any]:
        assert scorer is not None
        rows = tf.shape(image)[0]
        found = answers(scorer, _at_least_one(image), _labels(label, rows))
        return {name: value[:rows] for name, value in found.items()}

    def serve_tf_examples(examples: Any) -> dict[str, Any]:
        return reconstruct(**_parse(examples, vae.image_shape, has_label=bool(label)))

    specs = {
        "serving_default": (reconstruct, {**image, **label}),
        "sample": (
            sample,
            {
                "count": tf.TensorSpec((), tf.int32, "count"),
                "seed": tf.TensorSpec((2,), tf.int32, "seed"),
                **label_of_draw,
            },
        ),
        "serve_tf_examples": (serve_tf_examples, {"examples": tf.TensorSpec((None,), tf.string, "examples")}),
    }
    if vae.bottleneck.code_shape is not None:
        codes = tf.TensorSpec((None, *vae.bottleneck.code_shape), tf.int32, "codes")
        specs["decode_codes"] = (decode_codes, {"codes": codes, **label})
    if scorer is not None:
        specs["score"] = (score, {**image, **label})
    traced = {
        name: tf.function(function, autograph=False).get_concrete_function(**spec)
        for name, (function, spec) in specs.items()
    }
    return {**traced, "encode": encode, "decode": decode}


def variables_of(vae: VAE, scorer: Scorer | None = None) -> list[Any]:
    """The weights that signatures use, each once."""
    of_scorer = [] if scorer is None else scorer.variables
    found = [*vae.encoder.variables, *vae.decoder.variables, *vae.bottleneck.variables, *of_scorer]
    return list({id(variable): variable for variable in found}.values())


def prior_draws(vae: VAE, count: Any, seed: Any, labels: Any = None) -> dict[str, Any]:
    """``count`` int32 () draws from the prior for a ``seed`` int32 (2,): ``z``, and ``codes`` if the model has any.

    `Bottleneck.sample` with the seed s draws the same as this function with (s, 0). Labels (count,) are for a
    conditional prior; others do not look at them.
    """
    prior = vae.prior
    noise = tf.random.stateless_normal((count, *prior.noise_shape), seed)
    drawn = prior.draw(noise) if prior.num_classes is None else prior.draw(noise, _labels(labels, count))
    if vae.bottleneck.code_shape is None:
        return {"z": drawn}
    return {"z": vae.bottleneck.embed(drawn), "codes": drawn}


def _in_range(codes: Any, bottleneck: Any) -> Any:
    """The codes, or an InvalidArgument error: a gather out of range would give zeros, or anything."""
    size = bottleneck.codebook_size
    is_code = tf.reduce_all((codes >= 0) & (codes < size))
    with tf.control_dependencies([tf.debugging.Assert(is_code, [f"codes must be in [0, {size}), got", codes])]):
        return tf.identity(codes)


def _at_least_one(batch: Any) -> Any:
    """Pad an empty batch to one row: TensorFlow's convolutions on CPU give an empty batch the wrong shape."""
    missing = tf.maximum(1 - tf.shape(batch)[0], 0)
    return tf.pad(batch, [[0, missing], *[[0, 0]] * (batch.shape.rank - 1)])


def _labels(label: Any, rows: Any) -> Any:
    """The labels, or an InvalidArgument error if there is not one per row. A single label would be broadcast."""
    return None if label is None else _at_least_one(tf.reshape(label, [rows]))


def _parse(examples: Any, image_shape: tuple[int, int, int], *, has_label: bool) -> dict[str, Any]:
    """Serialised tf.Examples (N,) → ``image`` float32 (N, H, W, C) in [0, 1], and on request ``label`` int32 (N,)."""
    features = {IMAGE_KEY: tf.io.FixedLenFeature((), tf.string)}
    if has_label:
        features[LABEL_KEY] = tf.io.FixedLenFeature((), tf.int64)
    parsed = parse_examples(examples, features)
    height, width, channels = image_shape

    def decode(encoded: Any) -> Any:
        # Decoding has no side effects, so only this makes it wait for the check.
        with tf.control_dependencies([_check_pixels(encoded)]):
            pixels = tf.io.decode_image(encoded, channels, expand_animations=False)
        pixels.set_shape((None, None, channels))
        # Anti-aliased resizing to the same size changes nothing.
        return tf.image.resize(pixels, (height, width), antialias=True) / 255.0

    image = tf.map_fn(decode, parsed[IMAGE_KEY], fn_output_signature=tf.TensorSpec(image_shape, tf.float32))
    return {"image": image, **({"label": tf.cast(parsed[LABEL_KEY], tf.int32)} if has_label else {})}


def _check_pixels(encoded: Any) -> tf.Operation:
    """Raise InvalidArgument if a file is neither PNG nor JPEG, or claims too many pixels."""
    is_png = tf.strings.substr(encoded, 0, len(_PNG)) == _PNG

    def in_png() -> Any:
        # Width and height, four bytes each, big-endian.
        sides = tf.reshape(tf.io.decode_raw(tf.strings.substr(encoded, 16, 8), tf.uint8), (2, 4))
        worth = tf.constant([2.0**24, 2.0**16, 2.0**8, 1.0], tf.float64)
        return tf.reduce_prod(tf.linalg.matvec(tf.cast(sides, tf.float64), worth))

    # Raises for every other kind of file.
    def in_jpeg() -> Any:
        return tf.reduce_prod(tf.cast(tf.io.extract_jpeg_shape(encoded)[:2], tf.float64))

    pixels = tf.cond(is_png, in_png, in_jpeg)
    return tf.debugging.Assert(pixels <= MOST_PIXELS, ["image/encoded has more pixels than are decoded:", pixels])
