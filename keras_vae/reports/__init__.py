"""Reports on finished runs: a table, pictures side by side, and a self-contained HTML file.

The modules read files only and do not import Keras or TensorFlow. Attributes are loaded on first use.
"""

from typing import TYPE_CHECKING

from keras_vae.lazy import lazy_attributes

if TYPE_CHECKING:
    from keras_vae.reports.comparison import Comparison, compare
    from keras_vae.reports.folder import check_folder
    from keras_vae.reports.report import write_comparison
    from keras_vae.reports.runs import Run, check_runs, read_runs

__all__ = [
    "Comparison",
    "Run",
    "check_folder",
    "check_runs",
    "compare",
    "read_runs",
    "write_comparison",
]

_MODULES = {
    "Comparison": "keras_vae.reports.comparison",
    "Run": "keras_vae.reports.runs",
    "check_folder": "keras_vae.reports.folder",
    "check_runs": "keras_vae.reports.runs",
    "compare": "keras_vae.reports.comparison",
    "read_runs": "keras_vae.reports.runs",
    "write_comparison": "keras_vae.reports.report",
}

__getattr__, __dir__ = lazy_attributes(__name__, _MODULES)
