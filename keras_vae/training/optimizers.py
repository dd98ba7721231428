"""AdamW in TensorFlow's fused kernel, and a wrapper that skips what is not finite."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable(package="keras_vae")
class FusedAdamW(keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` with one kernel for each variable's update.

    Arguments, state and result are the same. Keras writes Adam out in a dozen operations a variable, and evaluates a
    learning rate schedule anew for every variable that decays. For the 150 variables of these models, that is half of
    the step's graph and of the time from start to first step. Here the operations that all updates share run once.

    Args:
        learning_rate: float or schedule.
        without_decay: regular expressions; weights do not decay where one of them is found in the name. Saved with the
            optimizer, unlike what `exclude_from_weight_decay` is given.
        **kwargs: as for `keras.optimizers.AdamW`.

    Reference: Kingma & Ba 2015, "Adam"; Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization".
    """

    def __init__(self, learning_rate: Any = 0.001, *, without_decay: Iterable[str] = (), **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        if self.amsgrad:
            raise ValueError("FusedAdamW: the fused kernel has no amsgrad; use keras.optimizers.AdamW")
        self.without_decay = tuple(without_decay)
        self.exclude_from_weight_decay(var_names=self.without_decay)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "without_decay": list(self.without_decay)}

    @property
    def is_plain(self) -> bool:
        """Whether `apply_where` does all that `apply` does."""
        return not (self.clipnorm or self.clipvalue or self.use_ema or self.gradient_accumulation_steps) and all(
            variable.constraint is None for variable in self._trainable_variables
        )

    def apply_where(self, is_wanted: Any, gradients: list[Any], variables: list[Any], norm: Any) -> None:
        """`apply` gradients of that global norm if the scalar ``is_wanted`` is true, else nothing.

        It is no branch of the graph. TensorFlow would trace all variables and gradients into each side of one, which
        took as long as the updates.
        """
        scale = tf.where(is_wanted, self._clipping(norm) if self.global_clipnorm else 1.0, 0.0)
        with tf.name_scope(self.name):
            # Here zero times a number that is not finite is zero.
            gradients = [tf.math.multiply_no_nan(each, tf.cast(scale, each.dtype)) for each in gradients]
            self._update(gradients, variables, self.learning_rate, is_wanted)
        self.iterations.assign_add(tf.cast(is_wanted, self.iterations.dtype))

    def _backend_update_step(self, grads: list[Any], trainable_variables: list[Any], learning_rate: Any) -> None:
        self._update(grads, trainable_variables, learning_rate, True)

    def _update(self, gradients: list[Any], variables: list[Any], learning_rate: Any, is_wanted: Any) -> None:
        """Update all variables; unless ``is_wanted``, gradients are zeros and nothing may change."""

        def or_else(value: Any, neutral: float) -> Any:
            return value if is_wanted is True else tf.where(is_wanted, value, neutral)

        step = tf.cast(self.iterations + 1, "float32")
        # With a rate of 0 and both betas of 1, the kernel leaves weights and moments as they are.
        shared = {
            "beta1_power": tf.pow(self.beta_1, step),
            "beta2_power": tf.pow(self.beta_2, step),
            "lr": or_else(learning_rate, 0.0),
            "beta1": or_else(self.beta_1, 1.0),
            "beta2": or_else(self.beta_2, 1.0),
            "epsilon": self.epsilon,
        }
        dtypes = {variable.value.dtype for variable in variables}
        scalars = {
            dtype: {name: tf.cast(scalar, dtype) for name, scalar in shared.items()}
            for dtype in sorted(dtypes, key=lambda dtype: dtype.name)
        }
        decay = or_else(learning_rate * self.weight_decay, 0.0) if self.weight_decay else None
        # Keras would sum gradients over the replicas here. They are the whole batch's already, and every replica
        # updates its own copies.
        for gradient, variable in zip(gradients, variables, strict=True):
            value = variable.value
            if self._use_weight_decay(variable):
                value.assign_sub(value * tf.cast(decay, value.dtype))
            index = self._get_variable_index(variable)
            tf.raw_ops.ResourceApplyAdam(
                var=value.handle,
                m=self._momentums[index].value.handle,
                v=self._velocities[index].value.handle,
                grad=tf.cast(gradient, value.dtype),
                **scalars[value.dtype],
            )

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        """As Keras's; the global norm is taken with one operation for each gradient."""
        if not self.global_clipnorm or self.clipnorm:
            return super()._clip_gradients(grads)
        scale = self._clipping(tf.linalg.global_norm(grads))
        return [gradient * scale for gradient in grads]

    def _clipping(self, norm: Any) -> Any:
        """What gradients of that global norm are multiplied by; NaN if it is not finite."""
        return self.global_clipnorm * tf.minimum(1.0 / norm, 1.0 / self.global_clipnorm) + (norm - norm)

    def _apply_weight_decay(self, variables: Any) -> None:
        """Nothing: the update decays, where the learning rate is at hand."""

    def _use_weight_decay(self, variable: Any) -> bool:
        # Decay by zero would still read and write every weight.
        return bool(self.weight_decay) and super()._use_weight_decay(variable)


