"""The one description of a run: dataclasses with bounds and help texts, presets, JSON.

The command line makes its options from these fields, and ``config.json`` stores them. Every value is checked here,
before TensorFlow is imported.
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import PurePath
from typing import Any

from keras_vae.errors import InputError, nearest
from keras_vae.sections import Section

SCORING_METHODS = ("auto", "vae", "padim", "patchcore")
FITS = ("crop", "pad", "stretch")
LIKELIHOODS = ("gaussian", "laplace", "bernoulli", "discretized_logistic")
BOTTLENECKS = ("gaussian", "vq", "fsq")
PRIORS = ("normal", "vamp", "mixture", "flow")
# A latent flow is fitted to a finished model; it cannot be trained together with one.
ALL_PRIORS = (*PRIORS, "latent-flow")
# Those that are fitted to a finished model.
FITTED_PRIORS = (*ALL_PRIORS[1:], "codes")
OPTIMIZERS = ("muon", "adamw")
FREEZABLE = ("encoder",)


def _setting(default: Any, help: str, *, is_common: bool = False, **bounds: Any) -> Any:
    """A field with a help text and optional ``minimum``, ``above``, ``maximum``, ``below`` or ``choices``.

    The short help of a command shows common settings only.
    """
    return dataclasses.field(default=default, metadata={"help": help, "is_common": is_common, **bounds})


@dataclasses.dataclass(frozen=True)
class Architecture(Section):
    """What encoder and decoder are made of. `VAE`, `Encoder` and `Decoder` take these fields as arguments.

    Args:
        image_shape: (H, W, C), any H and W.
        latent_dim: size of the latent vector.
        latent_shape: (h, w, c) for a spatial latent with c channels on the coarsest grid, in place of ``latent_dim``,
            as in latent diffusion (Rombach et al. 2022). Latents are then (N, h, w, c), there are no mapping layers,
            ``latent_dim`` is h·w·c, and images of other sizes give latents with other grids.
        widths: channels of each level, finest first; every level but the last halves the resolution.
        stem_stride: 2 starts at half the resolution (cheap), 1 at full resolution.
        num_layers: residual blocks in a level.
        attention_resolution: feature maps with sides up to this have self-attention; 0 for none.
        num_heads: heads of every attention; must divide the widths that attend.
        groups: groups of every normalisation; must divide the widths.
        num_classes: number of labels of a conditional model; every level then attends to the label's token.
        mapping_layers: dense layers (SiLU) between the features and a latent vector in the encoder, and directly after
            z in the decoder (the mapping network of Karras et al. 2019). A latent with few dimensions needs them: the
            image is then a detailed function of few inputs, which convolutions over the grid alone learn slowly.
        mapping_width: width of those.
        bottleneck_width: channels of a 1×1 convolution that narrows the coarsest feature map before it becomes a
            vector; without it, a small model would have most of its weights there.
        generative_skips: let every level of the decoder attend to tokens of z (Dieng et al. 2019).
        context_tokens: number of tokens made from a latent vector. Each position of a spatial latent is a token.
        output_width: channels of the decoder at full resolution before the image, where ``stem_stride`` is 2.

    Raises:
        InputError: when a value has the wrong type or is out of range.
    """

    image_shape: tuple[int, int, int] = _setting((28, 28, 1), "height, width and channels of the images", minimum=1)
    latent_dim: int = _setting(2, "size of the latent vector", minimum=1, maximum=65536, is_common=True)
    latent_shape: tuple[int, int, int] | None = _setting(
        None, "height, width and channels of a spatial latent, instead of a vector", minimum=1
    )
    widths: tuple[int, ...] = _setting((32, 64), "channels of each level, finest first", minimum=1)
    stem_stride: int = _setting(
        2, "stride of the first convolution: 2 halves the resolution, 1 keeps it", choices=(1, 2)
    )
    num_layers: int = _setting(1, "residual blocks per level", minimum=1)
    attention_resolution: int = _setting(7, "largest side of the feature maps that have self-attention", minimum=0)
    num_heads: int = _setting(2, "heads of each attention layer", minimum=1)
    groups: int = _setting(8, "groups of each group normalisation", minimum=1)
    num_classes: int | None = _setting(None, "number of classes of a conditional model", minimum=1)
    mapping_layers: int = _setting(
        3, "dense layers between features and latent, in the encoder and in the decoder", minimum=0
    )
    mapping_width: int = _setting(128, "width of these dense layers", minimum=1)
    bottleneck_width: int = _setting(16, "channels of the coarsest feature map, next to the dense layers", minimum=1)
    generative_skips: bool = _setting(True, "let each decoder level attend to tokens made from z")
    context_tokens: int = _setting(4, "number of tokens made from z", minimum=1)
    output_width: int = _setting(16, "channels at full resolution, before the output layer", minimum=1)

    def __post_init__(self) -> None:
        if self.latent_shape is not None:
            # It follows from the shape, and may be larger than a vector's.
            object.__setattr__(self, "latent_dim", 1)
        super().__post_init__()
        if self.latent_shape is not None:
            object.__setattr__(self, "latent_dim", math.prod(self.latent_shape))

    @property
    def latent(self) -> str:
        """The latent size in the form that ``--latent`` takes: ``16``, or ``4x7x7`` for channels, height and width."""
        if self.latent_shape is None:
            return str(self.latent_dim)
        height, width, channels = self.latent_shape
        return f"{channels}x{height}x{width}"


@dataclasses.dataclass(frozen=True)
class ModelConfig(Architecture):
    """The arguments of `keras_vae.models.VAE` and of its bottleneck, which explain them."""

    bottleneck: str = _setting(
        "gaussian",
        "what the latent is: a Gaussian posterior, codes from a learned codebook (vq), or codes by rounding (fsq)",
        choices=BOTTLENECKS,
        is_common=True,
    )
    codebook_size: int = _setting(512, "number of different codes of a vq bottleneck", minimum=2, maximum=65536)
    code_dim: int | None = _setting(
        None, "latent channels that make one code of a vq bottleneck; by default all of them", minimum=1
    )
    fsq_levels: tuple[int, ...] = _setting(
        (8, 5, 5, 5), "levels of each latent channel that makes a code of an fsq bottleneck", minimum=2
    )
    variational: bool = _setting(True, "train a VAE; if not, a plain autoencoder without KL and noise")
    likelihood: str = _setting("gaussian", "distribution of a pixel given z", choices=LIKELIHOODS)
    scale: float | None = _setting(
        None,
        "standard deviation (Gaussian) or scale (other likelihoods) of a pixel; by default calibrated in training",
        above=0,
    )
    prior: str = _setting("normal", "distribution of z: N(0, I), or one that training learns", choices=PRIORS)
    prior_components: int = _setting(64, "components of the prior vamp or mixture", minimum=1, maximum=65536)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_prior()
        self._check_codes()

    def _check_prior(self) -> None:
        if self.prior != "normal" and self.bottleneck != "gaussian":
            raise InputError(
                f"prior {self.prior} is one of Gaussian latents; with {self.bottleneck} codes leave it out"
            )
        check_prior(
            self.prior,
            latent_shape=self.latent_shape,
            num_classes=self.num_classes,
            variational=self.variational,
        )

    def _check_codes(self) -> None:
        if self.bottleneck == "gaussian":
            return
        if not self.variational:
            raise InputError(f"a {self.bottleneck} bottleneck has no variational form: leave --no-variational out")
        channels = self.latent_shape[-1] if self.latent_shape is not None else self.latent_dim
        size = len(self.fsq_levels) if self.bottleneck == "fsq" else self.code_dim or channels
        if channels % size:
            option = "fsq-levels" if self.bottleneck == "fsq" else "code-dim"
            raise InputError(
                f"{option} makes codes of {size} latent channels, which do not divide the {channels} of latent "
                f"{self.latent}; choose another latent or {option}"
            )


def check_prior(name: str, *, latent_shape: tuple[int, ...] | None, num_classes: int | None, variational: bool) -> None:
    """Check that the model can have the prior ``name``.

    Args:
        name: one of ``ALL_PRIORS``.
        latent_shape: (h, w, c) of a spatial latent; None for a vector.
        num_classes, variational: as for `ModelConfig`.

    Raises:
        InputError: if it cannot.
    """
    if name == "normal":
        return
    if name == "latent-flow":
        if latent_shape is None:
            raise InputError("prior latent-flow is one of spatial latents; for a latent vector choose flow")
        return
    if not variational:
        raise InputError(f"prior {name} needs posteriors, which a plain autoencoder has not; leave out one of the two")
    if latent_shape is not None:
        raise InputError(f"prior {name} is one of latent vectors; a spatial latent gets a latent-flow by fit-prior")
    if name == "vamp" and num_classes is not None:
        raise InputError(
            "prior vamp: its pseudo-inputs have no labels, but the model is conditional; choose mixture or flow"
        )


@dataclasses.dataclass(frozen=True)
class DiscriminatorConfig(Section):
    """The arguments of `keras_vae.models.PatchDiscriminator`."""

    widths: tuple[int, ...] = _setting((32, 64, 64), "channels of the convolutions", minimum=1)
    normalization: str = _setting(
        "spectral", "normalisation of the discriminator", choices=("spectral", "batch", "group", "none")
    )


_MOST_RELATIVE = 100.0


@dataclasses.dataclass(frozen=True)
class ObjectiveConfig(Section):
    """The objective ``NLL + beta·KL + perceptual_weight·LPIPS + adversarial_weight·adversarial``.

    NLL and KL are in nats per image. Fractions refer to the steps of the run unless they say otherwise. A part whose
    weight is 0 is not computed. With ``relative_weights`` the objective is that of
    `keras_vae.training.objective.Objective`.
    """

    beta: float = _setting(1.0, "weight of the KL divergence", minimum=0, is_common=True)
    beta_start: float = _setting(4.0, "weight of the KL divergence at the start of each cycle", minimum=0)
    beta_warmup: float = _setting(
        0.4, "fraction of each cycle over which the weight goes from beta-start to beta", minimum=0, maximum=1
    )
    beta_cycles: int = _setting(1, "number of cycles of the KL weight in the run", minimum=1)
    free_bits: float = _setting(0.0, "nats per latent dimension that the KL term does not penalise", minimum=0)
    importance_samples_train: int = _setting(
        1, "draws of z per image in a training step; with more than one, training raises the IWAE bound", minimum=1
    )
    relative_weights: bool = _setting(
        False,
        "count the perceptual and the adversarial loss relative to the likelihood, so that a weight means the same for "
        "all data, sizes of images and latents: with perceptual-weight 1, 1% of LPIPS is worth as much as 1% of MSE",
    )
    perceptual_weight: float = _setting(500.0, "weight of the VGG16 perceptual loss", minimum=0, is_common=True)
    perceptual_weights: str = _setting("bundled", "VGG16 weights: bundled, imagenet or the path of an .npz file")
    perceptual_taps: int = _setting(3, "number of VGG16 blocks whose features are compared", minimum=1, maximum=5)
    perceptual_fraction: float = _setting(
        0.125, "fraction of each batch for which the perceptual loss is computed", above=0, maximum=1
    )
    adversarial_weight: float = _setting(4.0, "weight of the adversarial loss", minimum=0, is_common=True)
    feature_weight: float = _setting(
        1.0,
        "weight of a second discriminator, on VGG16 features, beside the PatchGAN on pixels; 0 leaves it out",
        minimum=0,
    )
    equivariance_weight: float = _setting(
        0.0,
        "weight of EQ-VAE's regulariser: latents that are halved and turned decode to images that are; for spatial "
        "latents",
        minimum=0,
    )
    adversarial_loss: str = _setting(
        "hinge",
        "adversarial loss of autoencoder and discriminator",
        choices=("hinge", "least_squares", "non_saturating"),
    )
    adversarial_start: float = _setting(
        0.15, "fraction of the run before the adversarial loss reaches the autoencoder", minimum=0, maximum=1
    )
    adaptive_weight: bool = _setting(False, "scale the adversarial loss by the ratio of gradient norms, as VQGAN does")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("perceptual_weight", "adversarial_weight"):
            if self.relative_weights and getattr(self, name) > _MOST_RELATIVE:
                raise InputError(
                    f"{self.shown_name(name)} {getattr(self, name):g} is too large for relative weights; begin with "
                    "--perceptual-weight 1 --adversarial-weight 0.02"
                )


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(Section):
    """Muon or AdamW for the autoencoder, AdamW for the discriminator: linear warm-up, then cosine decay to zero."""

    optimizer: str = _setting("muon", "optimizer of the autoencoder", choices=OPTIMIZERS)
    learning_rate: float = _setting(2e-3, "peak learning rate of the autoencoder", above=0, is_common=True)
    discriminator_learning_rate: float = _setting(5e-4, "peak learning rate of the discriminator", above=0)
    weight_decay: float = _setting(1e-4, "decoupled weight decay", minimum=0)
    learning_rate_warmup: float = _setting(
        0.03, "fraction of the run over which the learning rate rises", minimum=0, maximum=1
    )
    clip_norm: float | None = _setting(
        None, "largest global norm of a gradient; by default gradients are not clipped", above=0
    )
    ema: float = _setting(
        0.999,
        "decay of the weight average that is evaluated and saved; 0 turns averaging off",
        minimum=0,
        maximum=0.999999,
    )


@dataclasses.dataclass(frozen=True)
class DataConfig(Section):
    """The images, how they are read, and how many make a batch."""

    dataset: str = _setting(
        "auto",
        "images to train on: auto (MNIST, or sample without it), sample, idx:DIR, folder:DIR, tfrecord:DIR or the name "
        "of a TFDS data set",
        is_common=True,
    )
    data_dir: str | None = _setting(None, "TFDS's data directory; by default the environment's TFDS_DATA_DIR")
    train_split: str | None = _setting(None, "TFDS split to train on, such as 'train[:90%]'; by default train")
    test_split: str | None = _setting(None, "TFDS split to test on; by default test or validation")
    image_size: tuple[int, int] | None = _setting(
        None,
        "height and width to resize images to; by default the preset's for image files, and unchanged for other data",
        minimum=1,
        maximum=16384,
        is_common=True,
    )
    channels: int | None = _setting(
        None,
        "1 for grey, 3 for RGB; by default the preset's for image files, and unchanged for other data",
        choices=(1, 3),
    )
    fit: str = _setting(
        "crop",
        "how images of other proportions are made to fit: cut out the middle, add black margins, or distort",
        choices=FITS,
    )
    crop: int | None = _setting(
        None,
        "side of squares that are cut from image files at full resolution: at random to train on, others in every "
        "epoch, and in a grid to test on; image-size and fit are not used. --augment \"RandomFlip('horizontal')\" "
        "mirrors them",
        minimum=1,
        maximum=16384,
    )
    crop_scale: float = _setting(
        1.0,
        "let training squares have up to this many times crop pixels a side, at random, and shrink them to crop with "
        "antialiasing",
        minimum=1,
    )
    test_fraction: float = _setting(
        0.1, "fraction of the images to test on, for a folder without splits", above=0, below=1
    )
    split_seed: int = _setting(0, "seed of the random choice of those test images", minimum=0, maximum=2**31 - 1)
    max_pixels: int = _setting(
        40_000_000, "largest number of pixels of an image file; larger files are refused", minimum=1
    )
    bit_depth: int = _setting(
        16, "significant bits of grey image files of 16 bits: 12 where white is 4095", minimum=8, maximum=16
    )
    strict: bool = _setting(False, "stop at the first image file that cannot be read")
    cache_dir: str | None = _setting(
        None, "folder that keeps the decoded pixels of image files for later epochs and runs"
    )
    conditional: bool = _setting(False, "give encoder and decoder each image's class", is_common=True)
    augment: tuple[str, ...] = _setting(
        (), "Keras layer that changes training images at random, such as RandomTranslation or 'RandomRotation(0.05)'"
    )
    binarize: str = _setting(
        "none",
        "draw pixels black or white, with the grey value as the probability of white: test images once, training "
        "images anew in every epoch (dynamic)",
        choices=("none", "dynamic"),
    )
    batch_size: int = _setting(128, "images per training step", minimum=1, is_common=True)
    memory_limit: int = _setting(2 << 30, "largest data set to keep in memory, in bytes of pixels", minimum=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop is None:
            if self.crop_scale != 1:
                raise InputError(f"crop-scale {self.crop_scale:g} is one of squares: give their side with --crop")
        elif not self.dataset.startswith("folder:"):
            raise InputError(f"crop cuts image files, not {self.dataset}; give their folder as --dataset folder:DIR")
        elif self.binarize != "none":
            raise InputError("binarize draws whole images in memory; leave out --binarize or --crop")


@dataclasses.dataclass(frozen=True)
class RunConfig(Section):
    """Everything that decides what a run does. The same config, machine and software give the same weights."""

    preset: str = _setting("mnist", "name of the preset that the run started from")
    seed: int = _setting(
        0, "seed of initialisation, shuffling and sampling", minimum=0, maximum=2**31 - 1, is_common=True
    )
    epochs: int = _setting(10, "passes over the training images", minimum=1, is_common=True)
    from_model: str | None = _setting(
        None,
        "model to fine-tune: a run, a .keras file or a published name; it gives the architecture and the first weights",
        is_common=True,
    )
    freeze: str | None = _setting(
        None,
        "part of that model to leave as it is: with encoder only the decoder is trained, and latents stay the same",
        choices=FREEZABLE,
        is_common=True,
    )
    precision: str = _setting(
        "auto", "what layers compute in", choices=("auto", "float32", "mixed_bfloat16", "mixed_float16")
    )
    jit: str = _setting("auto", "compile the step with XLA", choices=("auto", "on", "off"))
    steps_per_execution: int = _setting(1, "training steps per call of the compiled function", minimum=1)
    pictures: bool = _setting(
        True, "draw pictures and animations; without them, short runs of a sweep end seconds sooner"
    )
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    discriminator: DiscriminatorConfig = dataclasses.field(default_factory=DiscriminatorConfig)
    objective: ObjectiveConfig = dataclasses.field(default_factory=ObjectiveConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)

    @staticmethod
    def shown_name(name: str) -> str:
        """A field's name in messages: that of its option."""
        return "from" if name == "from_model" else Section.shown_name(name)

    @property
    def name(self) -> str:
        """The default name of the run's directory and of its exported model, such as ``mnist-latent2``."""
        if self.from_model is not None:
            return f"{PurePath(self.from_model).name.removesuffix('.keras')}-tuned"
        suffix = f"-latent{self.model.latent}"
        return self.preset if self.preset.endswith(suffix) else self.preset + suffix

    def to_json(self) -> str:
        """Indented JSON that `from_json` reads."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> RunConfig:
        """Read what `to_json` wrote.

        Raises:
            InputError: if the text is not a JSON object, or as `from_dict`.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"the configuration is not JSON: {error}") from error
        return cls.from_dict(values)


