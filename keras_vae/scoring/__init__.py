"""Which images are unlike the others: detectors that see normal images alone, and their calibration."""

from keras_vae.scoring.detector import Detector
from keras_vae.scoring.padim import PaDiM
from keras_vae.scoring.patchcore import PatchCore
from keras_vae.scoring.scorer import Scorer, load_scorer
from keras_vae.scoring.vae_detector import VAEDetector

__all__ = ["Detector", "PaDiM", "PatchCore", "Scorer", "VAEDetector", "load_scorer"]
