"""`somray.som.fit` and `assign`: the map of plain samples, for whatever people call samples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.api.inputs.image import ImageLike, plain_array
from somray.api.settings import checked_grid
from somray.api.shown.codebook import ShownCodebook
from somray.domain.teacher import Codebook
from somray.errors import ShapeError
from somray.kernels.som import arrays
from somray.kernels.som.arrays import Training
from somray.kernels.som.fit import EPOCHS

__all__ = ["assign", "fit"]


def fit(
    samples: ImageLike,
    grid: tuple[int, int] = (10, 10),
    seed: int = 0,
    epochs: int = EPOCHS,
    training: Training | None = None,
    threads: int = 1,
) -> ShownCodebook:
    """Fit a batch self-organizing map.

    Args:
        samples: (n, f) numbers, finite, any strides; distances are Euclidean in these units, so bring features to
            comparable scales first.
        grid: rows and columns of the map.
        seed: draws the first nodes where the training starts on a draw; else nothing is drawn.
        epochs: passes over all samples at most.
        training: start, topology, final radius, care for rare samples; the defaults where left out.
        threads: worker threads; the result does not depend on them.

    Returns:
        A `Codebook` in the samples' units: `weights` (k, f) float32, nodes row by row of `grid`; `hits`,
        `quantization_error`, `topographic_error` and the epochs that were run.

    Raises:
        ShapeError: samples, grid, epochs, training or threads are not usable.

    Example:
        >>> import numpy as np, somray
        >>> samples = np.random.default_rng(0).normal(size=(500, 3))
        >>> book = somray.som.fit(samples, grid=(4, 5))
        >>> book.weights.shape, int(book.hits.sum())
        ((20, 3), 500)

    Source: T. Kohonen, "Essentials of the self-organizing map", Neural Networks 37, 2013 (batch map).
    """
    if training is not None and not isinstance(training, Training):
        raise ShapeError(
            f"training must be somray.som.Training(...), got {type(training).__name__}"
        )
    for name, value, least in (("seed", seed, 0), ("epochs", epochs, 1), ("threads", threads, 1)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise ShapeError(f"{name} must be a whole number from {least} on, got {value!r}")
    found = arrays.fit(_samples(samples), checked_grid(grid), seed, epochs, training, threads)
    return ShownCodebook.of(found)


def assign(samples: ImageLike, codebook: Codebook, threads: int = 1) -> NDArray[np.int32]:
    """Return the nearest node of each sample; ties go to the lower number.

    Args:
        samples: (n, f) finite, any strides; fastest on the transposed view of features,
            `stack.reshape(len(stack), -1).T`.
        codebook: nodes in the samples' units, from `fit`.
        threads: worker threads; the result does not depend on them.

    Returns:
        (n,) int32 node numbers, row by row of the grid: `divmod(node, columns)` is its row and column.

    Raises:
        ShapeError: not (n, f), other number of features, values that are not finite, or no codebook.

    Example:
        >>> import numpy as np, somray
        >>> samples = np.random.default_rng(0).normal(size=(500, 3))
        >>> book = somray.som.fit(samples, grid=(4, 5))
        >>> somray.som.assign(samples, book).shape
        (500,)
    """
    if not isinstance(codebook, Codebook):
        swapped = isinstance(samples, Codebook)
        told = "the arguments are swapped" if swapped else f"got {type(codebook).__name__}"
        raise ShapeError(
            f"somray.som.assign(samples, codebook): codebook must come from somray.som.fit; {told}"
        )
    return arrays.assign(_samples(samples), codebook, threads)


def _samples(given: ImageLike) -> NDArray[Any]:  # Any: any numbers
    """Refuse what is not (n, f), with what to type in its place."""
    if isinstance(given, Codebook):
        raise ShapeError("samples must be an array (n, f), got a Codebook")
    samples = plain_array(given, "samples")
    if samples.ndim == 1:
        raise ShapeError(
            f"samples must be (n, f), got shape {samples.shape}: one feature is samples[:, None], one sample "
            "samples[None]"
        )
    if samples.ndim > 2:
        raise ShapeError(
            f"samples must be (n, f), got shape {samples.shape}: of a stack of features (f, y, x) they are "
            "stack.reshape(len(stack), -1).T"
        )
    return samples