_MNIST = RunConfig()


def _mnist_at(latent_dim: int, **changes: Any) -> RunConfig:
    """The run for one latent size. The weights of the objective follow the size of the NLL, which depends on ln σ²."""
    shared = {"epochs": 20, "objective__perceptual_fraction": 0.25}
    return _MNIST.replace(preset=f"mnist-latent{latent_dim}", model__latent_dim=latent_dim, **{**shared, **changes})


_SIZES = (
    _mnist_at(2, objective__beta=1.4, objective__perceptual_weight=500.0, objective__adversarial_weight=6.0),
    _mnist_at(4, objective__beta=2.0, objective__perceptual_weight=1000.0, objective__adversarial_weight=8.0),
    # This size is limited by how exactly the encoder finds z, hence the wider mapping and the longer run. LPIPS makes
    # up nearly all of the objective, so it is computed for the whole batch, and β is large enough to count beside it.
    _mnist_at(
        16,
        epochs=28,
        model__mapping_width=256,
        model__bottleneck_width=32,
        objective__beta=38.0,
        objective__beta_start=38.0,
        objective__perceptual_weight=600000.0,
        objective__perceptual_fraction=1.0,
        objective__adversarial_weight=60.0,
        optimizer__learning_rate=0.003,
        optimizer__weight_decay=0.1,
        # At most one pixel, and whole ones, since blur would cost more. Without it the LPIPS of test images rises from
        # epoch 21 on.
        data__augment=("RandomTranslation(0.027, 0.027, fill_mode='constant', interpolation='nearest')",),
    ),
)


