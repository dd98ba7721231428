"""How a run is carried out: on which devices, in how many passes a step. Imports neither Keras nor TensorFlow.

This is not part of a run's configuration: a run can be resumed with another execution.
"""

from __future__ import annotations

import dataclasses

from keras_vae.config import RunConfig
from keras_vae.errors import InputError

STRATEGIES = ("auto", "one", "mirrored", "multi-worker")


@dataclasses.dataclass(frozen=True)
class Execution:
    """How training steps are computed.

    Args:
        strategy: "one" device, "mirrored" over all devices of this machine, or "multi-worker" over the machines that
            TF_CONFIG or Slurm names; "auto" is "multi-worker" if there are several workers, "mirrored" if this machine
            has several GPUs, else "one".
        accumulate: split each batch of B images into this many passes, which need the memory of B / accumulate images.
        recompute: compute the inside of each block again for the gradient instead of keeping it (Chen et al. 2016).
    """

    strategy: str = "auto"
    accumulate: int = 1
    recompute: bool = False

    def check(self, config: RunConfig, replicas: int = 1) -> None:
        """Check that the run can be carried out this way.

        Raises:
            InputError: if batches cannot be divided evenly, if the objective needs a whole batch at once, or if XLA is
                requested for several replicas.
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
                "batch normalisation in the discriminator needs the whole batch at once; choose another "
                "--normalization, or use one replica without --accumulate"
            )
        if config.objective.adaptive_weight and self.accumulate > 1:
            raise InputError("--adaptive-weight needs the gradients of the whole batch at once; leave out --accumulate")
        if config.jit == "on" and replicas > 1:
            raise InputError("--jit on supports one replica only; leave it out")


ONE_DEVICE = Execution("one")
