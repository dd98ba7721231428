"""A page that walks through a latent space: as one HTML file, or served on this machine.

The page is plain HTML, CSS and ES modules, in the folder ``web``. These modules take NumPy arrays and LiteRT files, and
import neither Keras nor TensorFlow. Attributes are loaded on first use.
"""

from typing import TYPE_CHECKING

from keras_vae.lazy import lazy_attributes

if TYPE_CHECKING:
    from keras_vae.explorer.exploration import Exploration
    from keras_vae.explorer.lite_models import LiteModels
    from keras_vae.explorer.page import Page, offline_page, served_page
    from keras_vae.explorer.runtime import Runtime, find_runtime
    from keras_vae.explorer.server import ExplorerServer, check_port

__all__ = [
    "Exploration",
    "ExplorerServer",
    "LiteModels",
    "Page",
    "Runtime",
    "check_port",
    "find_runtime",
    "offline_page",
    "served_page",
]

_MODULES = {
    "Exploration": "keras_vae.explorer.exploration",
    "ExplorerServer": "keras_vae.explorer.server",
    "LiteModels": "keras_vae.explorer.lite_models",
    "Page": "keras_vae.explorer.page",
    "Runtime": "keras_vae.explorer.runtime",
    "check_port": "keras_vae.explorer.server",
    "find_runtime": "keras_vae.explorer.runtime",
    "offline_page": "keras_vae.explorer.page",
    "served_page": "keras_vae.explorer.page",
}

__getattr__, __dir__ = lazy_attributes(__name__, _MODULES)
