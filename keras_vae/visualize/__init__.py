"""Pictures from NumPy arrays: latent plots, manifolds, grids, walks, metric curves; as PNG and as GIF.

Every drawing function returns uint8 RGB, (H, W, 3), so that one picture serves a PNG, a GIF frame and
TensorBoard. Images are float in [0, 1] or uint8, (N, H, W, C), C of 1 or 3. This package does not import Keras and
does not touch pyplot's global state.

Attributes are loaded on first use: Matplotlib and scikit-learn take longer to import than a training step takes.
"""

from typing import TYPE_CHECKING

from keras_vae.lazy import lazy_attributes

if TYPE_CHECKING:
    from keras_vae.visualize.comparison import beside, frames_beside, scaled
    from keras_vae.visualize.curves import compare_curves, metric_curves
    from keras_vae.visualize.files import write_gif, write_png
    from keras_vae.visualize.grids import class_grid, image_grid, reconstruction_frames, reconstruction_grid
    from keras_vae.visualize.interpolation import (
        interpolation_picture,
        linear_interpolation,
        slerp,
        traversal_latents,
        traversal_picture,
    )
    from keras_vae.visualize.latent import axis_limits, latent_frames, latent_plot
    from keras_vae.visualize.manifold import manifold_latents, manifold_picture, manifold_quantiles
    from keras_vae.visualize.projection import Projection, fit_projection
    from keras_vae.visualize.reading import count_gif_frames, read_gif, read_png
    from keras_vae.visualize.sprite import sprite_sheet

__all__ = [
    "Projection",
    "axis_limits",
    "beside",
    "class_grid",
    "compare_curves",
    "count_gif_frames",
    "fit_projection",
    "frames_beside",
    "image_grid",
    "interpolation_picture",
    "latent_frames",
    "latent_plot",
    "linear_interpolation",
    "manifold_latents",
    "manifold_picture",
    "manifold_quantiles",
    "metric_curves",
    "read_gif",
    "read_png",
    "reconstruction_frames",
    "reconstruction_grid",
    "scaled",
    "slerp",
    "sprite_sheet",
    "traversal_latents",
    "traversal_picture",
    "write_gif",
    "write_png",
]

_MODULES = {
    "Projection": "keras_vae.visualize.projection",
    "axis_limits": "keras_vae.visualize.latent",
    "beside": "keras_vae.visualize.comparison",
    "class_grid": "keras_vae.visualize.grids",
    "compare_curves": "keras_vae.visualize.curves",
    "count_gif_frames": "keras_vae.visualize.reading",
    "fit_projection": "keras_vae.visualize.projection",
    "frames_beside": "keras_vae.visualize.comparison",
    "image_grid": "keras_vae.visualize.grids",
    "interpolation_picture": "keras_vae.visualize.interpolation",
    "latent_frames": "keras_vae.visualize.latent",
    "latent_plot": "keras_vae.visualize.latent",
    "linear_interpolation": "keras_vae.visualize.interpolation",
    "manifold_latents": "keras_vae.visualize.manifold",
    "manifold_picture": "keras_vae.visualize.manifold",
    "manifold_quantiles": "keras_vae.visualize.manifold",
    "metric_curves": "keras_vae.visualize.curves",
    "read_gif": "keras_vae.visualize.reading",
    "read_png": "keras_vae.visualize.reading",
    "reconstruction_frames": "keras_vae.visualize.grids",
    "reconstruction_grid": "keras_vae.visualize.grids",
    "scaled": "keras_vae.visualize.comparison",
    "slerp": "keras_vae.visualize.interpolation",
    "sprite_sheet": "keras_vae.visualize.sprite",
    "traversal_latents": "keras_vae.visualize.interpolation",
    "traversal_picture": "keras_vae.visualize.interpolation",
    "write_gif": "keras_vae.visualize.files",
    "write_png": "keras_vae.visualize.files",
}

__getattr__, __dir__ = lazy_attributes(__name__, _MODULES)
