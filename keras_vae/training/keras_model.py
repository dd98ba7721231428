"""What Keras and its users expect of a model around the steps: compile, fit, evaluate, predict, callbacks, saving."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_vae.models import VAE
from keras_vae.training.inputs import as_floats, check_values, one_line_errors, unpack, with_first_batch_checked
from keras_vae.training.optimizers import guarded

SHOWN = ("loss", "elbo", "kl", "mse", "lpips")
"""What Keras's progress bar shows of the logs."""

HIGHER_IS_BETTER = frozenset({"elbo", "psnr", "ssim", "real_accuracy", "fake_accuracy"})
"""The reported numbers that training raises; it lowers the others."""

# Arguments of `keras.Model.compile` that would be ignored.
_NOT_COMPILED = ("loss", "loss_weights", "metrics", "weighted_metrics")


class ProgressBar(keras.callbacks.ProgbarLogger):
    """Keras's progress bar with the logs in ``SHOWN`` alone, so that a line fits a terminal and a notebook.

    Give `keras.callbacks.ProgbarLogger` itself to ``fit`` to see all of them.
    """

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_train_batch_end(batch, _shown(logs))

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_test_batch_end(batch, _shown(logs))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_end(epoch, _shown(logs))

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        super().on_test_end(_shown(logs))


