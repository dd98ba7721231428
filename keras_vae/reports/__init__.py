"""Reports on finished runs: the table, the pictures side by side, and one HTML file to send around.

Only files are read: no module here imports Keras or TensorFlow. Attributes are loaded on first use.
"""

from keras_vae.lazy import lazy_attributes

_MODULES = {
    "Comparison": "keras_vae.reports.comparison",
    "Run": "keras_vae.reports.runs",
    "check_folder": "keras_vae.reports.folder",
    "check_runs": "keras_vae.reports.runs",
    "compare": "keras_vae.reports.comparison",
    "read_runs": "keras_vae.reports.runs",
    "write_comparison": "keras_vae.reports.report",
}

__all__ = [*_MODULES]
__getattr__, __dir__ = lazy_attributes(__name__, _MODULES)
