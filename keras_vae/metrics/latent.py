"""Use of the latent space: active units, and whether neighbours share a class."""

import numpy as np
import numpy.typing as npt

from keras_vae.errors import InputError


def active_units(means: npt.ArrayLike, threshold: float = 0.01) -> int:
    """The number of latent dimensions that depend on the image: ``Var_x(E_q(z|x)[z]) > threshold``.

    Args:
        means: posterior means (N, latent_dim).
        threshold: 0.01 in the paper; the variance under the prior is 1.

    Reference: Burda et al. 2016, "Importance Weighted Autoencoders", appendix C.
    """
    return int((np.asarray(means, np.float64).var(axis=0) > threshold).sum())


def knn_accuracy(
    train_means: npt.ArrayLike,
    train_labels: npt.ArrayLike,
    test_means: npt.ArrayLike,
    test_labels: npt.ArrayLike,
    neighbours: int = 5,
) -> float:
    """The accuracy, in [0, 1], of a nearest-neighbour classifier of test images by training images.

    Neighbours have the smallest Euclidean distance of posterior means (N, latent_dim); labels are (N,).

    Raises:
        InputError: when there are fewer training images than ``neighbours``.
    """
    if neighbours > len(np.asarray(train_means)):
        raise InputError(f"{neighbours} neighbours need as many training images, got {len(np.asarray(train_means))}")
    # Deferred, because it makes every import of the metrics a sixth of a second slower.
    from sklearn.neighbors import KNeighborsClassifier

    classifier = KNeighborsClassifier(neighbours).fit(train_means, train_labels)
    return float(classifier.score(test_means, test_labels))