class TrainerModel(keras.Model):
    """Base of `VAETrainer`, which makes the networks and the steps.

    Images are float in [0, 1] or uint8, which is scaled. Dtypes, shapes and the values of the first batch are checked
    before the first step.
    """

    vae: VAE
    train_function: Any
    test_function: Any
    ema_vae: VAE | None
    discriminator: keras.Model | None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._has_checked_batch = False

    @property
    def inference_vae(self) -> VAE:
        """The model to evaluate, save and sample from: the averaged weights if there are any."""
        return self.vae if self.ema_vae is None else self.ema_vae

    @property
    def discriminator_variables(self) -> list[Any]:
        """What the second player trains."""
        raise NotImplementedError

    def compile(
        self,
        optimizer: keras.optimizers.Optimizer | str = "adamw",
        discriminator_optimizer: keras.optimizers.Optimizer | str = "adamw",
        *,
        jit_compile: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Set the players' optimizers; other arguments as `keras.Model.compile`, but for ``loss`` and ``metrics``.

        ``jit_compile=None`` uses XLA where there is a GPU: on CPU it was measured slower.

        Raises:
            ValueError: when both players are given the same optimizer object, or one of Keras's own where there are
                several replicas; when a loss or metrics are given.
        """
        given = [name for name in _NOT_COMPILED if kwargs.get(name) is not None]
        if given:
            raise ValueError(
                f"VAETrainer.compile takes no {' and no '.join(given)}: its config weighs the parts of the objective, "
                "a subclass changes it by objective_class, and the metrics are those that it reports"
            )
        if optimizer is discriminator_optimizer and not isinstance(optimizer, str):
            raise ValueError("each player needs an optimizer of its own: it holds that player's moments")
        self._asked_to_jit = jit_compile
        if jit_compile is None:
            jit_compile = bool(tf.config.list_physical_devices("GPU"))
        super().compile(
            optimizer=guarded(optimizer, self.vae.compute_dtype, self.vae.trainable_variables),
            auto_scale_loss=False,
            jit_compile=jit_compile,
            **kwargs,
        )
        if self.discriminator is not None:
            self.discriminator_optimizer = guarded(
                discriminator_optimizer, self.discriminator.compute_dtype, self.discriminator_variables
            )

    def get_compile_config(self) -> dict[str, Any]:
        """Both optimizers and how steps are executed, for ``load_model``."""
        config = super().get_compile_config()
        if not config:
            return {}
        config = {name: config[name] for name in ("optimizer", "run_eagerly", "steps_per_execution")}
        # On another machine it may be decided anew.
        config["jit_compile"] = self._asked_to_jit
        if self.discriminator is not None:
            config["discriminator_optimizer"] = keras.saving.serialize_keras_object(self.discriminator_optimizer)
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as `get_compile_config` says."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train as `keras.Model.fit` does, which explains the arguments.

        The progress bar shows ``loss elbo kl mse lpips``; the history and the callbacks have everything. Callbacks that
        monitor a number know whether it is to rise or to fall. `ReduceLROnPlateau` and `LearningRateScheduler` steer
        the autoencoder's learning rate alone: the discriminator's is its optimizer's.

        Args:
            x: images (N, H, W, C), float in [0, 1] or uint8; or a `tf.data.Dataset`, `keras.utils.PyDataset`, generator
                or Grain data set of images or (images, labels).
            y: labels (N,), whole numbers, of a conditional model.
            batch_size, epochs, verbose, callbacks, **kwargs: as Keras has them.

        Raises:
            ValueError: when images or labels have another dtype, shape or range, or weights are given; one line, before
                the first step.
        """
        _refuse_weights(kwargs)
        with one_line_errors():
            return super().fit(x, y, batch_size, epochs, verbose, self._callbacks(callbacks, verbose), **kwargs)

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Measure `inference_vae` as `keras.Model.evaluate` does; ``x`` and ``y`` as for `fit`.

        Raises:
            ValueError: as `fit`.
        """
        _refuse_weights({"sample_weight": sample_weight})
        with one_line_errors():
            return super().evaluate(
                x, y, batch_size, verbose, None, steps, self._callbacks(callbacks, verbose), **kwargs
            )

    def train_on_batch(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        """One step, as `keras.Model.train_on_batch`; ``x`` and ``y`` as for `fit`.

        Raises:
            ValueError: as `fit`.
        """
        _refuse_weights(kwargs)
        return super().train_on_batch(x, y, **kwargs)

    def test_on_batch(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        """Measure one batch, as `keras.Model.test_on_batch`; ``x`` and ``y`` as for `fit`.

        Raises:
            ValueError: as `fit`.
        """
        _refuse_weights(kwargs)
        return super().test_on_batch(x, y, **kwargs)

    def call(self, images: Any, labels: Any = None, training: bool = False) -> Any:
        """Reconstructions: in training of the model that is trained, otherwise of `inference_vae`."""
        return (self.vae if training else self.inference_vae)(images, labels, training=training)

    def predict_step(self, data: Any) -> Any:
        images, labels, _ = unpack(data, self.vae)
        return self(as_floats(images), labels)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save as `keras.Model.save`: both players, both optimizers and the step, but no state of random generators."""
        self.get_config()  # what cannot be saved is refused before Keras touches the file
        super().save(*args, **kwargs)

    def export(self, *args: Any, **kwargs: Any) -> Any:
        """Export `inference_vae`, as `keras.Model.export`. `keras_vae.export` has all of its signatures."""
        return self.inference_vae.export(*args, **kwargs)

    def quantize(self, *args: Any, **kwargs: Any) -> Any:
        """Refused, as `VAE.quantize` says."""
        return self.inference_vae.quantize(*args, **kwargs)

    def make_train_function(self, force: bool = False) -> None:
        if self.train_function is None or force:
            super().make_train_function(force)
            self.train_function = self._traced_once(self.train_step, self.train_function)

    def make_test_function(self, force: bool = False) -> None:
        if self.test_function is None or force:
            super().make_test_function(force)
            self.test_function = self._traced_once(self.test_step, self.test_function)

    def _traced_once(self, step: Callable[[Any], Any], of_keras: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Keras's function of an iterator; for one step on one device it is one TensorFlow function, not two.

        Keras traces the step into a function of its own, which it calls from the one that takes the next batch. All
        that TensorFlow does with a graph before its first run, it would do twice.
        """
        is_plain = not (self.run_eagerly or self.jit_compile or self.steps_per_execution > 1)
        if not is_plain or tf.distribute.has_strategy() or self.distribute_strategy.num_replicas_in_sync > 1:
            return of_keras

        @tf.function(autograph=False, reduce_retracing=True)
        def next_step(iterator: Any) -> Any:
            # As Keras has it: what is None in the data comes as an Optional.
            batch = keras.tree.map_structure(
                lambda part: None if isinstance(part, tf.experimental.Optional) else part, iterator.get_next()
            )
            # At the end of the data there is no step, not even of what depends on no batch.
            with tf.control_dependencies([part for part in keras.tree.flatten(batch) if part is not None]):
                return step(batch)

        return lambda iterator: (next_step if isinstance(iterator, tf.data.Iterator) else of_keras)(iterator)

    def _callbacks(self, callbacks: Any, verbose: Any) -> Any:
        """Those of a user, told which way their numbers go, and the bar."""
        # Within `fit`, `evaluate` gets what was made there.
        if isinstance(callbacks, keras.callbacks.CallbackList):
            return callbacks
        callbacks = keras.tree.flatten(callbacks) if callbacks else []
        for callback in callbacks:
            name = getattr(callback, "monitor", "").removeprefix("val_")
            # Keras knows the direction of what `compile` was given alone.
            if getattr(callback, "mode", None) == "auto" and name in {metric.name for metric in self.metrics}:
                callback.mode = "max" if name in HIGHER_IS_BETTER else "min"
        has_bar = any(isinstance(callback, keras.callbacks.ProgbarLogger) for callback in callbacks)
        return [*callbacks, *([] if has_bar or not verbose else [ProgressBar()])]

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Check what is about to be trained or tested on; Keras would build the model here, which is built."""
        if data_batch is not None:
            if not self._has_checked_batch:
                check_values(data_batch, self.vae)
            self._has_checked_batch = True
        # The validation data come here after every epoch.
        elif not getattr(iterator, "is_checked", False):
            iterator._distributed_dataset = self._checked(iterator)
            iterator.is_checked = True

    def _checked(self, iterator: Any) -> Any:
        """The data set of Keras's iterator, which fails where its first batch is not what a step takes."""
        dataset = iterator._distributed_dataset
        if isinstance(dataset, tf.data.Dataset):
            return with_first_batch_checked(dataset, self.vae)
        whole = iterator.data_adapter.get_tf_dataset()
        if isinstance(whole, tf.data.Dataset):
            return self.distribute_strategy.experimental_distribute_dataset(with_first_batch_checked(whole, self.vae))
        return dataset  # dealt out already by whoever gave it


def _shown(logs: dict[str, Any] | None) -> dict[str, Any]:
    names = [*SHOWN, *(f"val_{name}" for name in SHOWN)]
    return {name: logs[name] for name in names if logs and name in logs}


def _refuse_weights(arguments: dict[str, Any]) -> None:
    given = [name for name in ("sample_weight", "class_weight") if arguments.get(name) is not None]
    if given:
        raise ValueError(f"VAETrainer takes no {given[0]}: all images count alike; repeat or leave out some instead")