@keras.saving.register_keras_serializable(package="keras_vae")
class SkippingOptimizer(keras.optimizers.LossScaleOptimizer):
    """Keras's `LossScaleOptimizer` with a scale of 1 throughout: it skips steps whose gradients are not finite.

    Args:
        inner_optimizer: makes the other steps.
    """

    def __init__(self, inner_optimizer: keras.optimizers.Optimizer) -> None:
        super().__init__(inner_optimizer, initial_scale=1.0)

    def get_config(self) -> dict[str, Any]:
        return {"inner_optimizer": keras.saving.serialize_keras_object(self.inner_optimizer)}

    def check_finite(self, gradients: list[Any]) -> Any:
        """Whether all are finite: then their norm is, unless it overflows. Keras's own took five times as long."""
        return ops.isfinite(tf.linalg.global_norm(gradients))

    def _stateful_handle_finite_grads(self, gradients: list[Any], variables: list[Any] | None) -> None:
        # Nothing to divide by, nor to count.
        self.inner_optimizer.apply(gradients, variables)

    def _stateful_handle_non_finite_grads(self) -> None:
        """Nothing: a scale that halves at every bad batch, and never grows, would end in zero."""


def apply_where(optimizer: Any, is_finite: Any, gradients: list[Any], variables: list[Any], norm: Any) -> None:
    """Let a `guarded` optimizer make a step, or skip it unless ``is_finite``, which may be about more gradients."""
    inner = optimizer.inner_optimizer
    if isinstance(optimizer, SkippingOptimizer) and isinstance(inner, FusedAdamW) and inner.is_plain:
        inner.apply_where(is_finite, gradients, variables, norm)
        return
    # It skips the step, and lowers its scale, when any of its gradients has a NaN.
    first, *others = gradients
    poison = tf.where(is_finite, 0.0, float("nan"))
    optimizer.apply([first + tf.cast(poison, first.dtype), *others], variables)


def guarded(optimizer: Any, compute_dtype: str, variables: list[Any]) -> keras.optimizers.LossScaleOptimizer:
    """The optimizer in Keras's wrapper that skips steps whose gradients are not finite, built for ``variables``.

    float16 needs the wrapper's loss scale as well; in the other precisions the scale stays at 1.

    Raises:
        ValueError: when there are several replicas, over which Keras's own optimizers would sum the gradients again.
    """
    optimizer = keras.optimizers.get(optimizer)
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        if compute_dtype == "float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        else:
            optimizer = SkippingOptimizer(optimizer)
    is_one_replica = tf.distribute.get_strategy().num_replicas_in_sync == 1
    if not is_one_replica and not isinstance(optimizer.inner_optimizer, FusedAdamW):
        raise ValueError("several replicas need keras_vae.training's FusedAdamW or Muon: others add up gradients")
    optimizer.build(variables)
    return optimizer
