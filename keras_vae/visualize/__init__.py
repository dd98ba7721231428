"""Pictures from NumPy arrays: latent plots, manifolds, grids, walks, metric curves; as PNG and as GIF.

Every drawing function returns uint8 RGB, (H, W, 3), so that one picture serves a PNG, a GIF frame and
TensorBoard. Images are float in [0, 1] or uint8, (N, H, W, C), C of 1 or 3. This package does not import Keras and
does not touch pyplot's global state.
"""

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
