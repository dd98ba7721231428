"""How a run is carried out: on how many devices, in how large steps. Imports neither Keras nor TensorFlow.

It is no part of a run's description: the same run can go on in another way.
"""

from __future__ import annotations

import dataclasses

from keras_vae.config import RunConfig
from keras_vae.errors import InputError

STRATEGIES = ("auto", "one", "mirrored", "multi-worker")


@dataclasses.dataclass(frozen=True)
class Execution:
    """How steps are made.

    Args:
        strategy: "one" device, "mirrored" over all of this machine, "multi-worker" over those that TF_CONFIG or Slurm
            name; "auto" is the last that there is more than one for.
        accumulate: passes that a batch is dealt to, one after another, before the step: memory of B / accumulate.
        recompute: compute blocks' insides a second time for the gradient, and do not keep them (Chen et al. 2016).
    """

    strategy: str = "auto"
    accumulate: int = 1
    recompute: bool = False

    def check(self, config: RunConfig, replicas: int = 1) -> None:
        """Check that the run can be carried out so.

        Raises:
            InputError: when batches cannot be divided, or the objective needs all of one at once.
        """
        parts = replicas * self.accumulate
        if parts == 1:
            return
        batch_size = config.data.batch_size
        if batch_size % parts:
            raise InputError(
                f"batch-size must be a multiple of {parts}, the replicas ({replicas}) times --accumulate "
                f"({self.accumulate}), got {batch_size}"
            )
        if config.objective.adversarial_weight and config.discriminator.normalization == "batch":
            raise InputError(
                "batch normalisation of the discriminator needs a batch in one piece; choose another "
                "--normalization, or one replica and no --accumulate"
            )
        if config.objective.adaptive_weight and self.accumulate > 1:
            raise InputError("--adaptive-weight compares gradients of a batch in one piece; leave --accumulate out")
        if config.jit == "on" and replicas > 1:
            raise InputError("--jit on compiles for one replica; leave it out")


ONE_DEVICE = Execution("one")
