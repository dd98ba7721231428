"""Training: the objective, the trainer with both players, schedules, checkpoints and the run directory.

Attributes are loaded on first use: the run directory needs no TensorFlow.
"""

from keras_vae.lazy import lazy_attributes

_MODULES = {
    "Execution": "keras_vae.training.execution",
    "FusedAdamW": "keras_vae.training.optimizers",
    "Muon": "keras_vae.training.muon",
    "Objective": "keras_vae.training.objective",
    "RunDirectory": "keras_vae.training.run_directory",
    "VAETrainer": "keras_vae.training.trainer",
    "build_trainer": "keras_vae.training.build",
}

__all__ = [*_MODULES]
__getattr__, __dir__ = lazy_attributes(__name__, _MODULES)