# Of images in colour.
_RELATIVE = {
    "discriminator__widths": (64, 128, 128),
    # Under spectral normalisation its loss stayed at 1.98 in 300 steps, where 2 is that of one that knows nothing.
    "discriminator__normalization": "group",
    "objective__relative_weights": True,
    "objective__perceptual_weight": 1.0,
    "objective__perceptual_fraction": 0.25,
    "objective__adversarial_weight": 0.02,
}


def _colour(name: str, side: int, latent_dim: int, widths: tuple[int, ...], **changes: Any) -> RunConfig:
    """Square RGB images. Relative weights are the same for every size."""
    shared = {
        "epochs": 50,
        "model__image_shape": (side, side, 3),
        "model__latent_dim": latent_dim,
        "model__widths": widths,
        # On larger maps attention would cost more than all convolutions.
        "model__attention_resolution": 16,
        "model__num_heads": 4,
        "model__mapping_width": 256,
        "model__bottleneck_width": 32,
        "model__output_width": 32,
        **_RELATIVE,
    }
    return RunConfig(preset=name).replace(**{**shared, **changes})


def _photographs(name: str, latent_shape: tuple[int, int, int], widths: tuple[int, ...]) -> RunConfig:
    """Random squares of photographs, for a fully convolutional model: its latents of larger images are larger."""
    return RunConfig(preset=name).replace(
        epochs=5,
        model__image_shape=(64, 64, 3),
        model__latent_shape=latent_shape,
        model__widths=widths,
        # Both see one whole image, of one size.
        model__attention_resolution=0,
        model__generative_skips=False,
        model__output_width=32,
        **_RELATIVE,
        objective__beta=0.25,
        objective__beta_start=0.25,
        data__dataset="folder:photos",
        data__crop=64,
        # Greys are rare in photographs, and a model should not colour them.
        data__augment=("RandomFlip('horizontal')", "RandomGrayscale(0.1)"),
        # 450 steps of 16 did better than 250 of 32.
        data__batch_size=16,
    )


