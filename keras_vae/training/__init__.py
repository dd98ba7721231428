"""Training: the objective, the trainer with both players, schedules, checkpoints and the run directory.

Attributes are loaded on first use, so that the run directory can be used without TensorFlow.
"""

from typing import TYPE_CHECKING

from keras_vae.lazy import lazy_attributes

if TYPE_CHECKING:
    from keras_vae.training.build import build_trainer
    from keras_vae.training.execution import Execution
    from keras_vae.training.muon import Muon
    from keras_vae.training.objective import Objective
    from keras_vae.training.optimizers import FusedAdamW
    from keras_vae.training.run_directory import RunDirectory
    from keras_vae.training.trainer import VAETrainer

__all__ = [
    "Execution",
    "FusedAdamW",
    "Muon",
    "Objective",
    "RunDirectory",
    "VAETrainer",
    "build_trainer",
]

_MODULES = {
    "Execution": "keras_vae.training.execution",
    "FusedAdamW": "keras_vae.training.optimizers",
    "Muon": "keras_vae.training.muon",
    "Objective": "keras_vae.training.objective",
    "RunDirectory": "keras_vae.training.run_directory",
    "VAETrainer": "keras_vae.training.trainer",
    "build_trainer": "keras_vae.training.build",
}

__getattr__, __dir__ = lazy_attributes(__name__, _MODULES)
