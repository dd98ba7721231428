"""The variational autoencoder: an encoder, a sampling layer and a decoder that sees z (and the label) alone."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import keras

from keras_vae.config import (
    ALL_PRIORS,
    FINE_TUNING,
    LIKELIHOODS,
    PUBLISHED,
    Architecture,
    ModelConfig,
    check_prior,
    preset,
    published_run,
)
from keras_vae.errors import InputError
from keras_vae.latents import Bottleneck, GaussianBottleneck, Latents, PointBottleneck, learned_prior
from keras_vae.latents.choice import make_bottleneck
from keras_vae.layers import Prior
from keras_vae.models.decoder import Decoder
from keras_vae.models.encoder import Encoder
from keras_vae.models.part import Shapes, TakesImages, TakesLatents
from keras_vae.models.ready import ReadyModel
from keras_vae.models.tiles import OVERLAP, decode_tiles, encode_tiles
from keras_vae.sections import shows_fields_of

PUBLISHED_WEIGHTS = Path(__file__).with_name("published")


@keras.saving.register_keras_serializable(package="keras_vae")
class VAE(ReadyModel):
    """Variational autoencoder of images, or with ``variational=False`` a plain autoencoder.

    ``call(images[, labels])`` reconstructs: through a sampled z in training, through the posterior mean
    otherwise. Images are (N, H, W, C), floats in [0, 1] or uint8, which the model divides by 255. A conditional model
    needs labels (N,), integers; any other ignores them. All weights exist from construction on, so the model can be
    saved, exported and summarised before its first call.

    `keras_vae.VAETrainer` trains it. Plain ``compile`` and ``fit`` know no KL: they train an autoencoder
    (``variational=False``), or a subclass that adds the KL itself.

    Args:
        image_shape: (H, W, C), any H and W.
        latent_dim: size of the latent vector.
        widths: channels of each level of encoder and decoder, finest first.
        variational: False for a plain autoencoder: ``bottleneck`` is then `PointBottleneck`.
        bottleneck: what makes latents of the encoder's features, `GaussianBottleneck` by default.
        likelihood: distribution of a pixel given z: "gaussian", "laplace", "bernoulli" or "discretized_logistic".
        scale: its standard deviation (Gaussian) or scale (Laplace, logistic). None leaves it to training, which
            calibrates it. It is the weight ``likelihood_scale``, and thus part of a saved model.
        prior: p(z) of the default bottleneck, a `Prior` or a name: "normal" is N(0, I); "vamp", "mixture" and "flow"
            are learned, and of latent vectors; "latent-flow" is fitted afterwards, and of spatial latents
            (`keras_vae.latents`).
        prior_components: components of "vamp" or "mixture".
        seed: seed of the default bottleneck's noise; None draws one from Keras's global seed.
        architecture: for subclasses whose encoder and decoder take other fields than those of
            `keras_vae.config.Architecture`: all of them. The fields here are then not looked at.
        **kwargs: the other fields of `keras_vae.config.Architecture`, such as ``num_classes`` and ``latent_shape``; and
            ``name`` and ``dtype``.

    Raises:
        ValueError: when a field is out of range, when ``groups`` or ``num_heads`` does not divide a width (the message
            names both numbers), when ``latent_shape`` does not have the images' grid, when ``variational`` is False
            or a ``prior`` stands beside a bottleneck, when ``likelihood`` or ``prior`` is unknown, when the model
            cannot have the ``prior``, or when images, latents or labels have the wrong shape
            or dtype.

    A model with a spatial latent has a weight ``scaling_factor``: one over the standard deviation of the training
    images' latents, which training measures. Multiplied by it, latents have variance 1, as a diffusion model expects
    (Rombach et al. 2022, section G). For other models it is None.

    Example:
        ```python
        vae = VAE.from_preset("mnist-latent2")  # trained; VAE(latent_dim=2) is not
        mean, log_var = vae.encode(images)
        samples = vae.sample(16, seed=0)
        ```

    The attribute ``bottleneck`` is the one given or the default one, and ``prior`` is its prior.

    To change the parts, set ``encoder_class`` and ``decoder_class`` in a subclass, or override `make_prior`.

    Reference: Kingma & Welling 2014, "Auto-Encoding Variational Bayes".
    """

    bottleneck: Bottleneck
    measures_scaling_factor: ClassVar[bool] = True
    """Whether training measures the ``scaling_factor`` of a spatial latent. If not, it keeps the one it has."""
    encoder_class: type[TakesImages] = Encoder
    decoder_class: type[TakesLatents] = Decoder

    @shows_fields_of(Architecture)
    def __init__(
        self,
        image_shape: tuple[int, int, int] = (28, 28, 1),
        latent_dim: int = 2,
        widths: tuple[int, ...] = (32, 64),
        *,
        variational: bool = True,
        bottleneck: Bottleneck | None = None,
        likelihood: str = "gaussian",
        scale: float | None = None,
        prior: str | Prior = "normal",
        prior_components: int = 64,
        seed: int | None = None,
        architecture: Shapes | None = None,
        **kwargs: Any,
    ) -> None:
        if architecture is None:
            architecture, kwargs = Architecture.taken_from(
                {"image_shape": image_shape, "latent_dim": latent_dim, "widths": widths, **kwargs}
            )
        super().__init__(**kwargs)
        if likelihood not in LIKELIHOODS:
            raise ValueError(f"likelihood must be one of {', '.join(LIKELIHOODS)}, got {likelihood!r}")
        if bottleneck is not None and not variational:
            raise ValueError("variational=False is a bottleneck of its own: leave out one of the two")
        if bottleneck is not None and prior != "normal":
            raise ValueError("prior is one of the default bottleneck: give your own bottleneck its prior")
        _check_prior(prior, architecture, variational=variational)
        self._given_prior = prior
        self.prior_components = prior_components
        self.seed = seed
        self._has_own_bottleneck = bottleneck is not None
        heads = GaussianBottleneck.heads if bottleneck is None else bottleneck.heads
        parts = {**architecture.as_dict(), "dtype": self.dtype_policy}
        self.encoder = self.encoder_class(**parts, heads=heads, name="encoder")
        self.decoder = self.decoder_class(**parts, name="decoder")
        if bottleneck is None:
            bottleneck = (
                GaussianBottleneck(seed=seed, name="bottleneck") if variational else PointBottleneck(name="bottleneck")
            )
        if bottleneck.prior is None:
            bottleneck.prior = self.make_prior()
        if not bottleneck.built:
            bottleneck.build(*[(None, *self.latent_shape)] * len(bottleneck.heads))
        # Before the bottleneck: Keras's files hold weights where Keras first comes upon them, and before there were
        # bottlenecks, a prior's were directly under the model.
        self.prior: Any = bottleneck.prior
        self._bottleneck = bottleneck
        self.likelihood = likelihood
        self.scale = scale
        self.likelihood_scale = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(1.0 if scale is None else scale),
            trainable=False,
            dtype="float32",
            autocast=False,
            name="likelihood_scale",
        )
        # A vector latent needs none: a model of it expects the standard deviation of the prior.
        self.scaling_factor = (
            self.add_weight(
                shape=(),
                initializer="ones",
                trainable=False,
                dtype="float32",
                autocast=False,
                name="scaling_factor",
            )
            if architecture.latent_shape is not None
            else None
        )
        self.build((None, *self.image_shape))

    def build(self, images_shape: Any, labels_shape: Any = None) -> None:
        """Do nothing: all is built."""

    def make_prior(self) -> Prior | None:
        """The prior of a bottleneck that was given none, by default that of the argument ``prior``; None is N(0, I).

        Encoder and decoder exist when this is called.
        """
        if isinstance(self._given_prior, Prior):
            return self._given_prior
        if self._given_prior == "normal":
            return None
        return learned_prior(self._given_prior, self.latent_shape, self.encoder, self.prior_components)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # Keras would come upon a property or a public attribute before it does the prior.
            if name == "bottleneck":
                return self._bottleneck
            # PyTorch's modules find their parts here.
            of_parent = getattr(super(), "__getattr__", None)
            if of_parent is not None:
                return of_parent(name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def sampling(self) -> Any:
        """The layer that draws z from a Gaussian posterior; None for other bottlenecks."""
        return getattr(self.bottleneck, "sampling", None)

    @property
    def variational(self) -> bool:
        """Whether the posterior has a variance."""
        return self.bottleneck.is_stochastic

    @classmethod
    def from_model_config(cls, config: ModelConfig, **kwargs: Any) -> VAE:
        """Build from a run's description of its model."""
        architecture, others = Architecture.taken_from(config.as_dict())
        chosen = {name: others[name] for name in ("variational", "likelihood", "scale", "prior", "prior_components")}
        return cls(**architecture.as_dict(), **chosen, bottleneck=make_bottleneck(config), **kwargs)

    @classmethod
    def from_preset(cls, name: str, *, load_weights: bool = True, **overrides: Any) -> VAE:
        """Build from a preset of `keras_vae.config`; ``overrides`` replace fields of its model.

        Args:
            name: name of the preset.
            load_weights: load the trained weights that are installed with the package: of "mnist-latent2",
                "mnist-latent4" and "mnist-latent16" for digits, of "photos-f4" and "photos-f8" for photographs, whose
                model is then for 256×256 pixels, as in the end of its training. No other preset has weights: its model
                is untrained, and a warning says so. False gives an untrained model of any preset, without a warning.
            **overrides: fields of `ModelConfig`.

        Raises:
            InputError: when the preset or a field is unknown, when a value is out of range, when an override does not
                fit the weights, or when the weights are missing.
        """
        if name in FINE_TUNING:
            raise InputError(f"preset {name} describes no model: it fine-tunes one, with keras-vae train --from")
        if not load_weights:
            return cls.from_model_config(preset(name).model.replace(**overrides))
        published = published_run(name).model
        config = published.replace(**overrides)
        weights = PUBLISHED_WEIGHTS / f"{name}.weights.h5"
        if name not in PUBLISHED:
            warnings.warn(
                f"{name} has no trained weights, so this model is untrained; {', '.join(PUBLISHED)} have weights, and "
                "load_weights=False asks for an untrained model",
                stacklevel=2,
            )
            return cls.from_model_config(config)
        if config != published:
            raise InputError(
                f"{name} is published with weights, which fit no other {', '.join(overrides)}; for an untrained model "
                "use load_weights=False"
            )
        if not weights.is_file():
            raise InputError(
                f"{weights}: the weights of {name} are not there; for an untrained model use load_weights=False"
            )
        vae = cls.from_model_config(config)
        vae.load_weights(weights)
        return vae

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.encoder.image_shape

    @property
    def latent_dim(self) -> int:
        """Size of the latent vector; for a spatial latent the product of its sides."""
        return self.encoder.latent_dim

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """(latent_dim,), or (h, w, c) for a spatial latent."""
        return self.encoder.latent_shape

    @property
    def num_classes(self) -> int | None:
        """Number of labels of a conditional model, else None."""
        return self.encoder.num_classes

    @property
    def sample_classes(self) -> int | None:
        """Number of labels that `sample` knows, of a conditional model or prior, else None."""
        return self.num_classes or self.bottleneck.num_classes

    def encode(
        self, images: Any, labels: Any = None, *, tile: int | None = None, overlap: int = OVERLAP
    ) -> tuple[Any, Any]:
        """The posterior's ``(mean, log_var)``, each float32 (N, *latent_shape).

        With ``tile`` a model with a spatial latent encodes large images in squares of so many pixels, which share
        ``overlap`` pixels with their neighbours. It gives NumPy arrays, for one image after the other, and cannot be
        part of a graph. Where tiles meet, their outputs are blended. Normalisation and attention see one tile and not
        the image, so that the result is close to that of the whole image, not equal.

        Raises:
            InputError: with ``tile``, if the latent is a vector, or if ``tile`` or ``overlap`` is no multiple of the
                pixels that make one position of the latent.
        """
        if tile is not None:
            return encode_tiles(self, images, labels, tile, overlap)
        mean, log_var = self.bottleneck.posterior(*self.encoder(images, labels))
        return mean, log_var

    def encode_flat(self, images: Any, labels: Any = None) -> tuple[Any, Any]:
        """`encode` as vectors (N, latent_dim), also for a spatial latent; `decode` takes them too."""
        mean, log_var = (keras.ops.reshape(part, (-1, self.latent_dim)) for part in self.encode(images, labels))
        return mean, log_var

    def latents(self, images: Any, labels: Any = None) -> Latents:
        """What the bottleneck makes of images: z, and what it costs; see `keras_vae.latents.Bottleneck`."""
        made: Latents = self.bottleneck(*self.encoder(images, labels))
        return made

    def encode_codes(self, images: Any, labels: Any = None) -> Any:
        """The codes of images, int32 (N, *code_shape), where ``code_shape`` is the bottleneck's.

        Raises:
            InputError: if the bottleneck has no codes.
        """
        return self.bottleneck.codes_of(*self.encoder(images, labels))

    def decode_codes(self, codes: Any, labels: Any = None) -> Any:
        """Codes, integers (N, *code_shape), to images (N, H, W, C), float32 in [0, 1].

        Raises:
            InputError: if the bottleneck has no codes, or for codes that are not such.
        """
        return self.decode(self.bottleneck.embed(codes), labels)

    def decode(self, z: Any, labels: Any = None, *, tile: int | None = None, overlap: int = OVERLAP) -> Any:
        """Latents (N, *latent_shape) or (N, latent_dim) to images (N, H, W, C), float32 in [0, 1].

        ``tile`` and ``overlap``, in pixels of the images, are as for `encode`.
        """
        if tile is not None:
            return decode_tiles(self, z, labels, tile, overlap)
        return self.decoder(z, labels)

    def reconstruct(self, images: Any, labels: Any = None, *, tile: int | None = None, overlap: int = OVERLAP) -> Any:
        """Decode the posterior mean; deterministic. ``tile`` and ``overlap`` are as for `encode`."""
        tiles = {"tile": tile, "overlap": overlap} if tile is not None else {}
        mean, _ = self.encode(images, labels, **tiles)
        return self._sized_as(images, self.decode(mean, labels, **tiles))

    def _sized_as(self, images: Any, decoded: Any) -> Any:
        """``decoded`` with the size of ``images``, which with a spatial latent may differ from the trained one."""
        if decoded.shape[1:3] == images.shape[1:3]:
            return decoded
        return self.encoder.geometry_of(*images.shape[1:3]).crop(decoded)

    def sample(self, count: int, seed: int | None = None, labels: Any = None) -> Any:
        """Decode ``count`` draws from the prior: images (count, H, W, C), the same for the same seed.

        Labels (count,) are for a model with ``sample_classes``.
        """
        of_class = () if self.bottleneck.num_classes is None else (labels,)
        return self.decode(self.bottleneck.sample(count, seed, *of_class), labels)

    @property
    def input_signature(self) -> list[Any]:
        return self.encoder.input_signature

    # Checked before Keras takes over, which would wrap an error from call() in lines of its own.
    def __call__(self, images: Any, labels: Any = None, *args: Any, **kwargs: Any) -> Any:
        images, labels = self.encoder.checked(*_unpacked(images, labels))
        return super().__call__(images, labels, *args, **kwargs)

    def call(self, images: Any, labels: Any = None, training: bool = False) -> Any:
        images, labels = _unpacked(images, labels)
        features = self.encoder(images, labels)
        if training:
            return self._sized_as(images, self.decoder(self.bottleneck(*features)["z"], labels))
        return self._sized_as(images, self.decode(self.bottleneck.posterior(*features)[0], labels))

    def compute_output_shape(self, images_shape: Any, labels_shape: Any = None) -> Any:
        return (
            images_shape[0],
            *(images_shape[1:3] if self.encoder.is_spatial else self.image_shape[:2]),
            self.image_shape[2],
        )

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """`keras.Model.compute_loss`, without a KL.

        Raises:
            ValueError: in a training step of a variational model that adds no loss of its own.
        """
        if training and (self.variational or self.bottleneck.loss_names) and not self.losses:
            raise ValueError(
                f"{type(self).__name__}: fit() would train a plain autoencoder, since compile(loss=…) knows no KL and "
                "no codebook; train with keras_vae.VAETrainer(vae), or make a plain autoencoder with variational=False"
            )
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **self.decoder.architecture.as_dict(),
            "variational": self._has_own_bottleneck or self.variational,
            # The default one is made anew, with the prior of `make_prior`.
            "bottleneck": keras.saving.serialize_keras_object(self.bottleneck) if self._has_own_bottleneck else None,
            "likelihood": self.likelihood,
            "scale": self.scale,
            "prior": keras.saving.serialize_keras_object(self._given_prior),
            "prior_components": self.prior_components,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> VAE:
        # Configs from before bottlenecks have none.
        parts: dict[str, Any] = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in ("bottleneck", "prior")
            if name in config
        }
        return cls(**{**config, **parts})


def _check_prior(prior: str | Prior, architecture: Shapes, *, variational: bool) -> None:
    if isinstance(prior, Prior):
        expected = architecture.latent_shape or (architecture.latent_dim,)
        if prior.latent_shape != expected:
            raise ValueError(f"the prior is for latents of the shape {prior.latent_shape}, the model has {expected}")
        return
    if prior not in ALL_PRIORS:
        raise ValueError(f"prior must be a Prior or one of {', '.join(ALL_PRIORS)}, got {prior!r}")
    check_prior(
        prior,
        latent_shape=architecture.latent_shape,
        num_classes=architecture.num_classes,
        variational=variational,
    )


def _unpacked(images: Any, labels: Any) -> tuple[Any, Any]:
    """Images and labels, also from the one argument ``[images, labels]`` that Keras's `predict` and `fit` pass."""
    if labels is None and isinstance(images, (list, tuple)) and len(images) == 2:
        images, labels = images
    return images, labels
