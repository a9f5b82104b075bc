"""Self-organizing map of samples in memory: fit, assign, measure.

The fit itself is the fold of `som_fit` over the passes of `som_passes`; here its source is one array.
"""

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import Codebook
from somray.kernels.som.blocks import checked_samples, checked_shape
from somray.kernels.som.fit import EPOCHS, Training, codebook_of, fit_passes
from somray.kernels.som.lattice import Lattice
from somray.kernels.som.passes import ArrayPasses, NodeSums, errors_of, nearest_nodes

__all__ = ["NodeSums", "Training", "assign", "checked_samples", "fit", "fit_passes", "measure"]

Floats = NDArray[np.float32]


def fit(
    samples: Floats,
    grid: tuple[int, int] = (10, 10),
    seed: int = 0,
    epochs: int = EPOCHS,
    training: Training | None = None,
    threads: int = 1,
) -> Codebook:
    """Fit a batch SOM.

    Args:
        samples: (n, f) float32, finite, any strides; distances are Euclidean in these units.
        grid: rows and columns of the map.
        seed: draws the first nodes where the training starts on a draw; else nothing is drawn.
        epochs: passes over all samples at most.
        training: start, topology, final radius, care for rare samples; the defaults where left out.
        threads: worker threads; the result does not depend on them.

    Returns:
        Codebook with hits, quantization and topographic error, and the epochs that were run.

    Raises:
        ShapeError: samples, grid, epochs, training or threads are not usable.
    """
    samples = np.asarray(samples)
    checked_shape(samples)
    return fit_passes(ArrayPasses(samples, threads), grid, seed, epochs, training)


def measure(
    samples: Floats, weights: Floats, lattice: Lattice | tuple[int, int], threads: int = 1
) -> Codebook:
    """Wrap nodes into a Codebook with its hits and errors on the samples.

    Args:
        samples: (n, f) float32, finite, any strides.
        weights: (k, f) nodes in the samples' units.
        lattice: of the map; rows and columns alone mean a planar rectangular one.
        threads: worker threads; the result does not depend on them.
    """
    place = lattice if isinstance(lattice, Lattice) else Lattice(lattice)
    return codebook_of(weights, place, errors_of(samples, weights, place, threads))


def assign(samples: Floats, codebook: Codebook, threads: int = 1) -> NDArray[np.int32]:
    """Return the nearest node of each sample; ties go to the lower number.

    Args:
        samples: (n, f) finite, any strides; fastest on the transposed view of features.
        codebook: nodes in the samples' units.
        threads: worker threads; the result does not depend on them.

    Returns:
        (n,) int32 node numbers, row-major over the grid.

    Raises:
        ShapeError: not (n, f), other number of features, or values that are not finite.
    """
    samples = np.asarray(samples)
    checked_shape(samples, codebook.weights.shape[1])
    return nearest_nodes(samples, codebook.weights, threads)
