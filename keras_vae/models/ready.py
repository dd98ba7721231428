"""What all models here share: weights from construction on, so that Keras can export and describe them at once."""

from __future__ import annotations

import os
from typing import Any

import keras


class ReadyModel(keras.Model):
    """Base of the models, whose constructor builds.

    A subclass may still add layers after ``super().__init__``; it builds them itself.
    """

    @property
    def input_signature(self) -> list[Any]:
        """What ``call`` takes, as `keras.InputSpec` of batches of any size."""
        raise NotImplementedError

    def export(
        self,
        filepath: str | os.PathLike[str],
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """`keras.Model.export`; without an ``input_signature`` it is the model's own, and no call has to come before.

        `keras_vae.export` writes what a server and a phone need besides: named signatures, int8, warm-up requests.
        """
        # Keras would infer one from a first call, and take labels for floats.
        signature = self.input_signature if input_signature is None else input_signature
        super().export(filepath, format=format, verbose=verbose, input_signature=signature, **kwargs)

    def quantize(self, mode: Any = None, config: Any = None, **kwargs: Any) -> None:
        """Not for these models.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            f"{type(self).__name__}: Keras quantizes dense layers and embeddings only, and this model is mostly "
            "convolutions; for int8 use the LiteRT files that `keras-vae export` writes"
        )

    @property
    def _default_save_signature(self) -> Any:
        # Keras's, for TensorFlow's SavedModels, takes one argument and would trace a conditional model without labels.
        return super()._default_save_signature if len(self.input_signature) == 1 else None

    def _lock_state(self) -> None:
        """Nothing: Keras would let no subclass add a layer once the constructor of its base has built."""
