"""Callbacks for training in two calls of ``fit``: the rest of an interrupted epoch, then the other epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_vae.training.distribution import copies_of


class PartOfTraining(keras.callbacks.Callback):
    """Passes the events of one call of ``fit`` on to ``callbacks``, as if there were no other call.

    Args:
        callbacks: those of the whole training.
        epochs: the number of epochs of the whole training.
        steps: the number of steps in a whole epoch.
        first_step: steps that the first epoch had before this part; the trainer's metrics hold their means.
        is_first: whether training begins with this part.
        is_last: whether it ends with it.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        *,
        epochs: int,
        steps: int,
        first_step: int = 0,
        is_first: bool = True,
        is_last: bool = True,
    ) -> None:
        super().__init__()
        self.callbacks = callbacks
        self.whole = {"epochs": epochs, "steps": steps}
        self.first_step = first_step
        self.is_first, self.is_last = is_first, is_last

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        # Keras sets metrics to zero when an epoch begins.
        self._means = [copies_of(variable)[0].numpy() for metric in model.metrics for variable in metric.variables]
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params({**params, **self.whole})
        for callback in self.callbacks:
            callback.set_params(self.params)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self.is_first:
            self._tell("on_train_begin", logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.is_last:
            self._tell("on_train_end", logs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.first_step:
            variables = [variable for metric in self.model.metrics for variable in metric.variables]
            for variable, value in zip(variables, self._means, strict=True):
                for copy in copies_of(variable):
                    copy.assign(value)
        self._tell("on_epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._tell("on_epoch_end", epoch, logs)
        self.first_step = 0

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._tell("on_train_batch_begin", batch + self.first_step, logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._tell("on_train_batch_end", batch + self.first_step, logs)

    def _tell(self, hook: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*arguments)