_PHOTOGRAPHS = (
    _photographs("photos-f4", (16, 16, 4), (64, 128)),
    _photographs("photos-f8", (8, 8, 16), (64, 96, 128)),
)
# The presets whose trained weights `VAE.from_preset` loads.
PUBLISHED = tuple(run.preset for run in (*_SIZES, *_PHOTOGRAPHS))


def _latent_diffusion(name: str, **changes: Any) -> RunConfig:
    """Fine-tuning on crops of 256×256 pixels; the sums over pixels are those of images in [-1, 1], as in the sources.

    Both sources have learning rates of 4.5e-6 times the batch.
    """
    shared = {
        "epochs": 10,
        "model__image_shape": (256, 256, 3),
        "objective__feature_weight": 0.0,
        "objective__perceptual_fraction": 1.0,
        "optimizer__optimizer": "adamw",
        "optimizer__learning_rate": 3.6e-5,
        "optimizer__discriminator_learning_rate": 3.6e-5,
        "optimizer__weight_decay": 0.0,
        "data__image_size": (256, 256),
        "data__channels": 3,
        "data__batch_size": 8,
    }
    return RunConfig(preset=name).replace(**{**shared, **changes})


_VALUES = 256 * 256 * 3
_FINE_TUNING = (
    # Half the squared error over variance, with d the difference in [0, 1]: Σ d² = ¼ Σ (2d)², so that a quarter of the
    # values times 0.1 LPIPS stands beside it as MSE and 0.1 LPIPS do in the source.
    _latent_diffusion(
        "kl-mse",
        model__likelihood="gaussian",
        model__scale=math.sqrt(0.5),
        objective__beta=0.0,
        objective__beta_start=0.0,
        objective__perceptual_weight=0.1 * _VALUES / 4,
        objective__adversarial_weight=0.0,
    ),
    # Σ |d| / scale = Σ |2d|, beside which LPIPS counts once for each value.
    _latent_diffusion(
        "kl-gan",
        model__likelihood="laplace",
        model__scale=0.5,
        discriminator__widths=(64, 128, 256, 512),
        discriminator__normalization="batch",
        objective__beta=1e-6,
        objective__beta_start=1e-6,
        objective__perceptual_weight=float(_VALUES),
        objective__adversarial_weight=0.5,
        objective__adaptive_weight=True,
    ),
)
# Presets that describe no architecture: they fine-tune a model of latent diffusion.
FINE_TUNING = tuple(run.preset for run in _FINE_TUNING)

