"""The autoencoder of latent diffusion, as Stable Diffusion 1 to 3, SDXL and FLUX.1 have it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras
from keras import ops

from keras_vae.config import Architecture, ModelConfig
from keras_vae.errors import InputError
from keras_vae.models.diffusers_folder import model_folder, read_architecture, read_weights, write_folder
from keras_vae.models.kl_architecture import KLArchitecture
from keras_vae.models.kl_decoder import KLDecoder
from keras_vae.models.kl_encoder import KLEncoder
from keras_vae.models.tiles import OVERLAP
from keras_vae.models.vae import VAE
from keras_vae.sections import shows_fields_of


@keras.saving.register_keras_serializable(package="keras_vae")
class AutoencoderKL(VAE):
    """The autoencoder with a KL-regularised spatial latent from latent diffusion.

    It computes what the class of the same name in the library diffusers does, whose files `from_diffusers` reads and
    `save_diffusers` writes, but for the range of images: they are in [0, 1] here and in [-1, 1] there. In everything
    else it is a `VAE`, and is trained, measured and exported like one.

    ``encode`` gives the mean and the log-variance, each float32 (N, h, w, latent_channels); the latents are not scaled.
    ``decode`` and ``reconstruct`` clip to [0, 1]; `keras_vae.VAETrainer` trains on pixels that are not clipped.

    Args:
        image_shape: (H, W, C). Images of other sizes can be encoded too.
        **kwargs: the other fields of `KLArchitecture`, which explains them; ``variational``, ``likelihood``, ``scale``,
            ``prior`` ("normal" or "latent-flow") and ``seed`` of `VAE`; and ``name`` and ``dtype``.

    Raises:
        ValueError: when a field is unknown or out of range; the message names it. For calls as `VAE`.

    The weights ``scaling_factor`` and ``shift_factor``, float32 scalars, are part of a saved model. A diffusion model
    over the latents z works on ``(z - shift_factor) · scaling_factor``.

    Example:
        ```python
        vae = AutoencoderKL.from_diffusers("stable-diffusion-v1-5/vae")
        mean, log_var = vae.encode(images)
        ```

    Reference: Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models", section 3.1.
    """

    # Diffusion models were trained on latents scaled by it.
    measures_scaling_factor = False
    encoder_class = KLEncoder
    decoder_class = KLDecoder

    @shows_fields_of(KLArchitecture)
    def __init__(self, image_shape: tuple[int, int, int] = (512, 512, 3), **kwargs: Any) -> None:
        architecture, kwargs = KLArchitecture.taken_from({"image_shape": image_shape, **kwargs})
        if foreign := sorted(kwargs.keys() & Architecture().as_dict().keys()):
            raise InputError(f"AutoencoderKL has no {foreign[0]}; its fields are {', '.join(architecture.as_dict())}")
        policy = keras.dtype_policies.get(kwargs.get("dtype") or keras.config.dtype_policy())
        if architecture.force_upcast and policy.compute_dtype == "float16":
            kwargs["dtype"] = "float32"
        super().__init__(architecture=architecture, **kwargs)
        assert self.scaling_factor is not None  # the latent is spatial
        self.scaling_factor.assign(architecture.scaling_factor)
        self.shift_factor = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(architecture.shift_factor),
            trainable=False,
            dtype="float32",
            autocast=False,
            name="shift_factor",
        )

    @classmethod
    def from_diffusers(
        cls,
        path: str | os.PathLike[str],
        image_shape: tuple[int, int, int] | None = None,
        **kwargs: Any,
    ) -> AutoencoderKL:
        """Load the folder of a diffusers model. Nothing in it is run. Needs the extra ``diffusers``.

        The folder holds config.json and diffusion_pytorch_model.safetensors, or the same in ``vae`` below it. The file
        may be in shards, and of a variant such as fp16; weights in half precision become float32.

        Args:
            path: the folder.
            image_shape: (H, W, C); by default a square of the file's ``sample_size``.
            **kwargs: arguments of `AutoencoderKL` that the file does not decide, such as ``padding`` and ``dtype``.

        Raises:
            InputError: if a file is missing, damaged or a pickle, if it describes another class or has an unsupported
                value (the message names the field), or if tensors and config.json do not fit each other.
        """
        folder = model_folder(Path(path))
        choices = {name: kwargs.pop(name) for name in ("padding",) if name in kwargs}
        architecture = read_architecture(folder, image_shape, **choices)
        vae = cls(**architecture.as_dict(), **kwargs)
        read_weights(vae, folder)
        return vae

    def save_diffusers(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write a folder that diffusers' ``AutoencoderKL.from_pretrained`` reads. Needs the extra ``diffusers``.

        The weights are written in float32: those of a float32 folder come back with the same bits.

        Args:
            path: the folder, which appears whole or not at all.
            overwrite: replace a folder that holds such a model and nothing else.

        Raises:
            InputError: if something is there that may not be replaced, or the place cannot be written.
        """
        write_folder(self, Path(path), overwrite=overwrite)

    @classmethod
    def from_model_config(cls, config: ModelConfig, **kwargs: Any) -> VAE:
        """Refused: the settings of a run describe other models.

        Raises:
            InputError: always.
        """
        raise InputError(f"presets and runs describe no {cls.__name__}; use its constructor or from_diffusers")

    def decode(self, z: Any, labels: Any = None, *, tile: int | None = None, overlap: int = OVERLAP) -> Any:
        """Latents (N, h, w, latent_channels) or (N, latent_dim) to images (N, H, W, C), float32, clipped to [0, 1].

        ``tile`` and ``overlap``, in pixels of the images, are as for `VAE.encode`.
        """
        decoded = super().decode(z, labels, tile=tile, overlap=overlap)
        # Each tile was clipped.
        return ops.clip(decoded, 0.0, 1.0) if tile is None else decoded
