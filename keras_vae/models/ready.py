"""The base of all models: their weights exist from construction on, so Keras can export and summarise them at once."""

from __future__ import annotations

import os
from typing import Any

import keras


class ReadyModel(keras.Model):
    """Base of models that build themselves in their constructor.

    A subclass may still add layers after ``super().__init__``; it builds them itself.
    """

    @property
    def input_signature(self) -> list[Any]:
        """The inputs of ``call``, as `keras.InputSpec` with any batch size."""
        raise NotImplementedError

    def export(
        self,
        filepath: str | os.PathLike[str],
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """`keras.Model.export`, also before the first call; ``input_signature`` defaults to the model's own.

        For named signatures, int8 and warm-up requests see `keras_vae.export`.
        """
        # Keras would infer one from a first call, and take labels for floats.
        signature = self.input_signature if input_signature is None else input_signature
        super().export(filepath, format=format, verbose=verbose, input_signature=signature, **kwargs)

    def quantize(self, mode: Any = None, config: Any = None, **kwargs: Any) -> None:
        """Refused.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            f"{type(self).__name__}: Keras quantizes dense layers and embeddings only, and this model is mostly "
            "convolutions; for int8 use the LiteRT files that `keras-vae export` writes"
        )

    @property
    def _default_save_signature(self) -> Any:
        # For TensorFlow's SavedModel. Keras's takes one argument, and would trace a conditional model without labels.
        return super()._default_save_signature if len(self.input_signature) == 1 else None

    def _lock_state(self) -> None:
        """Do nothing: otherwise Keras would let no subclass add a layer after its base's constructor."""