PRESETS: dict[str, tuple[str, RunConfig]] = {
    "mnist": ("28×28 grey digits with all losses, sized for two CPU cores", _MNIST),
    **{
        run.preset: (f"28×28 grey digits, tuned for latent size {run.model.latent_dim}; published with weights", run)
        for run in _SIZES
    },
    "cifar10": (
        "32×32 photographs in colour, such as CIFAR-10; 28.5 dB after one epoch on 66,176 squares of photographs",
        _colour("cifar10", 32, 128, (64, 128), data__dataset="cifar10"),
    ),
    "faces64": (
        "64×64 photographs of one kind of object, such as faces; 22.2 dB after one epoch on 16,416 squares of any kind",
        _colour("faces64", 64, 128, (32, 64, 128), data__batch_size=64),
    ),
    "photos128": (
        "128×128 photographs, attention on maps up to 16×16; a GPU is advised, not measured",
        _colour("photos128", 128, 256, (32, 64, 128, 128), data__batch_size=32),
    ),
    "photos256": (
        "256×256 photographs, attention on maps up to 16×16; needs a GPU, not measured",
        _colour("photos256", 256, 512, (32, 64, 128, 128, 256), data__batch_size=16),
    ),
    "photos-f4": (
        "64×64 squares of photographs, latents of 4 channels and a quarter of the sides; published with weights",
        _PHOTOGRAPHS[0],
    ),
    "photos-f8": (
        "64×64 squares of photographs, latents of 16 channels and an eighth of the sides; published with weights",
        _PHOTOGRAPHS[1],
    ),
    "kl-mse": (
        "fine-tunes an AutoencoderKL, given by --from, for MSE + 0.1 LPIPS (the recipe of sd-vae-ft-mse)",
        _FINE_TUNING[0],
    ),
    "kl-gan": (
        "fine-tunes an AutoencoderKL, given by --from, for L1 + LPIPS + PatchGAN (the recipe of latent diffusion)",
        _FINE_TUNING[1],
    ),
}


def preset(name: str) -> RunConfig:
    """The run that a preset describes.

    Raises:
        InputError: if no preset has this name.
    """
    if name not in PRESETS:
        near = nearest(name, PRESETS)
        hint = f"did you mean {near}? All are: " if near else "there are: "
        raise InputError(f"no preset is named {name!r:.60}; {hint}{', '.join(PRESETS)}")
    return PRESETS[name][1]


def published_run(name: str) -> RunConfig:
    """The last run that the published weights of a preset are from.

    Those of photographs are trained on with larger squares: group normalisation takes its statistics over the whole
    image, and those of a small square are not those of a photograph.

    Raises:
        InputError: if no preset has this name.
    """
    run = preset(name)
    if run not in _PHOTOGRAPHS:
        return run
    side = 256
    (height, width, channels), latent = run.model.image_shape, run.model.latent_shape
    assert latent is not None
    return run.replace(
        epochs=3,
        model__image_shape=(side, side, channels),
        model__latent_shape=(latent[0] * side // height, latent[1] * side // width, latent[2]),
        # Of the run's 753 steps an average at 0.999 would be half the model that it starts from.
        optimizer__ema=0.99,
        optimizer__learning_rate=0.001,
        data__crop=side,
        data__batch_size=4,
    )
